"""A tree of processes that does all it can to outlive its end, and how it is known that nothing of it has."""

from __future__ import annotations

import glob
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runbook.executors import cgroup
from runbook.executors.launch import Launcher, Process
from tests.executors.driving import ENVIRONMENT, cgroups, marked

#: How long after an end something may still be there, in seconds.
AFTERWARDS = 2.0

#: FOLDER MARK: every kind of hostility in a process of its own, and more of them for ever.
HOSTILE = r"""
import ctypes, os, signal, sys, time
os.chdir(sys.argv[1])
os.open("held", os.O_WRONLY)
libc = ctypes.CDLL(None)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)

def asleep():
    time.sleep(60)

def daemon():
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)

def chain():
    while os.fork() == 0:
        pass

def forking():
    while True:
        if os.fork() == 0:
            time.sleep(60)
        time.sleep(0.002)

def renamed():
    libc.prctl(15, b") R 1 (", 0, 0, 0)
    time.sleep(60)

def bare():
    os.setsid()
    os.closerange(0, 64)
    os.execve("/bin/sleep", ["sleep", "60"], {})

def stopped():
    os.kill(os.getpid(), signal.SIGSTOP)

def leaderless():
    import threading
    threading.Thread(target=time.sleep, args=(60,)).start()
    libc.syscall(60 if os.uname().machine == "x86_64" else 93, 0)

def elsewhere():
    # A mount of its own, where it may (CLONE_NEWNS; MS_REC | MS_PRIVATE).
    if libc.unshare(0x20000) == 0 and libc.mount(b"none", b"/", None, 0x44000, None) == 0:
        libc.mount(b"none", os.getcwd().encode(), b"tmpfs", 0, None)
    time.sleep(60)

def talking():
    while True:
        try:
            os.write(1, b"more\n")
        except OSError:
            pass
        time.sleep(0.001)

for work in (daemon, chain, renamed, bare, stopped, leaderless, elsewhere, talking, forking, asleep):
    if os.fork() == 0:
        try:
            work()
        finally:
            os._exit(0)
time.sleep(60)
"""


class Tree:
    """A folder to start hostile trees in, by `words`, and what is still there of them.

    Each of their processes has its mark in its words or its environment, or is in the folder, or holds the pipe in it
    open. The last is exact also for a chain of processes of which each is gone before it can be looked at. `made`
    gives the cgroups that runs have made.
    """

    def __init__(self, folder: Path, mark: str, made: Callable[[], set[str]] = cgroups) -> None:
        self.folder, self.mark, self._made = folder, mark, made
        (folder / "hostile.py").write_text(HOSTILE)
        os.mkfifo(folder / "held")
        self._held = os.open(folder / "held", os.O_RDONLY | os.O_NONBLOCK)
        self._before = made() | mounts()

    def words(self) -> list[str]:
        return [sys.executable, "-I", "-S", str(self.folder / "hostile.py"), str(self.folder), self.mark]

    def lives(self) -> bool:
        """Whether somebody holds the pipe."""
        try:
            return bool(os.read(self._held, 1))
        except BlockingIOError:
            return True

    def left(self, *but: int) -> list[object]:
        """What is there and should not be; these processes may."""
        found: set[object] = {*marked(self.mark), *inside(self.folder), *((self._made() | mounts()) - self._before)}
        if self.lives():
            found.add("somebody holds the pipe")
        return sorted(found - set(but), key=str)

    def left_in_the_end(self, *but: int) -> list[object]:
        """What is still there after a while; returns as soon as nothing is."""
        deadline = time.monotonic() + AFTERWARDS
        while (found := self.left(*but)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return found


def mounts() -> set[str]:
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def inside(folder: Path) -> set[int]:
    """Every process whose working directory is this one."""
    found = set()
    for link in glob.glob("/proc/[0-9]*/cwd"):
        with suppress(OSError):
            if os.readlink(link) == str(folder):
                found.add(int(link.split("/")[2]))
    return found


def kill_trees(rounds: int, tree: Tree) -> None:
    """Start a hostile tree and kill it at any moment, so many times; prints what was left, and how long it took.

    After 0 to 80 ms, or on a busy machine up to twice the time in which the first one got up.
    """
    chance = random.Random(rounds)
    launcher = Launcher()
    launcher.begin()
    took, late, lived, most = [], 0, 0, 0
    longest = 0.08
    for number in range(rounds):
        process, end = start(launcher, tree.words(), terminal=number % 2 == 1)
        began = time.monotonic()
        if number == 0:
            while not tree.lives():
                time.sleep(0.005)
            longest = max(longest, 2 * (time.monotonic() - began))
        else:
            time.sleep(chance.uniform(0, longest))
        lived += tree.lives()
        most = max(most, len(inside(tree.folder)))
        began = time.monotonic()
        process.close()
        took.append(time.monotonic() - began)
        os.close(end)
        # A supervisor says that nothing is left, and then ends itself.
        ours_too = (os.getpid(), launcher_of(launcher), process.supervisor or 0)
        if tree.left(*ours_too):
            late += 1
            left = tree.left_in_the_end(*ours_too)
            assert not left, (number, left)
    launcher.close()
    assert not tree.left(os.getpid())
    print(
        f"{rounds} killed {'with' if cgroup.home() else 'without'} cgroups, {lived} of them grown, to {most} "
        f"processes at most: 0 left, {late} only after a moment; "
        f"{1000 * statistics.median(took):.0f} ms (median), {1000 * max(took):.0f} ms (most)"
    )


def launcher_of(launcher: Launcher) -> int:
    assert launcher._process is not None
    return launcher._process.pid


def start(launcher: Launcher, words: list[str], terminal: bool) -> tuple[Process, int]:
    """A command on a terminal or a pipe, and our end of that, which nobody reads."""
    ours, theirs = os.openpty() if terminal else os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        streams = (theirs if terminal else nothing, theirs, theirs)
        return launcher.start(words[0], tuple(words), ENVIRONMENT, streams, terminal=terminal), ours
    finally:
        os.close(theirs)
        os.close(nothing)
