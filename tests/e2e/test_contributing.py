"""The worked example of CONTRIBUTING.md works, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.base import Base

CONTRIBUTING = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def example(base: Base) -> Base:
    """A knowledge base with the files of the example, as they stand in the page."""
    files = r"\*\*`((?:runbooks|docs)/\S+)`\*\*\n\n(````?)\w+\n(.*?)\n\2\n"
    for name, _, text in re.findall(files, CONTRIBUTING.read_text(), re.DOTALL):
        path = base.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return base


def test_the_example_is_recorded_checked_and_tested(example: Base) -> None:
    assert example.call("check", "inodes").returncode == 64
    assert example.call("record", "inodes", "--as", "no-inodes", "--lab", "no-inodes").returncode == 0
    assert example.call("record", "inodes", "--as", "healthy", "--yes").returncode == 0
    assert example.call("check", "inodes").stdout == "1 runbook and 0 notes checked: nothing is wrong\n"
    assert example.call("check").stdout == "1 runbook and 1 note checked: nothing is wrong\n"
    (example.path / "mkdocs.yml").write_text("site_name: x\ntheme: {name: mkdocs}\nplugins: [runbook]\n")
    assert example.call("build", "--execute", "recorded").returncode == 0
    assert "inodes-used-up" in (example.path / "site/storage/inodes/index.html").read_text()
    tested = example.call("test", "inodes", "--labs")
    assert tested.stdout.splitlines()[-1] == "3 passed, 0 failed"


def test_the_example_finds_the_fault_of_its_lab(example: Base) -> None:
    done = example.call("run", "inodes", "--lab", "no-inodes")
    assert "inodes-used-up: /mnt: 16 of 16 inodes are used" in done.stdout
    assert done.returncode == 2


def test_the_example_runs_on_this_host(example: Base) -> None:
    assert example.call("run", "inodes", "--set", "warning=100").returncode == 0
