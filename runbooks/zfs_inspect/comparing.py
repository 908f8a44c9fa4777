"""Holds the answers against each other: where two differ, or one is not whole, that is told, and nothing is ok."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from runbook.formats import Unread
from runbook.helpers import Unreadable
from runbook.model import Capture, Evidence

from .facts import Pool, Room, Vdev


def told_apart(
    capture: Capture | None,
    read: Callable[[Capture, list[Unread]], tuple[Pool, ...]],
    pools: tuple[Pool, ...],
    unread: list[Unread],
) -> tuple[Pool, ...]:
    """The pools with what a second answer adds, files and lines; where the two differ, `unread` says so."""
    if capture is None or not pools or pools[0].evidence.step == capture.step:
        return pools
    try:
        named = {pool.name: pool for pool in read(capture, unread)}
    except Unreadable as error:
        unread.append(Unread.because(error))
        return pools
    lost = [pool for pool in pools if pool.name not in named]
    if lost or len(named) > len(pools):
        name = lost[0].name if lost else next(name for name in named if name not in {pool.name for pool in pools})
        unread.append(Unread(f"only one of two answers has pool {name}", Evidence(capture.step, "stdout", 1, 1)))
    found = []
    for pool in pools:
        other = named.get(pool.name)
        if other is not None and pool.whole and other.whole and (difference := _difference(pool, other)):
            unread.append(Unread(f"of pool {pool.name}, two answers differ: {difference}", other.evidence))
        found.append(_with_files(pool, other) if other is not None else pool)
    return tuple(found)


def _with_files(pool: Pool, other: Pool) -> Pool:
    count = pool.error_count if other.error_count is None else max(pool.error_count or 0, other.error_count)
    found = replace(pool, files=pool.files or other.files, error_count=count)
    # JSON is one line for everything; the text has one for each device.
    if pool.evidence.step == "status-json":
        found = _located(found, other)
    return replace(found, error_evidence=other.error_evidence) if other.files else found


def _located(pool: Pool, text: Pool) -> Pool:
    """The same pool, with the lines of the text as evidence."""
    lines = {(vdev.section, vdev.name): vdev.evidence for vdev in text.vdevs()}
    scans = {scan.kind: scan.evidence for scan in text.scans}

    def moved(vdev: Vdev) -> Vdev:
        place = lines.get((vdev.section, vdev.name), vdev.evidence)
        return replace(vdev, evidence=place, children=tuple(map(moved, vdev.children)))

    return replace(
        pool,
        root=replace(pool.root, evidence=text.root.evidence) if pool.root and text.root else pool.root,
        tops=tuple(map(moved, pool.tops)),
        scans=tuple(replace(scan, evidence=scans.get(scan.kind, scan.evidence)) for scan in pool.scans),
        evidence=text.evidence,
        error_evidence=text.error_evidence or pool.error_evidence,
    )


def _difference(pool: Pool, other: Pool) -> str:
    """What cannot change between two questions by itself: states, devices, whether it was scanned."""
    if pool.state != other.state:
        return f"{pool.state} and {other.state}"
    ours, theirs = (sorted((vdev.name, vdev.state) for vdev in one.vdevs()) for one in (pool, other))
    if ours != theirs:
        name = next(name for name, _ in [*ours, *theirs] if ours.count((name, _)) != theirs.count((name, _)))
        return f"device {name}"
    if bool(pool.error_count) != bool(other.error_count) and None not in (pool.error_count, other.error_count):
        return f"{pool.error_count} and {other.error_count} data errors"
    failing = [{vdev.name for vdev in one.vdevs() if vdev.errors} for one in (pool, other)]
    if failing[0] != failing[1]:
        return f"the counters of {sorted(failing[0] ^ failing[1])[0]}"
    if bool(pool.status) != bool(other.status):
        return "only one has a line `status:`"
    scanned = [{(scan.kind, bool(scan.errors)) for scan in one.scans if scan.kind} for one in (pool, other)]
    # Of an error scrub only the text tells, and in place of the scrub before it.
    told_alike = not any(kind == "error-scrub" for one in scanned for kind, _ in one)
    return "what was scanned" if told_alike and scanned[0] != scanned[1] else ""


def contradictions(pools: tuple[Pool, ...], listed: tuple[Room, ...] | None, asked: bool) -> list[Unread]:
    """`zpool list` has every pool, in the same state; `asked` is whether there is a status at all."""
    if listed is None:
        return []
    by_name = {room.pool: room for room in listed}
    found = []
    for pool in pools:
        room = by_name.pop(pool.name, None)
        if room is None:
            found.append(Unread(f"`zpool list` does not have pool {pool.name}", pool.evidence))
        elif pool.state and room.health != pool.state:
            found.append(
                Unread(f"pool {pool.name} is {pool.state} by its status, {room.health} in the list", room.evidence)
            )
    if asked:
        found += [Unread(f"`zpool status` does not have pool {name}", room.evidence) for name, room in by_name.items()]
    return found
