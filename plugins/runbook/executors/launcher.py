"""The process that starts commands: a small supervisor around each, so that no descendant outlives its step.

It runs in a `python -I -S` of its own, single-threaded, and imports only the standard library, `cgroup` and what
confines a command, because it forks. It serves a SOCK_SEQPACKET socket; each message on it carries five descriptors: a
file with the request as JSON (`argv`, `environment`, `directory`, `terminal`, `confine`, …; see Launcher.start), the
command's stdin, stdout and stderr, and a control socket.

For each request a supervisor is forked. It becomes a child subreaper (prctl(2)), so every orphan of the command becomes
its child, and it starts the command in a session, and where it can in a cgroup, of its own. On the control socket it
says, a message each, `supervisor N` (its pid, before it starts the command), then `status N` (a wait status) or
`error N` (an errno, or in words what refused to confine it), and closes it when nothing of the command is left. It
obeys `term` (SIGTERM to the whole tree) and `kill` (SIGKILL until nothing is left); when the socket closes because
whoever asked has died, it kills. The launcher does the same when its own socket closes.

A command of the same user may stop or kill any of us. The launcher ends what a killed supervisor has left; whom it
finds stopped, the engine lets go on (`unstop`); and what both have left dies with its cgroup.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import socket
import time

from runbook.executors import cgroup, confine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TIOCSCTTY = 0x540E
#: How long to go on killing what does not die (uninterruptible sleep, another user's process), in seconds.
GIVE_UP_SECONDS = 1.5
#: Of the words that say why a command could not be started, in bytes.
LONGEST_REASON = 200
#: How long a cgroup may take to become empty once all in it are dead, or were killed, in seconds.
EMPTY_SECONDS = 0.1

libc = ctypes.CDLL(None, use_errno=True)


def main(number: int) -> None:
    """Serve requests until the socket closes, then kill whatever is left."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # If a command stopped us, the end of the engine must wake us all the same.
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
    # A parent may have blocked SIGCHLD, on which everything here waits.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    requests = socket.socket(fileno=number)
    woken = wake_on_children()
    supervisors: set[int] = set()
    home = cgroup.home()
    cgroup.sweep(home, EMPTY_SECONDS)
    while True:
        ready = readable(requests.fileno(), woken)
        if woken in ready:
            os.read(woken, 4096)
            reap_supervisors(supervisors, home)
        if requests.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(requests, 16, 5)
            if not message:
                let_supervisors_end(supervisors, woken, home)
                # This is for what a killed supervisor left.
                kill_until_none(GIVE_UP_SECONDS)
                cgroup.sweep(home, EMPTY_SECONDS)
                # Whoever closes a launcher waits for it, and there is nothing that the interpreter must put away.
                os._exit(0)
            try:
                supervisors.add(fork_supervisor(requests, descriptors, home))
            except OSError as error:
                # At the limit of processes; the next command may find room again.
                with socket.socket(fileno=os.dup(descriptors[-1])) as control:
                    say(control, f"error {error.errno}".encode())
            for descriptor in descriptors:
                os.close(descriptor)


def let_supervisors_end(supervisors: set[int], woken: int, home: str | None) -> None:
    """Wait until all have seen their own control sockets close, killed their trees and put everything away."""
    deadline = time.monotonic() + 2 * GIVE_UP_SECONDS
    reap_supervisors(supervisors, home)
    for supervisor in supervisors:
        send(supervisor, signal.SIGTERM)
        send(supervisor, signal.SIGCONT)
    while supervisors and time.monotonic() < deadline:
        if select.select([woken], [], [], 0.1)[0]:
            os.read(woken, 4096)
        reap_supervisors(supervisors, home)


def wake_on_children() -> int:
    """A descriptor that becomes readable whenever a child ends or a SIGTERM comes (poll(2) alone does not notice)."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # SIGTERM tells a supervisor to end, and must not end the launcher: the engine alone does that.
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return reading


def readable(*descriptors: int, milliseconds: int | None = None) -> list[int]:
    # Not select(2), which knows only the numbers below 1024.
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(milliseconds)]


def reap_supervisors(supervisors: set[int], home: str | None) -> None:
    """Collect ended children; one that died by a signal has left its tree to us, and the tree must go.

    What forks while it is being killed is found the next time: the end of its parent calls us again.
    """
    left = False
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        left = left or os.WIFSIGNALED(status) or pid not in supervisors
        supervisors.discard(pid)
    if left:
        kill_all(children() - supervisors)
        kill_all(descendants(os.getpid()) - supervisors - descendants_of(supervisors))
        cgroup.sweep(home, 0)


def fork_supervisor(requests: socket.socket, descriptors: list[int], home: str | None) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        requests.close()
        supervise(home, *descriptors)
    finally:
        os._exit(0)


def supervise(home: str | None, request: int, stdin: int, stdout: int, stderr: int, control_number: int) -> None:
    """See one command, and everything it starts, to their end, and put away what it had."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
    woken = wake_on_children()
    control = socket.socket(fileno=control_number)
    with open(request, "rb") as file:
        wanted = json.load(file)
    group = cgroup.make(home)
    scratch = make_scratch() if wanted["confine"] else ""
    try:
        if control.fileno() not in readable(control.fileno(), milliseconds=0):
            say(control, b"supervisor %d" % os.getpid())
            run(wanted, scratch, (stdin, stdout, stderr), control, woken, group)
        # Else whoever asked has given it up before it began, and may have said so: then it must not begin.
    finally:
        if group is not None:
            group.end(EMPTY_SECONDS)
        for folder in (wanted["remove"], scratch):
            remove(folder)


def make_scratch() -> str:
    """A folder that is this command's alone, in memory if it can be; or "" where there can be none: few need one."""
    for place in ("/dev/shm", "/run", "/tmp"):
        folder = f"{place}/runbook-{os.urandom(8).hex()}"
        with contextlib.suppress(OSError):
            os.mkdir(folder, 0o700)
            return folder
    return ""


#: Standard error and output go nowhere.
_SILENT = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_WRONLY, 0) for number in (1, 2)]


def remove(folder: str) -> None:
    try:
        if folder:
            # Mostly empty, and then there is nothing to import for it.
            os.rmdir(folder)
    except OSError:
        # What a command made on purpose: folders without rights, or nested deeper than a path can say.
        for words in (["chmod", "-R", "u+rwx", "--", folder], ["rm", "-rf", "--", folder]):
            with contextlib.suppress(OSError):
                os.waitpid(os.posix_spawn(f"/bin/{words[0]}", words, {}, file_actions=_SILENT), 0)


def run(
    wanted: dict[str, Any],
    scratch: str,
    streams: tuple[int, int, int],
    control: socket.socket,
    woken: int,
    group: cgroup.Group | None,
) -> None:
    """Start the command, and watch it."""
    supervisor = os.getpid()
    try:
        failed_reading, failed_writing = os.pipe2(os.O_CLOEXEC)
        command = fork_into(group)
    except OSError as error:
        say(control, f"error {error.errno}".encode())
        return
    if command == 0:
        become(wanted, scratch, streams, failed_writing, supervisor)
    for descriptor in (*streams, failed_writing):
        os.close(descriptor)
    failed = os.read(failed_reading, LONGEST_REASON)
    if failed:
        say(control, b"error " + failed)
    watch(control, woken, command, group)


def fork_into(group: cgroup.Group | None) -> int:
    """Fork into this cgroup, or where that is not known as ever."""
    if group is not None:
        with contextlib.suppress(OSError):
            return group.fork()
    return os.fork()


def become(wanted: dict[str, Any], scratch: str, streams: tuple[int, int, int], failed: int, supervisor: int) -> None:
    """Turn this fresh child into the command; never returns."""
    try:
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != supervisor:
            os._exit(127)
        os.set_inheritable(failed, False)
        for target, stream in enumerate(lift(streams)):
            os.dup2(stream, target, inheritable=True)
        if wanted["terminal"]:
            # A controlling terminal: its reader sees the end when the session leader ends, not its last holder.
            import fcntl

            fcntl.ioctl(0, TIOCSCTTY, 0)
        failed = keep_only(failed)
        reset_signals()
        os.umask(0o022)
        os.chdir(wanted["directory"])
        if wanted["seccomp"]:
            confine.load_filter(bytes.fromhex(wanted["seccomp"]))
        if wanted["network"]:
            confine.enter_network(*wanted["network"])
        if wanted["prove"]:
            os.write(1, json.dumps(confine.prove(wanted["confine"], scratch)).encode())
            os._exit(0)
        environment = wanted["environment"]
        if wanted["confine"]:
            confine.confine(wanted["confine"], scratch)
            # The kernel forgets it when a process becomes somebody else (prctl(2)).
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != supervisor:
                os._exit(127)
            environment |= {"TMPDIR": scratch} if scratch else {}
        os.execve(wanted["argv"][0], wanted["words"], environment)
    except confine.Refused as error:
        os.write(failed, str(error.strerror).encode()[:LONGEST_REASON])
    except OSError as error:
        os.write(failed, str(error.errno).encode())
    except ValueError:
        # A NUL in a word, or a character that the locale cannot encode.
        os.write(failed, str(errno.EINVAL).encode())
    finally:
        os._exit(127)


def lift(streams: tuple[int, int, int]) -> list[int]:
    """The same streams on numbers above 2, so that dup2 onto 0, 1 and 2 cannot overwrite one before its turn."""
    import fcntl

    return [fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 10) for stream in streams]


def keep_only(failed: int) -> int:
    """Close every descriptor above 2 but this one, which comes back as number 3."""
    if failed != 3:
        os.dup2(failed, 3, inheritable=False)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 3:
            # The descriptor that listed the folder is closed by now.
            with contextlib.suppress(OSError):
                os.close(int(name))
    return 3


def reset_signals() -> None:
    """Default dispositions and an empty mask: Python ignores SIGPIPE, and a parent may have ignored anything."""
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def watch(control: socket.socket, woken: int, command: int, group: cgroup.Group | None) -> None:
    """Report the command's status when it ends, obey orders meanwhile, and leave when nothing is left."""
    reported = False
    while True:
        ready = readable(control.fileno(), woken)
        told = os.read(woken, 4096) if woken in ready else b""
        if told:
            left, status = reap(command)
            if status is not None and not reported:
                reported = True
                say(control, b"status %d" % status)
            if not left:
                return
        if control.fileno() in ready or signal.SIGTERM in told:
            order = b"kill" if signal.SIGTERM in told else hear(control)
            if order == b"term":
                send_all(signal.SIGTERM)
                continue
            # `kill`, or the asker or the launcher is gone.
            status = kill_until_none(GIVE_UP_SECONDS, command, group)
            if status is not None and not reported:
                say(control, b"status %d" % status)
            return


def reap(command: int) -> tuple[bool, int | None]:
    """Collect ended children: whether any child is left, and the command's wait status if it was among the ended."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False, found
        if pid == 0:
            return True, found
        if pid == command:
            found = status


def kill_until_none(seconds: float, command: int = 0, group: cgroup.Group | None = None) -> int | None:
    """SIGKILL every descendant, and those that appear meanwhile, until none is left; the command's status if it ended.

    The kernel kills what is in the cgroup. What left it, or all where there is none, is stopped before it is killed: a
    tree that forks meanwhile could otherwise stay ahead.
    """
    deadline = time.monotonic() + seconds
    status = None
    killed = group is not None and group.kill()
    while True:
        if not killed:
            send_all(signal.SIGSTOP)
            send_all(signal.SIGKILL)
            kill_all(children())
        left, ended = reap(command)
        status = ended if ended is not None else status
        if not left or time.monotonic() > deadline:
            return status
        time.sleep(0.002)
        killed = False


def children() -> set[int]:
    """Our own children. To look at all processes takes longer than one of a chain of forks and exits lives."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
        return set(map(int, file.read().split()))
    # A kernel that was built without it.
    return set()


def unstop(pid: int) -> None:
    """Let this process of ours go on if a command has stopped it; all below it are stopped first, to let it be."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        if file.read().rpartition(b")")[2].split(None, 1)[0] == b"T":
            for below in descendants(pid):
                send(below, signal.SIGSTOP)
            send(pid, signal.SIGCONT)


def send_all(number: int) -> None:
    for pid in descendants(os.getpid()):
        send(pid, number)


def kill_all(pids: set[int]) -> None:
    for pid in pids:
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    # Gone already, or another user's (a set-user-ID program): nothing we may do.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def descendants_of(roots: set[int]) -> set[int]:
    found: set[int] = set()
    for root in roots:
        found |= descendants(root)
    return found


def descendants(root: int) -> set[int]:
    """Every process below this one, by the parent that /proc/PID/stat names (proc(5))."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # The name in parentheses may hold anything, blanks and parentheses too: read after the last one.
                # Zombies too: one may be only the first thread of a process that lives on in its others.
                parent = int(file.read().rpartition(b")")[2].split(None, 2)[1])
                children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    waiting = [root]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.add(child)
            waiting.append(child)
    return found


def say(control: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):
        control.send(message)


def hear(control: socket.socket) -> bytes:
    try:
        return control.recv(16)
    except OSError:
        return b""
