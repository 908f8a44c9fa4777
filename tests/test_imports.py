"""Imports go one way: the floors of the house, and what no room may do, read from the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbook.helpers.lint import impurities

ROOT = Path(__file__).resolve().parent.parent

#: Rooms by floor: a room imports only from floors below its own, so rooms of one floor are strangers to each other.
FLOORS = (
    ("model", "errors", "escaping", "sanitiser", "values"),
    (
        "loader",
        "resolver",
        "planner",
        "helpers",
        "formats",
        "redaction",
        "masking",
        "executors",
        "renderers",
        "labs",
        "probes",
    ),
    ("pipeline", "catalog", "archive", "trust", "preview", "journal"),
    ("cli", "server", "mkdocs_runbook"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

#: The only ways between rooms of one floor: (from, to).
DOORS = {
    ("errors", "model"),
    ("values", "model"),
    ("sanitiser", "escaping"),
    ("labs", "executors"),
    ("catalog", "trust"),
    ("trust", "archive"),
    ("journal", "archive"),
    ("cli", "mkdocs_runbook"),
    ("cli", "server"),
}

#: The rooms where processes may be started, and what starts them.
STARTING_ROOMS = {"executors", "labs"}
STARTING_MODULES = {"subprocess", "pexpect", "ptyprocess", "pty", "multiprocessing"}
STARTING_NAMES = ("exec", "fork", "posix_spawn", "spawn", "system", "popen")
SHELL_CALLS = {"Popen", "run", "call", "check_call", "check_output"}
STARTING_CALLS = {"create_subprocess_exec", "create_subprocess_shell"}

#: What belongs to the site and to the server: room -> the foreign packages that it alone may import.
FOREIGN = {
    "mkdocs": {"mkdocs_runbook"},
    "markdown": {"mkdocs_runbook"},
    "starlette": {"server"},
    "uvicorn": {"server"},
}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name; `lazy` when it stands in a function, `relative` when named by dots."""

    line: int
    target: str
    lazy: bool
    relative: bool


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, whether it is a package's __init__, and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        return room_of(self.name)

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def at(self, line: int) -> str:
        return f"{self.path}:{line}"


def room_of(name: str) -> str:
    """The room of a module: `runbook.cli.show` is in `cli`; the package `runbook` itself is the empty room."""
    parts = name.split(".")
    return parts[0] if parts[0] != "runbook" else "".join(parts[1:2])


def is_room(name: str) -> bool:
    return name.count(".") == 1 and name.startswith("runbook.") and room_of(name) in FLOOR


def modules(plugins: Path) -> dict[str, Module]:
    """Every module under plugins/, by dotted name."""
    found = {}
    for path in sorted(plugins.rglob("*.py")):
        parts = path.relative_to(plugins).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_bytes(), str(path)))
    return found


def imports(tree: ast.Module, package: str, known: frozenset[str] = frozenset()) -> Iterator[Import]:
    """What a tree imports; `from a import b` is the module a.b where that is a known one or a room, and else a."""
    lazy = {id(inner) for node in ast.walk(tree) if isinstance(node, FUNCTIONS) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name in known or is_room(name) else base for name in names]
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"}:
            words = [word.value for word in node.args[:1] if isinstance(word, ast.Constant)]
            targets = [word for word in words if isinstance(word, str)]
        else:
            continue
        relative = isinstance(node, ast.ImportFrom) and node.level > 0
        yield from (Import(node.lineno, target, id(node) in lazy, relative) for target in targets)


def called(call: ast.Call) -> str:
    """The last word of what is called: `run` for subprocess.run(...)."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def floors_broken(house: dict[str, Module]) -> Iterator[str]:
    """Imports that go up, or sideways into another room."""
    known = frozenset(house)
    for module in house.values():
        if module.room not in FLOOR and module.room not in {"", "__main__"}:
            yield f"{module.at(1)}: the room `{module.room}` is on no floor; give it one in FLOORS, and in design.md"
            continue
        for found in imports(module.tree, module.package, known):
            problem = why_not(module.room, found.target)
            if problem:
                yield f"{module.at(found.line)}: {module.name} imports {found.target}: {problem}"


def why_not(room: str, target: str) -> str:
    """Why a room may not import this module; empty when it may, or when the module is not of the house."""
    top, other = target.partition(".")[0], room_of(target)
    if top in FOREIGN and room not in FOREIGN[top]:
        return f"only {' and '.join(sorted(FOREIGN[top]))} may import {top}"
    if top not in {"runbook", "mkdocs_runbook"} or target == "runbook" or other == room or (room, other) in DOORS:
        return ""
    if room == "__main__":
        return "" if other == "cli" else "__main__ only starts cli"
    if room == "":
        return "the package's own __init__ imports nothing of the house, or every import would pull it in"
    if FLOOR.get(other, len(FLOORS)) < FLOOR[room]:
        return ""
    return f"floor {FLOOR[room]} ({room}) may import only from floors below its own; {other} is on {FLOOR.get(other)}"


def cycles(house: dict[str, Module]) -> Iterator[str]:
    """Rings of modules that import each other when they are loaded; each ring is told once."""
    known = frozenset(house)
    edges = {
        name: {found.target for found in imports(module.tree, module.package, known) if not found.lazy} & known - {name}
        for name, module in house.items()
    }
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> Iterator[str]:
        if name in trail:
            yield "import cycle: " + " -> ".join([*trail[trail.index(name) :], name])
        elif name not in done:
            for target in sorted(edges[name]):
                yield from walk(target, (*trail, name))
            done.add(name)

    for name in edges:
        yield from walk(name, ())


def starters(house: dict[str, Module]) -> Iterator[str]:
    """Processes started outside the rooms for it, and `shell=True` anywhere."""
    for module in house.values():
        yield from shells(module.path, module.tree)
        if module.room in STARTING_ROOMS:
            continue
        for line, what in starts(module.tree, module.package):
            yield f"{module.at(line)}: {what} starts processes; only {' and '.join(sorted(STARTING_ROOMS))} may"


def starts(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    for found in imports(tree, package):
        if found.target.partition(".")[0] in STARTING_MODULES:
            yield found.line, found.target
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os" | "posix"), attr=name) if name.startswith(STARTING_NAMES):
                yield node.lineno, f"os.{name}"
            case ast.ImportFrom(module="os" | "posix", names=names):
                yield from ((node.lineno, f"os.{one.name}") for one in names if one.name.startswith(STARTING_NAMES))
            case ast.Call() if called(node) in STARTING_CALLS:
                yield node.lineno, called(node)


def shells(path: Path, tree: ast.Module) -> Iterator[str]:
    """`shell=True` given to what starts processes; elsewhere, as in Step(shell=True), it is another word."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in SHELL_CALLS:
            for word in node.keywords:
                if word.arg == "shell" and isinstance(word.value, ast.Constant) and word.value.value is True:
                    yield f"{path}:{node.lineno}: shell=True; start the shell as argv, where it can be seen"


def impure(runbooks: Path) -> Iterator[str]:
    """Helpers that reach for anything but values; the rule is the lint's, which `runbook check` uses as well."""
    for path in sorted(runbooks.glob("*/*.py")):
        tree = ast.parse(path.read_bytes(), str(path))
        yield from shells(path, tree)
        yield from (str(problem) for problem in impurities(str(path), tree))


def broken(root: Path) -> list[str]:
    """Every rule of the house that the tree under this root breaks, one sentence each."""
    house = modules(root / "plugins")
    return [*floors_broken(house), *cycles(house), *starters(house), *impure(root / "runbooks")]


def test_the_house_stands() -> None:
    problems = broken(ROOT)
    assert not problems, "\n" + "\n".join(problems)


def test_the_house_is_looked_at() -> None:
    assert {"runbook", "runbook.model"} <= set(modules(ROOT / "plugins"))


BAD = [
    ("model.py", "import runbook.loader", "floor 0"),
    ("loader.py", "from runbook.resolver import x", "floor 1"),
    ("loader.py", "def f():\n    from runbook import pipeline", "floor 1"),
    ("loader/yaml.py", "from ..planner import x", "floor 1"),
    ("executors/process.py", "from runbook.labs import x", "floor 1"),
    ("catalog.py", "from runbook.archive import x", "floor 2"),
    ("pipeline.py", "import importlib\nimportlib.import_module('runbook.cli')", "floor 2"),
    ("server/app.py", "from runbook.cli import main", "floor 3"),
    ("server/app.py", "import mkdocs_runbook", "floor 3"),
    ("server/app.py", "import mkdocs", "only mkdocs_runbook"),
    ("cli/show.py", "from starlette.routing import Route", "only server"),
    ("renderers/html.py", "import markdown", "only mkdocs_runbook"),
    ("odd.py", "", "on no floor"),
    ("__init__.py", "from runbook.model import Run", "imports nothing"),
    ("pipeline.py", "import subprocess", "starts processes"),
    ("pipeline.py", "from pexpect import spawn", "starts processes"),
    ("probes/websocket.py", "import subprocess", "starts processes"),
    ("cli/show.py", "import os\nos.execvp('a', ['a'])", "os.execvp starts processes"),
    ("cli/show.py", "from os import posix_spawn", "os.posix_spawn starts processes"),
    ("catalog.py", "import os\nos.system('x')", "os.system starts processes"),
    ("server/stream.py", "import asyncio\nasyncio.create_subprocess_exec('x')", "starts processes"),
    ("executors/process.py", "import subprocess\nsubprocess.run('x', shell=True)", "shell=True"),
]

GOOD = [
    ("loader.py", "import runbook\nfrom runbook.model import Step\nStep(shell=True)"),
    ("loader/yaml.py", "from . import words\nfrom ..errors import x"),
    ("labs/kernel.py", "import subprocess\nfrom runbook.executors.process import x"),
    ("executors/terminal.py", "import pexpect, pty, os\nos.fork()"),
    ("server/app.py", "from starlette.routing import Route"),
    ("pipeline.py", "import os\nos.getpid()\nfrom runbook import labs, loader"),
    ("__main__.py", "from runbook.cli import main"),
]


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(("name", "text", "said"), BAD)
def test_a_broken_rule_is_told(tmp_path: Path, name: str, text: str, said: str) -> None:
    write(tmp_path / "plugins/runbook", name, text)
    problems = broken(tmp_path)
    assert len(problems) == 1
    assert said in problems[0]
    assert name in problems[0]


@pytest.mark.parametrize(("name", "text"), GOOD)
def test_what_is_allowed_is_not_told(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path / "plugins/runbook", name, text)
    assert broken(tmp_path) == []


def test_the_site_adapter_may_import_the_engine_but_not_the_other_way_round(tmp_path: Path) -> None:
    write(tmp_path / "plugins", "mkdocs_runbook/__init__.py", "import mkdocs\nfrom runbook.pipeline import run")
    assert broken(tmp_path) == []
    write(tmp_path / "plugins", "runbook/pipeline.py", "import mkdocs_runbook")
    assert "floor 2" in broken(tmp_path)[0]


def test_a_cycle_inside_a_room_is_told_once(tmp_path: Path) -> None:
    write(tmp_path / "plugins/runbook/loader", "__init__.py", "")
    write(tmp_path / "plugins/runbook/loader", "a.py", "from runbook.loader import b")
    write(tmp_path / "plugins/runbook/loader", "b.py", "from .a import x")
    assert broken(tmp_path) == ["import cycle: runbook.loader.a -> runbook.loader.b -> runbook.loader.a"]


def test_a_lazy_import_is_no_cycle(tmp_path: Path) -> None:
    write(tmp_path / "plugins/runbook/loader", "a.py", "from . import b")
    write(tmp_path / "plugins/runbook/loader", "b.py", "def f():\n    from . import a")
    assert broken(tmp_path) == []


BAD_HELPERS = [
    ("import subprocess", "pure"),
    ("import os", "pure"),
    ("from pathlib import Path", "pure"),
    ("import urllib.request", "pure"),
    ("open('/etc/passwd')", "open()"),
    ("import io\nio.open('x')", "open()"),
    ("import yaml", "only the standard library"),
    ("from runbook.executors import process", "may import only"),
    ("from runbook import pipeline", "may import only"),
    ("from runbooks.other.helper import parse", "no runbook imports another"),
    ("from ..other import helper", "only files of its own folder"),
    ("from runbooks.lvm_inspect.facts import LvmFacts", "from .x"),
    ("eval('1')", "eval()"),
]


@pytest.mark.parametrize(("text", "said"), BAD_HELPERS)
def test_a_helper_that_is_not_pure_is_told(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path / "runbooks/lvm_inspect", "helper.py", text)
    problems = broken(tmp_path)
    assert len(problems) == 1
    assert said in problems[0]


def test_a_pure_helper_is_not_told(tmp_path: Path) -> None:
    text = "import json, re\nfrom runbook.helpers import Captures\nfrom runbook import formats, model\nre.compile('x')"
    text += "\nfrom .facts import LvmFacts\nfrom . import facts"
    write(tmp_path / "runbooks/lvm_inspect", "helper.py", text)
    assert broken(tmp_path) == []
