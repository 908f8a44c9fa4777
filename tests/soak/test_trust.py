"""One byte of a trusted runbook is changed, in every way: nothing of it is executed any more."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook.errors import DefinitionError
from runbook.loader.definition import load
from runbook.trust import holds
from tests.base import HELPER, Base, rounds

CHANGES = rounds(300, 10_000)
#: Of so many, one is also tried with the command itself.
ASKED = rounds(60, 200)


def flip(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def insert(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + bytes([chance.randrange(256)]) + data[place:]


def delete(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + data[place + 1 :]


BYTES: list[Callable[[bytes, random.Random], bytes]] = [flip, insert, delete]


def change(folder: Path, chance: random.Random) -> None:
    """Change something of the runbook in this folder, most often one byte of one file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "samples" not in path.parts)
    one, other = chance.sample(files, 2)
    kind = chance.randrange(12)
    if kind == 0:
        one.rename(one.with_name(f"{one.name}~"))
    elif kind == 1:
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
    elif kind == 2:
        moved = one.with_name(f".{one.name}")
        one.rename(moved)
        one.symlink_to(moved)
    else:
        data = one.read_bytes()
        while (changed := chance.choice(BYTES)(data, chance)) == data:
            pass
        one.write_bytes(changed)


def test_no_changed_runbook_is_executed(base: Base, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    folder = base.runbook("talk", [{"argv": ["echo", "well"]}], HELPER)
    base.lab("talk", "true\n")
    (folder / "helper.py").write_text(f"from .facts import SAID\nopen({str(canary)!r}, 'w').close()\n{HELPER}")
    (folder / "facts.py").write_text("SAID = 'well'\n")
    base.trust()
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    assert base.call("run", "talk").returncode == 0
    canary.unlink()
    chance = random.Random(4)
    broken = 0
    for number in range(CHANGES):
        change(folder, chance)
        try:
            assert not holds(load(str(folder))), number
        except DefinitionError:
            broken += 1
        if number % ASKED == 0:
            assert base.call("run", "talk", TRUST="no").returncode == 64
            assert not canary.exists()
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        assert number % ASKED or holds(load(str(folder)))
    print(f"{CHANGES} changes: 0 executed, {broken} were no definition any more")
    # Most changes leave something that could be run.
    assert broken < CHANGES / 2


@pytest.mark.parametrize("place", ["moved", "copied"])
def test_somewhere_else_it_is_not_executed(base: Base, tmp_path: Path, place: str) -> None:
    folder = base.runbook("talk", [{"argv": ["echo", "well"]}], HELPER)
    base.trust()
    other = folder.with_name("other")
    if place == "moved":
        folder.rename(other)
    else:
        shutil.copytree(folder, other)
    assert base.call("run", "other", TRUST="no").returncode == 64
