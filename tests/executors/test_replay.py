"""Recorded captures in place of commands."""

from __future__ import annotations

from runbook.executors.replay import ReplayExecutor
from runbook.model import Capture, Command, Ending, Host, Output
from tests.executors.driving import drive, interrupt

HOST = Host("db1", "6.1.0-13-amd64", "Debian GNU/Linux 12 (bookworm)", "x86_64")
RECORDED = Capture("lvs", ("lvs", "-a"), Ending.EXITED, 5, b"out\xff", b"err", 1.0, 2.0, 3, "exited 5")
LVS = Command("lvs", "Logical volumes", ("lvs",), ())


def test_the_capture_comes_back_as_it_was_recorded() -> None:
    outputs, capture = drive(ReplayExecutor([RECORDED], HOST).execute(LVS))
    assert capture is RECORDED
    assert outputs == [Output("lvs", "stdout", b"out\xff"), Output("lvs", "stderr", b"err")]


def test_a_silent_capture_yields_nothing() -> None:
    outputs, capture = drive(ReplayExecutor([Capture("lvs", ("lvs",), Ending.NOT_FOUND)], HOST).execute(LVS))
    assert (outputs, capture.ending) == ([], Ending.NOT_FOUND)


def test_a_step_that_was_not_recorded_was_skipped() -> None:
    outputs, capture = drive(ReplayExecutor([], HOST).execute(LVS))
    assert (outputs, capture.ending, capture.argv) == ([], Ending.SKIPPED, ("lvs",))


def test_interrupting_gives_the_capture() -> None:
    steps = ReplayExecutor([RECORDED], HOST).execute(LVS)
    next(steps)
    assert interrupt(steps) is RECORDED


def test_the_host_is_the_one_of_the_recording() -> None:
    executor = ReplayExecutor([RECORDED], HOST)
    executor.close()
    executor.close()
    assert executor.host() is HOST
