"""What every renderer for people shares: safe lines of output, the lines of evidence, words for time and place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.escaping import escape
from runbook.model import Capture, Evidence, Run, Verdict

#: One sign a verdict, so that colour is never the only thing that tells them apart.
SIGNS = {Verdict.OK: "✓", Verdict.UNKNOWN: "?", Verdict.WARNING: "!", Verdict.CRITICAL: "✗"}
#: More evidence lines than this are folded.
SHOWN_LINES = 6


@dataclass(frozen=True, slots=True)
class Quote:
    """Evidence with its text: where it is from, and (line number, safe text) for each line shown."""

    place: str
    lines: tuple[tuple[int, str], ...]
    folded: int


def quote(run: Run, evidence: Evidence) -> Quote:
    """The lines that this evidence points to, safe to print; folded when they are many."""
    capture = next((capture for capture in run.captures if capture.step == evidence.step), None)
    text = _lines(capture, evidence.stream) if capture else []
    wanted = range(evidence.first_line, min(evidence.last_line, len(text)) + 1)
    shown = tuple((number, text[number - 1]) for number in wanted[:SHOWN_LINES])
    stream = "" if evidence.stream == "stdout" else f" {evidence.stream}"
    return Quote(f"{evidence.step}{stream}", shown, len(wanted) - len(shown))


def _lines(capture: Capture, stream: str) -> list[str]:
    data = capture.stderr if stream == "stderr" else capture.stdout
    return [escape(line) for line in data.split(b"\n")]


def duration(seconds: float) -> str:
    """A duration as a person says it: `0.04 s`, `2 min 05 s`."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def provenance(run: Run) -> str:
    """Where and when this comes from, so that a recording is never mistaken for the reader's own host."""
    when = datetime.fromtimestamp(run.started, UTC).strftime("%Y-%m-%d %H:%M UTC") if run.started else ""
    place = {
        "live": f"this host, {run.host.name}",
        "lab": f"lab {run.source.name}",
        "sample": f"recorded sample {run.source.name}",
        "replay": f"replay of {run.source.name}",
    }[run.source.kind]
    system = ", ".join(part for part in (run.host.os, run.host.kernel and f"Linux {run.host.kernel}") if part)
    return " · ".join(part for part in (place, system, when) if part)
