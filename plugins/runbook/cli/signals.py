"""What Ctrl-C and the signals that end a process do while a runbook runs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from runbook.pipeline import Brake


class Terminated(BaseException):
    """Raised in the main thread by SIGTERM or SIGHUP, so that everything is put away on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Interrupts:
    """Ctrl-C once ends the steps that run, twice the run; before any step, and a third time, it ends the program."""

    def __init__(self) -> None:
        self.brake = Brake()
        #: Whether steps are running; until then Ctrl-C ends what prepares them.
        self.stepping = False

    def pressed(self, number: int, frame: FrameType | None) -> None:
        if not self.stepping or self.brake.stopped:
            raise KeyboardInterrupt
        self.brake.press()

    def terminated(self, number: int, frame: FrameType | None) -> None:
        raise Terminated(number)


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Handle the signals for as long as the body lasts."""
    made = Interrupts()
    handlers = {signal.SIGINT: made.pressed, signal.SIGTERM: made.terminated, signal.SIGHUP: made.terminated}
    # Who ignores a signal (nohup) goes on doing so.
    wanted = {number: handler for number, handler in handlers.items() if signal.getsignal(number) != signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield made
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
