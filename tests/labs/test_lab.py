"""Labs of both kinds, live: built, looked into, and gone without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from runbook.errors import LabError
from runbook.executors import folders
from runbook.executors.executor import Executor, finish
from runbook.executors.keyboard import RelayKeyboard
from runbook.labs import connection, lab
from runbook.labs.lab import open_lab
from runbook.model import Capture, Command, Effect, Ending
from tests.base import COMMAND, Base, load

KINDS = ("namespace", "kernel")
ENVIRONMENT = (("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),)


@contextmanager
def opened(base: Base, script: str, kind: str, **keys: object) -> Iterator[Executor]:
    """The first lab of a runbook with this script."""
    folder = base.runbook("inside", [{"argv": ["true"]}])
    base.lab("inside", script, kind, **keys)
    runbook = load(str(folder))
    with open_lab(runbook, runbook.labs[0]) as executor:
        yield executor


def execute(executor: Executor, *argv: str, timeout: float = 20) -> Capture:
    # Not confined: what is looked at is the lab.
    steps = executor.execute(Command("a", "a", argv, ENVIRONMENT, Effect.CHANGE, timeout=timeout))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            capture: Capture = end.value
            return capture


def traces(temporary: Path) -> set[str]:
    """What labs have left in this folder, and the processes of labs that have theirs in it."""
    found = {path.name for path in temporary.iterdir()}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if f"{temporary}/{lab.PREFIX}".encode() in Path(f"/proc/{name}/environ").read_bytes():
                found.add(f"process {name}")
    return found


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files; when a test is over, nothing of a lab is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    assert left(folder) == set()


def left(temporary: Path) -> set[str]:
    """What is still there after two seconds, the time that everything has to go."""
    deadline = time.monotonic() + 2
    while (found := traces(temporary)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_what_a_lab_leaves_would_be_seen(base: Base, temporary: Path) -> None:
    for kind in KINDS:
        with opened(base, "sleep 30 &\n", kind):
            assert {name.partition(" ")[0].partition("-")[0] for name in traces(temporary)} == {"runbook", "process"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_builds_what_the_steps_then_see(base: Base, kind: str) -> None:
    with opened(base, "echo broken >/run/state\n", kind) as executor:
        assert execute(executor, "cat", "/run/state").stdout == b"broken\n"


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_script_leaves_running_goes_on(base: Base, kind: str) -> None:
    with opened(base, "(while :; do date >/run/alive; sleep 0.1; done) &\n", kind) as executor:
        execute(executor, "rm", "-f", "/run/alive")
        time.sleep(0.5)
        assert execute(executor, "test", "-e", "/run/alive").exit_code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_is_root_inside(base: Base, kind: str) -> None:
    with opened(base, "", kind) as executor:
        assert execute(executor, "id", "-u").stdout == b"0\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_that_fails_is_told_with_its_last_words(base: Base, kind: str) -> None:
    with (
        pytest.raises(LabError, match=r"exited 7; it said last:\n    no such disk"),
        opened(base, "echo no such disk >&2; exit 7\n", kind),
    ):
        pass


def test_a_lab_that_breaks_down_is_told_with_its_last_words(base: Base) -> None:
    with pytest.raises(LabError, match="broke down"), opened(base, "", "kernel") as executor:
        execute(executor, "/bin/sh", "-c", "echo c >/proc/sysrq-trigger; poweroff -f; sleep 20")


def test_a_missing_tool_is_told_before_anything_starts(base: Base) -> None:
    with (
        pytest.raises(LabError, match="needs no-such-tool, not installed here\n    sudo apt-get install no-such-tool"),
        opened(base, "", "kernel", commands=["no-such-tool"]),
    ):
        pass


def test_a_kernel_lab_has_its_disks_and_its_device_mapper(base: Base) -> None:
    with opened(base, "", "kernel", disks=["1M", "2M"]) as executor:
        sizes = execute(executor, "lsblk", "-bdno", "SIZE", "/dev/ubda", "/dev/ubdb")
        assert sizes.stdout.split() == [b"1048576", b"2097152"]
        assert execute(executor, "dmsetup", "targets").stdout.count(b"thin-pool") == 1


def test_nothing_outside_a_kernel_lab_can_be_written(base: Base) -> None:
    with opened(base, "", "kernel") as executor:
        assert execute(executor, "touch", str(base.path / "trace")).exit_code == 1
    assert not (base.path / "trace").exists()


def test_threads_keep_their_registers_apart_in_a_kernel_lab(base: Base) -> None:
    copying = (
        "import threading\n"
        "def copy(letter):\n"
        "    data = letter * 4096\n"
        "    wrong.extend(1 for _ in range(20000) if bytes(bytearray(data)) != data)\n"
        "wrong = []\n"
        "threads = [threading.Thread(target=copy, args=(bytes([65 + n]),)) for n in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "raise SystemExit(len(wrong))\n"
    )
    with opened(base, "", "kernel") as executor:
        assert execute(executor, "/usr/bin/python3", "-c", copying, timeout=60).exit_code == 0


def test_the_network_of_a_namespace_lab_is_its_own(base: Base) -> None:
    with opened(base, "ip link add v0 type veth peer name v1\nip netns add blue\n", "namespace") as executor:
        assert b"v0@v1" in execute(executor, "ip", "-br", "link").stdout
    assert not os.path.exists("/run/netns/blue")


def test_a_timeout_ends_a_command_in_a_lab_and_the_lab_goes_on(base: Base) -> None:
    with opened(base, "", "namespace") as executor:
        assert execute(executor, "sleep", "30", timeout=0.3).ending is Ending.TIMED_OUT
        assert execute(executor, "true").exit_code == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", [0.2, 1.0, 3.0])
def test_nothing_is_left_when_the_command_is_killed(base: Base, temporary: Path, kind: str, moment: float) -> None:
    base.runbook("inside", [{"argv": ["sleep", "30"]}])
    base.lab("inside", "sleep 30 &\n", kind, disks=["1M"] if kind == "kernel" else [])
    words = [*COMMAND, "run", "inside", "--lab", "lab-0"]
    process = subprocess.Popen(words, cwd=base.path, env=base.environment(), stderr=subprocess.DEVNULL)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left(temporary) == set()


def test_the_folder_of_a_lab_that_was_killed_with_its_launcher_is_swept_by_the_next(tmp_path: Path) -> None:
    left, young = tmp_path / "runbook-lab-left", tmp_path / "runbook-lab-young"
    for folder in (left, young):
        folder.mkdir()
        (folder / "disk0").write_text("x")
    os.utime(left, (0, 0))
    folders._sweep(str(tmp_path), lab.PREFIX)
    assert (left.exists(), young.exists()) == (False, True)


def test_noise_on_the_line_of_a_kernel_lab_is_passed_over(base: Base) -> None:
    script = r"printf '\036garbage\n\036[1]\n\036{\"id\": \"x\"}\n' >/dev/ttyS0"
    with opened(base, script, "kernel") as executor:
        assert execute(executor, "echo", "here").stdout == b"here\n"


def test_a_lab_that_falls_silent_is_given_up(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.5)
    stop = "for p in /proc/[0-9]*; do grep -qa labs.agent $p/cmdline && kill -STOP ${p#/proc/}; done; sleep 60"
    with opened(base, "", "namespace") as executor, pytest.raises(LabError, match="does not answer any more"):
        execute(executor, "sh", "-c", stop, timeout=0.5)


def test_of_what_a_script_says_without_end_the_last_is_told(base: Base) -> None:
    said = r"exited 4; it said last:\n(    y\n)+    the end"
    script = "yes | head -c 200000000; echo the end; exit 4\n"
    with pytest.raises(LabError, match=said), opened(base, script, "namespace"):
        pass


def test_that_a_secret_is_asked_for_in_a_lab_is_told_outside(base: Base) -> None:
    told: list[bool] = []
    keyboard = RelayKeyboard(told.append)
    folder = base.runbook("inside", [{"argv": ["true"]}])
    base.lab("inside", "", "namespace")
    runbook = load(str(folder))
    script = "stty -echo; printf 'Code: '; read code; stty echo; echo ${#code}"
    command = Command("a", "", ("sh", "-c", script), ENVIRONMENT, Effect.CHANGE, terminal=True)
    with open_lab(runbook, runbook.labs[0], keyboard=keyboard) as executor:
        steps = executor.execute(command)
        said = b""
        while b"Code: " not in said:
            said += next(steps).data
        while told != [False]:
            next(steps)
        keyboard.press(b"hunter2\n")
        capture = finish(steps)
    assert told == [False, True]
    assert capture.stdout.endswith(b"7\r\n")
    assert b"hunter2" not in capture.stdout
