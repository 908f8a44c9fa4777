"""Runs a command on a terminal of its own (a pty): known prompts are answered, the person types the rest."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import termios
from collections.abc import Generator
from contextlib import closing, nullcontext, suppress

from pexpect.expect import searcher_re

from runbook.executors.executor import Interrupted
from runbook.executors.keyboard import SIZE, Keyboard
from runbook.executors.launch import Process
from runbook.executors.process import Start, hear
from runbook.executors.session import Session
from runbook.model import Capture, Command, Output

#: How much of what came last is searched for a prompt, in bytes.
PROMPT_BYTES = 4096
#: One read.
READ_BYTES = 65536


def execute(command: Command, start: Start, keyboard: Keyboard | None, cap: int) -> Generator[Output, None, Capture]:
    """Run on a pty; `keyboard` is None when nobody is there to type."""
    master, slave = os.openpty()
    with closing(_Terminal(master, command.answers)) as terminal:
        try:
            _resize(master, keyboard)
            process = start(command, (slave, slave, slave), terminal=True)
        finally:
            # Ours must be closed, or the end of the command's side would never show.
            os.close(slave)
        session = Session(command, process, cap, start.sandbox)
        with closing(process), keyboard.raw() if keyboard is not None else nullcontext():
            yield from _pump(session, process, terminal, keyboard)
    return session.capture()


class _Terminal:
    """The master side of the pty; pexpect recognises the prompts, across reads."""

    def __init__(self, master: int, answers: tuple[tuple[str, str], ...]) -> None:
        # A command that does not read what is typed must not stop us; what its terminal cannot hold is lost.
        os.set_blocking(master, False)
        self.master = master
        self.open = True
        #: Whether it shows what is typed.
        self.echoes = True
        self._recent = b""
        self._replies = [reply for _, reply in answers]
        self._prompts = searcher_re([re.compile(pattern.encode(), re.DOTALL) for pattern, _ in answers])

    def read(self) -> bytes:
        """What arrived, once the descriptor is readable; answers the prompts in it. Clears `open` at the end."""
        try:
            data = os.read(self.master, READ_BYTES)
        except OSError:
            # EIO: the session leader has gone, and the terminal with it.
            data = b""
        self.open = bool(data)
        # Not pexpect's spawn classes: they keep everything that came since the last prompt.
        self._recent = (self._recent + data)[-PROMPT_BYTES:]
        while (found := self._prompts.search(self._recent, len(self._recent))) >= 0 and self._prompts.end > 0:
            self._recent = self._recent[self._prompts.end :]
            self.send(self._replies[found].encode() + b"\n")
        return data

    def shows_typing(self) -> bool:
        """Whether what is typed is shown, by the terminal or, where that leaves every key to it, by the command."""
        try:
            modes = termios.tcgetattr(self.master)[3]
        except termios.error:
            return self.echoes
        return bool(modes & termios.ECHO) or not modes & termios.ICANON

    def send(self, keys: bytes) -> None:
        with suppress(OSError):
            os.write(self.master, keys)

    def close(self) -> None:
        os.close(self.master)


def _pump(
    session: Session, process: Process, terminal: _Terminal, keyboard: Keyboard | None
) -> Generator[Output, None, None]:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(terminal.master, select.POLLIN)
    if keyboard is not None:
        poll.register(keyboard, select.POLLIN)
    silent = False
    while not session.finished(terminal.open, silent):
        ready = {descriptor for descriptor, _ in poll.poll(session.patience() * 1000)}
        silent = terminal.master not in ready
        # The news first: whoever drives this may have paused for long, and a command that ended is not timed out.
        if process.fileno() in ready:
            hear(process)
            if process.gone:
                poll.unregister(process)
        session.enforce()
        try:
            if keyboard is not None and keyboard.fileno() in ready:
                # What is typed may ask for the size, which in a lab is told just before the first key.
                _resize(terminal.master, keyboard)
                if not _type(keyboard, terminal):
                    poll.unregister(keyboard)
            if terminal.master in ready:
                data = terminal.read()
                _tell_echo(terminal, keyboard)
                # The person sees all of it, however little is kept.
                session.keep("stdout", data)
                if data:
                    yield Output(session.command.step, "stdout", data)
                elif not terminal.open:
                    poll.unregister(terminal.master)
            if session.tick_due():
                _resize(terminal.master, keyboard)
                _tell_echo(terminal, keyboard)
                yield Output(session.command.step, "stdout", b"")
        except Interrupted:
            session.interrupt()


def _tell_echo(terminal: _Terminal, keyboard: Keyboard | None) -> None:
    shows = terminal.shows_typing()
    if keyboard is not None and shows != terminal.echoes:
        terminal.echoes = shows
        keyboard.echoes(shows)


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
