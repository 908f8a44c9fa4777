"""Fifty harmless attempts at an effect on this host, each a line of output: its name, and the errno or `done`.

Run as a command: `python -I -S probes.py VICTIM DEVICE SOCKET ABSTRACT PORT FOLDER`. VICTIM is a process of the same
user, DEVICE a block device, SOCKET and ABSTRACT local sockets, PORT a TCP port on loopback where somebody listens, and
FOLDER has the files `file`, `unlink` and `rename`. What is attempted sets what is already so (the same host name, the
same time), or is undone at once.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

victim, device, path_socket, abstract_socket, port = (
    int(sys.argv[1]),
    sys.argv[2],
    sys.argv[3],
    sys.argv[4],
    int(sys.argv[5]),
)
folder = sys.argv[6]
file = os.path.join(folder, "file")
libc = ctypes.CDLL(None, use_errno=True)
machine = os.uname().machine


def call(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(numbers: tuple[int, int], *arguments: Any) -> int:
    return call(libc.syscall(numbers[0] if machine == "x86_64" else numbers[1], *arguments))


def put(path: str, flags: int, data: bytes = b"x") -> None:
    descriptor = os.open(path, flags, 0o600)
    os.write(descriptor, data)
    os.close(descriptor)


def rewrite(path: str) -> None:
    """Write what it says already."""
    with open(path, "rb") as source:
        data = source.read(4096)
    put(path, os.O_WRONLY, data)


def request(number: int, flags: int) -> None:
    """A request to the block device; ENOTTY and the like mean that it arrived."""
    descriptor = os.open(device, flags | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, number, 0)
    finally:
        os.close(descriptor)


def netlink(protocol: int, kind: int, flags: int, body: bytes) -> None:
    """Ask, and take the error of the answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
        link.settimeout(2)
        link.sendto(struct.pack("IHHII", 16 + len(body), kind, flags, 1, 0) + body, (0, 0))
        number = struct.unpack_from("i", link.recv(4096), 16)[0]
        if number:
            raise OSError(-number, os.strerror(-number))


def add_link() -> None:
    # RTM_NEWLINK, REQUEST | ACK | CREATE | EXCL: a dummy device, which is gone with this namespace or deleted below.
    kind = struct.pack("HH", 4 + 6, 1) + b"dummy\0\0\0"
    name = struct.pack("HH", 4 + 8, 3) + b"rb-prob\0"
    info = struct.pack("HH", 4 + len(kind), 18) + kind
    body = struct.pack("BxHiII", 0, 0, 0, 0, 0xFFFFFFFF) + name + info
    try:
        netlink(0, 16, 0x605, body)
    except OSError as error:
        # A kernel without dummy devices has understood and been willing.
        if error.errno != errno.EOPNOTSUPP:
            raise
        return
    netlink(0, 17, 0x5, struct.pack("BxHiII", 0, 0, 0, 0, 0xFFFFFFFF) + name)


def add_table() -> None:
    # An nftables batch is more than one message; NFT_MSG_NEWTABLE outside of one answers EINVAL to who may, EPERM else.
    body = struct.pack("BBH", 2, 0, 0) + struct.pack("HH", 4 + 8, 1) + b"rb-prob\0"
    try:
        netlink(12, (10 << 8) | 0, 0x405, body)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise


def set_clock() -> None:
    now = struct.pack("qq", *divmod(time.clock_gettime_ns(time.CLOCK_REALTIME), 10**9))
    syscall((227, 112), 0, now)


def set_priority() -> None:
    os.setpriority(os.PRIO_PROCESS, victim, os.getpriority(os.PRIO_PROCESS, victim))


def attach() -> None:
    call(libc.ptrace(16, victim, None, None))
    os.waitpid(victim, 0)
    call(libc.ptrace(17, victim, None, None))


def write_memory() -> None:
    syscall((311, 271), victim, *[ctypes.c_ulong(0)] * 5)


def take_descriptor() -> None:
    with open(os.devnull) as _:
        pidfd = os.pidfd_open(victim)
        os.close(syscall((438, 438), pidfd, 0, 0))
        os.close(pidfd)


def fork(work: Callable[[], object]) -> None:
    """In a child, whose errno is told: what cannot be taken back must end with it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except OSError as error:
            os._exit(error.errno or 255)
        except BaseException:
            os._exit(255)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))


def mount() -> None:
    call(libc.unshare(0x20000))
    call(libc.mount(b"none", b"/", None, ctypes.c_ulong((1 << 18) | 0x4000), None))
    call(libc.mount(b"tmpfs", folder.encode(), b"tmpfs", ctypes.c_ulong(0), None))


def write_shared() -> None:
    put("/dev/shm/rb-probe", os.O_CREAT | os.O_WRONLY)
    os.unlink("/dev/shm/rb-probe")


def shared_memory() -> None:
    number = syscall((29, 194), 0, 4096, 0o600)
    syscall((31, 195), number, 0, None)


def become_root() -> None:
    """Whether a set-user-ID program of root's gets root's rights: it waits for a password that never comes."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(reading, 0)
        for descriptor in (1, 2):
            os.close(descriptor)
        try:
            os.execv("/bin/su", ["su", "nobody"])
        finally:
            os._exit(1)
    status = {"Name": ""}
    while status["Name"] not in ("su", "nologin"):
        with open(f"/proc/{child}/status") as lines:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)
    os.close(writing)
    os.close(reading)
    os.waitpid(child, 0)
    if not int(status.get("CapEff", "0"), 16) & 1:
        raise OSError(errno.EPERM, "no rights gained")


def post_queue() -> None:
    number = syscall((240, 180), b"rb-probe", os.O_CREAT | os.O_RDWR, 0o600, None)
    os.close(number)
    syscall((241, 181), b"rb-probe")


def connect(family: int, kind: int, address: Any) -> None:
    with socket.socket(family, kind) as one:
        one.settimeout(2)
        one.connect(address)


def listen() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        pass


def datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", 9))


def packets() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def keystroke() -> None:
    # Into our own terminal if we have one: ENOTTY says that the kernel took the request.
    try:
        fcntl.ioctl(0, 0x5412, b"\n")
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EIO):
            raise


def willing(numbers: list[int]) -> Callable[[Callable[[], object]], Callable[[], None]]:
    """Errors that only who is allowed gets to see."""

    def wrap(work: Callable[[], object]) -> Callable[[], None]:
        def probe() -> None:
            try:
                work()
            except OSError as error:
                if error.errno not in numbers:
                    raise

        return probe

    return wrap


ATTEMPTS: dict[str, Callable[[], object]] = {
    "create file": lambda: put(os.path.join(folder, "new"), os.O_CREAT | os.O_EXCL | os.O_WRONLY),
    "append file": lambda: put(file, os.O_WRONLY | os.O_APPEND),
    "truncate file": lambda: os.truncate(file, 0),
    "unlink file": lambda: os.unlink(os.path.join(folder, "unlink")),
    "rename": lambda: os.rename(os.path.join(folder, "rename"), os.path.join(folder, "renamed")),
    "mkdir": lambda: os.mkdir(os.path.join(folder, "made")),
    "hardlink": lambda: os.link(file, os.path.join(folder, "link")),
    "symlink": lambda: os.symlink("file", os.path.join(folder, "symlink")),
    "mkfifo": lambda: os.mkfifo(os.path.join(folder, "fifo")),
    "chmod": lambda: os.chmod(file, 0o600),
    "chown self": lambda: os.chown(file, os.stat(file).st_uid, os.stat(file).st_gid),
    "utimes": lambda: os.utime(file, (1, 1)),
    "setxattr": lambda: os.setxattr(file, "user.probe", b"x"),
    "setxattrat": lambda: syscall(
        (463, 463), -100, file.encode(), 0, b"user.probe", struct.pack("QII", 0, 0, 0), ctypes.c_size_t(16)
    ),
    "/dev/shm write": write_shared,
    "posix queue": post_queue,
    "sysv shared memory": shared_memory,
    "sysctl write": lambda: rewrite("/proc/sys/vm/swappiness"),
    "oom_score_adj": lambda: rewrite(f"/proc/{victim}/oom_score_adj"),
    "set host name": lambda: syscall((170, 161), socket.gethostname().encode(), len(socket.gethostname())),
    "set clock": set_clock,
    "reboot with wrong magic": willing([errno.EINVAL])(lambda: syscall((169, 142), 0, 0, 0, None)),
    "swapoff of nothing": willing([errno.EINVAL, errno.ENOENT])(lambda: syscall((168, 225), file.encode())),
    "mount": lambda: fork(mount),
    "new user namespace": lambda: fork(lambda: call(libc.unshare(0x10000000))),
    "signal": lambda: os.kill(victim, 23),
    "trace": lambda: fork(attach),
    "open memory": lambda: os.close(os.open(f"/proc/{victim}/mem", os.O_RDWR)),
    "write memory": write_memory,
    "take descriptor": take_descriptor,
    "renice": set_priority,
    "limits of another": lambda: resource.prlimit(
        victim, resource.RLIMIT_CORE, resource.prlimit(victim, resource.RLIMIT_CORE)
    ),
    "processors of another": lambda: os.sched_setaffinity(victim, os.sched_getaffinity(victim)),
    "connect tcp": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port)),
    "listen tcp": listen,
    "send udp": datagram,
    "connect local socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, path_socket),
    "connect abstract socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract_socket),
    "packet socket": packets,
    "add network device": add_link,
    "add nft table": add_table,
    "load bpf": willing([errno.EINVAL, errno.E2BIG, errno.EFAULT])(lambda: syscall((321, 280), 5, bytes(8), 8)),
    "io_uring": willing([errno.EFAULT])(lambda: syscall((425, 425), 1, None)),
    "handle of a file": willing([errno.EFAULT, errno.EBADF])(lambda: syscall((304, 265), -1, None, 0)),
    "keystroke": keystroke,
    "set-user-id": become_root,
    "log of the kernel cleared": willing([errno.EINVAL])(lambda: syscall((103, 116), 8, None, 99)),
    "device opened to write": lambda: os.close(os.open(device, os.O_RDWR)),
    "device flushed": lambda: request(0x1261, os.O_RDONLY),
    "fork": lambda: fork(lambda: os.setsid()),
}

for name, attempt in ATTEMPTS.items():
    try:
        attempt()
    except OSError as error:
        print(f"{name}\t{errno.errorcode.get(error.errno or 0, error.errno)}", flush=True)
    else:
        print(f"{name}\tdone", flush=True)
