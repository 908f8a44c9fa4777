"""Runs a command on this host, on pipes, and ends its whole process tree when its time is up."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO

from runbook.errors import ExecutionError
from runbook.executors.executor import CAP_BYTES, Interrupted
from runbook.executors.here import find, refuse, this_host
from runbook.executors.keyboard import Keyboard
from runbook.executors.launch import Launcher, Process
from runbook.executors.sandbox import Sandbox
from runbook.executors.session import CHUNK_BYTES, Session
from runbook.model import Capture, Command, Ending, Host, Output


class ProcessExecutor:
    """The executor of this host; `keyboard` is where the answers to an interactive step are typed.

    `launcher` may be one that has begun already; it is closed with the executor. With `hide`, secret places of this
    host cannot be read, for results that are published. `confined` is False only where the host is thrown away.
    """

    def __init__(
        self,
        keyboard: Keyboard | None = None,
        cap: int = CAP_BYTES,
        launcher: Launcher | None = None,
        *,
        hide: bool = False,
        confined: bool = True,
    ) -> None:
        self._launcher = launcher or Launcher()
        self._keyboard = keyboard
        self._sandbox = Sandbox(self._launcher, hide) if confined else None
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
        start = self._start(command)
        if isinstance(start, Capture):
            return start
        if command.terminal:
            from runbook.executors.terminal import execute

            return (yield from execute(command, start, self._keyboard, self.cap))
        return (yield from self._on_pipes(command, start))

    def _start(self, command: Command) -> Start | Capture:
        """How to start it, or the capture of a command that its runbook does not allow to run unconfined."""
        words, network = entering(command.argv)
        try:
            found = self._sandbox.request(command) if self._sandbox is not None else None
        except OSError as error:
            detail = f"{command.argv[0]}: {error.strerror}"
            return Capture(command.step, command.argv, Ending.NOT_PERMITTED, detail=detail)
        if found is None:
            return Start(self._launcher, program(command, command.argv), command.argv)
        confinement, proof = found
        if command.sandbox_required and proof.missing:
            why = "; ".join(f"{layer}: {reason}" for layer, reason in proof.refused.items())
            detail = f"needs the whole sandbox, and here it is only {proof} ({why})"
            return Capture(command.step, command.argv, Ending.NOT_PERMITTED, detail=detail)
        if proof.profile == "user" or network is None:
            # Who is not root is told by the command itself that it may not enter.
            words, network = command.argv, None
        return Start(self._launcher, program(command, words), words, network, confinement, str(proof))

    def _on_pipes(self, command: Command, start: Start) -> Generator[Output, None, Capture]:
        with _pipe() as (out, to_out), _pipe() as (err, to_err), open(os.devnull, "rb") as nothing:
            process = start(command, (nothing.fileno(), to_out.fileno(), to_err.fileno()))
            session = Session(command, process, self.cap, start.sandbox)
            with closing(process):
                # Ours must be closed, or the end of the command's side would never show.
                to_out.close()
                to_err.close()
                yield from _pump(session, process, {out.fileno(): "stdout", err.fileno(): "stderr"})
        return session.capture()


@dataclass(frozen=True, slots=True)
class Start:
    """How a command is started: the words after its namespace was entered, and what confines it."""

    launcher: Launcher
    program: str
    words: tuple[str, ...]
    network: tuple[str, str] | None = None
    confinement: Mapping[str, object] | None = None
    sandbox: str = ""

    def __call__(self, command: Command, streams: tuple[int, int, int], terminal: bool = False) -> Process:
        return self.launcher.start(
            self.program,
            self.words,
            dict(command.environment),
            streams,
            terminal=terminal,
            network=self.network,
            confine=self.confinement,
        )


def program(command: Command, words: tuple[str, ...]) -> str:
    """The file to execute for these words, found on the search path the command itself will have."""
    return find(words[0], dict(command.environment).get("PATH", os.defpath)) or words[0]


def entering(argv: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """The words without their way into a network namespace, and that way: its file, and its name if it has one.

    Confined, a command cannot enter one itself; the launcher does it before. Known are `ip netns exec NAME …`,
    `ip -n NAME …` and `nsenter --net=FILE …` (ip-netns(8), nsenter(1)); other words come back as they are.
    """
    match argv:
        case ("ip", "netns", "exec", name, _, *_) if "/" not in name and not name.startswith("-"):
            return argv[4:], (f"/run/netns/{name}", name)
        case ("ip", "-n" | "-netns", name, _, *_) if "/" not in name:
            return ("ip", *argv[3:]), (f"/run/netns/{name}", "")
        case ("nsenter", option, word, *_) if option.startswith("--net=/") and not word.startswith("-"):
            return argv[2:], (option.removeprefix("--net="), "")
    return argv, None


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
