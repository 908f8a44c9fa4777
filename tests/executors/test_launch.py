"""The engine's side of the launcher: start a supervised command, order it to end, learn how it ended."""

from __future__ import annotations

import errno
import os
import platform
import select
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.errors import ExecutionError
from runbook.executors.launch import Launcher, Process
from tests.base import ordinary
from tests.executors.driving import ENVIRONMENT, marked


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.close()


class Starter:
    """Starts commands with /dev/null as stdin and stderr, and reads what they print."""

    def __init__(self, launcher: Launcher, mark: str) -> None:
        self.launcher = launcher
        self._mark = mark

    def start(self, program: str, *words: str, seccomp: bytes = b"", remove: str = "") -> tuple[Process, int]:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            environment = {**ENVIRONMENT, "MARK": self._mark}
            streams = (nothing, writing, nothing)
            return self.launcher.start(program, words, environment, streams, seccomp=seccomp, remove=remove), reading
        finally:
            os.close(writing)
            os.close(nothing)

    def sh(self, script: str, remove: str = "") -> tuple[Process, int]:
        """Running, and through `echo up`."""
        process, reading = self.start("/bin/sh", "sh", "-c", f"echo up; {script}", remove=remove)
        assert os.read(reading, 3) == b"up\n"
        return process, reading


@pytest.fixture
def starter(launcher: Launcher, mark: str) -> Starter:
    return Starter(launcher, mark)


def content(reading: int) -> bytes:
    with open(reading, "rb") as file:
        return file.read()


def await_end(process: Process) -> None:
    """Take in the news until everything is gone."""
    while not process.gone:
        assert select.select([process], [], [], 10)[0]
        process.news()


def kill_and_wait(pid: int) -> None:
    handle = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([handle], [], [], 10)[0]
    os.close(handle)


def test_the_words_are_the_argv_whatever_the_program_is_called(starter: Starter) -> None:
    process, reading = starter.start("/bin/cat", "renamed", "/proc/self/cmdline")
    assert content(reading) == b"renamed\0/proc/self/cmdline\0"
    process.close()


def test_the_wait_status_is_news(starter: Starter) -> None:
    process, reading = starter.sh("exit 3")
    await_end(process)
    assert (process.status, process.error) == (3 << 8, None)
    os.close(reading)
    process.close()


@pytest.mark.parametrize(
    ("program", "words", "error"),
    [
        ("/no/such/file", ("word",), errno.ENOENT),
        ("/etc/passwd", ("word",), errno.EACCES),
        ("/bin/echo", ("echo", "x" * 1024 * 1024), errno.E2BIG),
        ("/bin/echo", ("echo", "a\0b"), errno.EINVAL),
    ],
)
def test_what_cannot_be_started_gives_its_errno(
    starter: Starter, program: str, words: tuple[str, ...], error: int
) -> None:
    process, reading = starter.start(program, *words)
    await_end(process)
    assert (process.error, content(reading)) == (error, b"")
    process.close()


def test_the_order_to_end_may_be_refused_and_the_order_to_kill_may_not(starter: Starter, mark: str) -> None:
    process, reading = starter.sh("trap 'echo no' TERM; echo trapped; while :; do sleep 0.05; done")
    assert os.read(reading, 8) == b"trapped\n"
    process.order("term")
    assert os.read(reading, 3) == b"no\n"
    process.order("kill")
    await_end(process)
    assert (process.status, marked(mark)) == (signal.SIGKILL, set())
    os.close(reading)
    process.close()


def test_an_order_to_what_is_gone_does_nothing(starter: Starter) -> None:
    process, reading = starter.sh("exit 0")
    await_end(process)
    process.order("term")
    process.order("kill")
    assert process.status == 0
    os.close(reading)
    process.close()


def test_closing_a_process_kills_its_tree_and_waits_for_that(starter: Starter, mark: str) -> None:
    process, reading = starter.sh("setsid sleep 60 & sleep 60")
    process.close()
    assert (process.gone, marked(mark)) == (True, set())
    assert content(reading) == b""


def test_closing_the_launcher_ends_it_and_it_may_be_closed_again(starter: Starter, mark: str) -> None:
    process, reading = starter.sh("sleep 60")
    process.close()
    starter.launcher.close()
    starter.launcher.close()
    assert content(reading) == b""


def test_after_the_launcher_was_killed_the_error_says_what_to_do(starter: Starter) -> None:
    # The supervisor of the command is its parent, and the launcher the parent of that.
    process, reading = starter.sh("cut -d ' ' -f 4 /proc/$PPID/stat; sleep 60")
    kill_and_wait(int(os.read(reading, 16)))
    with pytest.raises(ExecutionError, match="run again"):
        starter.start("/bin/true", "true")
    process.close()
    os.close(reading)


@pytest.mark.parametrize("script", ["exit 0", "kill -KILL $$", "trap '' TERM; sleep 60"])
def test_a_folder_to_remove_is_gone_when_the_command_is(starter: Starter, tmp_path: Path, script: str) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "file").write_text("kept until the end")
    process, reading = starter.sh(script, remove=str(folder))
    process.close()
    assert not folder.exists()
    os.close(reading)


def test_a_filter_forbids_a_system_call(starter: Starter) -> None:
    uname = {"x86_64": 63, "aarch64": 160}[platform.machine()]
    # seccomp(2): load the call's number; if it is this one skip nothing, else one; refuse with EPERM (1); allow.
    program = [(0x20, 0, 0, 0), (0x15, 0, 1, uname), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
    process, reading = starter.start(
        "/bin/uname", "uname", seccomp=b"".join(struct.pack("HBBI", *line) for line in program)
    )
    await_end(process)
    assert (process.status, content(reading)) == (1 << 8, b"")
    process.close()


AT_THE_LIMIT = """
import resource
from runbook.executors.launch import Launcher
from runbook.executors.process import ProcessExecutor
from runbook.model import Command
from tests.executors.driving import run

launcher = Launcher()
launcher.begin()
resource.prlimit(launcher._process.pid, resource.RLIMIT_NPROC, (0, 0))
with ProcessExecutor(launcher=launcher) as executor:
    capture = run(executor, Command("a", "", ("/bin/true",), ()))
    print(capture.ending, capture.detail)
"""


def test_at_the_limit_of_processes_a_command_says_so() -> None:
    # Root has no such limit.
    command, more = ordinary()
    places = f"{more['PYTHONPATH']}:{Path(__file__).parents[2]}"
    done = subprocess.run(
        [*command[: command.index("-m")], "-c", AT_THE_LIMIT],
        env={**more, "PYTHONPATH": places},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("not-permitted /bin/true: Resource temporarily unavailable\n", "")
