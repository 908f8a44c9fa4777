"""What this host has that a parameter could name: devices, network interfaces, namespaces. Starts nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

#: How many are offered at most; who has more knows the name.
MOST = 200


def offers(kind: str) -> list[str]:
    """Values of this type of parameter (see `values.TYPES`) that are there now, in order; empty for a type without."""
    found: list[str] = []
    with suppress(OSError):
        found = sorted(_KINDS.get(kind, _nothing)())
    return found[:MOST]


def _devices() -> Iterator[str]:
    """Disks and partitions by their own names, and the device mapper's by those that people gave them."""
    for disk in os.listdir("/sys/block"):
        size = _number(f"/sys/block/{disk}/size")
        # Loop and RAM devices that hold nothing are there by the dozen.
        if size:
            yield _given_name(disk)
            for name in os.listdir(f"/sys/block/{disk}"):
                if os.path.exists(f"/sys/block/{disk}/{name}/partition"):
                    yield f"/dev/{name}"


def _given_name(disk: str) -> str:
    try:
        with open(f"/sys/block/{disk}/dm/name", encoding="utf-8") as file:
            return f"/dev/mapper/{file.read().strip()}"
    except OSError:
        return f"/dev/{disk.replace('!', '/')}"


def _number(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _interfaces() -> Iterator[str]:
    # Beside them may lie files, such as bonding_masters.
    yield from (name for name in os.listdir("/sys/class/net") if os.path.isdir(f"/sys/class/net/{name}"))


def _namespaces() -> Iterator[str]:
    yield from os.listdir("/run/netns")


def _nothing() -> Iterator[str]:
    return iter(())


_KINDS: dict[str, Callable[[], Iterator[str]]] = {
    "device": _devices,
    "interface": _interfaces,
    "namespace": _namespaces,
}
