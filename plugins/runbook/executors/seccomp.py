"""Writes the seccomp filter of a reading step: a BPF program that refuses the system calls that change something.

The filter names what is refused, not what is allowed: an inspection tool may do anything that only looks. Because such
a list is out of date with the next kernel, every number above the newest one that it knows answers ENOSYS, and so does
every call of a foreign architecture. Refused is what has an effect and what file permissions, a read-only mount or
Landlock (the kernel's userspace-api/landlock.rst, “Current limitations”) do not stop: metadata, administration of the
kernel, other processes, local sockets, keystrokes put into a terminal, and all device requests but those that ask.
"""

from __future__ import annotations

import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: What a filter is for: the AUDIT_ARCH_… of linux/audit.h and the column in `_NUMBERS`.
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
#: The newest system call that was looked at (file_setattr, Linux 6.17); from 424 on all architectures share numbers.
NEWEST = 469

#: Numbers on x86_64 (asm/unistd_64.h) and on aarch64 (asm-generic/unistd.h); None where there is no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "mount_setattr": (442, 442),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "iopl": (172, None),
    "ioperm": (173, None),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "vhangup": (153, 58),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "mq_timedsend": (242, 182),
    "mq_timedreceive": (243, 183),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "creat": (85, None),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "mmap": (9, 222),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "fcntl": (72, 25),
    "ptrace": (101, 117),
    "clone": (56, 220),
    "clone3": (435, 435),
    "unshare": (272, 97),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "ioctl": (16, 29),
    "syslog": (103, 116),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
}

#: What says who may do what with a file, and when it was written.
METADATA = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat"),
    *("utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat"),
    *("removexattr", "lremovexattr", "fremovexattr", "removexattrat", "file_setattr"),
)
#: What makes, changes and removes files, where writing to an open one is limited otherwise (RLIMIT_FSIZE): of `open`
#: and `openat` what makes, cuts or only writes, of `mmap` what is shared with a file, `openat2` as a whole.
WRITING = (
    *("open", "openat", "openat2", "creat", "truncate", "ftruncate", "fallocate", "mmap"),
    *("mkdir", "mkdirat", "rmdir", "mknod", "mknodat"),
    *("link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "rename", "renameat", "renameat2"),
)
SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")
#: Always refused, whatever the arguments.
_ADMINISTRATION = (
    *("mount", "umount2", "pivot_root", "chroot", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("open_tree", "open_tree_attr", "mount_setattr", "swapon", "swapoff", "reboot", "sethostname", "setdomainname"),
    *("settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "init_module", "finit_module", "delete_module"),
    *("kexec_load", "kexec_file_load", "iopl", "ioperm", "acct", "quotactl", "quotactl_fd", "vhangup"),
    *("bpf", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    # By its handle a file is opened past every mount, and so past what is hidden (open_by_handle_at(2)).
    *("add_key", "request_key", "keyctl", "fanotify_init", "open_by_handle_at", "setns"),
    *("process_vm_readv", "process_vm_writev", "pidfd_getfd", "process_madvise", "process_mrelease"),
    *("migrate_pages", "move_pages", "mq_unlink", "mq_timedsend", "mq_timedreceive", "shmget", "shmat"),
    *("semget", "semop", "semtimedop", "msgget", "msgsnd", "msgrcv"),
)

# Address families (linux/socket.h). What is not in a filter's list cannot be opened: AF_UNIX among them, behind which
# are the D-Bus and container daemons that do anything for whoever may connect.
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG = 1, 2, 10, 16, 17, 38

#: CLONE_NEW… of linux/sched.h: time, mount, cgroup, UTS, IPC, user, process and network namespaces.
_NEW_NAMESPACES = 0x7E020080
_CLONE_NEWNET = 0x40000000
_O_CREAT = 0o100
_F_SETLEASE, _F_ADD_SEALS = 1024, 1033
#: Types of socket (linux/net.h), of which flags are above the lowest four bits; NETLINK_KOBJECT_UEVENT.
_STREAM, _DGRAM, _RAW, _SEQPACKET, _KOBJECT_UEVENT = 1, 2, 3, 5, 15
_O_RDWR = 0o2
#: O_WRONLY, O_CREAT, O_TRUNC, O_TMPFILE. Not O_RDWR: that is how lsof opens /dev/null.
_TO_WRITE = 0o1 | _O_CREAT | 0o1000 | 0o20000000
_MAP_SHARED, _MAP_ANONYMOUS = 0x1, 0x20
#: Of shmctl(2), semctl(2) and msgctl(2) what asks, by number or by place: IPC_STAT, …_STAT, …_INFO, GET….
_IPC_QUESTIONS = (2, 3, 13, 14, 15, 18, 19, 20)
#: syslog(2): close, open, read all, size of the unread part, size of the buffer. The others clear, consume or silence.
_SYSLOG_QUESTIONS = (0, 1, 3, 9, 10)

#: Requests to terminals that are refused: keystrokes for whoever reads there (TIOCSTI, TIOCLINUX), console and hang-up.
_TERMINAL_ORDERS = (0x5412, 0x541C, 0x541D, 0x5423, 0x5437)
#: Of a terminal's requests those that ask it (settings, its group and session, waiting bytes, size, modem, number), and
#: those about the descriptor (blocking, closed on exec, signalled), which are of the same kind.
_TERMINAL_QUESTIONS = (
    *(0x5401, 0x5405, 0x540F, 0x5411, 0x5413, 0x5415, 0x5429, 0x802C542A, 0x80045430),
    *(0x541B, 0x5421, 0x5450, 0x5451, 0x5452, 0x5460),
)
#: Whole kinds of request (bits 8 to 15): sockets' (changing needs CAP_NET_ADMIN), perf events', namespaces', pidfds'.
_HARMLESS_KINDS = (0x89, 0x24, 0xB7, 0xFF)
#: Requests that ask, of kinds that also order (linux/fs.h, hdreg.h, cdrom.h, loop.h, rtc.h, random.h, md_u.h).
_QUESTIONS = (
    # Block devices: read-only, size, read-ahead, sector sizes, alignment, rotational, zones, sequence number.
    *(0x125E, 0x1260, 0x1263, 0x1267, 0x1268, 0x80081270, 0x80081272, 0x1278, 0x1279, 0x127A, 0x127B, 0x127C, 0x127E),
    *(0x80041284, 0x80041285, 0xC0101282, 0x80081280),
    # Files: flags, version, extended flags, extents, block size, label, UUID, path in sysfs.
    *(0x80086601, 0x80087601, 0x801C581F, 0xC020660B, 0x2, 0x81009431, 0x80111500, 0x80811501),
    # Disk geometry and identity, CD drives, loop devices, RAID arrays, clock, entropy.
    *(0x301, 0x30D, 0x5326, 0x5327, 0x5331, 0x5395, 0x4C03, 0x4C05, 0x800C0910, 0x80480911, 0x80140912),
    *(0x80247009, 0x80045200),
)
#: The device mapper's requests (linux/dm-ioctl.h) that ask, by their number: version, list of devices, status and
#: dependencies of one, its tables, versions of the targets. The others make, load, suspend, rename and remove.
_DM_KIND = 0xFD
_DM_QUESTIONS = (0, 2, 7, 11, 12, 13, 17)
#: What `zpool status`, `list`, `get` and (without a name) `import`, `zfs list` and `zfs get` ask of /dev/zfs, by the
#: numbers that ZFS has had since 0.6.5 (sys/fs/zfs.h): pools, one pool, a pool that could be imported (it is opened to
#: read, spa_tryimport), datasets and their properties, damaged blocks and their files, properties of pools and vdevs.
#: The others create, destroy, import, scrub, clear, send, load keys and set properties.
_ZFS_KIND = 0x5A
_ZFS_QUESTIONS = (0x04, 0x05, 0x06, 0x12, 0x13, 0x14, 0x15, 0x20, 0x24, 0x25, 0x27, 0x33, 0x55)

#: System calls whose tests are passed over at once: the kernel tries a new filter with every number there is.
_TOGETHER = 8

# BPF (linux/bpf_common.h): load a word, and with a constant, jump if equal, at least, bit set; return.
_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
#: Offsets in struct seccomp_data.
_NUMBER, _ARCH = 0, 4

#: struct sock_filter: code, how far to jump if true and if false, operand.
Instruction = tuple[int, int, int, int]
Body = list[Instruction]


def known(machine: str) -> bool:
    """Whether there is a filter for this architecture (as uname(2) names it)."""
    return machine in _ARCHITECTURES


def program(
    machine: str,
    refused: Collection[str],
    families: Collection[int],
    raw: bool = False,
    terminal: bool = False,
    networks: bool = False,
) -> bytes:
    """The filter as struct sock_filter[]: `refused` system calls beside those of every filter, `families` allowed.

    AF_NETLINK is always; with `raw`, of AF_INET and AF_INET6 raw and echo sockets are, if they are not as a whole. A
    `terminal` may be set (echo, size, modes) by whoever is given one; it is asked only, else. With `networks`, network
    namespaces may be entered, and no others: the kind must be named, since a descriptor can be of any.
    Raises KeyError for an architecture that is not `known`.
    """
    audit, column = _ARCHITECTURES[machine]
    body: Body = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, audit), _fail(errno.ENOSYS), (_LOAD, 0, 0, _NUMBER)]
    # Also what x86_64's second numbering (x32, bit 30) would be.
    body += [(_AT_LEAST, 0, 1, NEWEST + 1), _fail(errno.ENOSYS)]
    rules = {name: [_fail(errno.EPERM)] for name in (*_ADMINISTRATION, *refused)}
    # Whose flags are in memory, where a filter cannot look; C libraries then use clone(2).
    rules["clone3"] = [_fail(errno.ENOSYS)]
    rules |= _by_argument(families, raw, terminal)
    if networks:
        rules["setns"] = _only(1, [_CLONE_NEWNET])
    if "open" in rules:
        # Either nothing is opened for reading and writing, or nothing that is can be mapped.
        flags = _TO_WRITE if "mmap" in refused else _TO_WRITE | _O_RDWR
        rules |= {"open": _none_of(1, flags), "openat": _none_of(2, flags), "openat2": [_fail(errno.ENOSYS)]}
    if "mmap" in refused:
        rules["mmap"] = [_argument(3), (_ANY_BIT, 0, 1, _MAP_ANONYMOUS), _allow(), *_none_of(3, _MAP_SHARED)]
    numbered = {_NUMBERS[name][column]: rule for name, rule in rules.items()}
    numbers = sorted(number for number in numbered if number is not None)
    for start in range(0, len(numbers), _TOGETHER):
        group = numbers[start : start + _TOGETHER]
        tests = [instruction for number in group for instruction in _if(number, numbered[number])]
        body += [(_AT_LEAST, len(tests), 0, group[-1] + 1), *tests]
    body.append(_allow())
    return b"".join(struct.pack("HBBI", *instruction) for instruction in body)


def _if(number: int, rule: Body) -> Body:
    return [(_EQUAL, 0, len(rule), number), *rule]


def _by_argument(families: Collection[int], raw: bool, terminal: bool) -> dict[str, Body]:
    # Of itself or of its own group, which for every user there is (PRIO_USER, IOPRIO_WHO_USER) is not.
    own = {
        name: [*_unless(0, whose), _fail(errno.EPERM), *_only(1, [0])]
        for name, whose in (("setpriority", (0, 1)), ("ioprio_set", (1, 2)))
    }
    own |= {f"sched_set{what}": _only(0, [0]) for what in ("affinity", "scheduler", "param", "attr")}
    return {
        **own,
        "clone": _none_of(0, _NEW_NAMESPACES & ~0x80),
        "unshare": _none_of(0, _NEW_NAMESPACES),
        "mq_open": _none_of(1, _O_CREAT),
        # A lease makes whoever opens the file wait.
        # And a seal on memory that is shared is for ever.
        "fcntl": [_argument(1), *_each((_F_SETLEASE, _F_ADD_SEALS), _fail(errno.EPERM)), _allow()],
        # Datagrams could be sent to any local socket (SOCK_RAW stands for them, too); streams only to each other.
        "socketpair": [_argument(1), (_AND, 0, 0, 0xF), *_each((_STREAM, _SEQPACKET), _allow()), _fail(errno.EPERM)],
        # Of the others a program that tries what there is (Bluetooth, USB) hears that they are not there.
        **{name: _only(1 + (name == "semctl"), _IPC_QUESTIONS) for name in ("shmctl", "semctl", "msgctl")},
        "socket": [
            # The kernel takes events of devices from whoever has CAP_SYS_ADMIN, and udev acts on them.
            *(_argument(0), (_EQUAL, 0, 4, AF_NETLINK), _argument(2), (_EQUAL, 0, 1, _KOBJECT_UEVENT)),
            *(_fail(errno.EPERM), _allow(), *_each(families, _allow())),
            *(_echo_and_raw() if raw else ()),
            *_each({AF_UNIX, AF_INET, AF_INET6, AF_PACKET} - set(families), _fail(errno.EPERM)),
            _fail(errno.EAFNOSUPPORT),
        ],
        "syslog": _only(0, _SYSLOG_QUESTIONS),
        # Of another process limits may be asked, which is when there is no pointer to new ones.
        "prlimit64": [
            *[_argument(0), (_EQUAL, 0, 1, 0), _allow()],
            *[_argument(2), (_EQUAL, 0, 2, 0), _argument(2, high=True), (_EQUAL, 1, 0, 0), _fail(errno.EPERM)],
            _allow(),
        ],
        "ioctl": _requests(terminal),
    }


def _requests(terminal: bool) -> Body:
    """What of ioctl(2) is allowed; each request is a number whose second byte is its kind (linux/ioctl.h)."""
    body = [_argument(1), *_each(_TERMINAL_ORDERS, _fail(errno.EPERM)), *_each(_QUESTIONS, _allow())]
    # The whole word: of another device's request that ends alike, the upper half is not 0.
    body += _each([_ZFS_KIND << 8 | number for number in _ZFS_QUESTIONS], _allow())
    if not terminal:
        # A console is opened by whoever may read everything, and its settings are changed through that.
        body += _each(_TERMINAL_QUESTIONS, _allow())
    body += [(_AND, 0, 0, 0xFFFF)]
    if terminal:
        # The terminal's own (0x5400 to 0x54BF); above are those of TUN devices.
        body += [(_AT_LEAST, 0, 2, 0x5400), (_AT_LEAST, 1, 0, 0x54C0), _allow()]
    body += _each([_DM_KIND << 8 | number for number in _DM_QUESTIONS], _allow())
    body += [(_AND, 0, 0, 0xFF00), *_each([kind << 8 for kind in _HARMLESS_KINDS], _allow()), _fail(errno.EPERM)]
    return body


def _each(values: Iterable[int], verdict: Instruction) -> Body:
    return [instruction for value in values for instruction in ((_EQUAL, 0, 1, value), verdict)]


def _only(argument: int, values: Iterable[int]) -> Body:
    return [_argument(argument), *_each(values, _allow()), _fail(errno.EPERM)]


def _echo_and_raw() -> Body:
    """Of internet sockets those that are raw, and those of ICMP and ICMPv6, which ping(8) uses."""
    rule = [_argument(1), (_AND, 0, 0, 0xF), (_EQUAL, 0, 1, _RAW), _allow(), (_EQUAL, 0, 4, _DGRAM), _argument(2)]
    rule += [(_EQUAL, 1, 0, 1), (_EQUAL, 0, 1, 58), _allow(), _fail(errno.EPERM)]
    return [(_EQUAL, 1, 0, AF_INET), (_EQUAL, 0, len(rule), AF_INET6), *rule]


def _unless(argument: int, values: tuple[int, int]) -> Body:
    """Passes over the next instruction where the argument is one of these two."""
    return [_argument(argument), (_EQUAL, 2, 0, values[0]), (_EQUAL, 1, 0, values[1])]


def _none_of(argument: int, bits: int) -> Body:
    return [_argument(argument), (_ANY_BIT, 0, 1, bits), _fail(errno.EPERM), _allow()]


def _argument(number: int, high: bool = False) -> Instruction:
    """Loads half of a 64-bit argument; both architectures are little-endian."""
    return (_LOAD, 0, 0, 16 + 8 * number + 4 * high)


def _fail(number: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)


def _allow() -> Instruction:
    return (_RETURN, 0, 0, _ALLOW)


def here() -> str:
    """This machine's architecture, as uname(2) names it."""
    return os.uname().machine
