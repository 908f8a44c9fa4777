"""Reads what `zpool list -H`, `zfs list -H` and `zfs get -H` print: fields between tabs, one line each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runbook.formats import Unread
from runbook.model import Capture, Evidence

from .facts import Dataset, Room, Setting
from .lines import lines_of
from .scans import size

#: The columns of the two `zpool list` steps, by how many there are; the older releases have 8.
ROOM_COLUMNS = {
    11: ("name", "size", "allocated", "free", "checkpoint", "expandsize", "fragmentation", "capacity", "dedupratio",
         "health", "altroot"),
    8: ("name", "size", "allocated", "free", "capacity", "dedupratio", "health", "altroot"),
}  # fmt: skip
#: With no pool or dataset there is this on standard output or standard error, or nothing.
EMPTY = ("no pools available", "no datasets available")


def _rows(capture: Capture, unread: list[Unread], *widths: int) -> Iterator[tuple[list[str], Evidence]]:
    for number, line in enumerate(lines_of(capture, unread), start=1):
        place = Evidence(capture.step, "stdout", number, number)
        fields = line.split("\t")
        if len(fields) in widths:
            yield fields, place
        elif line.strip() and line.strip() not in EMPTY:
            unread.append(Unread(f"line {number} has {len(fields)} fields and not {widths[0]}", place))


def rooms(capture: Capture, unread: list[Unread]) -> tuple[Room, ...]:
    """tank	402653184	109330432	293322752	-	-	4	27	1.00	ONLINE	-"""
    found = []
    for fields, place in _rows(capture, unread, *ROOM_COLUMNS):
        row = dict(zip(ROOM_COLUMNS[len(fields)], fields, strict=True))
        room = Room(
            pool=row["name"],
            size_bytes=size(row["size"]),
            allocated_bytes=size(row["allocated"]),
            free_bytes=size(row["free"]),
            capacity_percent=_percent(row["capacity"]),
            fragmentation_percent=_percent(row.get("fragmentation", "-")),
            health=row["health"],
            evidence=place,
        )
        if reason := _odd(room):
            unread.append(Unread(f"of pool {room.pool}, {reason}", place))
        found.append(room)
    return tuple(found)


def _odd(room: Room) -> str:
    """Why this line cannot be right. A pool that could not be opened has no sizes."""
    if room.size_bytes is None or room.allocated_bytes is None or room.capacity_percent is None:
        return "" if room.health in ("UNAVAIL", "FAULTED") else "the sizes cannot be read"
    real = 100 * room.allocated_bytes / room.size_bytes if room.size_bytes else 0.0
    if abs(real - room.capacity_percent) > 2:
        return f"{room.capacity_percent:g} % are said to be used, and {real:.0f} % are"
    return ""


def _percent(text: str) -> float | None:
    match = re.fullmatch(r"(\d{1,3})%?", text)
    return float(match[1]) if match else None


def datasets(capture: Capture, unread: list[Unread]) -> tuple[Dataset, ...]:
    """tank/db	filesystem	3383296	159412224	3383296	/tank/db	-"""
    found = []
    for (name, kind, used, available, *_), place in _rows(capture, unread, 7):
        if kind in ("filesystem", "volume"):
            dataset = Dataset(name, kind, size(used), size(available), place)
            if dataset.used_bytes is None or dataset.available_bytes is None:
                unread.append(Unread(f"the sizes of {name} cannot be read", place))
            found.append(dataset)
    return tuple(found)


def settings(capture: Capture, unread: list[Unread]) -> tuple[Setting, ...]:
    """tank/db	sync	always	local"""
    return tuple(Setting(name, key, value, place) for (name, key, value, _), place in _rows(capture, unread, 4))
