"""How the tests of this room drive an executor, and how they know what a command has left behind."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import runbook
from runbook.executors import cgroup
from runbook.executors.executor import Executor, Interrupted
from runbook.model import Capture, Command, Effect, Output

#: The bound for what must happen promptly, in seconds: far above what it takes, for a machine that is busy.
PROMPTLY = 5.0
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}

Steps = Generator[Output, None, Capture]


def command(mark: str, *argv: str, step: str = "step", **fields: Any) -> Command:
    """A command that carries this mark in its environment, as will everything that it starts."""
    environment = {**ENVIRONMENT, "MARK": mark}
    return Command(step, "A step", argv, tuple(environment.items()), **fields)


def sh(mark: str, script: str, **fields: Any) -> Command:
    return command(mark, "sh", "-c", script, **fields)


def unconfined(mark: str, script: str, **fields: Any) -> Command:
    """The same, of a step that changes the host: it may signal whom it likes."""
    return sh(mark, script, effect=Effect.CHANGE, **fields)


def drive(steps: Steps) -> tuple[list[Output], Capture]:
    """Everything that was yielded, and the Capture."""
    outputs = []
    while True:
        try:
            outputs.append(next(steps))
        except StopIteration as end:
            return outputs, end.value


def run(executor: Executor, command: Command) -> Capture:
    return drive(executor.execute(command))[1]


def begin(steps: Steps, word: bytes) -> Steps:
    """The same steps, driven until the command has said this word."""
    said = b""
    while word not in said:
        said += next(steps).data
    return steps


def interrupt(steps: Steps) -> Capture:
    """The Capture of a command that a person ends now."""
    try:
        steps.throw(Interrupted())
    except StopIteration as end:
        capture: Capture = end.value
        return capture
    return drive(steps)[1]


def marked(mark: str) -> set[int]:
    """Every living process with this mark in its command line or environment (as far as one may look)."""
    found = set()
    # By thread: a process whose first thread has ended shows nothing of its own any more.
    for path in glob.glob("/proc/[0-9]*/task/*/cmdline") + glob.glob("/proc/[0-9]*/task/*/environ"):
        try:
            with open(path, "rb") as file:
                if mark.encode() in file.read():
                    found.add(int(path.split("/")[2]))
        except OSError:
            continue
    return found


def survivors(mark: str, seconds: float = PROMPTLY) -> set[int]:
    """What is still there after so long at most; returns as soon as nothing is."""
    deadline = time.monotonic() + seconds
    while (found := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def without_cgroups() -> list[str]:
    """What starts a command where no cgroup can be made: it sees an empty folder instead of them."""
    to_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", "--mount", *to_root, "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh"]


def cgroups() -> set[str]:
    """The cgroups of commands that are there now, beside our own."""
    home = cgroup.home()
    return {name for name in os.listdir(home) if name.startswith(cgroup.PREFIX)} if home is not None else set()


def runner(mark: str, code: str, *arguments: str, before: Sequence[str] = (), **options: Any) -> subprocess.Popen[str]:
    """A Python process of its own that runs this code and can import the engine and this module; it bears the mark.

    `before` are the words of a command that starts it.
    """
    plugins, root = Path(runbook.__file__).parents[1], Path(__file__).parents[2]
    return subprocess.Popen(
        [*before, sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": f"{plugins}:{root}", "MARK": mark},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def said(process: subprocess.Popen[str], seconds: float = 30) -> str:
    """All that a runner printed, once it has ended well, in this time."""
    try:
        out, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    assert process.returncode == 0
    return out
