"""What is trusted, and where the decisions are kept."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook import trust
from runbook.errors import ExecutionError, UntrustedError
from runbook.executors.executor import finish
from runbook.executors.process import ProcessExecutor
from runbook.labs.lab import open_lab
from runbook.loader.definition import load
from runbook.model import Runbook, Source
from runbook.pipeline import gather, perform, prepare, replay
from tests.base import HELPER, PLUGINS, Base


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/runbook/trust.json"


@pytest.fixture
def folder(base: Base) -> Path:
    folder = base.runbook("talk", [{"argv": ["echo", "well"]}], HELPER)
    base.lab("talk", "true\n")
    return folder


def test_a_runbook_is_trusted_as_it_is(folder: Path) -> None:
    runbook = load(str(folder))
    assert not trust.holds(runbook)
    trust.grant(runbook)
    assert trust.holds(load(str(folder)))
    assert trust.remove(str(folder))
    assert not trust.holds(load(str(folder)))
    assert not trust.remove(str(folder))


@pytest.mark.parametrize("name", ["runbook.yaml", "helper.py", "labs/lab-0.sh", "new.py", "labs/new"])
def test_any_change_of_a_file_ends_it_and_is_named(folder: Path, name: str) -> None:
    trust.grant(load(str(folder)))
    new = not (folder / name).exists()
    with (folder / name).open("a") as file:
        file.write("\n")
    changed = load(str(folder))
    assert not trust.holds(changed)
    assert trust.changes(changed) == [f"{name} was " + ("added" if new else "changed")]


def test_what_is_gone_is_named(folder: Path) -> None:
    trust.grant(load(str(folder)))
    (folder / "helper.py").unlink()
    assert trust.changes(load(str(folder))) == ["helper.py was removed"]


def test_recordings_are_not_executed_and_change_nothing(folder: Path) -> None:
    trust.grant(load(str(folder)))
    (folder / "samples").mkdir()
    (folder / "samples/good.yaml").write_text("anything")
    (folder / "labs/passed.json").write_text("{}")
    assert trust.holds(load(str(folder)))


def test_the_same_somewhere_else_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    trust.grant(load(str(folder)))
    other = tmp_path / "elsewhere"
    folder.rename(other)
    assert not trust.holds(load(str(other)))
    folder.symlink_to(other)
    assert not trust.holds(load(str(folder)))


def test_another_sandbox_asks_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust.grant(load(str(folder)))
    monkeypatch.setattr(trust, "SANDBOX_VERSION", 99)
    changed = load(str(folder))
    assert not trust.holds(changed)
    assert trust.changes(changed) == ["it is confined in another way than then"]


def test_decisions_are_private(folder: Path, state: Path) -> None:
    trust.grant(load(str(folder)))
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
    assert os.listdir(state.parent) == ["trust.json"]


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"version": 2, "trusted": {}}', '{"version": 1}', "[" * 9999])
def test_a_file_that_makes_no_sense_trusts_nothing(folder: Path, state: Path, text: str) -> None:
    trust.grant(load(str(folder)))
    state.write_text(text)
    with pytest.raises(ExecutionError, match="makes no sense, so no runbook is trusted"):
        trust.holds(load(str(folder)))


@pytest.mark.parametrize("place", [".", "trust.json"])
def test_what_others_can_write_is_not_believed(folder: Path, state: Path, place: str) -> None:
    trust.grant(load(str(folder)))
    path = state.parent / place
    path.chmod(path.stat().st_mode | 0o020)
    with pytest.raises(ExecutionError, match="can be written by others"):
        trust.holds(load(str(folder)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("place", [".", "trust.json"])
def test_what_is_somebody_elses_is_not_believed(folder: Path, state: Path, place: str) -> None:
    trust.grant(load(str(folder)))
    os.chown(state.parent / place, 65534, 65534)
    with pytest.raises(ExecutionError, match="belongs to somebody else"):
        trust.holds(load(str(folder)))


def test_a_link_is_not_followed(folder: Path, state: Path, tmp_path: Path) -> None:
    trust.grant(load(str(folder)))
    state.rename(tmp_path / "moved")
    state.symlink_to(tmp_path / "moved")
    with pytest.raises(ExecutionError, match="cannot be read"):
        trust.holds(load(str(folder)))


def test_many_decide_at_once_and_no_decision_is_lost(base: Base, state: Path) -> None:
    folders = [str(base.runbook(f"talk-{number}", [{"argv": ["true"]}])) for number in range(12)]
    code = "import sys; from runbook.loader.definition import load; from runbook.trust import grant; "
    code += "grant(load(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    deciding = [subprocess.Popen([sys.executable, "-c", code, folder], env=environment) for folder in folders]
    assert [process.wait() for process in deciding] == [0] * 12
    assert set(json.loads(state.read_text())["trusted"]) == set(folders)


def test_every_way_to_execute_something_asks_for_trust(folder: Path) -> None:
    runbook = load(str(folder))
    plan = prepare(runbook, {})
    with ProcessExecutor() as executor:
        ways: list[Callable[[], object]] = [
            lambda: next(gather(plan, executor)),
            lambda: next(perform(plan, executor, Source("live"))),
            lambda: replay(runbook, (), {}, executor.host(), Source("replay")),
            lambda: open_lab(runbook, runbook.labs[0]).__enter__(),
        ]
        for way in ways:
            with pytest.raises(UntrustedError, match="talk is not trusted here"):
                way()


def test_what_was_read_is_what_is_executed(base: Base, folder: Path) -> None:
    base.trust()
    runbook: Runbook = load(str(folder))
    trusted = Runbook(**{name: getattr(runbook, name) for name in Runbook.__slots__} | {"trusted": True})
    (folder / "helper.py").write_text(HELPER.replace("all-well", "swapped"))
    (folder / "labs/lab-0.sh").write_text("echo swapped; exit 1\n")
    with ProcessExecutor() as executor:
        run = finish(perform(prepare(trusted, {}), executor, Source("live")))
    assert [finding.code for finding in run.findings] == ["all-well"]
    with open_lab(trusted, trusted.labs[0]):
        pass
