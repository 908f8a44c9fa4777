"""What a helper must keep to, read from its syntax tree: a lint executes nothing."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Collection, Iterator

from runbook.errors import Problem
from runbook.values import ENGINE_CODES, nearest

#: What of the house a helper may import.
MAY_IMPORT = ("runbook.model", "runbook.helpers", "runbook.formats")
#: Modules that reach for a process, a file or the network.
IMPURE = frozenset(
    (
        *("subprocess", "pexpect", "ptyprocess", "pty", "multiprocessing", "os", "pathlib", "shutil", "tempfile"),
        *("glob", "fileinput", "ctypes", "importlib", "runpy", "signal", "mmap", "socket", "socketserver", "ssl"),
        *("http", "ftplib", "smtplib", "asyncio", "selectors", "threading", "concurrent", "urllib.request"),
        *("sqlite3", "shelve", "dbm", "logging", "pickle", "builtins", "gc", "inspect"),
    )
)
IMPURE_CALLS = frozenset(("open", "exec", "eval", "compile", "input", "print", "breakpoint", "__import__"))
#: What a module needs to have, and in which file.
FUNCTIONS = ("parse", "judge")


def lint(folder: str, codes: Collection[str], steps: Collection[str]) -> Iterator[Problem]:
    """Everything wrong with the Python of a runbook's folder; `codes` and `steps` are those of its definition."""
    for name in sorted(name for name in os.listdir(folder) if name.endswith(".py")):
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            source = file.read()
        try:
            tree = ast.parse(source, path)
        except (SyntaxError, ValueError, RecursionError) as error:
            yield Problem(
                path, getattr(error, "lineno", 1) or 1, getattr(error, "offset", 1) or 1, f"not Python: {error}"
            )
            continue
        yield from impurities(path, tree)
        yield from _unknown_codes(path, tree, codes)
        yield from _unknown_steps(path, tree, steps)
        if name == "helper.py":
            yield from _missing_functions(path, tree)


def impurities(path: str, tree: ast.Module) -> Iterator[Problem]:
    """Imports and calls that reach for anything but values: other modules, files, processes, the network."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in _targets(node):
                if reason := why_not(target):
                    yield Problem(path, node.lineno, node.col_offset + 1, f"imports {target}: {reason}")
        elif isinstance(node, ast.Call) and _called(node) in IMPURE_CALLS and not _is_of_re(node):
            message = f"calls {_called(node)}(): a helper is pure, it reads only captures"
            yield Problem(path, node.lineno, node.col_offset + 1, message)


def _targets(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The modules that are imported; one of the same folder has a dot before it."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif node.level or node.module != "runbook":
        yield "." * node.level + (node.module or "")
    else:
        yield from (f"runbook.{alias.name}" for alias in node.names)


def why_not(target: str) -> str:
    """Why a helper may not import this; empty when it may."""
    top = target.partition(".")[0]
    if target.startswith("."):
        above = target.startswith("..")
        return "a helper imports only files of its own folder, and nothing above it" if above else ""
    if ".".join(target.split(".")[:2]) in MAY_IMPORT:
        return ""
    if top == "runbooks":
        return "no runbook imports another; a reader needed twice moves to runbook.formats (its own files: `from .x`)"
    if top == "runbook":
        return f"a helper may import only {', '.join(MAY_IMPORT)} of the house"
    if {top, target} & IMPURE:
        return "a helper is pure: no process, no file, no network"
    return "" if top in sys.stdlib_module_names else "a helper imports only the standard library and runbook's contract"


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _is_of_re(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and _called(call) == "compile"


def _unknown_codes(path: str, tree: ast.Module, codes: Collection[str]) -> Iterator[Problem]:
    """Codes written out in `Finding("code", …)` that the definition does not list."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == "Finding" and node.args:
            place = node.args[0]
            code = place.value if isinstance(place, ast.Constant) else None
            if isinstance(code, str) and code not in (*codes, *ENGINE_CODES):
                message = f"gives a finding `{code}` that runbook.yaml does not list"
                yield Problem(path, place.lineno, place.col_offset + 1, message, "add it to `findings`")


def _unknown_steps(path: str, tree: ast.Module, steps: Collection[str]) -> Iterator[Problem]:
    """Steps written out in `captures.ran("step")` that the definition does not have: they would never have run."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == "ran" and node.args:
            place = node.args[0]
            step = place.value if isinstance(place, ast.Constant) else None
            if isinstance(step, str) and step not in steps:
                cure = nearest(step, steps) or f"its steps are {', '.join(steps)}"
                yield Problem(
                    path, place.lineno, place.col_offset + 1, f"asks for a step `{step}` that there is not", cure
                )


def _missing_functions(path: str, tree: ast.Module) -> Iterator[Problem]:
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    defined |= {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for name in FUNCTIONS:
        if name not in defined:
            yield Problem(path, 1, 1, f"has no function `{name}`", "see “The helper contract” in CONTRIBUTING.md")
