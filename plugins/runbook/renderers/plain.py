"""What every renderer for people shares: safe text, the lines of evidence, words for time and place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.escaping import escape, safe
from runbook.model import Capture, Evidence, Run, Verdict

#: One sign a verdict, so that colour is never the only thing that tells them apart.
SIGNS = {Verdict.OK: "✓", Verdict.UNKNOWN: "?", Verdict.WARNING: "!", Verdict.CRITICAL: "✗"}
#: More evidence lines than this are folded, and a longer line is cut: some tools print all they know on one.
SHOWN_LINES = 6
SHOWN_CHARACTERS = 400


def one_line(text: str) -> str:
    """Safe text with every line break and tab a space, so that it cannot pass for a line of ours."""
    return " ".join(safe(text).split())


@dataclass(frozen=True, slots=True)
class Quote:
    """Evidence with its text: where it is from, and (line number, safe text) for each line shown."""

    place: str
    lines: tuple[tuple[int, str], ...]
    folded: int


def quote(run: Run, evidence: Evidence) -> Quote:
    """The lines that this evidence points to, as far as they exist, safe to print; folded when they are many."""
    capture = next((capture for capture in run.captures if capture.step == evidence.step), None)
    text = _lines(capture, evidence.stream) if capture else []
    wanted = range(max(evidence.first_line, 1), min(evidence.last_line, len(text)) + 1)
    shown = tuple((number, _shown(text[number - 1])) for number in wanted[:SHOWN_LINES])
    stream = "" if evidence.stream == "stdout" else f" {evidence.stream}"
    return Quote(one_line(f"{evidence.step}{stream}"), shown, len(wanted) - len(shown))


def _lines(capture: Capture, stream: str) -> list[bytes]:
    data = capture.stderr if stream == "stderr" else capture.stdout
    return data.removesuffix(b"\n").split(b"\n") if data else []


def _shown(line: bytes) -> str:
    text = escape(line).expandtabs()
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def duration(seconds: float) -> str:
    """A duration as a person says it: `0.04 s`, `2 min 05 s`."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def provenance(run: Run) -> str:
    """Where and when this comes from, so that a recording is never mistaken for the reader's own host."""
    place = {
        "live": f"this host, {run.host.name}",
        "lab": f"lab {run.source.name}",
        "sample": f"recorded sample {run.source.name}",
        "replay": f"replay of {run.source.name}" + (f", recorded on {run.host.name}" if run.host.name else ""),
    }[run.source.kind]
    system = ", ".join(part for part in (run.host.os, run.host.kernel and f"Linux {run.host.kernel}") if part)
    return one_line(" · ".join(part for part in (place, system, _when(run)) if part))


def _when(run: Run) -> str:
    """A sample knows the day and no more."""
    form = "%Y-%m-%d" if run.source.kind == "sample" else "%Y-%m-%d %H:%M UTC"
    return datetime.fromtimestamp(run.started, UTC).strftime(form) if run.started else ""
