"""Runs a command on a terminal of its own (a pty): known prompts are answered, the person types the rest."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
from collections.abc import Generator
from contextlib import closing, nullcontext, suppress

import pexpect
from pexpect.fdpexpect import fdspawn

from runbook.executors.executor import TICK_SECONDS, Interrupted
from runbook.executors.keyboard import SIZE, Keyboard
from runbook.executors.launch import Launcher, Process
from runbook.executors.process import program
from runbook.executors.session import Session
from runbook.model import Capture, Command, Output

#: How much of what came last is searched for a prompt, in bytes.
PROMPT_BYTES = 4096


def execute(
    command: Command, launcher: Launcher, keyboard: Keyboard | None, cap: int
) -> Generator[Output, None, Capture]:
    """Run on a pty; `keyboard` is None when nobody is there to type."""
    master, slave = os.openpty()
    with closing(_Terminal(master, command.answers)) as terminal:
        try:
            _resize(master, keyboard)
            environment = dict(command.environment)
            process = launcher.start(program(command), command.argv, environment, (slave, slave, slave), terminal=True)
        finally:
            # Ours must be closed, or the end of the command's side would never show.
            os.close(slave)
        session = Session(command, process, cap)
        with closing(process), keyboard.raw() if keyboard is not None else nullcontext():
            yield from _pump(session, process, terminal, keyboard)
    return session.capture()


class _Terminal:
    """The master side of the pty, read through pexpect so that prompts are recognised across reads."""

    def __init__(self, master: int, answers: tuple[tuple[str, str], ...]) -> None:
        self.master = master
        self.open = True
        self._arrived = bytearray()
        self._replies = [reply for _, reply in answers]
        self._child = fdspawn(master, timeout=0, searchwindowsize=PROMPT_BYTES, maxread=65536)
        self._child.logfile_read = self
        self._patterns = self._child.compile_pattern_list(
            [pexpect.EOF, pexpect.TIMEOUT, *(pattern.encode() for pattern, _ in answers)]
        )

    def write(self, data: bytes) -> None:
        """Called by pexpect with everything it reads."""
        self._arrived += data

    def flush(self) -> None:
        """Called by pexpect after `write`."""

    def read(self) -> bytes:
        """What arrived, once the descriptor is readable; answers the prompts in it. Clears `open` at the end."""
        try:
            found = self._child.expect_list(self._patterns, timeout=0)
        except OSError:
            # EIO: the session leader has gone, and the terminal with it.
            found = 0
        self.open = found != 0
        if found > 1:
            self.send(self._replies[found - 2].encode() + b"\n")
        data, self._arrived = bytes(self._arrived), bytearray()
        return data

    def send(self, keys: bytes) -> None:
        with suppress(OSError):
            os.write(self.master, keys)

    def close(self) -> None:
        os.close(self.master)


def _pump(
    session: Session, process: Process, terminal: _Terminal, keyboard: Keyboard | None
) -> Generator[Output, None, None]:
    silent = False
    typing = keyboard is not None
    while not session.finished(terminal.open, silent):
        watched = [process] if not process.gone else []
        sources: list[Process | Keyboard | int] = [*watched, *([terminal.master] if terminal.open else [])]
        if typing and keyboard is not None:
            sources.append(keyboard)
        ready, _, _ = select.select(sources, [], [], TICK_SECONDS)
        silent = terminal.master not in ready
        try:
            if process in ready:
                process.news()
            if keyboard is not None and keyboard in ready:
                typing = _type(keyboard, terminal)
            if terminal.master in ready:
                data = terminal.read()
                # The person sees all of it, however little is kept.
                session.keep("stdout", data)
                if data:
                    yield Output(session.command.step, "stdout", data)
            if session.tick_due():
                _resize(terminal.master, keyboard)
                yield Output(session.command.step, "stdout", b"")
        except Interrupted:
            session.interrupt()
        session.enforce()


def _type(keyboard: Keyboard, terminal: _Terminal) -> bool:
    """Hand on what the person typed; False when there is no more to come."""
    keys = os.read(keyboard.fileno(), 1024)
    terminal.send(keys)
    return bool(keys)


def _resize(master: int, keyboard: Keyboard | None) -> None:
    columns, lines = keyboard.size() if keyboard is not None else SIZE
    wanted = struct.pack("HHHH", lines, columns, 0, 0)
    if fcntl.ioctl(master, termios.TIOCGWINSZ, bytes(8)) != wanted:
        fcntl.ioctl(master, termios.TIOCSWINSZ, wanted)
