"""Turns captures into facts and findings: the helper's own, and what the engine says of any step of any runbook."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from runbook.errors import Unreadable
from runbook.helpers import Captures
from runbook.helpers.loading import HELPER_SECONDS, Helper, describe, place_in, time_limit
from runbook.model import Capture, Ending, Evidence, Finding, Plan, Runbook, Verdict

#: Who names packages how, in the order they are told.
DISTRIBUTIONS = {"debian": "Debian", "fedora": "Fedora", "arch": "Arch"}
INSTALL = {"debian": "apt install", "fedora": "dnf install", "arch": "pacman -S"}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a run comes to: the helper's facts, all findings, and the helper's drawing (or nothing)."""

    facts: object
    findings: tuple[Finding, ...]
    drawing: str


def conclude(plan: Plan, captures: tuple[Capture, ...], helper: Helper | None) -> Conclusion:
    """Judge the captures; whatever the helper does, there is a conclusion."""
    facts: object = None
    findings: list[Finding] = []
    drawing = ""
    if helper is None:
        findings += by_endings(captures)
    else:
        try:
            with time_limit(HELPER_SECONDS):
                facts = helper.parse(Captures(captures, plan.parameters))
                drawing = helper.draw(facts) if helper.draw else ""
                findings += helper.judge(facts)
        except Exception as error:
            findings.append(unreadable(plan.runbook, helper, error))
    findings += (finding for capture in captures for finding in by_ending(plan, capture))
    if not findings:
        findings.append(NOTHING_CONCLUDED)
    # Worst first; the order in which the helper gave them within.
    findings.sort(key=lambda finding: -finding.verdict)
    return Conclusion(facts, tuple(findings), drawing)


NOTHING_CONCLUDED = Finding(
    "no-verdict",
    Verdict.UNKNOWN,
    "The helper gave no finding",
    "A helper that says nothing could not tell; a runbook that finds all well says so with an ok finding.",
)


def unreadable(runbook: Runbook, helper: Helper, error: BaseException) -> Finding:
    """The finding for a helper that gave up, or broke, on this output."""
    evidence: tuple[Evidence, ...] = ()
    if isinstance(error, Unreadable):
        evidence = (error.evidence,)
        place = f"step {error.evidence.step}, {error.evidence.stream} line {error.evidence.first_line}"
    else:
        path, line = place_in(helper.folder, error, os.path.join(helper.folder, "helper.py"))
        place = f"{path}:{line}"
    return Finding(
        "unreadable",
        Verdict.UNKNOWN,
        f"Could not make sense of the output ({place}): {describe(error)}",
        "The commands ran, but their output is not of a form that this runbook's helper can read. This says nothing "
        "about whether the host is well.",
        "Record the output as a sample, so that the helper can learn to read it:\n"
        f"    runbook record {runbook.name} --as unreadable",
        evidence,
    )


def by_endings(captures: tuple[Capture, ...]) -> Iterator[Finding]:
    """The verdict of a runbook without a helper: whether every command that ran exited with 0."""
    failed = [capture for capture in captures if capture.ending is Ending.EXITED and capture.exit_code != 0]
    for capture in failed:
        yield Finding(
            "command-failed",
            Verdict.CRITICAL,
            f"Step {capture.step} exited with status {capture.exit_code}",
            "This runbook has no helper, so it judges only how its commands ended; status 0 means success.",
            evidence=last_line(capture),
        )
    if not failed and any(capture.succeeded for capture in captures):
        yield Finding("commands-succeeded", Verdict.OK, "Every command that ran exited with status 0")


def last_line(capture: Capture) -> tuple[Evidence, ...]:
    """Where a failed command usually says why: the last line of stderr, else of stdout."""
    for stream, data in (("stderr", capture.stderr), ("stdout", capture.stdout)):
        count = len(data.splitlines())
        if count:
            return (Evidence(capture.step, stream, count, count),)
    return ()


def by_ending(plan: Plan, capture: Capture) -> Iterator[Finding]:
    """What the engine itself says of one step, whatever the runbook: always unknown, never ok."""
    if capture.truncated:
        yield _unknown(
            "truncated",
            f"Step {capture.step} printed {capture.dropped} bytes more than are kept",
            "Output over the cap is read and dropped, so what was judged is only its beginning.",
        )
    if capture.ending is Ending.NOT_FOUND:
        yield not_found(plan.runbook, capture)
    elif capture.ending is Ending.NOT_PERMITTED:
        yield not_permitted(plan.runbook, capture)
    elif capture.ending is Ending.TIMED_OUT:
        yield _unknown(
            "timed-out",
            f"Step {capture.step} {capture.detail}",
            "The command was ended, with everything it had started; what it said until then is kept.",
            "See where it hangs:\n    " + _line(capture),
        )
    elif capture.ending is Ending.SIGNALLED:
        yield _unknown("signalled", f"Step {capture.step} was {capture.detail}", "It did not end by itself.")
    elif capture.ending is Ending.INTERRUPTED:
        yield _unknown("interrupted", f"Step {capture.step} was interrupted", "What it said until then is kept.")
    elif capture.ending is Ending.DECLINED:
        yield _unknown(
            "declined",
            f"Step {capture.step} was not run: {capture.detail}",
            "It changes the host, and a step that changes the host runs only when a person says so.",
            f"See exactly what it would do, then approve it:\n    runbook run {plan.runbook.name} --plan\n"
            f"    runbook run {plan.runbook.name} --yes   # changes this host",
        )


def _unknown(code: str, summary: str, explanation: str, advice: str = "") -> Finding:
    return Finding(code, Verdict.UNKNOWN, summary, explanation, advice)


def not_found(runbook: Runbook, capture: Capture) -> Finding:
    """The tool is absent: which package brings it."""
    name = capture.detail.partition(" is not on ")[0]
    packages = dict(dict(runbook.packages).get(name, ()))
    advice = "\n".join(
        f"On {label}:\n    {INSTALL[key]} {packages[key]}   # changes this host"
        for key, label in DISTRIBUTIONS.items()
        if key in packages
    )
    return _unknown(
        "not-found",
        f"Step {capture.step}: {capture.detail or f'{capture.argv[0]} was not found'}",
        "The command is not installed here, so this part of the host could not be looked at.",
        advice or f"Install the package that brings `{name}`.",
    )


def not_permitted(runbook: Runbook, capture: Capture) -> Finding:
    """A right is lacking: the exact line that has it."""
    return _unknown(
        "not-permitted",
        f"Step {capture.step} {capture.detail.partition(';')[0] or 'was not permitted'}",
        "This user may not run the command, so this part of the host could not be looked at. Nothing was tried with "
        "more rights: Runbook never calls sudo by itself.",
        f"Run this command alone, or the whole runbook, with the right it lacks:\n    sudo {_line(capture)}\n"
        f"    sudo runbook run {runbook.name}",
    )


def _line(capture: Capture) -> str:
    import shlex

    return shlex.join(capture.argv)
