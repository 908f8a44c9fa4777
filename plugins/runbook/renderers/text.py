"""A run for a person at a terminal: verdict, drawing, findings with their evidence, and how each step ended."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from runbook.escaping import escape
from runbook.model import Capture, Ending, Finding, Run, Verdict
from runbook.renderers.plain import SIGNS, duration, provenance, quote

WIDTH = 96
#: SGR parameters (ECMA-48); the verdict's word and sign say the same without colour.
COLOURS = {Verdict.OK: "32", Verdict.UNKNOWN: "36", Verdict.WARNING: "33", Verdict.CRITICAL: "31;1"}


def render(runs: Sequence[Run], *, colour: bool) -> str:
    """All runs, one after the other."""
    return "\n\n".join("\n".join(_Page(run, colour).lines()) for run in runs)


class _Page:
    def __init__(self, run: Run, colour: bool) -> None:
        self._run = run
        self._colour = colour

    def lines(self) -> Iterator[str]:
        run = self._run
        yield self._bold(run.plan.runbook.title)
        yield self._dim(provenance(run))
        if run.drawing:
            yield ""
            yield from (safe(line) for line in run.drawing.rstrip("\n").split("\n"))
        for finding in run.findings:
            yield ""
            yield from self._finding(finding)
        yield ""
        yield from self._steps()
        yield self._verdict_line()

    def _finding(self, finding: Finding) -> Iterator[str]:
        head = f"{SIGNS[finding.verdict]} {finding.verdict}"
        yield f"{self._paint(head, COLOURS[finding.verdict])}  {self._bold(finding.code)}: {safe(finding.summary)}"
        yield from self._evidence(finding)
        if finding.explanation:
            yield from wrap(finding.explanation, "    ")
        if finding.advice:
            yield from self._advice(finding.advice)
        for reference in finding.references:
            yield self._dim("    " + safe(" ".join(part for part in (reference.title, reference.url) if part)))

    def _evidence(self, finding: Finding) -> Iterator[str]:
        for evidence in finding.evidence:
            quoted = quote(self._run, evidence)
            for number, text in quoted.lines:
                yield self._dim(f"    {quoted.place}:{number} │ ") + text.strip()
            if quoted.folded:
                yield self._dim(f"    {quoted.place} │ … {quoted.folded} more lines")

    def _advice(self, advice: str) -> Iterator[str]:
        lines = advice.split("\n")
        for index, line in enumerate(lines):
            lead = "  → " if index == 0 else "    "
            if line.startswith("    "):
                yield "      " + self._paint(safe(line.strip()), "1")
            else:
                yield from wrap(line, "    ", lead)

    def _steps(self) -> Iterator[str]:
        """How the steps ended: those that ran well in one line, the others by name."""
        captures = self._run.captures
        odd = [capture for capture in captures if not capture.succeeded and capture.ending is not Ending.SKIPPED]
        fine = sum(capture.succeeded for capture in captures)
        words = [f"{fine} of {len(captures)} steps exited 0", *(f"{c.step} {_ended(c)}" for c in odd)]
        yield from (self._dim(line) for line in wrap(" · ".join(words), "  ", ""))

    def _verdict_line(self) -> str:
        verdict = self._run.verdict
        word = self._paint(f"{SIGNS[verdict]} {verdict}".upper(), COLOURS[verdict])
        return f"{word}  {self._run.plan.runbook.name} in {duration(self._run.seconds)}"

    def _paint(self, text: str, sgr: str) -> str:
        return f"\x1b[{sgr}m{text}\x1b[0m" if self._colour else text

    def _bold(self, text: str) -> str:
        return self._paint(safe(text), "1")

    def _dim(self, text: str) -> str:
        return self._paint(text, "2")


def _ended(capture: Capture) -> str:
    return f"exited {capture.exit_code}" if capture.ending is Ending.EXITED else str(capture.ending)


def safe(text: str) -> str:
    """Text of a helper or a definition, which may quote what a command printed."""
    return escape(text.encode("utf-8", "surrogateescape"))


def wrap(text: str, indent: str, first: str | None = None) -> list[str]:
    """A paragraph in lines that fit, words and commands unbroken."""
    return textwrap.wrap(
        safe(text),
        WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
