"""Brings a helper.py to life: compiled from the very bytes that were trusted, and never allowed to run for ever."""

from __future__ import annotations

import builtins
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any

from runbook.errors import DefinitionError, Problem, Unreadable, UntrustedError
from runbook.helpers import Captures
from runbook.model import Finding, Runbook

#: How long loading, parsing and judging together may take before the helper is given up.
HELPER_SECONDS = 20.0
#: Characters of an error's text that are told; it may quote all that a command printed.
LONGEST_REASON = 300


class Helper:
    """A loaded helper.py of a folder; `draw` is None when it has none."""

    def __init__(self, module: dict[str, Any], folder: str) -> None:
        self.folder = folder
        self.parse: Callable[[Captures], Any] = module["parse"]
        self.judge: Callable[[Any], Iterable[Finding]] = module["judge"]
        self.draw: Callable[[Any], str] | None = module.get("draw")


def load_helper(runbook: Runbook) -> Helper | None:
    """The helper of this runbook, or None when it has none.

    helper.py may import its neighbours (`from .facts import …`). Raises UntrustedError, and DefinitionError, with the
    file and the line, when one of them is not Python, fails while it is loaded, or lacks a function.
    """
    folder = runbook.folder
    path = os.path.join(folder, "helper.py")
    if "helper.py" not in runbook.files:
        return None
    if not runbook.trusted:
        raise UntrustedError(runbook.name)
    try:
        with time_limit(HELPER_SECONDS):
            module = vars(_Package(folder, runbook.files).load("helper"))
    except SyntaxError as error:
        place = (error.filename or path, error.lineno or 1, error.offset or 1)
        raise _broken(*place, f"not Python: {error.msg}") from error
    except FAULTS as error:
        raise _broken(*place_in(folder, error, path), 1, f"fails while it is loaded: {describe(error)}") from error
    for name in ("parse", "judge"):
        if not callable(module.get(name)):
            raise _broken(path, 1, 1, f"has no function `{name}`")
    return Helper(module, folder)


class _Package:
    """The modules of one runbook's folder, each compiled from the bytes that were read with it and run once.

    Not by importlib: nothing of it stays in `sys.modules`, where the same name would be another version's tomorrow, and
    no compiled file is left in the folder.
    """

    def __init__(self, folder: str, files: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._files = files
        self._modules: dict[str, ModuleType] = {}

    def load(self, name: str) -> ModuleType:
        """The module of this name, which is run when it is asked for the first time."""
        if name not in self._modules:
            path = os.path.join(self._folder, f"{name}.py")
            source = self._files.get(f"{name}.py")
            if source is None:
                raise ModuleNotFoundError(f"there is no {name}.py beside it")
            module = self._modules[name] = ModuleType(f"{os.path.basename(self._folder)}.{name}")
            module.__file__ = path
            module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
            with _listed(module):
                exec(_compiled(source, path), module.__dict__)
        return self._modules[name]

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        if level > 1 or not (name or "x").isidentifier():
            raise ImportError("a helper may import `from .name`, a file in its own folder, and nothing above it")
        if name:
            return self.load(name)
        package = ModuleType(os.path.basename(self._folder))
        package.__dict__.update({word: self.load(word) for word in fromlist or ()})
        return package


@lru_cache(maxsize=256)
def _compiled(source: bytes, path: str) -> CodeType:
    """The same bytes are compiled once: a site replays dozens of samples with one helper."""
    return compile(source, path, "exec", dont_inherit=True)


@contextmanager
def _listed(module: ModuleType) -> Iterator[None]:
    """Have the module in `sys.modules` while it is run: dataclasses looks up the annotations of its module there."""
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]
        if before is not None:
            sys.modules[module.__name__] = before


def _broken(path: str, line: int, column: int, message: str) -> DefinitionError:
    return DefinitionError((Problem(path, line, column, message, "see “The helper contract” in CONTRIBUTING.md"),))


def describe(error: BaseException) -> str:
    """An exception in one line, not a long one: a sentence of ours as it is, anything else with its type."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "it cannot say what is wrong"
    if not isinstance(error, Unreadable | HelperTimeout):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"


def place_in(folder: str, error: BaseException, path: str) -> tuple[str, int]:
    """The file in this folder, and its line, that the error came through last; line 1 of `path` when in none."""
    place, trace = (path, 1), error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if os.path.dirname(name) == folder:
            place = (name, trace.tb_lineno)
        trace = trace.tb_next
    return place


class HelperTimeout(BaseException):
    """A helper that did not come to an end; no Exception, or its own `except Exception` in a loop would swallow it."""


#: All that a helper can raise but Ctrl-C, which is the person's: `sys.exit(0)` in a helper must not pass for ok.
FAULTS = (Exception, HelperTimeout, SystemExit, GeneratorExit)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise HelperTimeout in the body after so long, and again a second later should it be swallowed there.

    By an alarm, because that also ends a regular expression that backtracks for ever; an alarm reaches only the main
    thread, so elsewhere the body is not limited.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over = False

    def give_up(*_: object) -> None:
        if not over:
            raise HelperTimeout(f"the helper did not come to an end in {seconds:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
