"""The cgroup that each command has where there are cgroups (cgroups(7), version 2) and we may make one.

Who is in it is there from birth, whatever it forks, and the kernel kills all of them at once: a process that gained
another user's rights too. Its supervisor holds it (flock(2)) for as long as it lives, so one that nobody holds is what
a supervisor that was killed has left, and the next launcher ends it. No pid can tell that as surely: pids are used
again, and are others in another namespace.

The launcher imports this: the standard library alone, and little of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import time

PREFIX = "runbook-"
CLONE3 = 435
CLONE_INTO_CGROUP = 0x200000000

# Not CDLL, which lets go of the interpreter's lock around the call: the child must come back with it.
_libc = ctypes.PyDLL(None, use_errno=True)


def home() -> str | None:
    """The folder of the cgroup we are in, if we may make others in it."""
    try:
        with open("/proc/self/cgroup") as file:
            ours = next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), "..")
        with open("/proc/self/mountinfo") as file:
            mounts = [line.split() for line in file if " - cgroup2 " in line]
    except (OSError, UnicodeDecodeError):
        return None
    for _, _, _, root, point, *_ in mounts:
        below = os.path.relpath(ours, root)
        # What lies outside of a cgroup namespace, or of what is mounted, is written with `..`.
        if ".." not in f"{ours}/{root}/{below}".split("/"):
            folder = os.path.normpath(os.path.join(point, below))
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
    return None


def make(home: str | None) -> Group | None:
    """A new cgroup in this one, held by us; None where it cannot be had."""
    if home is None:
        return None
    path = os.path.join(home, f"{PREFIX}{os.getpid()}-{os.urandom(4).hex()}")
    with contextlib.suppress(OSError):
        os.mkdir(path)
        return _hold(path)
    return None


def sweep(home: str | None, seconds: float) -> None:
    """Kill and remove the cgroups that nobody holds; those that are not empty in time are left for the next time."""
    if home is None:
        return
    deadline = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        for name in os.listdir(home):
            group = _hold(os.path.join(home, name)) if name.startswith(PREFIX) else None
            if group is not None:
                group.end(deadline - time.monotonic())


def _hold(path: str) -> Group | None:
    """The cgroup at this path, if nobody holds it."""
    with contextlib.suppress(OSError):
        group = Group(path)
        try:
            fcntl.flock(group.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return group
        except OSError:
            group.close()
    return None


class Group:
    """One cgroup, held until it is closed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.descriptor)

    def fork(self) -> int:
        """Like os.fork, and the child is born in here; raises OSError where the kernel or a filter does not know how.

        A write to `cgroup.procs` would do the same, but waits until every processor has been idle once: 10 ms.
        """
        # struct clone_args of clone3(2); the child has a copy of our memory, as after fork(2), and we have one thread.
        words = (ctypes.c_uint64 * 11)(CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, self.descriptor)
        pid: int = _libc.syscall(ctypes.c_long(CLONE3), words, ctypes.c_size_t(ctypes.sizeof(words)))
        if pid < 0:
            raise OSError(ctypes.get_errno(), "clone3")
        return pid

    def kill(self) -> bool:
        """SIGKILL all that is in here and below; whether that could be ordered."""
        try:
            self._write("cgroup.kill", b"1")
        except FileNotFoundError:
            return self._kill_each()
        except OSError:
            return False
        return True

    def _kill_each(self) -> bool:
        """Before Linux 5.14: freeze them, so that none forks meanwhile, and kill one after the other."""
        with contextlib.suppress(OSError):
            self._write("cgroup.freeze", b"1")
            for folder, _, _ in os.walk(self.path):
                with open(os.path.join(folder, "cgroup.procs")) as file:
                    # 0 is one that our pid namespace does not show; for kill(2) it would be ourselves.
                    for pid in filter(None, map(int, file)):
                        with contextlib.suppress(OSError):
                            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def _write(self, name: str, data: bytes) -> None:
        descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def remove(self) -> bool:
        """Remove it, and those that the command made in it; whether it is gone. It stays while a process is in it."""
        with contextlib.suppress(OSError):
            for folder, _, _ in os.walk(self.path, topdown=False):
                os.rmdir(folder)
        return not os.path.exists(self.path)

    def end(self, seconds: float) -> None:
        """Kill all, remove it and let go of it; tried once at least."""
        deadline = time.monotonic() + seconds
        while not self.remove():
            self.kill()
            if time.monotonic() >= deadline:
                break
            time.sleep(0.002)
        self.close()
