"""A run for a person at a terminal: verdict, drawing, findings with their evidence, and how each step ended."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from runbook.escaping import safe
from runbook.model import Ending, Finding, Run, Verdict
from runbook.renderers.plain import (
    SIGNS,
    Line,
    confinement,
    duration,
    ended,
    one_line,
    provenance,
    quote,
    refusal,
)
from runbook.renderers.renderer import WIDTH

#: SGR parameters (ECMA-48); the verdict's word and sign say the same without colour.
COLOURS = {Verdict.OK: "32", Verdict.UNKNOWN: "36", Verdict.WARNING: "33", Verdict.CRITICAL: "31;1"}
#: Narrower than this nothing can be laid out, wider than this nobody reads.
NARROWEST, WIDEST = 40, 120


def render(runs: Sequence[Run], *, colour: bool = False, width: int = WIDTH) -> Iterator[str]:
    """All runs, one after the other."""
    width = max(NARROWEST, min(width, WIDEST))
    for number, run in enumerate(runs):
        yield "\n\n" if number else ""
        yield "\n".join(_Page(run, colour, width).lines())


class _Page:
    def __init__(self, run: Run, colour: bool, width: int) -> None:
        self._run = run
        self._colour = colour
        self._width = width

    def lines(self) -> Iterator[str]:
        run = self._run
        yield self._bold(run.plan.runbook.title)
        yield self._dim(provenance(run))
        if run.drawing:
            yield ""
            yield from safe(run.drawing).expandtabs().rstrip("\n").split("\n")
        for finding in run.findings:
            yield ""
            yield from self._finding(finding)
        yield ""
        yield from self._steps()
        yield self._verdict_line()

    def _finding(self, finding: Finding) -> Iterator[str]:
        sign, code = f"{SIGNS[finding.verdict]} {finding.verdict}", one_line(finding.code)
        # Wrapped behind something as long as its head, which then takes that place: colours have no width.
        place = "_" * len(f"{sign}  {code}: ")
        lines = wrap(one_line(finding.summary), "    ", place, width=self._width) or [place]
        head = f"{self._paint(sign, COLOURS[finding.verdict])}  {self._bold(code)}: "
        yield head + lines[0][len(place) :]
        yield from lines[1:]
        yield from self._evidence(finding)
        if finding.explanation:
            yield from wrap(finding.explanation, "    ", width=self._width)
        if finding.advice:
            yield from self._advice(finding.advice)
        for reference in finding.references:
            yield self._dim("    " + one_line(f"{reference.title} {reference.url}"))

    def _evidence(self, finding: Finding) -> Iterator[str]:
        for evidence in finding.evidence:
            quoted = quote(self._run, evidence)
            for number, line in quoted.lines:
                yield from self._quoted(f"{quoted.place}:{number}", line.stripped())
            if quoted.folded:
                yield self._dim(f"    {quoted.place} │ … {quoted.folded} more lines")

    def _quoted(self, place: str, line: Line) -> Iterator[str]:
        """A line of output in two rows at most: where it stands is told, and JSON and Markdown have more of it."""
        room = self._width - len(f"    {place} │ ")
        length = len(line.text)
        yield self._dim(f"    {place} │ ") + line.cut(0, room).painted(self._colour)
        if length > room:
            long = length > 2 * room
            rest = line.cut(room, 2 * room - long).painted(self._colour)
            yield self._dim(f"    {' ' * len(place)} │ ") + rest + "…" * long

    def _advice(self, advice: str) -> Iterator[str]:
        for index, line in enumerate(advice.split("\n")):
            lead = "  → " if index == 0 else "    "
            if line.startswith("    "):
                yield "      " + self._paint(safe(line.strip()).replace("\t", " "), "1")
            else:
                yield from wrap(line, "    ", lead, width=self._width)

    def _steps(self) -> Iterator[str]:
        """How the steps ended: those that ran well and those that were not needed by number, the others by name."""
        captures = self._run.captures
        skipped = sum(capture.ending is Ending.SKIPPED for capture in captures)
        odd = [capture for capture in captures if not capture.succeeded and capture.ending is not Ending.SKIPPED]
        fine = sum(capture.succeeded for capture in captures)
        words = [f"{fine} of {len(captures) - skipped} steps exited 0"]
        for how in dict.fromkeys(map(ended, odd)):
            words.append(f"{', '.join(capture.step for capture in odd if ended(capture) == how)} {how}")
        if skipped:
            words.append(f"{skipped} skipped")
        yield from (self._dim(line) for line in wrap(" · ".join(words), "  ", "", width=self._width))
        if confined := confinement(self._run):
            yield from (self._dim(line) for line in wrap(f"sandbox {confined}", "  ", "", width=self._width))
        told = {evidence.step for finding in self._run.findings for evidence in finding.evidence}
        for capture in odd:
            said = capture.stderr.rstrip().rpartition(b"\n")[2]
            if capture.ending is Ending.EXITED and said and capture.step not in told:
                number = capture.stderr.rstrip().count(b"\n") + 1
                yield from self._quoted(f"{one_line(capture.step)} stderr:{number}", Line.of(said).stripped())
        for hint in dict.fromkeys(filter(None, map(refusal, odd))):
            yield from (self._dim(line) for line in wrap(hint, "    ", width=self._width))

    def _verdict_line(self) -> str:
        verdict = self._run.verdict
        word = self._paint(f"{SIGNS[verdict]} {verdict}".upper(), COLOURS[verdict])
        took = f" in {duration(self._run.seconds)}" if self._run.source.kind in ("live", "lab") else ""
        return f"{word}  {self._run.plan.runbook.name}{took}"

    def _paint(self, text: str, sgr: str) -> str:
        return f"\x1b[{sgr}m{text}\x1b[0m" if self._colour else text

    def _bold(self, text: str) -> str:
        return self._paint(one_line(text), "1")

    def _dim(self, text: str) -> str:
        return self._paint(text, "2")


def wrap(text: str, indent: str, first: str | None = None, width: int = WIDTH) -> list[str]:
    """A paragraph in lines that fit, words and commands unbroken."""
    return textwrap.wrap(
        safe(text),
        width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
