"""One command from its start to its Capture: its clock, and the sentence that says how it ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.executors import launch, session
from runbook.executors.here import missing_right
from runbook.executors.process import ProcessExecutor
from runbook.model import Effect, Ending, Needs
from tests.executors.driving import PROMPTLY, begin, cgroups, command, drive, interrupt, marked, run, sh, survivors


def test_a_command_that_ended_in_time_while_nobody_listened_is_not_timed_out(here: ProcessExecutor, mark: str) -> None:
    steps = begin(here.execute(sh(mark, "echo hi; sleep 0.1; exit 4", timeout=0.5)), b"hi")
    time.sleep(0.7)
    capture = drive(steps)[1]
    assert (capture.ending, capture.exit_code) == (Ending.EXITED, 4)


def test_nothing_is_lost_while_nobody_listens(here: ProcessExecutor, mark: str) -> None:
    steps = begin(here.execute(sh(mark, "echo hi; seq 5000; sleep 60 & exit")), b"hi")
    time.sleep(0.5)
    assert drive(steps)[1].stdout.splitlines()[-1] == b"5000"


def test_interrupting_a_command_that_has_ended_changes_nothing(
    here: ProcessExecutor, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The end of the command is known, and what it left behind still holds its output.
    monkeypatch.setattr(session, "DRAIN_SECONDS", 1.0)
    steps = begin(here.execute(sh(mark, "sleep 60 & echo hi; exit 5")), b"hi")
    time.sleep(0.3)
    for _ in range(3):
        next(steps)
    assert interrupt(steps).exit_code == 5


@pytest.mark.parametrize(
    ("script", "timeout", "detail"),
    [
        ("exit 7", 60, "exited 7"),
        ("kill -KILL $$", 60, "killed by SIGKILL"),
        ("kill -40 $$", 60, "killed by signal 40"),
        ("sleep 60", 0.25, "ended after its time-out of 0.25 s"),
        ("sleep 60 & exit 0", 60, "exited 0; something it started still held its output and was ended"),
        ("kill -KILL $PPID; sleep 60", 60, "the process that watched it was killed"),
    ],
)
def test_the_detail_says_the_ending_in_words(
    here: ProcessExecutor, mark: str, script: str, timeout: float, detail: str
) -> None:
    assert run(here, sh(mark, script, timeout=timeout, effect=Effect.CHANGE)).detail == detail


@pytest.mark.parametrize("jump", [-86_400.0, 365 * 86_400.0], ids=["a-day-back", "a-year-on"])
def test_a_clock_that_is_set_meanwhile_changes_no_duration(
    here: ProcessExecutor, mark: str, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    clock, asked = time.time, iter((0.0,))
    monkeypatch.setattr(time, "time", lambda: clock() + next(asked, jump))
    before = clock()
    capture = run(here, sh(mark, "sleep 0.3", timeout=PROMPTLY))
    assert (capture.ending, 0.3 <= capture.seconds < PROMPTLY) == (Ending.EXITED, True)
    assert before <= capture.started <= clock()
    assert run(here, sh(mark, "sleep 60", timeout=0.3)).ending is Ending.TIMED_OUT


def test_a_time_out_of_nothing_still_ends(here: ProcessExecutor, mark: str) -> None:
    assert run(here, command(mark, "sleep", "60", timeout=0.0)).ending is Ending.TIMED_OUT


def test_what_cannot_be_killed_is_left_behind_and_named(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(session, "UNKILLABLE_SECONDS", 0.2)
    # It stops the process that would kill it, which nobody lets go on: no order arrives, as with what the kernel holds.
    monkeypatch.setattr(launch, "unstop", lambda _: None)
    with ProcessExecutor() as executor:
        # It stops the process that would kill it: as with one that the kernel holds, no order arrives.
        capture = run(executor, sh(mark, "echo $PPID; kill -STOP $PPID; sleep 60", timeout=0.3, effect=Effect.CHANGE))
        os.kill(int(capture.stdout), signal.SIGCONT)
    assert capture.ending is Ending.TIMED_OUT
    assert "does not die" in capture.detail


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Frozen]:
    """A file system on which nobody can write; whoever tries sleeps, and no signal wakes them."""
    if missing_right(Needs(capabilities=("sys_admin",))) or not os.path.exists("/dev/loop-control"):
        pytest.skip("only root, with loop devices, can freeze a file system")
    with Frozen(tmp_path) as made:
        yield made


class Frozen:
    """Thawed when it is closed, and by the end of this process as well, however it comes: then its guard reads no more.

    Its guard is in a mount namespace of its own, so that no mount of it is left in ours.
    """

    GUARD = """truncate -s 16M image && mkfs.ext4 -q image && mkdir frozen && mount -o loop image frozen || exit 1
fsfreeze --freeze frozen && echo frozen; cat; fsfreeze --unfreeze frozen; umount frozen"""

    def __init__(self, path: Path) -> None:
        self._guard = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", self.GUARD],
            cwd=path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A Ctrl-C must not end it before us.
            start_new_session=True,
        )
        self.path = Path(f"/proc/{self._guard.pid}/root{path}/frozen")

    def __enter__(self) -> Frozen:
        assert self._guard.stdout is not None
        assert self._guard.stdout.readline() == b"frozen\n"
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()

    def thaw(self) -> None:
        if self._guard.returncode is None:
            self._guard.communicate(timeout=30)


def test_what_the_kernel_holds_is_left_behind_and_named_and_the_run_goes_on(frozen: Frozen, mark: str) -> None:
    began = time.monotonic()
    with ProcessExecutor() as executor:
        script = f"echo $$; grep ^0: /proc/self/cgroup; echo >{frozen.path}/file"
        capture = run(executor, sh(mark, script, timeout=0.5, effect=Effect.CHANGE))
        held = Path("/proc", capture.stdout.split()[0].decode())
        assert re.search(r"^State:\tD", (held / "status").read_text(), re.MULTILINE)
        assert capture.ending is Ending.TIMED_OUT
        assert capture.detail.startswith("ended after its time-out of 0.5 s; it does not die")
        # Its grace, and how long it is killed in vain; 0.7 s for a busy machine.
        assert time.monotonic() - began < 0.5 + 1 + 1.5 + 0.7
        assert run(executor, sh(mark, "exit 3")).exit_code == 3
        closing = time.monotonic()
    assert time.monotonic() - closing < 3
    assert marked(mark) == {int(held.name)}
    frozen.thaw()
    assert survivors(mark) == set()
    with ProcessExecutor() as executor:
        run(executor, sh(mark, "true"))
    # The next start has removed its cgroup, if it had one.
    assert os.path.basename(capture.stdout.split()[-1].decode()) not in cgroups()
