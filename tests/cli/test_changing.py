"""Runs that change something: written down before each step, killed anywhere, gone on with or taken back."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest

from runbook import journal
from tests.base import COMMAND, Base, load

STEPS = 4
#: Each step makes a file, waits as long as there is a file that says so, and says that it is through.
MAKE = """set -e; echo "$1" >> {log}; echo made > {folder}/"$1"
while [ -e {hold}/"$1" ]; do sleep 0.02; done"""


class Place:
    """A knowledge base with one runbook of four changing steps, and one that reads behind them."""

    def __init__(self, base: Base, tmp_path: Path) -> None:
        self.base = base
        self.made, self.hold, self.log = tmp_path / "made", tmp_path / "hold", tmp_path / "log"
        self.made.mkdir()
        self.hold.mkdir()
        self.log.touch()
        script = MAKE.format(log=self.log, folder=self.made, hold=self.hold)
        steps: list[dict[str, Any]] = [
            {
                "id": f"s{n}",
                "title": f"Make {n}",
                "argv": ["sh", "-c", script, "sh", str(n)],
                "effect": "change",
                "undo": ["rm", str(self.made / str(n))],
            }
            for n in range(STEPS)
        ]
        steps.append({"id": "look", "argv": ["ls", str(self.made)], "after": [f"s{STEPS - 1}"]})
        base.runbook("build", steps)
        self.journal_folder = Path(journal._folder(load(str(base.path / "runbooks/build"))))

    def files(self) -> list[str]:
        return sorted(path.name for path in self.made.iterdir())

    def ran(self) -> list[str]:
        return self.log.read_text().split()

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.base.call("run", "build", *words)

    def killed_in(self, step: int) -> None:
        """A run that is killed, with no chance to say anything, while this step is at it."""
        (self.hold / str(step)).touch()
        environment = self.base.environment()
        process = subprocess.Popen([*COMMAND, "run", "build", "--yes"], cwd=self.base.path, env=environment)
        deadline = time.monotonic() + 20
        while str(step) not in self.ran():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        (self.hold / str(step)).unlink()

    def journals(self) -> list[Path]:
        return sorted(self.journal_folder.glob("*.jsonl"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    base = Base(tmp_path / "base")
    base.path.mkdir()
    return Place(base, tmp_path)


@pytest.mark.parametrize("step", range(STEPS))
def test_killed_anywhere_it_goes_on_and_does_nothing_twice(place: Place, step: int) -> None:
    place.killed_in(step)
    assert place.ran() == [str(n) for n in range(step + 1)]
    done = place.call("--resume", "--yes")
    assert done.returncode == 0, done.stderr
    # What was begun is begun once more, for nobody knows how far it came; what was done is not.
    assert place.ran() == [*map(str, range(step + 1)), *map(str, range(step, STEPS))]
    assert place.files() == [*map(str, range(STEPS))]
    assert f"begun then: Make {step}" in done.stderr
    assert "stopped before its end" not in done.stderr
    again = place.call("--resume", "--yes")
    assert again.returncode == 64
    assert "has nothing left to do" in again.stderr


@pytest.mark.parametrize("step", range(STEPS))
def test_killed_anywhere_it_is_taken_back(place: Place, step: int) -> None:
    (place.made / "of somebody else").touch()
    place.killed_in(step)
    done = place.call("--undo", "--yes")
    assert done.returncode == 0, done.stderr
    assert place.files() == ["of somebody else"]
    assert [line for line in done.stderr.splitlines() if line.startswith("taken back")] == [
        f"taken back: Make {n}" for n in reversed(range(step + 1))
    ]
    assert "left nothing to take back" in place.call("--undo", "--yes").stderr


def test_killed_while_it_is_taken_back_the_rest_is_taken_back(place: Place) -> None:
    assert place.call("--yes").returncode == 0
    # The second undo fails, as for a file that somebody has removed.
    (place.made / "2").unlink()
    done = place.call("--undo", "--yes")
    assert done.returncode == 2
    assert "NOT taken back: Make 2 (exited 1)" in done.stderr
    assert place.files() == []
    (place.made / "2").touch()
    done = place.call("--undo", "--yes")
    assert (done.returncode, place.files()) == (0, [])
    assert "taken back: Make 3" not in done.stderr


def test_a_failure_half_way_says_what_was_done_and_what_was_not(place: Place) -> None:
    (place.made / "2").mkdir()
    done = place.call("--yes")
    said = done.stderr
    assert "build stopped before its end" in said
    assert "  done: Make 0; Make 1; Make 3" in said
    assert "  failed: Make 2" in said
    assert "  go on:     runbook run build --resume" in said
    assert "  take back: runbook run build --undo" in said
    (place.made / "2").rmdir()
    assert place.call("--resume", "--yes").returncode == 0
    assert place.ran() == ["0", "1", "2", "3", "2"]


def test_without_approval_nothing_is_changed_and_nothing_is_left_to_do(place: Place) -> None:
    done = place.call()
    assert place.files() == []
    assert "stopped before its end" not in done.stderr
    assert "has changed anything yet" in place.call("--undo", "--yes").stderr


def test_a_person_is_asked_before_each_and_told_the_undo(place: Place) -> None:
    environment = place.base.environment()
    words = [*COMMAND[1:], "run", "build"]
    child = pexpect.spawn(COMMAND[0], words, cwd=str(place.base.path), env=environment, encoding="utf-8", timeout=20)
    child.expect_exact("Make 0 CHANGES THIS HOST:")
    child.expect_exact(f"it can be undone by: rm {place.made}/0")
    child.expect_exact("Run it? [y/N]")
    child.sendline("y")
    child.expect_exact("Make 1 CHANGES THIS HOST:")
    child.expect_exact("[y/N]")
    child.sendline("n")
    for n in (2, 3):
        child.expect_exact(f"Make {n} CHANGES THIS HOST:")
        child.expect_exact("[y/N]")
        child.sendline("n")
    child.expect_exact("build stopped before its end")
    child.expect(pexpect.EOF)
    assert place.files() == ["0"]
    child = pexpect.spawn(
        COMMAND[0], [*words, "--resume"], cwd=str(place.base.path), env=environment, encoding="utf-8", timeout=20
    )
    child.expect_exact("done then: Make 0")
    child.expect_exact("Make 1 CHANGES THIS HOST:")
    child.expect_exact("[y/N]")
    child.sendline("y")
    child.expect_exact("Make 2 CHANGES")
    child.expect_exact("[y/N]")
    child.sendintr()
    child.expect(pexpect.EOF)
    assert place.files() == ["0", "1"]


def test_what_began_and_is_unknown_is_said_when_it_is_asked_about(place: Place) -> None:
    place.killed_in(1)
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], "run", "build", "--resume"],
        cwd=str(place.base.path),
        env=place.base.environment(),
        encoding="utf-8",
        timeout=20,
    )
    child.expect_exact("Make 1 CHANGES THIS HOST:")
    child.expect_exact("it was begun before, and it is not known whether it ended")
    child.sendintr()
    child.expect(pexpect.EOF)


def test_a_runbook_that_was_changed_since_is_taken_back_by_hand(place: Place) -> None:
    place.killed_in(1)
    file = place.base.path / "runbooks/build/runbook.yaml"
    file.write_text(file.read_text().replace("Make 0", "Make nought").replace("echo made", "echo other"))
    for word in ("--resume", "--undo"):
        done = place.call(word, "--yes")
        assert done.returncode == 64
        assert "its steps are others now" in done.stderr
        assert f"    rm {place.made}/1\n    rm {place.made}/0" in done.stderr
    assert place.files() == ["0", "1"]


def test_a_run_that_goes_on_still_is_left_alone(place: Place) -> None:
    (place.hold / "1").touch()
    environment = place.base.environment()
    process = subprocess.Popen([*COMMAND, "run", "build", "--yes"], cwd=place.base.path, env=environment)
    while "1" not in place.ran():
        time.sleep(0.01)
    for word in ("--resume", "--undo"):
        done = place.call(word, "--yes")
        assert done.returncode == 64
        assert "is going on" in done.stderr
    (place.hold / "1").unlink()
    assert process.wait(20) == 0


def test_the_journal_is_the_persons_own(place: Place) -> None:
    steps = [
        {"id": "tell", "argv": ["sh", "-c", "read x; echo $x"], "effect": "change", "terminal": True, "answers": {}}
    ]
    place.base.runbook("quiet", steps)
    done = place.call("--yes")
    assert done.returncode == 0
    (path,) = place.journals()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [next(iter(line)) for line in lines[1:-1]] == ["begun", "ended"] * STEPS
    assert lines[-1] == {"finished": True}


def test_where_nothing_can_be_written_down_nothing_is_changed(place: Place) -> None:
    place.journal_folder.parent.mkdir(parents=True, exist_ok=True)
    place.journal_folder.touch()
    done = place.call("--yes")
    assert done.returncode == 3
    assert "cannot be written down" in done.stderr
    assert place.files() == []


def test_a_line_that_was_cut_off_says_nothing(place: Place) -> None:
    place.killed_in(2)
    (path,) = place.journals()
    with path.open("a") as file:
        file.write('{"ended": "s2", "ending": "exi')
    done = place.call("--resume", "--yes")
    assert done.returncode == 0, done.stderr
    assert place.files() == [*map(str, range(STEPS))]


def test_old_runs_are_forgotten(place: Place) -> None:
    for _ in range(25):
        place.call("--yes")
    assert len(place.journals()) == 20


def test_a_run_that_only_reads_leaves_no_journal(place: Place) -> None:
    place.base.runbook("look", [{"argv": ["true"]}])
    before = set(place.journal_folder.parent.glob("*"))
    assert place.base.call("run", "look").returncode in (0, 3)
    assert set(place.journal_folder.parent.glob("*")) == before


def test_a_secret_is_not_written_down(place: Place) -> None:
    """Neither as a value nor where a command repeats it; and it is asked for again to go on."""
    parameters = [{"name": "word", "type": "string", "secret": True, "required": True}]
    steps = [
        {
            "argv": ["sh", "-c", "printf 'word? '; read word; echo is $word; exit 7"],
            "effect": "change",
            "terminal": True,
            "answers": {"word\\? ": "{word}"},
        }
    ]
    place.base.runbook("hush", steps, parameters=parameters)
    done = place.base.call("run", "hush", "--yes", "--set", "word=correct-horse")
    folder = Path(journal._folder(load(str(place.base.path / "runbooks/hush"))))
    (path,) = folder.glob("*.jsonl")
    text = path.read_text()
    assert "correct-horse" not in text
    said = [base64.b64decode(json.loads(line).get("stdout", "")) for line in text.splitlines()]
    assert not any(b"correct-horse" in data for data in said), said
    assert any(b"***" in data for data in said), (said, done.stderr)


def test_a_run_that_was_declined_hides_none_that_stopped(place: Place) -> None:
    place.killed_in(1)
    assert place.call().returncode == 3
    assert place.call("--undo", "--yes").returncode == 0
    assert place.files() == []


def test_what_stopped_half_way_is_not_forgotten(place: Place) -> None:
    place.killed_in(0)
    for _ in range(25):
        place.call()
    assert "begun then: Make 0" in place.call("--resume", "--yes").stderr


def test_the_last_is_taken_back_first_after_a_resume_too(place: Place) -> None:
    (place.made / "1").mkdir()
    place.call("--yes")
    (place.made / "1").rmdir()
    assert place.call("--resume", "--yes").returncode == 0
    said = place.call("--undo", "--yes").stderr
    assert [line for line in said.splitlines() if line.startswith("taken")] == [
        f"taken back: Make {n}" for n in (1, 3, 2, 0)
    ]


def test_a_clock_that_was_set_back_changes_no_order(place: Place) -> None:
    place.call("--yes")
    place.call("--yes")
    first, second = place.journals()
    assert int(first.name[:12]) + 1 == int(second.name[:12])


@pytest.mark.parametrize("text", ["", "[]\n", '{"runbook": 1}\n', '{"values": {}, "started": "x"}\n', "\0\n"])
def test_a_journal_that_makes_no_sense_is_none(place: Place, text: str) -> None:
    place.journal_folder.mkdir(parents=True)
    (place.journal_folder / "000000000007-1.jsonl").write_text(text)
    os.mkfifo(place.journal_folder / "000000000008-1.jsonl")
    assert "has changed anything yet" in place.call("--undo", "--yes").stderr
    assert place.call("--yes").returncode in (0, 3)
    assert place.call("--undo", "--yes").returncode == 0


def test_the_journal_is_no_way_to_guess_a_secret(place: Place) -> None:
    """Two runs with two secrets are the same plan, and can be taken back without it."""
    parameters = [{"name": "word", "type": "string", "secret": True, "required": False}]
    step = {"argv": ["true"], "effect": "change", "terminal": True, "answers": {"word": "{word}"}, "undo": ["true"]}
    place.base.runbook("hush", [step], parameters=parameters)
    folder = Path(journal._folder(load(str(place.base.path / "runbooks/hush"))))
    plans = set()
    for word in ("one", "two"):
        place.base.call("run", "hush", "--yes", "--set", f"word={word}")
        newest = max(folder.glob("*.jsonl"))
        plans.add(json.loads(newest.read_text().splitlines()[0])["plan"])
    assert len(plans) == 1
    assert place.base.call("run", "hush", "--undo", "--yes").returncode == 0
