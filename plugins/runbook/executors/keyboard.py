"""Where the keys for an interactive step come from: the person's terminal, or a relay of one that is elsewhere."""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

#: Columns and lines where no person is watching.
SIZE = (80, 24)


class Keyboard(Protocol):
    """Something to type on; `fileno` is readable when there are keys, and at the end of them."""

    def fileno(self) -> int: ...

    def size(self) -> tuple[int, int]: ...

    def raw(self) -> AbstractContextManager[None]: ...

    def echoes(self, on: bool) -> None:
        """Told when the command stops, or starts again, to show what is typed: a secret is asked for."""


class TerminalKeyboard:
    """The person's own terminal, by its file descriptor."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def fileno(self) -> int:
        return self._terminal

    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        with suppress(OSError):
            columns, lines = os.get_terminal_size(self._terminal)
            return columns, lines
        return SIZE

    @contextmanager
    def raw(self) -> Iterator[None]:
        """Hand on every key (Ctrl-C too: it is meant for the command), and put the terminal back afterwards."""
        before = termios.tcgetattr(self._terminal)
        try:
            tty.setraw(self._terminal)
            yield
        finally:
            termios.tcsetattr(self._terminal, termios.TCSAFLUSH, before)

    def echoes(self, on: bool) -> None:
        """The person's own terminal shows nothing by itself while it is raw."""


class RelayKeyboard:
    """Keys that were typed elsewhere and arrive by `press`; `told` is told what `echoes` is."""

    def __init__(self, told: Callable[[bool], None] = lambda on: None) -> None:
        self._told = told
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        # A command that does not read what is typed must not stop whoever passes it on.
        os.set_blocking(self._writer, False)
        self._size = SIZE

    def fileno(self) -> int:
        return self._reader

    def size(self) -> tuple[int, int]:
        return self._size

    @contextmanager
    def raw(self) -> Iterator[None]:
        yield

    def echoes(self, on: bool) -> None:
        self._told(on)

    def press(self, keys: bytes) -> None:
        with suppress(BlockingIOError):
            os.write(self._writer, keys)

    def resize(self, columns: int, lines: int) -> None:
        self._size = (columns, lines)

    def close(self) -> None:
        os.close(self._writer)
        os.close(self._reader)
