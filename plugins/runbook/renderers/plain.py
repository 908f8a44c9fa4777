"""What every renderer for people shares: safe text, the lines of evidence, words for time and place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from runbook.escaping import safe
from runbook.model import Capture, Command, Effect, Ending, Evidence, Run, Source, Step, Verdict
from runbook.sanitiser import PLAIN, Look, Painter, Shown

#: One sign a verdict, so that colour is never the only thing that tells them apart.
SIGNS = {Verdict.OK: "✓", Verdict.UNKNOWN: "?", Verdict.WARNING: "!", Verdict.CRITICAL: "✗"}
#: More evidence lines than this are folded, and a longer line is cut: some tools print all they know on one.
SHOWN_LINES = 6
SHOWN_CHARACTERS = 400
#: How much is passed over at once on the way to a line, in bytes.
SKIPPED_BYTES = 4096
#: A code span that no other back-tick touches; only such a one is surely read as one.
CODE = re.compile(r"(?<!`)(`[^`]+`)(?!`)")
#: An address that may become a link: the characters of RFC 3986, section 2, and no others.
URL = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


def one_line(text: str) -> str:
    """Safe text with every line break and tab a space, so that it cannot pass for a line of ours."""
    return " ".join(safe(text).split())


class Lines:
    """The lines of output, numbered from 1; there can be millions, so none is cut out before it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = len(data) - data.endswith(b"\n")
        self._count = data.count(b"\n", 0, self._end) + 1 if data else 0
        #: A line and where it begins: the next one that is asked for mostly comes after it.
        self._known = (1, 0)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> bytes:
        """Line `number`, which must be there."""
        known, start = self._known if self._known[0] <= number else (1, 0)
        missing = number - known
        while missing > (few := self._data.count(b"\n", start, start + SKIPPED_BYTES)):
            missing, start = missing - few, start + SKIPPED_BYTES
        for _ in range(missing):
            start = self._data.index(b"\n", start) + 1
        self._known = (number, start)
        end = self._data.find(b"\n", start, self._end)
        return self._data[start : end if end >= 0 else self._end]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of output as a person may see it: safe text, in pieces by their looks."""

    pieces: tuple[tuple[Look, str], ...]

    @classmethod
    def of(cls, data: bytes) -> Line:
        """The line, cut when it is long; blanks for tabs, which would be of other widths where it is quoted."""
        pieces: list[tuple[Look, str]] = []
        column = 0
        # Terminals end their lines with a carriage return as well.
        for look, text in Shown().feed(data.rstrip(b"\r"), final=True):
            before = column % 8
            wide = (" " * before + text).expandtabs()[before:]
            pieces.append((look, wide[: SHOWN_CHARACTERS - column]))
            column += len(wide)
            if column > SHOWN_CHARACTERS:
                pieces.append((PLAIN, "…"))
                break
        return cls(tuple(pieces))

    @property
    def text(self) -> str:
        """Without colours."""
        return "".join(text for _, text in self.pieces)

    def stripped(self) -> Line:
        """Without the blanks around it."""
        return self.cut(len(self.text) - len(self.text.lstrip()), len(self.text.rstrip()))

    def cut(self, start: int, end: int) -> Line:
        """From this character to that one."""
        pieces = []
        place = 0
        for look, text in self.pieces:
            pieces.append((look, text[max(0, start - place) : max(0, end - place)]))
            place += len(text)
        return Line(tuple(pieces))

    def painted(self, colour: bool) -> str:
        """For a terminal; no colour goes on past its end."""
        painter = Painter(colour)
        return "".join(painter.paint(look, text) for look, text in self.pieces) + painter.end()


@dataclass(frozen=True, slots=True)
class Quote:
    """Evidence with its text: where it is from, and (line number, line) for each line shown."""

    place: str
    lines: tuple[tuple[int, Line], ...]
    folded: int


def quote(run: Run, evidence: Evidence) -> Quote:
    """The lines that this evidence points to, as far as they exist, safe to print; folded when they are many."""
    capture = next((capture for capture in run.captures if capture.step == evidence.step), None)
    data = b"" if capture is None else capture.stderr if evidence.stream == "stderr" else capture.stdout
    lines = Lines(data)
    wanted = range(max(evidence.first_line, 1), min(evidence.last_line, len(lines)) + 1)
    shown = tuple((number, Line.of(lines[number])) for number in wanted[:SHOWN_LINES])
    stream = "" if evidence.stream == "stdout" else f" {evidence.stream}"
    return Quote(one_line(f"{evidence.step}{stream}"), shown, len(wanted) - len(shown))


def ended(capture: Capture) -> str:
    """How a command ended, in words: `exited 0`, `timed-out`."""
    return f"exited {capture.exit_code}" if capture.ending is Ending.EXITED else str(capture.ending)


def advice_parts(advice: str) -> Iterator[tuple[bool, list[str]]]:
    """What to do, in order: (False, sentences) and (True, commands to copy)."""
    for is_command, lines in groupby(advice.split("\n"), lambda line: line.startswith("    ")):
        yield is_command, [line.strip() if is_command else line for line in lines]


def confinement(run: Run) -> str:
    """What the commands were confined to, each once and in order; empty where none was."""
    return one_line(" · ".join(dict.fromkeys(capture.sandbox for capture in run.captures if capture.sandbox)))


def refusal(capture: Capture) -> str:
    """What a failed command's last words have to do with its sandbox; empty where they are about something else."""
    if not capture.sandbox or capture.exit_code == 0:
        return ""
    if b"Read-only file system" in capture.stderr:
        return "That is the sandbox and not this host: a step that reads can write nothing."
    if b"Operation not permitted" in capture.stderr or b"not supported by protocol" in capture.stderr:
        return "That may be the sandbox: what a step needs beyond reading files, its definition declares under `needs`."
    return ""


def requirements(step: Step | Command) -> list[str]:
    """What the step does and needs, in words."""
    words = ["CHANGES THIS HOST, asks first" if step.effect is Effect.CHANGE else "reads only"]
    words += ["interactive"] if step.terminal else []
    words += [f"after {', '.join(step.after)}"] if step.after else []
    return [*words, *needed(step), f"at most {step.timeout:g} s"]


def needed(step: Step | Command) -> list[str]:
    """What a step needs, and its condition, in words; empty where it needs nothing."""
    words = ["needs root"] if step.needs.root else []
    words += [f"needs CAP_{name.upper()}" for name in step.needs.capabilities]
    words += ["uses the network"] if step.needs.network else []
    if step.when and step.when.step:
        words.append(f"only if {step.when.step} {'failed' if step.when.failed else 'exited 0'}")
    if step.when and step.when.parameter:
        words.append(f"only with --set {step.when.parameter}=…")
    return words


def duration(seconds: float) -> str:
    """A duration as a person says it: `0.04 s`, `2 min 05 s`."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def provenance(run: Run) -> str:
    """Where and when this comes from, so that a recording is never mistaken for the reader's own host."""
    return one_line(" · ".join(part for part in (_place(run), system(run), moment(run)) if part))


def _place(run: Run) -> str:
    return {
        "live": f"this host, {run.host.name}",
        "lab": f"lab {run.source.name}",
        "sample": recorded(run.source),
        "replay": f"replay of {run.source.name}" + (f", recorded on {run.host.name}" if run.host.name else ""),
    }[run.source.kind]


def system(run: Run) -> str:
    """What the commands ran on, as far as it is known: operating system, kernel, and the tool that matters most."""
    parts = (run.host.os, run.host.kernel and f"Linux {run.host.kernel}", _tool(run))
    return ", ".join(part for part in parts if part)


def recorded(source: Source) -> str:
    """`recorded in lab thin-pool-full`; the sample's own name where it has another."""
    if source.origin.endswith(f" lab {source.name}"):
        return f"recorded {source.origin}"
    return f"recorded {source.origin}, sample {source.name}" if source.origin else f"recorded sample {source.name}"


def _tool(run: Run) -> str:
    """The package that the runbook's first command comes from, and its version there."""
    first = next((step.argv[0] for step in run.plan.runbook.steps), "")
    names = {name for _, name in dict(run.plan.runbook.packages).get(first, ())}
    return next((f"{name} {version}" for name, version in run.source.tools if name in names), "")


def moment(run: Run) -> str:
    """When it began, in UTC; a sample knows the day and no more, and of some runs nothing is known."""
    form = "%Y-%m-%d" if run.source.kind == "sample" else "%Y-%m-%d %H:%M UTC"
    return datetime.fromtimestamp(run.started, UTC).strftime(form) if run.started else ""
