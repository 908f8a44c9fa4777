"""Killed at any moment, by us or with us: no process, no cgroup, no mount and no file of a run is left."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbook.executors import cgroup
from tests.base import COMMAND, Base, rounds
from tests.executors.driving import runner, said, without_cgroups
from tests.soak.killing import Tree

HOUR = 3600.0


class Place:
    """Where runs are started: `before` are the words that start a command there; `cgroups` are theirs that are left."""

    def __init__(self, group: cgroup.Group | None) -> None:
        self._group = group
        inside = f'echo $$ >{group.path}/cgroup.procs && exec "$@"' if group is not None else ""
        self.before = ["sh", "-c", inside, "sh"] if group is not None else without_cgroups()

    def cgroups(self) -> set[str]:
        return {entry.path for entry in os.scandir(self._group.path) if entry.is_dir()} if self._group else set()


@pytest.fixture(params=["cgroups", "sweep"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """In a cgroup of its own, where no other run is counted; and where no cgroup can be made."""
    if request.param == "sweep":
        yield Place(None)
        return
    group = cgroup.make(cgroup.home())
    if group is None:
        pytest.skip("there is no cgroup here in which we may make others")
    yield Place(group)
    group.end(5)


def test_killed_trees_leave_nothing(place: Place, mark: str, tmp_path: Path, tell: Callable[[str], None]) -> None:
    code = """
import sys
from pathlib import Path
from tests.soak.killing import Tree, kill_trees
kill_trees(int(sys.argv[2]), Tree(Path(sys.argv[3]), sys.argv[1]))
"""
    tell(said(runner(mark, code, mark, str(rounds(12, 1000)), str(tmp_path), before=place.before), seconds=3600))
    assert not place.cgroups()


def test_a_killed_run_leaves_nothing(place: Place, mark: str, tmp_path: Path, tell: Callable[[str], None]) -> None:
    base, chance, number_of_rounds = Base(tmp_path / "base"), random.Random(9), rounds(4, 200)
    (tmp_path / "tree").mkdir()
    tree = Tree(tmp_path / "tree", mark, place.cgroups)
    for terminal in (False, True):
        # Not confined, or much of its hostility would be stopped before it begins.
        step = {"argv": tree.words(), "terminal": terminal, "effect": "change"}
        base.runbook(f"hostile-{terminal}".lower(), [step] if terminal else [step, step, {"argv": ["true"]}])
    before = sorted(os.listdir(base.path))

    def run(terminal: bool, seconds: float) -> float:
        """Kill a run so long after its start, or once its tree is there; gives how long that took."""
        began = time.monotonic()
        with subprocess.Popen(
            [*place.before, *COMMAND, "run", f"hostile-{terminal}".lower(), "--output", "out", "--yes"],
            cwd=base.path,
            env=base.environment(MARK=mark),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while time.monotonic() < began + seconds and not tree.lives():
                time.sleep(0.005)
            took = time.monotonic() - began
            time.sleep(max(0.0, seconds - took) if seconds < HOUR else 0)
            process.kill()
        return took

    usual = run(False, HOUR)
    lived = late = 0
    for number in range(number_of_rounds):
        seconds = usual * chance.uniform(0.3, 2)
        lived += run(number % 2 == 1, seconds) < seconds
        late += bool(tree.left())
        left = tree.left_in_the_end()
        assert not left, (number, left)
        assert sorted(os.listdir(base.path)) == before
    tell(f"{number_of_rounds} runs killed with -9, {lived} while their trees lived: 0 left, {late} only after a moment")
