"""What the lint of a helper tells, and that it executes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.helpers.lint import lint

GOOD = """\
import json, re
from __future__ import annotations
from runbook import formats
from runbook.model import Finding, Verdict
from runbook.helpers import Captures
from .checks import judge
from . import facts
PATTERN = re.compile("x")
def parse(captures): return captures
"""


def told(folder: Path, **files: str | bytes) -> list[str]:
    """`file:line: what is wrong` for each problem of these files."""
    for name, content in files.items():
        (folder / f"{name}.py").write_bytes(content.encode() if isinstance(content, str) else content)
    return [f"{Path(p.path).name}:{p.line}: {p.message}" for p in lint(str(folder), ["listed"], ["list-disks"])]


def test_a_good_helper_has_no_problem(tmp_path: Path) -> None:
    assert told(tmp_path, helper=GOOD, checks="def judge(facts): return ()\n", facts="") == []


def test_a_runbook_without_a_helper_has_no_problem(tmp_path: Path) -> None:
    assert told(tmp_path) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import os", "pure"),
        ("import os.path", "pure"),
        ("from subprocess import run", "pure"),
        ("import urllib.request", "pure"),
        ("import yaml", "only the standard library"),
        ("import runbook.pipeline", "may import only"),
        ("from runbook import executors", "may import only"),
        ("from runbooks.other import helper", "no runbook imports another"),
        ("from .. import other", "nothing above it"),
        ("def f():\n    import socket", "pure"),
        ("open('/etc/passwd')", "calls open()"),
        ("eval('1')", "calls eval()"),
        ("__import__('os')", "calls __import__()"),
        ("compile('1', '', 'eval')", "calls compile()"),
        ("Finding('unlisted', Verdict.OK, '')", "`unlisted` that runbook.yaml does not list"),
    ],
)
def test_what_a_helper_must_not_is_told(tmp_path: Path, line: str, said: str) -> None:
    (problem,) = told(tmp_path, helper=GOOD + line)
    assert said in problem


@pytest.mark.parametrize("code", ["listed", "unreadable", "not-found"])
def test_a_code_that_is_listed_or_the_engines_is_fine(tmp_path: Path, code: str) -> None:
    assert told(tmp_path, helper=f"{GOOD}Finding('{code}', Verdict.OK, '')") == []


def test_every_file_of_the_folder_is_looked_at(tmp_path: Path) -> None:
    assert told(tmp_path, helper=GOOD, other="\nimport os\n") == [
        "other.py:2: imports os: a helper is pure: no process, no file, no network"
    ]


@pytest.mark.parametrize("source", ["def parse(", b"\xff", b"x\0"])
def test_what_is_not_python_is_told(tmp_path: Path, source: str | bytes) -> None:
    (problem,) = told(tmp_path, helper=source)
    assert problem.startswith("helper.py:1: not Python: ")


def test_missing_functions_are_told(tmp_path: Path) -> None:
    assert told(tmp_path, helper="parse = 5\n") == [
        "helper.py:1: has no function `parse`",
        "helper.py:1: has no function `judge`",
    ]


def test_nothing_is_executed(tmp_path: Path) -> None:
    told(tmp_path, helper=GOOD + f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert not (tmp_path / "ran").exists()


def test_a_step_that_there_is_not_is_told(tmp_path: Path) -> None:
    text = GOOD + 'def look(captures): return captures.ran("list-disk"), captures.ran("list-disks")\n'
    (problem,) = told(tmp_path, helper=text, checks="def judge(facts): return ()\n", facts="")
    assert problem.endswith("asks for a step `list-disk` that there is not")
