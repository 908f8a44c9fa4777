"""Runs a command on this host, on pipes, and ends its whole process tree when its time is up."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

from runbook.executors.executor import CAP_BYTES, TICK_SECONDS, Interrupted
from runbook.executors.here import find, refuse, this_host
from runbook.executors.launch import Launcher, Process
from runbook.executors.session import CHUNK_BYTES, Session
from runbook.model import Capture, Command, Host, Output


class ProcessExecutor:
    """The executor of this host; `keyboard` is the terminal whose person may answer an interactive step."""

    def __init__(self, keyboard: int | None = None, cap: int = CAP_BYTES) -> None:
        self._launcher = Launcher()
        self._keyboard = keyboard
        self._cap = cap

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
        if command.terminal:
            from runbook.executors.terminal import execute

            return (yield from execute(command, self._launcher, self._keyboard, self._cap))
        return (yield from self._on_pipes(command))

    def _on_pipes(self, command: Command) -> Generator[Output, None, Capture]:
        with _pipes() as (readers, writers), open(os.devnull, "rb") as nothing:
            streams = (nothing.fileno(), *writers)
            process = self._launcher.start(program(command), command.argv, dict(command.environment), streams)
            for writer in writers:
                os.close(writer)
            session = Session(command, process, self._cap)
            with closing(process):
                yield from _pump(session, process, dict(zip(readers, ("stdout", "stderr"), strict=True)))
        return session.capture()


def program(command: Command) -> str:
    """The file to execute for this command, found on the search path the command itself will have."""
    return find(command.argv[0], dict(command.environment).get("PATH", os.defpath)) or command.argv[0]


@contextmanager
def _pipes() -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The reading ends and the writing ends of two pipes; the reading ends are closed at the end."""
    out, err = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
    try:
        for reader in (out[0], err[0]):
            _widen(reader)
        yield (out[0], err[0]), (out[1], err[1])
    finally:
        os.close(out[0])
        os.close(err[0])


def _widen(pipe: int) -> None:
    # An ordinary user over /proc/sys/fs/pipe-user-pages-soft may not: slower, not wrong.
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
    except OSError:
        return


def _pump(session: Session, process: Process, streams: dict[int, str]) -> Generator[Output, None, None]:
    """Carry output from the pipes until they end, or until the command has and nobody speaks any more."""
    poll = select.poll()
    for descriptor in (*streams, process.fileno()):
        poll.register(descriptor, select.POLLIN)
    silent = False
    while not session.finished(bool(streams), silent):
        ready = [descriptor for descriptor, _ in poll.poll(TICK_SECONDS * 1000)]
        silent = not ready
        try:
            for descriptor in ready:
                if descriptor == process.fileno():
                    process.news()
                    if process.gone:
                        poll.unregister(descriptor)
                    continue
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
        session.enforce()
