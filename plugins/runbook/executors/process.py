"""Runs a command on this host, on pipes, and ends its whole process tree when its time is up."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from io import FileIO

from runbook.errors import ExecutionError
from runbook.executors.executor import CAP_BYTES, Interrupted
from runbook.executors.here import find, refuse, this_host
from runbook.executors.keyboard import Keyboard
from runbook.executors.launch import Launcher, Process
from runbook.executors.session import CHUNK_BYTES, Session
from runbook.model import Capture, Command, Host, Output


class ProcessExecutor:
    """The executor of this host; `keyboard` is where the answers to an interactive step are typed.

    `launcher` may be one that has begun already; it is closed with the executor.
    """

    def __init__(
        self, keyboard: Keyboard | None = None, cap: int = CAP_BYTES, launcher: Launcher | None = None
    ) -> None:
        self._launcher = launcher or Launcher()
        self._keyboard = keyboard
        #: How much of each stream is kept, in bytes.
        self.cap = cap

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._launcher.close()

    def host(self) -> Host:
        return this_host()

    def execute(self, command: Command) -> Generator[Output, None, Capture]:
        """Run the command; see Executor."""
        refusal = refuse(command)
        if refusal is not None:
            return refusal
        try:
            return (yield from self._run(command))
        except OSError as error:
            raise ExecutionError(f"could not run `{command.argv[0]}` here: {error}") from error

    def _run(self, command: Command) -> Generator[Output, None, Capture]:
        if command.terminal:
            from runbook.executors.terminal import execute

            return (yield from execute(command, self._launcher, self._keyboard, self.cap))
        return (yield from self._on_pipes(command))

    def _on_pipes(self, command: Command) -> Generator[Output, None, Capture]:
        with _pipe() as (out, to_out), _pipe() as (err, to_err), open(os.devnull, "rb") as nothing:
            streams = (nothing.fileno(), to_out.fileno(), to_err.fileno())
            process = self._launcher.start(program(command), command.argv, dict(command.environment), streams)
            session = Session(command, process, self.cap)
            with closing(process):
                # Ours must be closed, or the end of the command's side would never show.
                to_out.close()
                to_err.close()
                yield from _pump(session, process, {out.fileno(): "stdout", err.fileno(): "stderr"})
        return session.capture()


def program(command: Command) -> str:
    """The file to execute for this command, found on the search path the command itself will have."""
    return find(command.argv[0], dict(command.environment).get("PATH", os.defpath)) or command.argv[0]


@contextmanager
def _pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """The reading and the writing end of a pipe."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with FileIO(reading) as reader, FileIO(writing, "w") as writer:
        # An ordinary user over /proc/sys/fs/pipe-user-pages-soft may not: slower, not wrong.
        with suppress(OSError):
            fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
        yield reader, writer


def _pump(session: Session, process: Process, streams: dict[int, str]) -> Generator[Output, None, None]:
    """Carry output from the pipes until they end, or until the command has and nobody speaks any more."""
    poll = select.poll()
    for descriptor in (*streams, process.fileno()):
        poll.register(descriptor, select.POLLIN)
    silent = False
    while not session.finished(bool(streams), silent):
        ready = {descriptor for descriptor, _ in poll.poll(session.patience() * 1000)}
        silent = not ready
        # The news first: whoever drives this may have paused for long, and a command that ended is not timed out.
        if process.fileno() in ready:
            hear(process)
            if process.gone:
                poll.unregister(process)
        session.enforce()
        try:
            for descriptor in ready & streams.keys():
                data = session.read(descriptor, streams[descriptor])
                if data:
                    yield Output(session.command.step, streams[descriptor], data)
                elif data is None:
                    poll.unregister(descriptor)
                    del streams[descriptor]
            if session.tick_due():
                yield Output(session.command.step, "stdout", b"")
        except Interrupted:
            session.interrupt()


def hear(process: Process) -> None:
    """Take in all the news that there is."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    while not process.gone and poll.poll(0):
        process.news()
