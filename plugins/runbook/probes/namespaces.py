"""Network namespaces, one by one: which there are, and what the kernel says inside each.

One JSON object a line. First `{"ask": "list", …}`: every namespace that could be found, by its inode number, with the
names that /run/netns has for it and the processes in it. Then, for each that is looked into, one line a question,
`{"inode": …, "ask": …, …}`, with what `netlink` tells, or `error` and why not. Looked into is the one that the probe
itself is in, with `--name` that one instead, with `--all` all. To enter another (setns(2)) takes CAP_SYS_ADMIN, and to
find those of other users that have no name CAP_SYS_PTRACE. This process enters each by itself: it starts no other.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

#: Where iproute2 keeps the names (ip-netns(8)), and the namespace that we are in.
NAMES, OWN = "/run/netns", "/proc/self/ns/net"
CLONE_NEWNET = 0x40000000

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
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="enter every namespace that is found, which takes root")
    which.add_argument("--name", default="", help="enter this one only, by the name that /run/netns has for it")
    parser.add_argument("--most", type=int, default=2000, help="how many are looked into at most")
    parser.add_argument("--seconds", type=float, default=90, help="after how long no other is begun with")


def run(arguments: argparse.Namespace) -> int:
    """Tell what there is; 0 when everything that was wanted could be entered, else 1."""
    whole = True
    for line in _lines(arguments):
        whole = whole and "error" not in line
        print(json.dumps(line), flush=True)
    return int(not whole)


def _lines(wanted: argparse.Namespace) -> Iterator[Line]:
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
    chosen = [own]
    if wanted.name:
        chosen = [inode for inode, one in found.items() if wanted.name in one.names]
        if not chosen:
            yield {"ask": "rest", "error": f"there is no network namespace with the name {wanted.name!r}"}
    elif wanted.all:
        chosen += [inode for inode in found if inode != own]
    files, refusals = _opened(found)
    begun, why = time.monotonic(), ""
    try:
        for number, inode in enumerate(chosen):
            # A host can have thousands, and whoever waits for this has a time-out: what was told until then is kept.
            if number >= wanted.most:
                why = f"more are not looked into in one go (--most={wanted.most})"
            elif number and time.monotonic() - begun > wanted.seconds:
                why = f"{wanted.seconds:g} seconds were over (--seconds)"
            if why:
                yield {"ask": "rest", "error": f"only {number} of {len(chosen)} were looked into: {why}"}
                break
            try:
                if inode in refusals:
                    raise refusals[inode]
                # All of it before it is told, which may take as long as whoever takes it likes.
                with _entered(files[inode], files[own]) if inode != own else nullcontext():
                    lines = list(_inside(inode, files))
            except OSError as error:
                lines = [{"inode": inode, "ask": "enter", "error": _words(error)}]
            yield from lines
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


def _opened(found: dict[int, Namespace]) -> tuple[dict[int, int], dict[int, OSError]]:
    """A descriptor for each that can be opened, before any is entered, so that the way back is there; and why not."""
    files, refusals = {}, {}
    # As many as this process may ever have: a shell's 1024 are for programs that use select(2).
    with suppress(OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # The way back first: there may be more than a process may open.
    for inode, one in sorted(found.items(), key=lambda item: item[1].path != OWN):
        try:
            files[inode] = os.open(one.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            refusals[inode] = error
    return files, refusals


@contextmanager
def _entered(descriptor: int, back: int) -> Iterator[None]:
    """Be in another network namespace for a while."""
    _enter(descriptor)
    try:
        yield
    finally:
        try:
            _enter(back)
        except OSError as error:
            # Never go on where one is not meant to be.
            raise SystemExit(f"runbook-probe: no way back to the own namespace: {error}") from error


def _enter(descriptor: int) -> None:
    """setns(2), which Python itself has from 3.12 on."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _inside(inode: int, files: dict[int, int]) -> Iterator[Line]:
    # Not before something is asked: it takes longer than all the questions.
    from runbook.probes.netlink import questions

    for ask, answer in questions(files):
        line: Line = {"inode": inode, "ask": ask}
        try:
            yield {**line, **answer()}
        except OSError as error:
            yield {**line, "error": _words(error)}


def _words(error: OSError) -> str:
    return error.strerror or str(error)
