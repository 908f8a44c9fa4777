"""The contract of an executor: the one kind of object that starts commands, or stands in for one that did."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol, TypeVar

from runbook.model import Capture, Command, Host, Output

Result = TypeVar("Result")

#: The longest silence of `execute`, in seconds: it yields an empty `Output` at least this often, so that whoever
#: drives it can show the time, or close it, without waiting for the command to speak.
TICK_SECONDS = 0.1

#: How much of each stream is kept, in bytes; the rest is read, counted and dropped.
CAP_BYTES = 16 * 1024 * 1024

#: How long a command may take to end after SIGTERM before SIGKILL, in seconds.
GRACE_SECONDS = 1.0


class Interrupted(Exception):
    """Thrown into `execute` to end the command now and still get the Capture of what it said so far."""


class Executor(Protocol):
    """Runs commands somewhere and says what they left behind.

    `execute` yields Output as it comes and returns the Capture. Whatever a command does (fail, hang, not exist, not be
    allowed) is a Capture; only machinery that breaks raises ExecutionError. Closing the generator, or throwing
    `Interrupted` into it, ends the command's whole process tree. Several commands may be executed at once, each
    from its own thread. `close` ends everything and may be called twice.
    """

    def execute(self, command: Command) -> Generator[Output, None, Capture]: ...

    def host(self) -> Host: ...

    def close(self) -> None: ...


def finish(steps: Generator[object, None, Result]) -> Result:
    """What is left behind by a command, or by several, whose live output nobody watches."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
