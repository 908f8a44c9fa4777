"""Network namespaces, one by one: which there are, and what ip(8), ss(8) and the kernel say inside each.

One JSON object a line. First `{"ask": "list", …}`: every namespace that could be found, by its inode number, with the
names that /run/netns has for it and the processes in it. Then, for each that is looked into, one line a question:
`{"inode": …, "ask": …, "argv": …, "exit": …, "stdout": …, "stderr": …}` with what the command printed, word by word.
Without `--all` only the namespace that the probe itself is in is looked into; entering another takes root (setns(2)).
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

#: Where iproute2 keeps the names (ip-netns(8)), and the namespace that we are in.
NAMES, OWN = "/run/netns", "/proc/self/ns/net"
CLONE_NEWNET = 0x40000000
#: How much of one answer is passed on, in characters, and how long a question may take, in seconds.
ANSWER, PATIENCE = 1 << 20, 10
#: What is asked in each. `ss -i` is left out on purpose: it would print the keys of BGP sessions (TCP-MD5).
QUESTIONS = {
    "links": ("ip", "-j", "-d", "address"),
    "routes": ("ip", "-j", "route", "show", "table", "all"),
    "neighbours": ("ip", "-j", "neighbour"),
    "sockets": ("ss", "-H", "-O", "-n", "-a", "-t", "-u", "-p"),
    "forwarding": ("grep", "-sH", "", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"),
}
# linux/rtnetlink.h, linux/net_namespace.h, linux/netlink.h
_RTM_NEWNSID, _RTM_GETNSID, _NETNSA_NSID, _NETNSA_FD, _NLM_F_REQUEST = 88, 90, 1, 3, 1

Line = dict[str, Any]


@dataclass
class Namespace:
    """One that was found; `path` is a file by which it can be opened."""

    inode: int
    path: str
    names: list[str] = field(default_factory=list)
    processes: int = 0
    pid: int = 0
    command: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="enter every namespace that is found, which takes root")
    parser.add_argument("--most", type=int, default=128, help="how many are looked into at most")


def run(arguments: argparse.Namespace) -> int:
    """Tell what there is; 0 when everything that was wanted could be entered, else 1."""
    whole = True
    for line in _lines(arguments.all, arguments.most):
        whole = whole and "error" not in line
        print(json.dumps(line), flush=True)
    return int(not whole)


def _lines(everything: bool, most: int) -> Iterator[Line]:
    found, hidden, refused = _find()
    own = os.stat(OWN).st_ino
    yield {
        "ask": "list",
        "own": own,
        "hidden": hidden,
        "refused": refused,
        "found": [
            {"inode": one.inode, "names": one.names, "processes": one.processes, "command": one.command}
            for one in found.values()
        ],
    }
    files = _opened(found)
    try:
        chosen = [own, *(inode for inode in found if inode != own)][: most if everything else 1]
        for inode in chosen:
            # Our own comes first, so there is no way back to go.
            if inode != own:
                trouble = _enter(files.get(inode))
                if trouble:
                    yield {"inode": inode, "ask": "enter", "error": trouble}
                    continue
            yield from _inside(inode, files)
        if everything and len(found) > most:
            yield {"ask": "rest", "error": f"only {most} of {len(found)} were looked into"}
    finally:
        for descriptor in files.values():
            os.close(descriptor)


def _find() -> tuple[dict[int, Namespace], int, list[str]]:
    """Every namespace by its inode, how many processes do not show theirs, and the names that are no namespace."""
    found: dict[int, Namespace] = {}
    refused = []
    for name in _names(NAMES):
        path = os.path.join(NAMES, name)
        with suppress(OSError):
            inode = os.stat(path).st_ino
            # What `ip netns add` has left half made is a file like any other.
            if os.stat(path).st_dev == os.stat(OWN).st_dev:
                found.setdefault(inode, Namespace(inode, path)).names.append(name)
                continue
        refused.append(name)
    hidden = 0
    for pid in sorted(filter(str.isdecimal, _names("/proc")), key=int):
        path = f"/proc/{pid}/ns/net"
        try:
            inode = os.stat(path).st_ino
        except PermissionError:
            hidden += 1
            continue
        except OSError:
            continue
        one = found.setdefault(inode, Namespace(inode, path))
        one.processes += 1
        if not one.pid:
            one.pid = int(pid)
            with suppress(OSError), open(f"/proc/{pid}/comm", errors="surrogateescape") as file:
                one.command = file.read().rstrip("\n")
    own = os.stat(OWN).st_ino
    found.setdefault(own, Namespace(own, OWN)).path = OWN
    return found, hidden, refused


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _opened(found: dict[int, Namespace]) -> dict[int, int]:
    """A descriptor for each that can be opened: before any is entered, so that the way back is there."""
    files = {}
    for inode, one in found.items():
        with suppress(OSError):
            files[inode] = os.open(one.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return files


def _enter(descriptor: int | None) -> str:
    """Go into it; gives why not."""
    if descriptor is None:
        return os.strerror(errno.EACCES)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) < 0:
        return os.strerror(ctypes.get_errno())
    return ""


def _inside(inode: int, files: dict[int, int]) -> Iterator[Line]:
    for ask, argv in QUESTIONS.items():
        line: Line = {"inode": inode, "ask": ask, "argv": list(argv)}
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
        except FileNotFoundError:
            yield {**line, "error": f"{argv[0]} was not found"}
        except (OSError, subprocess.TimeoutExpired) as error:
            yield {**line, "error": str(error)}
        else:
            stdout, stderr = (data.decode("utf-8", "surrogateescape") for data in (done.stdout, done.stderr))
            cut = {"error": f"more than {ANSWER} characters"} if len(stdout) > ANSWER else {}
            yield {**line, "exit": done.returncode, "stdout": stdout[:ANSWER], "stderr": stderr[:4096], **cut}
    # Last: the kernel gives a namespace its number when a link is first listed whose other end is in there.
    yield {"inode": inode, "ask": "ids", "ids": _ids(files)}


def _ids(files: dict[int, int]) -> dict[str, int]:
    """The numbers that this namespace has for others, by which its links name where their other end is."""
    ids: dict[str, int] = {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
            asked.settimeout(2)
            for inode, descriptor in files.items():
                # struct nlmsghdr, struct rtgenmsg (padded), struct nlattr with the descriptor.
                body = struct.pack("=Bxxx", 0) + struct.pack("=HHi", 8, _NETNSA_FD, descriptor)
                asked.send(struct.pack("=IHHII", 16 + len(body), _RTM_GETNSID, _NLM_F_REQUEST, 1, 0) + body)
                answer = asked.recv(4096)
                if len(answer) >= 28 and struct.unpack_from("=H", answer, 4)[0] == _RTM_NEWNSID:
                    _, kind, number = struct.unpack_from("=HHi", answer, 20)
                    if kind == _NETNSA_NSID and number >= 0:
                        ids[str(inode)] = number
    except OSError as error:
        print(f"runbook-probe: {error}", file=sys.stderr)
    return ids
