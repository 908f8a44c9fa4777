"""The engine's side of the launcher: start a supervised command, order it to end, learn how it ended."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

from runbook.errors import ExecutionError

#: How long a launcher may take to end when it is closed, in seconds: longer than it goes on killing.
CLOSE_SECONDS = 6.0
#: How long to wait between two looks at whether a command has stopped the process that should end it, in seconds.
LOOK_SECONDS = 0.1
#: What the launcher's interpreter does; it finds us after the standard library, and nothing else.
START = "import sys; sys.path.append(sys.argv[1]); from runbook.executors.launcher import main; main(int(sys.argv[2]))"


class Launcher:
    """One launcher process, started at the first command, ended by `close`; `start` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the launcher process now, so that the first command need not wait for it."""
        # What is lacking now, that command will say.
        with self._lock, contextlib.suppress(OSError):
            self._connection()

    def start(
        self,
        program: str,
        words: tuple[str, ...],
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
        *,
        terminal: bool = False,
        seccomp: bytes = b"",
        remove: str = "",
        network: tuple[str, str] | None = None,
        confine: Mapping[str, object] | None = None,
        prove: bool = False,
    ) -> Process:
        """Start `program` with these words as argv and these descriptors as stdin, stdout and stderr.

        The descriptors stay the caller's to close. `seccomp` is a filter to load first (struct sock_filter[]); the
        folder `remove` is deleted once nothing of the command is left, even if we are gone by then. `network` is a
        network namespace to enter, and `confine` what to confine it to (see `sandbox`); with `prove` nothing is
        started, and a proof of the confinement is written to stdout. Raises ExecutionError when the launcher itself is
        gone.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = os.memfd_create("request")
        try:
            # In a file and not in the message, which the kernel limits to the socket's buffer.
            wanted = {
                "argv": [program],
                "words": words,
                "environment": dict(environment),
                "directory": "/",
                "terminal": terminal,
                "seccomp": seccomp.hex(),
                "remove": remove,
                "network": network,
                "confine": confine,
                "prove": prove,
            }
            os.write(request, json.dumps(wanted).encode())
            os.lseek(request, 0, os.SEEK_SET)
            with self._lock:
                self._wake()
                socket.send_fds(self._connection(), [b"start"], [request, *streams, theirs.fileno()])
        except OSError as error:
            ours.close()
            raise ExecutionError(f"the process that starts commands is gone ({error}); run again") from error
        finally:
            os.close(request)
            theirs.close()
        return Process(ours)

    def _connection(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            plugins = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
            options = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
            with theirs, contextlib.ExitStack() as failed:
                failed.callback(ours.close)
                self._process = subprocess.Popen(
                    [sys.executable, *options, "-c", START, plugins, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # From its first moment: a Ctrl-C is for us, who then end the commands in their order.
                    start_new_session=True,
                )
                failed.pop_all()
            # One that was stopped takes no requests; it must not stop us, too.
            ours.settimeout(CLOSE_SECONDS)
            self._socket = ours
        return self._socket

    def _wake(self) -> None:
        """Let the launcher go on, if a command has stopped it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the launcher and with it every command that still runs."""
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._wake()
            deadline = time.monotonic() + CLOSE_SECONDS
            while not self._ended():
                unstop(self._process.pid)
                if time.monotonic() > deadline:
                    self._process.kill()
            if self._process.returncode != 0:
                # It was killed, and maybe a supervisor as well: then only the cgroup still knows what is left.
                from runbook.executors import cgroup

                cgroup.sweep(cgroup.home(), 1.0)
            self._socket = self._process = None

    def _ended(self) -> bool:
        """Wait a little; whether the launcher has ended."""
        assert self._process is not None
        try:
            self._process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True


def unstop(pid: int) -> None:
    """See the launcher's; imported when somebody must be waited for, which is seldom."""
    from runbook.executors import launcher

    launcher.unstop(pid)


class Process:
    """A supervised command; `socket` becomes readable when there is news of it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        #: The process that watches it, once it begins.
        self.supervisor: int | None = None
        #: Its wait status (os.wait) once it has ended.
        self.status: int | None = None
        #: The errno with which it could not be started.
        self.error: int | None = None
        #: Why it was not started, in words: it could not be confined.
        self.refusal = ""
        #: Whether it and everything it started is gone, or was given up.
        self.gone = False

    def fileno(self) -> int:
        return self._control.fileno()

    def news(self) -> None:
        """Take in one message; call it when `fileno` is readable."""
        try:
            message = self._control.recv(1024)
        except OSError:
            message = b""
        word, _, number = message.partition(b" ")
        if word == b"supervisor":
            self.supervisor = int(number)
        elif word == b"status":
            self.status = int(number)
        elif word == b"error" and number.isdigit():
            self.error = int(number)
        elif word == b"error":
            self.error, self.refusal = errno.EPERM, number.decode("utf-8", "replace")
        elif not word:
            self.gone = True

    def order(self, word: str) -> None:
        """`term` or `kill` the whole tree; nothing happens when it is gone."""
        try:
            self._control.send(word.encode())
        except OSError:
            self.gone = True

    def close(self, seconds: float = 2.0) -> None:
        """Kill what is left and wait until nothing is, at most so long (a process in the kernel's D state stays)."""
        if not self.gone:
            self.order("kill")
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        deadline = time.monotonic() + seconds
        while not self.gone and time.monotonic() < deadline:
            if poll.poll(LOOK_SECONDS * 1000):
                self.news()
            elif self.supervisor is not None:
                unstop(self.supervisor)
        self._control.close()
