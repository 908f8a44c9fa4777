"""The filter itself, run by a small interpreter of its own, so that both architectures are tested on either."""

from __future__ import annotations

import errno
import struct

import pytest

from runbook.executors import seccomp

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED = 0x7FFF0000
#: System calls of every program (asm/unistd_64.h, asm-generic/unistd.h): read, openat, execve, exit_group, futex.
ORDINARY = {"x86_64": (0, 257, 59, 231, 202), "aarch64": (63, 56, 221, 94, 98)}


def verdict(program: bytes, machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the kernel would return: 0 where it is allowed, else the errno (struct seccomp_data, linux/seccomp.h)."""
    audit = ARCHITECTURES[machine] if audit is None else audit
    data = struct.pack("IIQ6Q", number, audit, 0, *(*arguments, *[0] * (6 - len(arguments))))
    code = list(struct.iter_unpack("HBBI", program))
    place = word = 0
    while True:
        kind, if_true, if_false, operand = code[place]
        place += 1
        if kind == 0x20:
            word = struct.unpack_from("I", data, operand)[0]
        elif kind == 0x54:
            word &= operand
        elif kind == 0x06:
            return 0 if operand == ALLOWED else operand & 0xFFFF
        else:
            holds = {0x15: word == operand, 0x35: word >= operand, 0x45: bool(word & operand)}[kind]
            place += if_true if holds else if_false


@pytest.fixture(params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def filtered(machine: str, refused: tuple[str, ...] = (), families: tuple[int, ...] = (seccomp.AF_NETLINK,)) -> bytes:
    return seccomp.program(machine, refused, families)


def number(machine: str, name: str) -> int:
    found = seccomp._NUMBERS[name][seccomp._ARCHITECTURES[machine][1]]
    assert found is not None
    return found


def test_what_every_program_does_is_allowed(machine: str) -> None:
    program = filtered(machine, (*seccomp.METADATA, *seccomp.SIGNALS, "ptrace"))
    assert [verdict(program, machine, call) for call in ORDINARY[machine]] == [0] * 5


def test_what_no_step_needs_is_refused(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    program = filtered(machine)
    for name in seccomp._ADMINISTRATION:
        call = seccomp._NUMBERS[name][column]
        if call is not None:
            assert verdict(program, machine, call) == errno.EPERM, name


@pytest.mark.parametrize("names", [seccomp.METADATA, seccomp.SIGNALS, ("ptrace",)])
def test_the_rest_is_refused_where_no_other_layer_stops_it(machine: str, names: tuple[str, ...]) -> None:
    column = list(ARCHITECTURES).index(machine)
    calls = [call for name in names if (call := seccomp._NUMBERS[name][column]) is not None]
    assert {verdict(filtered(machine, names), machine, call) for call in calls} == {errno.EPERM}
    assert {verdict(filtered(machine), machine, call) for call in calls} == {0}


def test_system_calls_of_later_kernels_do_not_exist(machine: str) -> None:
    program = filtered(machine)
    later = [*range(seccomp.NEWEST + 1, seccomp.NEWEST + 200), 1000, 0x40000000, 0xFFFFFFFF]
    assert {verdict(program, machine, call) for call in later} == {errno.ENOSYS}
    assert verdict(program, machine, number(machine, "clone3")) == errno.ENOSYS


def test_calls_of_another_architecture_do_not_exist(machine: str) -> None:
    # i386, whose call 5 is open, and the other of the two.
    others = [0x40000003, *(audit for name, audit in ARCHITECTURES.items() if name != machine)]
    assert {verdict(filtered(machine), machine, 5, audit=audit) for audit in others} == {errno.ENOSYS}


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("socket", (16,), 0),
        ("socket", (1,), errno.EPERM),
        ("socket", (2,), errno.EPERM),
        ("socket", (17,), errno.EPERM),
        ("socket", (31,), errno.EAFNOSUPPORT),
        ("socket", (16, 3, 15), errno.EPERM),
        ("socketpair", (1, 1), 0),
        ("socketpair", (1, 0x80005), 0),
        ("socketpair", (1, 2), errno.EPERM),
        ("socketpair", (1, 0x80003), errno.EPERM),
        ("fcntl", (3, 1033), errno.EPERM),
        ("clone", (0x01200011,), 0),
        ("clone", (0x10000011,), errno.EPERM),
        ("clone", (0x00020011,), errno.EPERM),
        ("unshare", (0x400,), 0),
        ("unshare", (0x80,), errno.EPERM),
        ("unshare", (0x40000000,), errno.EPERM),
        ("mq_open", (0, 0), 0),
        ("mq_open", (0, 0o102), errno.EPERM),
        ("syslog", (3,), 0),
        ("syslog", (2,), errno.EPERM),
        ("syslog", (5,), errno.EPERM),
        ("setpriority", (0, 0, 19), 0),
        ("setpriority", (0, 1, 19), errno.EPERM),
        ("setpriority", (1, 0, 19), 0),
        ("setpriority", (2, 0, 19), errno.EPERM),
        ("ioprio_set", (1, 0), 0),
        ("ioprio_set", (3, 0), errno.EPERM),
        ("fcntl", (3, 1024), errno.EPERM),
        ("fcntl", (3, 3), 0),
        ("ioprio_set", (1, 7), errno.EPERM),
        ("sched_setaffinity", (0,), 0),
        ("sched_setaffinity", (7,), errno.EPERM),
        ("sched_setattr", (7,), errno.EPERM),
        ("prlimit64", (0, 7, 1 << 40), 0),
        ("prlimit64", (7, 7, 0), 0),
        ("prlimit64", (7, 7, 8), errno.EPERM),
        ("prlimit64", (7, 7, 1 << 40), errno.EPERM),
    ],
)
def test_by_their_arguments(machine: str, name: str, arguments: tuple[int, ...], expected: int) -> None:
    assert verdict(filtered(machine), machine, number(machine, name), *arguments) == expected


#: CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID (linux/sched.h).
NETWORK, MOUNT, USER, PROCESS = 0x40000000, 0x20000, 0x10000000, 0x20000000


def test_a_network_namespace_is_entered_by_who_may_and_no_other_is(machine: str) -> None:
    setns = number(machine, "setns")
    may, others = seccomp.program(machine, (), (), networks=True), filtered(machine)
    assert verdict(may, machine, setns, 3, NETWORK) == 0
    # The kernel takes the lower half of the word, which this leaves as it is.
    assert verdict(may, machine, setns, 3, NETWORK | 1 << 32) == 0
    refused = (0, MOUNT, USER, PROCESS, NETWORK | MOUNT, NETWORK | USER, NETWORK | 1, 1, NETWORK << 1, NETWORK << 32)
    for flags in (*refused, *(1 << bit for bit in range(64) if 1 << bit != NETWORK)):
        assert verdict(may, machine, setns, 3, flags) == errno.EPERM, hex(flags)
    for flags in (NETWORK, *refused):
        assert verdict(others, machine, setns, 3, flags) == errno.EPERM, hex(flags)


@pytest.mark.parametrize("request_", [0x5402, 0x5404, 0x540B, 0x540C, 0x540E, 0x5414, 0x402C542B])
def test_who_has_a_terminal_may_set_it_and_nobody_else(machine: str, request_: int) -> None:
    """TCSETS, TCSETSF, TCFLSH, TIOCEXCL, TIOCSCTTY, TIOCSWINSZ and TCSETS2."""
    ioctl = number(machine, "ioctl")
    assert verdict(seccomp.program(machine, (), ()), machine, ioctl, 0, request_) == errno.EPERM
    assert verdict(seccomp.program(machine, (), (), terminal=True), machine, ioctl, 0, request_) == 0


@pytest.mark.parametrize("request_", [0x5401, 0x5413, 0x541B, 0x5421, 0x5451, 0x802C542A])
def test_everybody_may_ask_a_terminal(machine: str, request_: int) -> None:
    """TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX and TCGETS2."""
    for terminal in (False, True):
        program = seccomp.program(machine, (), (), terminal=terminal)
        assert verdict(program, machine, number(machine, "ioctl"), 0, request_) == 0


@pytest.mark.parametrize("family", [2, 10])
def test_who_reads_packets_has_raw_and_echo_sockets_and_no_others(machine: str, family: int) -> None:
    program = seccomp.program(machine, (), (seccomp.AF_PACKET,), raw=True)
    socket = number(machine, "socket")
    for kind, protocol in ((3, 1), (0x80003, 255), (2, 1), (2, 58)):
        assert verdict(program, machine, socket, family, kind, protocol) == 0, (kind, protocol)
    for kind, protocol in ((2, 0), (2, 17), (1, 0), (1, 1)):
        assert verdict(program, machine, socket, family, kind, protocol) == errno.EPERM, (kind, protocol)
    assert verdict(program, machine, socket, 17, 3, 0) == 0


#: Of ZFS's requests those that ask (sys/fs/zfs.h of OpenZFS 2.4): about pools, datasets, properties and errors.
ZFS_QUESTIONS = (0x04, 0x05, 0x06, 0x12, 0x13, 0x14, 0x15, 0x20, 0x24, 0x25, 0x27, 0x33, 0x55)
#: What inspection tools ask of devices (linux/fs.h, dm-ioctl.h, sockios.h, asm-generic/ioctls.h, perf_event.h).
QUESTIONS = {
    "TCGETS": 0x5401,
    "TIOCGWINSZ": 0x5413,
    "FIONREAD": 0x541B,
    "TIOCGPTN": 0x80045430,
    "BLKGETSIZE64": 0x80081272,
    "BLKSSZGET": 0x1268,
    "DM_VERSION": 0xC138FD00,
    "DM_TABLE_STATUS": 0xC138FD0C,
    "DM_LIST_DEVICES": 0xC138FD02,
    "SIOCGIFFLAGS": 0x8913,
    "SIOCETHTOOL": 0x8946,
    "PERF_EVENT_IOC_ENABLE": 0x2400,
    "FS_IOC_GETFLAGS": 0x80086601,
    "LOOP_GET_STATUS64": 0x4C05,
    "NS_GET_NSTYPE": 0xB703,
    "ZFS_IOC_POOL_CONFIGS": 0x5A04,
    "ZFS_IOC_POOL_STATS": 0x5A05,
    "ZFS_IOC_OBJSET_STATS": 0x5A12,
    "ZFS_IOC_ERROR_LOG": 0x5A20,
    "ZFS_IOC_POOL_GET_PROPS": 0x5A27,
}
ORDERS = {
    "TIOCSTI": 0x5412,
    "TIOCLINUX": 0x541C,
    "TIOCSETD": 0x5423,
    "TIOCVHANGUP": 0x5437,
    "TUNSETIFF": 0x400454CA,
    "BLKFLSBUF": 0x1261,
    "BLKRASET": 0x1262,
    "BLKROSET": 0x125D,
    "BLKRRPART": 0x125F,
    "BLKDISCARD": 0x1277,
    "BLKSECDISCARD": 0x127D,
    "BLKZEROOUT": 0x127F,
    "BLKPG": 0x1269,
    "DM_REMOVE_ALL": 0xC138FD01,
    "DM_DEV_CREATE": 0xC138FD03,
    "DM_DEV_REMOVE": 0xC138FD04,
    "DM_DEV_SUSPEND": 0xC138FD06,
    "DM_TABLE_LOAD": 0xC138FD09,
    "DM_TABLE_CLEAR": 0xC138FD0A,
    "DM_TARGET_MSG": 0xC138FD0E,
    "LOOP_SET_FD": 0x4C00,
    "LOOP_CTL_ADD": 0x4C80,
    "FS_IOC_SETFLAGS": 0x40086602,
    "FIFREEZE": 0xC0045877,
    "FITRIM": 0xC0185879,
    "SG_IO": 0x2285,
    "KVM_CREATE_VM": 0xAE01,
    "USBDEVFS_RESET": 0x5514,
    "WDIOC_SETOPTIONS": 0x80045704,
    **{f"ZFS request {number:#04x}": 0x5A00 | number for number in range(0x100) if number not in ZFS_QUESTIONS},
    "another device's request that ends like one of ZFS": 0xC0085A05,
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_devices_may_be_asked(machine: str, name: str) -> None:
    assert verdict(filtered(machine), machine, number(machine, "ioctl"), 3, QUESTIONS[name]) == 0


@pytest.mark.parametrize("name", ORDERS)
def test_devices_may_not_be_told(machine: str, name: str) -> None:
    program = filtered(machine)
    # The kernel looks at the lower half of the request only, and so must the filter.
    for request in (ORDERS[name], ORDERS[name] | 1 << 32):
        assert verdict(program, machine, number(machine, "ioctl"), 3, request) == errno.EPERM


def test_a_filter_fits(machine: str) -> None:
    # BPF_MAXINSNS of linux/bpf_common.h; and no jump is longer than its byte, or struct.pack would have failed.
    everything = (*seccomp.METADATA, *seccomp.SIGNALS, "ptrace")
    assert len(filtered(machine, everything, (1, 2, 10, 16, 17, 38))) // 8 < 4096
