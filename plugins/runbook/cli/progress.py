"""What a person sees while a run is under way: each step starting and ending, with its time, on stderr."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from runbook.cli.options import wants_colour
from runbook.executors.schedule import Ended, Event, Started
from runbook.model import Capture, Command, Ending, Output
from runbook.renderers.plain import duration, one_line
from runbook.sanitiser import LINE, LOG, Drawn

#: Seconds between two drawings of the same block.
REDRAW_SECONDS = 0.1


class Progress:
    """One block of lines redrawn in place on a terminal; elsewhere a plain line as each step ends, in their order."""

    def __init__(
        self, commands: tuple[Command, ...], quiet: bool, stream: TextIO | None = None, *, attended: bool = True
    ) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._order = [command.step for command in commands]
        self._terminals = {command.step for command in commands if command.terminal and attended}
        #: What the interactive command that runs does to the person's screen; there is one at a time.
        self._drawing: Drawn | None = None
        self._begun: dict[str, float] = {}
        #: How far a command says that it is: the last of what it drew over itself.
        self._far: dict[str, str] = {}
        self._ended: dict[str, Capture] = {}
        self._settled: set[str] = set()
        self._printed = 0
        self._drawn = 0
        self._midline = False
        self._drawn_at = 0.0

    def note(self, text: str) -> None:
        """One line about the run as a whole."""
        if not self._quiet:
            print(text, file=self._stream, flush=True)

    def release(self) -> None:
        """Leave what is drawn as it is, because something else is printed below it."""
        self._drawn = 0
        self._settled |= self._ended.keys()

    def event(self, event: Event) -> None:
        """Take in what happened, and show it."""
        if isinstance(event, Started):
            self._begun[event.command.step] = time.monotonic()
            if event.command.step in self._terminals:
                self._drawing = Drawn(LINE if self._live else LOG, wants_colour(self._stream))
                if not self._quiet:
                    self._show(force=True)
                    self.release()
                return
        elif isinstance(event, Ended):
            self._ended[event.capture.step] = event.capture
            self._end_line()
        elif event.step in self._terminals:
            # It goes to the person as it comes, `--quiet` or not: it may be a question.
            self._pass_on(event.data)
            return
        elif (last := event.data.rpartition(b"\r"))[1] and b"\n" not in last[2]:
            self._far[event.step] = one_line(last[2][:40].decode("utf-8", "replace"))
        if not self._quiet:
            self._show(force=not isinstance(event, Output))

    def _pass_on(self, data: bytes, final: bool = False) -> None:
        """What an interactive command says, as far as a screen may have it."""
        text = self._drawing.feed(data, final) if self._drawing is not None else ""
        self._stream.write(text)
        self._stream.flush()
        if text:
            self._midline = not text.endswith("\n")

    def close(self) -> None:
        """Leave the terminal as it was, however the run ended."""
        if self._drawing is not None:
            self._end_line()

    def _end_line(self) -> None:
        self._pass_on(b"", final=True)
        self._drawing = None
        if self._midline:
            self._stream.write("\n")
            self._midline = False

    def _show(self, force: bool) -> None:
        if self._live:
            if force or time.monotonic() - self._drawn_at >= REDRAW_SECONDS:
                self._draw()
        else:
            self._print_ended()

    def _print_ended(self) -> None:
        """Steps may end in any order; they are told in the order of the runbook."""
        while self._printed < len(self._order) and self._order[self._printed] in self._ended:
            capture = self._ended[self._order[self._printed]]
            if capture.ending is not Ending.SKIPPED:
                print(f"{capture.step}: {_how(capture)}", file=self._stream, flush=True)
            self._printed += 1

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        lines = [line for step in self._order if step not in self._settled and (line := self._line(step))]
        # A line that wraps would be drawn over wrongly the next time.
        lines = [line[: self._width() - 1] for line in lines[-(self._height() - 1) :]]
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        self._stream.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self._stream.flush()
        self._drawn = len(lines)

    def _width(self) -> int:
        try:
            return max(2, os.get_terminal_size(self._stream.fileno()).columns)
        except OSError:
            return 80

    def _height(self) -> int:
        try:
            return max(2, os.get_terminal_size(self._stream.fileno()).lines)
        except OSError:
            return 24

    def _line(self, step: str) -> str:
        capture = self._ended.get(step)
        if capture is not None:
            return "" if capture.ending is Ending.SKIPPED else f"  {_sign(capture)} {step}: {_how(capture)}"
        if step in self._begun:
            far = f" · {self._far[step]}" if self._far.get(step) else ""
            return f"  … {step}: {duration(time.monotonic() - self._begun[step])}{far}"
        return ""


def _sign(capture: Capture) -> str:
    return "·" if capture.succeeded else "!"


def _how(capture: Capture) -> str:
    if capture.ending is Ending.EXITED:
        return f"exited {capture.exit_code} in {duration(capture.seconds)}"
    detail = one_line(capture.detail.partition(";")[0])
    return f"{capture.ending} ({detail})" if detail else str(capture.ending)
