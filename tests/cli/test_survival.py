"""However a run of the command ends, and whatever is lacking, nothing of it is left and no result is lost."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pexpect
import pytest

from tests.base import COMMAND, HELPER, Base, Witness
from tests.executors.driving import survivors

#: For what should happen at once; generous, because the machine may be busy.
SOON = 20
#: What bears its mark in its words, ignores what asks it to end, and has left for another session and environment.
HOSTILE = """: {mark}; trap '' INT TERM HUP QUIT
env -i setsid sh -c "trap '' TERM; sleep 60; : {mark}" & (setsid sh -c 'sleep 60; : {mark}' &)
echo up >/dev/udp/127.0.0.1/{port}; sleep 60; : {mark}"""


class Hostile:
    """A runbook whose steps do not want to end: two on pipes, one on a terminal of its own after them."""

    def __init__(self, base: Base, mark: str, terminal: bool) -> None:
        self.base, self.mark, self.witness = base, mark, Witness()
        script = HOSTILE.format(mark=mark, port=self.witness.port)
        self.steps = 1 if terminal else 2
        step = {"argv": ["bash", "-c", script], "terminal": terminal, "needs": {"network": True}}
        base.runbook("hostile", [step] * self.steps)

    @contextmanager
    def on_terminal(self) -> Iterator[pexpect.spawn[str]]:
        """The run, on a terminal, once its steps are there; it and its launcher bear the mark, too."""
        environment = {**self.base.environment(MARK=self.mark), "TERM": "xterm-256color"}
        child = pexpect.spawn(
            COMMAND[0], [*COMMAND[1:], "run", "hostile"], cwd=str(self.base.path), env=environment, timeout=SOON
        )
        try:
            self.wait()
            yield child
        finally:
            child.close(force=True)

    def wait(self) -> None:
        deadline = time.monotonic() + SOON
        while len(self.witness.heard()) < self.steps:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture(params=[False, True], ids=["pipes", "terminal"])
def hostile(request: pytest.FixtureRequest, base: Base, mark: str) -> Hostile:
    return Hostile(base, mark, request.param)


def status(child: pexpect.spawn[str]) -> int:
    """How it ended, as a shell would say."""
    child.expect(pexpect.EOF)
    child.wait()
    return 128 + child.signalstatus if child.signalstatus else child.exitstatus or 0


def hang_up(child: Any) -> None:
    """Close its terminal; pexpect's own close would also kill it."""
    child.ptyproc.fileobj.close()
    child.ptyproc.closed = True


def ended(child: pexpect.spawn[str]) -> int:
    """The exit status of one whose terminal is closed."""
    assert child.pid is not None
    handle = os.pidfd_open(child.pid)
    assert select.select([handle], [], [], SOON)[0]
    os.close(handle)
    child.wait()
    return child.exitstatus or 0


@pytest.mark.parametrize("presses", [2, 3, 4, 9])
def test_however_often_ctrl_c_is_pressed_nothing_is_left(base: Base, mark: str, presses: int) -> None:
    with Hostile(base, mark, terminal=False).on_terminal() as child:
        for _ in range(presses):
            child.sendintr()
            time.sleep(0.05)
        assert status(child) == 130
        assert survivors(mark, 2) == set()


SIGNALS = {
    signal.SIGTERM: 128 + signal.SIGTERM,
    signal.SIGHUP: 128 + signal.SIGHUP,
    signal.SIGQUIT: 128 + signal.SIGQUIT,
    signal.SIGKILL: 128 + signal.SIGKILL,
}


@pytest.mark.parametrize(("number", "said"), SIGNALS.items(), ids=[number.name for number in SIGNALS])
def test_whatever_signal_ends_it_nothing_is_left(hostile: Hostile, number: signal.Signals, said: int) -> None:
    with hostile.on_terminal() as child:
        child.kill(number)
        assert status(child) == said
        assert survivors(hostile.mark, 2) == set()


def test_when_its_terminal_goes_nothing_is_left(hostile: Hostile) -> None:
    with hostile.on_terminal() as child:
        hang_up(child)
        ended(child)
        assert survivors(hostile.mark, 2) == set()


def test_who_ignores_that_its_terminal_went_saves_its_result(base: Base) -> None:
    go = base.path / "go"
    os.mkfifo(go)
    base.runbook("talk", [{"argv": ["sh", "-c", f"cat {go}; echo ill"]}], HELPER)
    words = ["-c", f"trap '' HUP; exec {' '.join(COMMAND)} run talk --output out"]
    child = pexpect.spawn("sh", words, cwd=str(base.path), env={**base.environment(), "TERM": "xterm"}, timeout=SOON)
    with open(go, "w"):
        # It has begun: its step has opened the other end.
        hang_up(child)
    assert ended(child) == 2
    assert "broken" in (base.path / "out").read_text()


@pytest.mark.parametrize("into", [">/dev/full", "> >(exit)"], ids=["full", "nobody-reads"])
def test_progress_that_cannot_be_told_costs_no_result(base: Base, into: str) -> None:
    base.runbook("talk", [{"argv": ["sh", "-c", "sleep 0.2; echo ill"]}], HELPER)
    script = f"{' '.join(COMMAND)} run talk --output out 2{into}"
    done = subprocess.run(["bash", "-c", script], cwd=base.path, env=base.environment(), timeout=60, check=False)
    assert done.returncode == 2
    assert "broken" in (base.path / "out").read_text()


@pytest.mark.parametrize("limit", [5, 7, 9, 12, 16])
def test_with_few_descriptors_it_says_so_in_words(base: Base, limit: int) -> None:
    base.runbook("talk", [{"argv": ["echo", "ill"]}])
    done = subprocess.run(
        ["bash", "-c", f"ulimit -n {limit}; exec {' '.join(COMMAND)} run talk"],
        cwd=base.path, env=base.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "Too many open files" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_on_a_full_disk_the_result_is_shown_and_the_old_one_stays(base: Base) -> None:
    base.runbook("talk", [{"argv": ["sh", "-c", "yes ill | head -c 200000"]}])
    (base.path / "small").mkdir()
    # The folder for temporary files is as full.
    run = f"TMPDIR=$PWD/small {' '.join(COMMAND)} run talk --format json --output small/out"
    script = f"""mount -t tmpfs -o size=64k none small && echo old >small/out && cat /dev/zero >small/rest
{run}; echo; cat small/out; ls -A small"""
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=base.path, env=base.environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "not saved: No space left on device" in done.stderr
    assert done.stdout.startswith('{\n  "schema": "runbook.run/1"')
    assert done.stdout.endswith("\n}\n\nold\nout\nrest\n")
