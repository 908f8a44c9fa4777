"""A run as Markdown, to paste into a ticket or a chat; output stands only in fences that it cannot close."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runbook.escaping import safe
from runbook.model import Finding, Reference, Run
from runbook.renderers.plain import (
    CODE,
    SIGNS,
    URL,
    advice_parts,
    confinement,
    duration,
    ended,
    one_line,
    provenance,
    quote,
)
from runbook.renderers.renderer import WIDTH


def render(runs: Sequence[Run], *, colour: bool = False, width: int = WIDTH) -> Iterator[str]:
    """All runs, one section each."""
    for number, run in enumerate(runs):
        yield "\n\n" if number else ""
        yield "\n".join(_lines(run))


def _lines(run: Run) -> Iterator[str]:
    yield f"## {SIGNS[run.verdict]} {inline(run.plan.runbook.title)}: {run.verdict}"
    yield ""
    yield f"{inline(provenance(run))} · {duration(run.seconds)}"
    if run.drawing:
        yield from ("", *fenced(run.drawing.rstrip("\n")))
    for finding in run.findings:
        yield ""
        yield from _finding(run, finding)
    yield from ("", "| step | ended | seconds |", "| --- | --- | --- |")
    for capture in run.captures:
        yield f"| `{capture.step}` | {ended(capture)} | {capture.seconds:.3f} |"
    if confined := confinement(run):
        yield from ("", f"Sandbox {inline(confined)}")


def _finding(run: Run, finding: Finding) -> Iterator[str]:
    yield f"### {SIGNS[finding.verdict]} {finding.verdict}: `{finding.code}`"
    yield ""
    yield inline(finding.summary)
    for evidence in finding.evidence:
        quoted = quote(run, evidence)
        more = [f"… {quoted.folded} more lines"] if quoted.folded else []
        lines = [f"{quoted.place}:{number} │ {line.text}" for number, line in quoted.lines]
        yield from ("", *fenced("\n".join(lines + more))) if lines else ()
    if finding.explanation:
        yield from ("", inline(finding.explanation))
    if finding.advice:
        yield from ("", *_advice(finding.advice))
    for reference in finding.references:
        yield from ("", _link(reference))


def _link(reference: Reference) -> str:
    if URL.fullmatch(reference.url):
        return f"[{inline(reference.title)}](<{reference.url}>)"
    return inline(f"{reference.title} {reference.url}")


def _advice(advice: str) -> Iterator[str]:
    """Sentences as paragraphs, runs of command lines as fences."""
    for is_command, lines in advice_parts(advice):
        yield from ("", *fenced("\n".join(lines), "sh"), "") if is_command else map(inline, lines)


def inline(text: str) -> str:
    """One line that Markdown takes as text: its signs escaped, but `code` in back-ticks kept."""
    parts = CODE.split(one_line(text))
    line = "".join(part if index % 2 else _escaped(part) for index, part in enumerate(parts))
    # At the beginning of a line these make a list, a rule or a heading.
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", line)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_~\[\]<>#|&])", r"\\\1", text)


def fenced(text: str, language: str = "text") -> list[str]:
    """A fenced block with a fence longer than any run of back-ticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence + language, *safe(text).split("\n"), fence]
