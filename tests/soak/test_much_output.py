"""A gibibyte by a pipe and by a terminal: what is kept and what is dropped is exact, in little memory and time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook.executors.executor import CAP_BYTES
from tests.base import rounds
from tests.executors.driving import runner, said

MIB = 1024 * 1024
LINE = 64
#: The bar, in MiB, for the whole process that runs a command and keeps what it said.
MEMORY = 64

RUN = """
import hashlib, sys, time
from runbook.executors.executor import finish
from runbook.executors.process import ProcessExecutor
from runbook.executors.schedule import Brake, run_commands
from tests.executors.driving import command
wanted = command(sys.argv[1], "cat", sys.argv[2], terminal=sys.argv[3] == "terminal", timeout=3600.0)
with ProcessExecutor() as executor:
    finish(executor.execute(command(sys.argv[1], "true")))
    began = time.monotonic()
    steps = run_commands((wanted,), executor, given={}, approve=lambda command: False, brake=Brake())
    capture, = finish(steps)
    took = time.monotonic() - began
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(capture.ending, len(capture.stdout), capture.dropped, hashlib.sha256(capture.stdout).hexdigest(), peak, took)
"""


def written(path: Path, size: int) -> bytes:
    """Write numbered lines of 64 bytes; gives the beginning, as much as is kept."""
    beginning = b""
    with open(path, "wb") as file:
        for first in range(0, size // LINE, MIB // LINE):
            block = b"".join(b"%063d\n" % number for number in range(first, first + MIB // LINE))
            file.write(block)
            beginning += block if len(beginning) < CAP_BYTES else b""
    return beginning


def plain(path: Path, terminal: bool) -> float:
    """How long a plain `cat` takes whose output is read, by large pieces, and thrown away; in seconds."""
    ours, theirs = os.openpty() if terminal else os.pipe()
    began = time.monotonic()
    with subprocess.Popen(["cat", path], stdin=subprocess.DEVNULL, stdout=theirs):
        os.close(theirs)
        try:
            while os.read(ours, MIB):
                pass
        except OSError:
            # The end of a terminal.
            assert terminal
    os.close(ours)
    return time.monotonic() - began


@pytest.mark.parametrize("way", ["pipe", "terminal"])
def test_much_output(tmp_path: Path, mark: str, tell: Callable[[str], None], way: str) -> None:
    size, path = rounds(32, 1024) * MIB, tmp_path / "much"
    beginning = written(path, size)
    if way == "terminal":
        # It makes two of each end of a line.
        size, beginning = size + size // LINE, beginning.replace(b"\n", b"\r\n")
    answer = said(runner(mark, RUN, mark, str(path), way), seconds=3600).split()
    assert answer[:4] == ["exited", str(CAP_BYTES), str(size - CAP_BYTES), sha256(beginning[:CAP_BYTES])]
    memory, took, bare = int(answer[4]) / 1024, float(answer[5]), plain(path, way == "terminal")
    assert memory < MEMORY
    tell(
        f"{size // MIB} MiB by a {way}: {memory:.0f} MiB of memory, {took:.1f} s, "
        f"{took / bare:.2f} times as long as plain cat"
    )


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
