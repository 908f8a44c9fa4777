"""Confines this very process to looking, and proves that it is; for the launcher, in a child that then runs a command.

What can be had differs from host to host, so each *layer* is tried once, in the proof, and demanded from then on:

- `mounts`: a private mount namespace in which everything is read-only (mount_setattr(2)), but for a scratch folder.
  An ordinary user gets it in a user namespace of their own.
- `ids`: another user than root, who owns nothing, with only the capabilities that are kept (capabilities(7)).
- `capabilities`: only those that are kept, as the user that it already is.
- `landlock`: no writing, creating or removing of files, no TCP but what is allowed, no signals to others (landlock(7)).
- `calls`: a seccomp filter (`seccomp`), and no new privileges by set-user-ID programs.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import stat
import struct

from runbook.executors import seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

#: How much a step may write into its scratch folder, where that is a file system of its own.
SCRATCH = "size=64m,mode=0700"

# linux/prctl.h, linux/securebits.h, linux/sched.h, linux/mount.h, linux/capability.h
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 0x4000, 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, AT_FDCWD, AT_RECURSIVE = 1, -100, 0x8000
_NET_ADMIN, _SYS_PTRACE = 12, 19
#: The same numbers on every architecture.
MOUNT_SETATTR, LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 442, 444, 445, 446

#: Landlock's rights over files that change something, and the ABI version that brought them (linux/landlock.h).
_WRITE_FILE, _READ_FILE, _TRUNCATE = 1 << 1, 1 << 2, 1 << 14
_CHANGES = ((1, 0b1_1111_1111_0010), (2, 1 << 13), (3, _TRUNCATE))
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
#: What is written to without changing anything: sinks, terminals, and devices whose requests the filter sorts out.
_SINKS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/mapper/control", "/dev/zfs")
#: Where LVM takes its locks, so that it does not read what another command is just writing (lvmlockd(8)).
_LOCKS = "/run/lock/lvm"

libc = ctypes.CDLL(None, use_errno=True)
for _name in ("prctl", "syscall", "unshare", "mount", "capget", "capset"):
    # Found now, before the launcher forks, or every child would have to look for itself: half of what confining takes.
    getattr(libc, _name)
#: Where capget(2) writes: three words for each half of the set.
_held = ctypes.create_string_buffer(24)


class Refused(OSError):
    """A layer that cannot be had here; `strerror` says which call refused it."""


def check(what: str, result: int) -> int:
    """The result of a system call; raises Refused where it is -1."""
    if result < 0:
        number = ctypes.get_errno()
        raise Refused(number, f"{what}: {os.strerror(number)}")
    return result


def landlock_abi() -> int:
    """Landlock's version here; 0 where there is none."""
    return max(0, int(libc.syscall(LANDLOCK_CREATE, None, 0, 1)))


def confine(wanted: dict[str, Any], scratch: str) -> None:
    """Take on every layer of `wanted`; see `sandbox.Sandbox.request`. Raises OSError when one is refused."""
    for layer in wanted["layers"]:
        _LAYERS[layer](wanted, scratch)


def try_layers(wanted: dict[str, Any], scratch: str) -> tuple[list[str], dict[str, str]]:
    """Take on the layers that can be had: of each of `alternatives` the first. Gives them, and why others were not."""
    taken: list[str] = []
    refused: dict[str, str] = {}
    for alternatives in wanted["alternatives"]:
        for layer in alternatives:
            try:
                _LAYERS[layer]({**wanted, "layers": taken}, scratch)
            except OSError as error:
                refused[layer] = str(error.strerror)
            else:
                taken.append(layer)
                break
    return taken, refused


def enter_network(path: str, name: str) -> None:
    """Go into a network namespace by its file; by a name also to its own /sys and /etc files, like `ip netns exec`."""
    # It may be anything: a pipe must not make us wait, and the kernel refuses what is no network namespace.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        check(f"entering {path}", libc.setns(descriptor, CLONE_NEWNET))
    finally:
        os.close(descriptor)
    if not name:
        return
    check("unshare", libc.unshare(CLONE_NEWNS))
    _mount("none", "/", None, MS_PRIVATE | MS_REC)
    libc.umount2(b"/sys", MNT_DETACH)
    _mount(name, "/sys", "sysfs", MS_RDONLY)
    with contextlib.suppress(FileNotFoundError):
        for file_name in os.listdir(f"/etc/netns/{name}"):
            if os.path.exists(f"/etc/{file_name}"):
                _mount(f"/etc/netns/{name}/{file_name}", f"/etc/{file_name}", None, MS_BIND)


def _mounts(wanted: dict[str, Any], scratch: str) -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        check("unshare", libc.unshare(CLONE_NEWNS))
    else:
        check("unshare", libc.unshare(CLONE_NEWNS | CLONE_NEWUSER))
        # In this order (user_namespaces(7)); we stay who we are.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _set_attributes("/", MOUNT_ATTR_RDONLY, 0, AT_RECURSIVE)
    if scratch:
        _mount("tmpfs", scratch, "tmpfs", MS_NOSUID | MS_NODEV, SCRATCH)
    if wanted["profile"] == "root":
        _open_locks()
        if landlock_abi() < wanted["landlock"]:
            _devices_to_read()
    # Who reads it takes it from whoever keeps the log.
    _cover("/proc/kmsg")
    if user == 0:
        # Terminals of others: even to read is to take what was typed. What is opened here is of an instance of its own.
        with contextlib.suppress(Refused):
            _mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    for path in wanted["hide"]:
        _cover(path)
    # What is mounted, and how, is asked about the host: not about this copy, where all of it is read-only.
    for name in ("mountinfo", "mounts"):
        with contextlib.suppress(OSError):
            _mount(f"/proc/{os.getppid()}/{name}", f"/proc/self/{name}", None, MS_BIND)


def _devices_to_read() -> None:
    """Another /dev, in which no device can be written to but the sinks: that a mount is read-only does not stop it.

    Root, who owns them, is held by their mode, since it has no CAP_DAC_OVERRIDE. What cannot be made again, as where a
    container may make no devices, is left out.
    """
    before = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=4m,mode=0755")
        _copy_devices(f"/proc/self/fd/{before}", "/dev", os.fstat(before).st_dev)
        _set_attributes("/dev", MOUNT_ATTR_RDONLY, 0, 0)
    finally:
        os.close(before)


def _copy_devices(source: str, target: str, file_system: int) -> None:
    for entry in os.scandir(source):
        path = f"{target}/{entry.name}"
        found = entry.stat(follow_symlinks=False)
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(entry.path), path)
        elif kind == stat.S_IFDIR:
            os.mkdir(path, 0o755)
            if found.st_dev != file_system:
                # /dev/pts, /dev/shm: mounted, read-only by now like all others, and with all that is in them.
                _mount(entry.path, path, None, MS_BIND | MS_REC)
            else:
                _copy_devices(entry.path, path, file_system)
        elif kind in (stat.S_IFBLK, stat.S_IFCHR):
            mode = found.st_mode if path in _SINKS else found.st_mode & ~0o222
            with contextlib.suppress(PermissionError):
                os.mknod(path, mode, found.st_rdev)
                os.chown(path, found.st_uid, found.st_gid)
                os.chmod(path, stat.S_IMODE(mode))


def _open_locks() -> None:
    """Let LVM take its locks; where nobody took one since the start, there is nobody to keep clear of either."""
    if os.path.isdir(_LOCKS):
        _mount(_LOCKS, _LOCKS, None, MS_BIND)
        _set_attributes(_LOCKS, 0, MOUNT_ATTR_RDONLY, 0)
    elif os.path.isdir(os.path.dirname(_LOCKS)):
        _mount("tmpfs", os.path.dirname(_LOCKS), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755")
        os.mkdir(_LOCKS, 0o700)


def _cover(path: str) -> None:
    """Put nothing over a file or folder that is not to be read; what is not there needs no cover."""
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return
    if stat.S_ISDIR(kind):
        _mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "size=4k,mode=0555")
    else:
        _mount("/dev/null", path, None, MS_BIND)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    data = None if options is None else options.encode()
    check(f"mount on {target}", libc.mount(*words, ctypes.c_ulong(flags), data))


def _set_attributes(path: str, set_: int, clear: int, flags: int) -> None:
    attributes = struct.pack("QQQQ", set_, clear, MS_PRIVATE if flags else 0, 0)
    arguments = (AT_FDCWD, path.encode(), flags, attributes, ctypes.c_size_t(len(attributes)))
    check("mount_setattr", libc.syscall(MOUNT_SETATTR, *arguments))


def _ids(wanted: dict[str, Any], scratch: str) -> None:
    if os.geteuid() != 0:
        raise Refused(errno.EPERM, "not root")
    kept = wanted["kept"]
    user, group = wanted["account"]
    # Ours, and to be opened again by name (/dev/stdout).
    for descriptor in (0, 1, 2):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
            os.fchown(descriptor, user, group)
    if scratch:
        os.chown(scratch, user, group)
    check("prctl", libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    _hold(kept)
    for number in kept:
        check("prctl", libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0))


def _capabilities(wanted: dict[str, Any], scratch: str) -> None:
    _hold(wanted["kept"])
    for number in wanted["kept"]:
        # Only what is held can be passed on.
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0)


def _hold(kept: list[int]) -> None:
    """Have these capabilities, as far as they are held, and no others (capset(2), version 3)."""
    header = struct.pack("Ii", 0x20080522, 0)
    check("capget", libc.capget(header, _held))
    wanted = sum(1 << number for number in kept)
    permitted = [word & wanted >> 32 * half for half, word in enumerate(struct.unpack("6I", _held.raw)[1::3])]
    check("capset", libc.capset(header, b"".join(struct.pack("3I", word, word, word) for word in permitted)))
    # From now on no program gets more, set-user-ID or not, and so the bounding set need not be cut.
    check("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _landlock(wanted: dict[str, Any], scratch: str) -> None:
    abi = landlock_abi()
    if abi < wanted["landlock"]:
        raise Refused(errno.ENOSYS, f"version {wanted['landlock']} is needed, {abi or 'none'} is here")
    changes = sum(rights for version, rights in _CHANGES if version <= abi)
    handled = changes | (_READ_FILE if wanted["hide"] else 0)
    network = (_BIND_TCP | (0 if wanted["network"] else _CONNECT_TCP)) if abi >= 4 else 0
    scopes = (_ABSTRACT_SOCKETS | _SIGNALS) if abi >= 6 else 0
    # Older kernels take a shorter structure, whose missing end is zero.
    ruleset = struct.pack("QQQ", handled, network, scopes)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    number = check("landlock", libc.syscall(LANDLOCK_CREATE, ruleset, ctypes.c_size_t(len(ruleset)), 0))
    try:
        if scratch:
            _allow(number, scratch, handled)
        for path in (*_SINKS, *([_LOCKS] if wanted["profile"] == "root" else [])):
            _allow(number, path, handled & (changes if path == _LOCKS else _WRITE_FILE | _TRUNCATE | _READ_FILE))
        for path in _all_but(wanted["hide"]) if wanted["hide"] else ():
            _allow(number, path, _READ_FILE)
        check("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        check("landlock", libc.syscall(LANDLOCK_RESTRICT, number, 0))
    finally:
        os.close(number)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Allow these rights on and below this path; what is not there cannot be used either."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _WRITE_FILE | _TRUNCATE | _READ_FILE
        rule = struct.pack("=Qi", rights, descriptor)
        check("landlock", libc.syscall(LANDLOCK_ADD, ruleset, 1, rule, 0))
    finally:
        os.close(descriptor)


def _all_but(hidden: list[str], folder: str = "/") -> Iterator[str]:
    """The fewest paths that contain every file but the hidden ones, and none that appears later beside them."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        # A link is nothing by itself, and where it leads may be hidden.
        if path in hidden or os.path.islink(path):
            continue
        if any(other.startswith(f"{path}/") for other in hidden):
            yield from _all_but(hidden, path)
        else:
            yield path


def _sees_others(wanted: dict[str, Any], layers: list[str]) -> bool:
    """Whether it may look into other processes, and so gets by /proc/PID/root at mounts that are not read-only."""
    return _SYS_PTRACE in wanted["kept"] and "landlock" not in layers


def _calls(wanted: dict[str, Any], scratch: str) -> None:
    if _sees_others(wanted, wanted["layers"]):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    load_filter(bytes.fromhex(wanted["filter"]) if "filter" in wanted else program(wanted, wanted["layers"]))


def program(wanted: dict[str, Any], layers: list[str]) -> bytes:
    """The filter that goes with these layers: what another layer sees to need not be refused twice.

    Raises Refused where this machine's architecture has none.
    """
    machine = seccomp.here()
    if not seccomp.known(machine):
        raise Refused(errno.ENOSYS, f"there is no filter for {machine}")
    refused: list[str] = []
    if "mounts" not in layers:
        refused += seccomp.METADATA
    if "landlock" not in layers:
        # Inside Landlock only what the step itself started can be traced.
        refused.append("ptrace")
    if _sees_others(wanted, layers):
        refused += {*seccomp.METADATA, *seccomp.WRITING} - set(refused)
        if wanted["packets"]:
            # Packets are read from memory that is shared with the kernel.
            refused.remove("mmap")
    if "ids" not in layers and not ("landlock" in layers and landlock_abi() >= 6):
        # As another user there is nobody to send one to.
        refused += seccomp.SIGNALS
    families = [seccomp.AF_ALG]
    if wanted["network"]:
        families += [seccomp.AF_INET, seccomp.AF_INET6]
    if wanted["packets"]:
        families.append(seccomp.AF_PACKET)
    raw, terminal, networks = wanted["packets"], wanted["terminal"], _enters_networks(wanted, layers)
    return seccomp.program(machine, refused, families, raw=raw, terminal=terminal, networks=networks)


def _enters_networks(wanted: dict[str, Any], layers: list[str]) -> bool:
    """Whether it may enter network namespaces: never as root.

    In a network that belongs to a user namespace of root's making, as some containers' do, root has all capabilities,
    whatever it has here (user_namespaces(7)); another account has none.
    """
    return bool(wanted["networks"]) and "ids" in layers


def load_filter(program: bytes) -> None:
    """Have the kernel refuse the system calls that this BPF program names (seccomp(2)), here and in all children."""
    # struct sock_fprog: how many instructions, and where they are.
    where = ctypes.cast(ctypes.c_char_p(program), ctypes.c_void_p).value
    argument = struct.pack("HP", len(program) // 8, where)
    check("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    check("seccomp", libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, argument, 0, 0))


_LAYERS: dict[str, Callable[[dict[str, Any], str], None]] = {
    "mounts": _mounts,
    "ids": _ids,
    "capabilities": _capabilities,
    "landlock": _landlock,
    "calls": _calls,
}


def prove(wanted: dict[str, Any], scratch: str) -> dict[str, Any]:
    """Take on what can be had and try to break out of it; gives layers, refused layers and what was not stopped.

    Each attempt is harmless where it succeeds: all are made on a folder that everybody may write into, in one that
    nobody else can enter: we make it unconfined, and where all may write somebody could lead us elsewhere by a link.
    """
    private = os.path.join(os.path.dirname(scratch), f"runbook-{os.urandom(8).hex()}") if scratch else ""
    target = os.path.join(private, "target") if private else ""
    try:
        if target:
            os.mkdir(private, 0o700)
            os.mkdir(target)
            os.chmod(target, 0o777)
            file = os.open(os.path.join(target, "file"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            os.fchmod(file, 0o666)
            os.close(file)
        return _in_child(lambda: _prove(wanted, scratch, target))
    finally:
        # Not by shutil, whose import takes as long as all the attempts; in here there is only what they made.
        for path in (f"{target}/file", f"{target}/proof"):
            with contextlib.suppress(OSError):
                os.unlink(path)
        for path in (f"{target}/proof", target, private):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def _in_child(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What this gives in a process of its own: what is left of a proof could not be removed from inside it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        said = file.read()
    os.waitpid(child, 0)
    return dict(json.loads(said))


def _prove(wanted: dict[str, Any], scratch: str, target: str) -> dict[str, Any]:
    layers, refused = try_layers(wanted, scratch)
    # Which would end us where RLIMIT_FSIZE stops an attempt.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    broken = {}
    for name, attempt in _attempts(wanted, layers, scratch, target):
        try:
            attempt()
        except OSError as error:
            if error.errno in _STOPPED:
                continue
            broken[name] = f"answered {errno.errorcode.get(error.errno or 0, error.errno)}"
        else:
            broken[name] = "was not stopped"
    if scratch and not _sees_others(wanted, layers):
        try:
            os.close(os.open(os.path.join(scratch, "proof"), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            os.unlink(os.path.join(scratch, "proof"))
        except OSError as error:
            broken["the scratch folder"] = f"cannot be written: {error.strerror}"
    # To be used again: it takes as long to write as all that is done with it.
    filter = program(wanted, layers).hex() if "calls" in layers else ""
    return {"layers": layers, "refused": refused, "broken": broken, "landlock": landlock_abi(), "filter": filter}


#: How a layer, or a kernel without such a call, says no; another failure would be the attempt's own, and prove nothing.
_STOPPED = {errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOSYS, errno.EFBIG}


def _attempts(
    wanted: dict[str, Any], layers: list[str], scratch: str, target: str
) -> Iterator[tuple[str, Callable[[], object]]]:
    """What must be stopped with these layers."""
    file = os.path.join(target, "file")
    if target and ("mounts" in layers or "landlock" in layers):
        yield "creating a file", lambda: os.open(os.path.join(target, "proof"), os.O_CREAT | os.O_WRONLY, 0o600)
        yield "making a folder", lambda: os.mkdir(os.path.join(target, "proof"))
        yield "removing a file", lambda: os.unlink(file)
        yield "writing a file", lambda: os.open(file, os.O_WRONLY)
        around = f"/proc/{os.getppid()}/root{file}"
        yield "writing a file by way of another process", lambda: os.write(os.open(around, os.O_RDWR), b"x")
    if "landlock" in layers or ("mounts" in layers and ("ids" in layers or wanted["profile"] == "root")):
        # Of these it is not the read-only mount that stops it.
        disk = _a_disk()
        if disk:
            yield "opening a disk to write", lambda: os.open(disk, os.O_WRONLY | os.O_NONBLOCK)
    if target and ("mounts" in layers or "calls" in layers):
        yield "chmod", lambda: os.chmod(file, 0o640)
        yield "utimes", lambda: os.utime(file, (1, 1))
        yield "an extended attribute", lambda: os.setxattr(file, "user.proof", b"")
        path = (AT_FDCWD, file.encode())
        yield "setxattrat", lambda: _call(463, *path, 0, b"user.proof", bytes(16), ctypes.c_size_t(16))
    if "calls" in layers:
        yield "a local socket", lambda: socket.socket(socket.AF_UNIX).close()
        yield "a pair of local datagram sockets", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        yield "mounting", lambda: _mount("tmpfs", scratch or "/", "tmpfs", 0)
        # Where it is not stopped, the kernel says that this is no descriptor.
        kinds = {"any": 0, "a mount": CLONE_NEWNS, "more than a network": CLONE_NEWNET | CLONE_NEWNS}
        if not _enters_networks(wanted, layers):
            kinds["a network"] = CLONE_NEWNET
        for kind, flags in kinds.items():
            yield f"entering {kind} namespace", _entering(flags)
        yield "a new user namespace", lambda: check("unshare", libc.unshare(CLONE_NEWUSER))
        yield "a keystroke into a terminal", lambda: check("ioctl", libc.ioctl(0, ctypes.c_ulong(0x5412), b"x"))
        yield "flushing a device", lambda: check("ioctl", libc.ioctl(0, ctypes.c_ulong(0x1261), 0))
        yield "bpf", lambda: _call({"x86_64": 321, "aarch64": 280}[seccomp.here()], 0, None, 0)
        yield "io_uring", lambda: _call(425, 0, None)
        if not (wanted["network"] or wanted["packets"]):
            yield "an internet socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    if "landlock" not in layers and "calls" in layers:
        yield "tracing another process", lambda: check("ptrace", libc.ptrace(16, os.getppid(), None, None))
    if "ids" in layers or "calls" in layers:
        yield "a signal to another process", lambda: os.kill(os.getppid(), 0)
    if ("ids" in layers or "capabilities" in layers) and _NET_ADMIN not in wanted["kept"]:
        yield "a new network device", _add_device


def _entering(flags: int) -> Callable[[], object]:
    return lambda: check("setns", libc.setns(-1, flags))


def _a_disk() -> str:
    """A block device of this host, if it has any."""
    try:
        devices = (f"/dev/{name}" for name in os.listdir("/sys/block"))
        return next((device for device in devices if os.path.exists(device)), "")
    except OSError:
        return ""


def _call(number: int, *arguments: object) -> int:
    return check("syscall", libc.syscall(number, *arguments))


def _add_device() -> None:
    """Ask rtnetlink(7) for a dummy device, in words so short that even root is told only that they are wrong."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
        # RTM_NEWLINK with NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, for a kind of device that does not exist.
        kind = struct.pack("HH", 4 + 12, 1) + b"no-such-dev\0"
        info = struct.pack("HH", 4 + len(kind), 18) + kind
        body = struct.pack("BxHiII", 0, 0, 0, 0, 0xFFFFFFFF) + info
        link.sendto(struct.pack("IHHII", 16 + len(body), 16, 0x1 | 0x4 | 0x400, 1, 0) + body, (0, 0))
        number = struct.unpack_from("i", link.recv(4096), 16)[0]
        if number:
            raise OSError(-number, os.strerror(-number))
