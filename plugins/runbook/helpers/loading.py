"""Brings a helper.py to life: compiled from the very bytes that are there, and never allowed to run for ever."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from runbook.errors import DefinitionError, Problem, Unreadable
from runbook.helpers import Captures
from runbook.model import Finding

#: How long loading, parsing and judging together may take before the helper is given up.
HELPER_SECONDS = 20.0


class Helper:
    """A loaded helper.py; `draw` is None when it has none."""

    def __init__(self, module: dict[str, Any], path: str) -> None:
        self.path = path
        self.parse: Callable[[Captures], Any] = module["parse"]
        self.judge: Callable[[Any], Iterable[Finding]] = module["judge"]
        self.draw: Callable[[Any], str] | None = module.get("draw")


def load_helper(folder: str) -> Helper | None:
    """The helper of the runbook in this folder, or None when it has none.

    Raises DefinitionError, with the line, when the file is not Python, fails while it is loaded, or lacks a function.
    """
    path = os.path.join(folder, "helper.py")
    try:
        with open(path, "rb") as file:
            source = file.read()
    except FileNotFoundError:
        return None
    module: dict[str, Any] = {"__name__": "helper", "__file__": path}
    try:
        with time_limit(HELPER_SECONDS):
            exec(compile(source, path, "exec", dont_inherit=True), module)
    except SyntaxError as error:
        raise _broken(path, error.lineno or 1, error.offset or 1, f"not Python: {error.msg}") from error
    except Exception as error:
        raise _broken(path, line_in(path, error), 1, f"fails while it is loaded: {describe(error)}") from error
    for name in ("parse", "judge"):
        if not callable(module.get(name)):
            raise _broken(path, 1, 1, f"has no function `{name}`")
    return Helper(module, path)


def _broken(path: str, line: int, column: int, message: str) -> DefinitionError:
    return DefinitionError((Problem(path, line, column, message, "see “The helper contract” in CONTRIBUTING.md"),))


def describe(error: BaseException) -> str:
    """An exception in one line: a sentence of ours as it is, anything else with its type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, Unreadable | HelperTimeout) else f"{type(error).__name__}: {text}"


def line_in(path: str, error: BaseException) -> int:
    """The line of this file that the error came through last, or 1."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


class HelperTimeout(Exception):
    """A helper that did not come to an end."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise HelperTimeout in the body after so long.

    By an alarm, because that also ends a regular expression that backtracks for ever; an alarm reaches only the main
    thread, so elsewhere the body is not limited.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(*_: object) -> None:
        raise HelperTimeout(f"the helper did not come to an end in {seconds:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
