"""Makes a tree of the rows of a config table, and says what such a tree cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from runbook.model import Evidence

from .facts import CACHE, DATA, FEWEST, SPARES, Counter, Vdev
from .scans import size

_KIND = re.compile(r"(mirror|raidz[123]?|draid[123]?|replacing|spare|indirect)(?:-\d+|:\S+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the config table; one with a `section` is that section's heading. `depth` of the root is 0."""

    depth: int
    name: str
    section: str
    state: str
    counters: tuple[Counter, ...]
    note: str
    line: int


def counter(text: str) -> Counter:
    """`175` is exact, `1.05K` was rounded by the tool."""
    return Counter(int(text), False) if text.isdigit() else Counter(size(text) or 1, True)


def kind_of(name: str) -> str:
    """What a vdev is by its name: mirror-0, raidz1-0, draid1:4d:9c:1s-0, spare-2, replacing-0; else a disk."""
    match = _KIND.fullmatch(name)
    return {"raidz": "raidz1", "draid": "draid1"}.get(match[1], match[1]) if match else "disk"


def grown(step: str, rows: list[Row]) -> tuple[Vdev | None, tuple[Vdev, ...], list[tuple[str, int]]]:
    """The root's own line, the top-level vdevs with what is below them, and what does not fit."""
    problems: list[tuple[str, int]] = []
    root: Vdev | None = None
    tops: list[Vdev] = []
    path: list[Vdev] = []
    section, filled = DATA, True
    for row in rows:
        if row.section:
            if not filled:
                problems.append((f"nothing stands below the heading in line {row.line}", row.line))
            section, path, filled = row.section, [], False
            continue
        vdev = _vdev(step, row, section)
        if row.depth == 0 and root is None and section == DATA:
            root = replace(vdev, kind="root")
            continue
        # The root is the depth above every other row, sections' rows included.
        above = row.depth - 1
        if not 0 <= above <= len(path):
            problems.append((f"line {row.line} of the config table hangs below nothing", row.line))
            continue
        path = [*path[:above], vdev]
        filled = True
        tops = [*tops, vdev] if above == 0 else _hung(tops, path)
        if above:
            path = _spine(tops[-1], above)
    if rows and not filled:
        problems.append(("nothing stands below the last heading of the config table", rows[-1].line))
    return root, tuple(tops), problems


def _vdev(step: str, row: Row, section: str) -> Vdev:
    read, write, checksum = (*row.counters, None, None, None)[:3]
    return Vdev(
        name=row.name,
        kind=kind_of(row.name),
        section=section,
        state=row.state,
        read=read,
        write=write,
        checksum=checksum,
        note=row.note,
        evidence=Evidence(step, "stdout", row.line, row.line),
    )


def _hung(tops: list[Vdev], path: list[Vdev]) -> list[Vdev]:
    """The last vdev of the path, hung below the one before it; frozen values, so its ancestors are made anew."""
    made = path[-1]
    for parent in reversed(path[:-1]):
        kept = parent.children if made is path[-1] else parent.children[:-1]
        made = replace(parent, children=(*kept, made))
    return [*tops[:-1], made]


def _spine(top: Vdev, depth: int) -> list[Vdev]:
    """From a top-level vdev down along the last children."""
    spine = [top]
    for _ in range(depth):
        spine.append(spine[-1].children[-1])
    return spine


def faults(state: str, root: Vdev | None, tops: tuple[Vdev, ...], line: int) -> Iterator[tuple[str, int]]:
    """What no whole table of a pool in this state looks like."""
    data = [top for top in tops if top.section == DATA]
    if not data:
        yield "the config table names no device that holds data", line
    for vdev in (vdev for top in tops for vdev in top.family()):
        least = FEWEST.get(vdev.kind, 0)
        if len(vdev.children) < least:
            yield f"{vdev.name} must have at least {least} devices and {len(vdev.children)} are listed", _at(vdev)
        elif vdev.kind == "disk" and vdev.children:
            yield f"{vdev.name} is a disk, and others hang below it", _at(vdev)
        if vdev.section != SPARES and vdev.kind != "indirect" and vdev.checksum is None:
            yield f"the counters of {vdev.name} cannot be read", _at(vdev)
        if vdev.section != SPARES and vdev.state in ("AVAIL", "INUSE"):
            yield f"{vdev.name} is {vdev.state}, which only a spare can be", _at(vdev)
    if root is not None and root.checksum is None:
        yield "the counters of the pool itself cannot be read", _at(root)
    lost = [
        vdev for top in tops if top.section not in (CACHE, SPARES) for vdev in top.family() if vdev.state != "ONLINE"
    ]
    if state == "ONLINE" and lost:
        yield f"it is ONLINE, and {lost[0].name} in it is {lost[0].state}", _at(lost[0])
    if state == "DEGRADED" and not lost:
        yield "it is DEGRADED, and every device in it is ONLINE", line


def _at(vdev: Vdev) -> int:
    return vdev.evidence.first_line
