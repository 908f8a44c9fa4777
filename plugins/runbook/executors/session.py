"""One command from its start to its Capture: what is kept of it, its clock, and why it is being ended."""

from __future__ import annotations

import errno
import os
import signal
import time
from io import BytesIO

from runbook.executors.executor import GRACE_SECONDS, TICK_SECONDS
from runbook.executors.launch import Process
from runbook.model import Capture, Command, Ending

#: After the command itself has ended, how long something it left behind may go on holding its output, in seconds.
DRAIN_SECONDS = 0.2
#: One read; also the size asked for a pipe, so that a fast writer is not woken for every 64 KiB.
CHUNK_BYTES = 1024 * 1024
#: How long to wait for a killed tree before leaving it behind (it can only be in the kernel's D state), in seconds.
UNKILLABLE_SECONDS = 2.0
#: errno values that mean there is nothing to run, rather than that running it is forbidden.
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENOEXEC}


class Session:
    """The state that running on pipes and running on a terminal share; `cap` is in bytes a stream."""

    def __init__(self, command: Command, process: Process, cap: int, sandbox: str) -> None:
        self.command = command
        self._sandbox = sandbox
        self._process = process
        self._cap = cap
        # Not bytearrays: these hand over what they hold without a copy of it.
        self._kept = {"stdout": BytesIO(), "stderr": BytesIO()}
        self._dropped = 0
        self._spare = bytearray(CHUNK_BYTES)
        self._wall = time.time()
        self._started = time.monotonic()
        self._spoke = self._started
        self._ended: float | None = None
        self._after_end = 0
        self._reason: Ending | None = None
        self._kill_at: float | None = None
        self._killed_at: float | None = None
        self._held = False

    def read(self, descriptor: int, stream: str) -> bytes | None:
        """Read once: what is new and kept (b"" when it went over the cap), or None at the end of the stream."""
        if self._room(stream) <= 0:
            # Into one buffer that is used again: a gigabyte that nobody keeps costs no memory.
            count = os.readv(descriptor, [self._spare])
            self._drop(count)
            return b"" if count else None
        data = os.read(descriptor, CHUNK_BYTES)
        return self.keep(stream, data) if data else None

    def keep(self, stream: str, data: bytes) -> bytes:
        """Keep what fits under the cap, count the rest, and give back what was kept."""
        kept = data[: max(0, self._room(stream))]
        self._kept[stream].write(kept)
        self._drop(len(data) - len(kept))
        if self._ended is not None:
            self._after_end += len(kept)
        return kept

    def _room(self, stream: str) -> int:
        return self._cap - self._kept[stream].tell()

    def _drop(self, count: int) -> None:
        self._dropped += count
        if self._ended is not None:
            self._after_end += count

    def tick_due(self) -> bool:
        """Whether the last tick is a tick's length ago; asking resets the clock when it is."""
        now = time.monotonic()
        if now - self._spoke < TICK_SECONDS:
            return False
        self._spoke = now
        return True

    def patience(self) -> float:
        """How long to wait until something happens, in seconds: once the command has ended, only to the drain's end."""
        if self._ended is None:
            return TICK_SECONDS
        return min(TICK_SECONDS, max(0.0, self._ended + DRAIN_SECONDS - time.monotonic()))

    def interrupt(self) -> None:
        """Begin to end the command because the person said so."""
        self._end(Ending.INTERRUPTED)

    def _end(self, reason: Ending) -> None:
        if self._reason is None and self._ended is None:
            self._reason = reason
            self._process.order("term")
            self._kill_at = time.monotonic() + GRACE_SECONDS

    def enforce(self) -> None:
        """Do what the clock demands: end the command at its time-out, kill it when its grace is over."""
        now = time.monotonic()
        if self._ended is None and (self._process.status is not None or self._process.gone):
            self._ended = now
        if now >= self._started + self.command.timeout:
            self._end(Ending.TIMED_OUT)
        if self._kill_at is not None and self._killed_at is None and now >= self._kill_at:
            self._process.order("kill")
            self._killed_at = now

    def finished(self, streaming: bool, silent: bool) -> bool:
        """Whether to stop reading; `streaming`: a stream is still open, `silent`: nothing was ready the last time.

        Whoever still holds a stream after the command ended may have at most a pipe's content of it left to tell.
        """
        now = time.monotonic()
        if self._killed_at is not None and now > self._killed_at + UNKILLABLE_SECONDS:
            return True
        if self._ended is None and self._process.error is None:
            return False
        if not streaming:
            return True
        late = self._ended is not None and now >= self._ended + DRAIN_SECONDS
        self._held = late and (silent or self._after_end > 2 * CHUNK_BYTES)
        return self._held

    def capture(self) -> Capture:
        """What the command left behind, once reading has finished and the process is closed."""
        ending, code, detail = self._how()
        seconds = (self._ended or time.monotonic()) - self._started
        return Capture(
            step=self.command.step,
            argv=self.command.argv,
            ending=ending,
            exit_code=code,
            stdout=self._kept["stdout"].getvalue(),
            stderr=self._kept["stderr"].getvalue(),
            started=self._wall,
            seconds=round(seconds, 6),
            dropped=self._dropped,
            detail=detail,
            sandbox=self._sandbox,
        )

    def _how(self) -> tuple[Ending, int | None, str]:
        if self._process.error is not None:
            ending = Ending.NOT_FOUND if self._process.error in ABSENT else Ending.NOT_PERMITTED
            return ending, None, self._why_not_started(self._process.error)
        if self._reason is Ending.TIMED_OUT:
            return self._reason, None, f"ended after its time-out of {self.command.timeout:g} s{self._survived()}"
        if self._reason is Ending.INTERRUPTED:
            return self._reason, None, f"interrupted{self._survived()}"
        status = self._process.status
        if status is None:
            return Ending.SIGNALLED, None, "the process that watched it was killed"
        if os.WIFSIGNALED(status):
            return Ending.SIGNALLED, None, f"killed by {_signal_name(os.WTERMSIG(status))}"
        held = "; something it started still held its output and was ended" if self._held else ""
        return Ending.EXITED, os.WEXITSTATUS(status), f"exited {os.WEXITSTATUS(status)}{held}"

    def _why_not_started(self, error: int) -> str:
        name = self.command.argv[0]
        if self._process.refusal:
            return f"could not be confined any more: {self._process.refusal}"
        if error == errno.ENOENT:
            # The file was found before it was started: what is missing is the program that its first line names.
            return f"the interpreter of {name} is not on this host"
        if error in ABSENT:
            return f"{name} is not on this host in a form that it can run ({os.strerror(error)})"
        return f"{name}: {os.strerror(error)}"

    def _survived(self) -> str:
        if self._process.supervisor is None:
            return "; it had not begun"
        if self._process.status is not None:
            return ""
        return "; it does not die (uninterruptible sleep, or another user's by now) and was left behind"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
