"""Turns captures into facts and findings: the helper's own, and what the engine says of any step of any runbook."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from runbook.errors import Unreadable
from runbook.helpers import Captures
from runbook.helpers.loading import FAULTS, HELPER_SECONDS, Helper, describe, place_in, time_limit
from runbook.model import Capture, Ending, Evidence, Finding, Plan, Reference, Runbook, Value, Verdict
from runbook.values import NAME

#: Who names packages how, in the order they are told.
DISTRIBUTIONS = {"debian": "Debian", "fedora": "Fedora", "arch": "Arch"}
INSTALL = {"debian": "apt install", "fedora": "dnf install", "arch": "pacman -S"}
#: More findings than this nobody reads, and a helper that gives them for ever would fill the memory.
MOST_FINDINGS = 1000


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
                facts = helper.parse(Captures(captures, _open_values(plan)))
                # One by one: what was found before the helper breaks stays found.
                for finding in helper.judge(facts):
                    findings.append(_accepted(finding, len(findings)))
                drawing = _drawing(helper, facts)
        except FAULTS as error:
            findings.append(unreadable(plan.runbook, helper, error))
    findings += not_started(plan, captures)
    findings += (finding for capture in captures for finding in by_ending(plan, capture))
    if not findings:
        findings.append(NOTHING_CONCLUDED)
    # Worst first; the order in which the helper gave them within.
    findings.sort(key=lambda finding: -finding.verdict)
    return Conclusion(facts, tuple(findings), drawing)


def _open_values(plan: Plan) -> dict[str, Value]:
    """What a helper may know: no secret, for what it knows can end up in a finding."""
    secret = {parameter.name for parameter in plan.runbook.parameters if parameter.secret}
    return {name: value for name, value in plan.parameters.items() if name not in secret}


NOTHING_CONCLUDED = Finding(
    "no-verdict",
    Verdict.UNKNOWN,
    "The helper gave no finding",
    "A helper that says nothing could not tell; a runbook that finds all well says so with an ok finding.",
)


def _accepted(finding: object, before: int) -> Finding:
    """The finding, if it can be shown; raises TypeError or ValueError in words."""
    if before >= MOST_FINDINGS:
        raise ValueError(f"`judge` gave more than {MOST_FINDINGS} findings")
    if not isinstance(finding, Finding):
        raise TypeError(f"`judge` gave {type(finding).__name__}, not a Finding")
    holds = {
        "code": isinstance(finding.code, str) and re.fullmatch(NAME, finding.code),
        "verdict": isinstance(finding.verdict, Verdict),
        "summary": isinstance(finding.summary, str),
        "explanation": isinstance(finding.explanation, str),
        "advice": isinstance(finding.advice, str),
        "evidence": isinstance(finding.evidence, tuple) and all(map(_is_sound, finding.evidence)),
        "references": isinstance(finding.references, tuple)
        and all(isinstance(reference, Reference) for reference in finding.references),
    }
    for name, good in holds.items():
        if not good:
            wrong = type(getattr(finding, name)).__name__
            raise TypeError(f"`judge` gave the finding {finding.code!r} with a wrong `{name}` ({wrong})")
    return finding


def _is_sound(evidence: object) -> bool:
    return (
        isinstance(evidence, Evidence)
        and isinstance(evidence.step, str)
        and evidence.stream in ("stdout", "stderr")
        and isinstance(evidence.first_line, int)
        and isinstance(evidence.last_line, int)
    )


def _drawing(helper: Helper, facts: object) -> str:
    drawing = helper.draw(facts) if helper.draw else ""
    if not isinstance(drawing, str):
        raise TypeError(f"`draw` gave {type(drawing).__name__}, not text")
    return drawing


def unreadable(runbook: Runbook, helper: Helper, error: BaseException) -> Finding:
    """The finding for a helper that gave up on this output, or broke on it."""
    evidence: tuple[Evidence, ...] = ()
    if isinstance(error, Unreadable) and _is_sound(error.evidence):
        evidence = (error.evidence,)
        place = f"step {error.evidence.step}, {error.evidence.stream} line {error.evidence.first_line}"
    else:
        path, line = place_in(helper.folder, error, os.path.join(helper.folder, "helper.py"))
        place = f"{path}:{line}"
    return Finding(
        "unreadable",
        Verdict.UNKNOWN,
        f"Could not make sense of the output ({place}): {describe(error)}",
        "The commands ran, but this runbook's helper cannot read or judge what they printed. This says nothing about "
        "whether the host is well.",
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
    ran = [capture for capture in captures if capture.ending is not Ending.SKIPPED]
    if ran and all(capture.succeeded for capture in ran):
        yield Finding("commands-succeeded", Verdict.OK, "Every command that ran exited with status 0")


def last_line(capture: Capture) -> tuple[Evidence, ...]:
    """Where a failed command usually says why: the last line of stderr that is not blank, else of stdout."""
    for stream, data in (("stderr", capture.stderr), ("stdout", capture.stdout)):
        if data.strip():
            count = data.rstrip().count(b"\n") + 1
            return (Evidence(capture.step, stream, count, count),)
    return ()


def by_ending(plan: Plan, capture: Capture) -> Iterator[Finding]:
    """What the engine itself says of one step that was started, whatever the runbook: always unknown, never ok."""
    step, detail = capture.step, capture.detail
    if capture.truncated:
        yield _unknown(
            "truncated",
            f"Step {step} printed {capture.dropped} bytes more than are kept",
            "Output over the cap is read and dropped, so what was judged is only its beginning.",
        )
    if capture.ending is Ending.TIMED_OUT and not _never_began(capture):
        yield _unknown(
            "timed-out",
            f"Step {step} {detail or 'did not end in time'}",
            "A command whose time is up is ended with everything it had started; what it said until then is kept.",
            "See where it hangs:\n    " + shlex.join(capture.argv),
        )
    elif capture.ending is Ending.SIGNALLED:
        yield _unknown("signalled", f"Step {step} did not end by itself" + (f": {detail}" if detail else ""))
    elif capture.ending is Ending.INTERRUPTED:
        yield _unknown("interrupted", f"Step {step}: {detail or 'interrupted'}", "What it said until then is kept.")
    elif capture.ending is Ending.DECLINED:
        yield _unknown(
            "declined",
            f"Step {step} was not run: {detail or 'it was not approved'}",
            "It changes the host, and a step that changes the host runs only when a person says so.",
            f"See exactly what it would do, then approve it:\n    runbook run {plan.runbook.name} --plan\n"
            f"    runbook run {plan.runbook.name} --yes   # changes this host",
        )


def _unknown(code: str, summary: str, explanation: str = "", advice: str = "") -> Finding:
    return Finding(code, Verdict.UNKNOWN, summary, explanation, advice)


def not_started(plan: Plan, captures: tuple[Capture, ...]) -> Iterator[Finding]:
    """One finding for each tool that is absent, and one for each reason why steps could not be started."""
    groups: dict[tuple[Ending, str], list[Capture]] = {}
    for capture in captures:
        if capture.ending is Ending.NOT_FOUND:
            groups.setdefault((capture.ending, _package(plan.runbook, _missing(capture))), []).append(capture)
        elif capture.ending is Ending.NOT_PERMITTED:
            groups.setdefault((capture.ending, capture.detail.partition(";")[0]), []).append(capture)
        elif _never_began(capture):
            groups.setdefault((capture.ending, capture.detail), []).append(capture)
    for (ending, why), group in groups.items():
        if ending is Ending.NOT_FOUND:
            yield not_found(plan.runbook, why, group)
        elif ending is Ending.NOT_PERMITTED:
            yield not_permitted(plan, why, group)
        else:
            yield _unknown("timed-out", f"{_steps(group)}: {why}", "The run was given less time than it needs.")


def _never_began(capture: Capture) -> bool:
    """Whether the run's own time was up before this step."""
    return capture.ending is Ending.TIMED_OUT and not capture.started


def _package(runbook: Runbook, name: str) -> str:
    """The first of the tools that come with the same packages as this one; itself where none are known."""
    packages = dict(runbook.packages)
    return next((other for other in packages if packages[other] == packages.get(name)), name)


def _missing(capture: Capture) -> str:
    """The tool that was not found."""
    name, found, _ = capture.detail.partition(" is not on ")
    return name if found else (*capture.argv, capture.step)[0]


def _steps(captures: list[Capture]) -> str:
    """`Step pvs` or `Steps pvs, vgs and lvs`."""
    names = [capture.step for capture in captures]
    return f"Step {names[0]}" if len(names) == 1 else f"Steps {', '.join(names[:-1])} and {names[-1]}"


def not_found(runbook: Runbook, name: str, captures: list[Capture]) -> Finding:
    """The tool is absent: which package brings it."""
    packages = dict(dict(runbook.packages).get(name, ()))
    tools = list(dict.fromkeys(map(_missing, captures)))
    were = "was" if len(tools) == 1 else "were"
    what = captures[0].detail if len(tools) == 1 and captures[0].detail else f"{', '.join(tools)} {were} not found"
    advice = "\n".join(
        f"On {label}:\n    {INSTALL[key]} {packages[key]}   # changes this host"
        for key, label in DISTRIBUTIONS.items()
        if key in packages
    )
    return _unknown(
        "not-found",
        f"{_steps(captures)}: {what}",
        "What is not installed cannot be asked, so this part of the host could not be looked at.",
        advice or f"Install the package that brings {name}.",
    )


def not_permitted(plan: Plan, reason: str, captures: list[Capture]) -> Finding:
    """A right is lacking: the exact lines that have it. Or the kernel refused to start the commands otherwise."""
    refused = {capture.step for capture in captures}
    # A step that stands in for another is not needed once that one is permitted.
    stand_ins = {c.step for c in plan.commands if c.when is not None and c.when.step in refused}
    captures = [capture for capture in captures if capture.step not in stand_ins]
    were = "was" if len(captures) == 1 else "were"
    summary = f"{_steps(captures)} {were} not permitted" + (f": {reason}" if reason else "")
    if not reason.startswith("needs "):
        explanation = "The kernel refused to start this, so this part of the host could not be looked at."
        lines = "\n".join(f"    {shlex.join(capture.argv)}" for capture in captures)
        return _unknown("not-permitted", summary, explanation, f"Try it by hand:\n{lines}")
    lines = "\n".join(f"    sudo {shlex.join(capture.argv)}" for capture in captures)
    return _unknown(
        "not-permitted",
        summary,
        "This user may not run this, so this part of the host could not be looked at. Nothing was tried with more "
        "rights: Runbook never calls sudo by itself.",
        f"Run the whole runbook with the right it lacks:\n    sudo runbook run {plan.runbook.name}\n"
        f"Or a command alone:\n{lines}",
    )
