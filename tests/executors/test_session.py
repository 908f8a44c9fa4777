"""One command from its start to its Capture: its clock, and the sentence that says how it ended."""

from __future__ import annotations

import os
import signal
import time

import pytest

from runbook.executors import session
from runbook.executors.process import ProcessExecutor
from runbook.model import Effect, Ending
from tests.executors.driving import begin, command, drive, interrupt, run, sh


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


def test_a_time_out_of_nothing_still_ends(here: ProcessExecutor, mark: str) -> None:
    assert run(here, command(mark, "sleep", "60", timeout=0.0)).ending is Ending.TIMED_OUT


def test_what_cannot_be_killed_is_left_behind_and_named(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(session, "UNKILLABLE_SECONDS", 0.2)
    with ProcessExecutor() as executor:
        # It stops the process that would kill it: as with one that the kernel holds, no order arrives.
        capture = run(executor, sh(mark, "echo $PPID; kill -STOP $PPID; sleep 60", timeout=0.3, effect=Effect.CHANGE))
        os.kill(int(capture.stdout), signal.SIGCONT)
    assert capture.ending is Ending.TIMED_OUT
    assert "does not die" in capture.detail
