"""Stands in for commands that were run elsewhere: gives back their recorded captures."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress

from runbook.executors.executor import Interrupted
from runbook.model import Capture, Command, Ending, Host, Output


class ReplayExecutor:
    """Answers each step with its recorded capture; a step that was not recorded was skipped."""

    def __init__(self, captures: Iterable[Capture], host: Host) -> None:
        self._captures = {capture.step: capture for capture in captures}
        self._host = host

    def execute(self, command: Command) -> Generator[Output, None, Capture]:
        capture = self._captures.get(command.step)
        if capture is None:
            return Capture(command.step, command.argv, Ending.SKIPPED, detail="not in this recording")
        with suppress(Interrupted):
            for stream, data in (("stdout", capture.stdout), ("stderr", capture.stderr)):
                if data:
                    yield Output(command.step, stream, data)
        return capture

    def host(self) -> Host:
        return self._host

    def close(self) -> None:
        """Nothing is open."""
