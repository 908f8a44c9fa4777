"""How full pools and file systems are, and in how many pieces their free space is."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import human_size
from runbook.model import Finding, Verdict

from .advice import LIST, PROPERTIES, TUNING, lines, reads
from .facts import Dataset, Room, ZfsFacts

#: A file system with less than this share left is full, as far as its programs are concerned.
LEFT_PERCENT = 1


def capacity(facts: ZfsFacts) -> Iterator[Finding]:
    limits = facts.limits
    bounds = {Verdict.CRITICAL: limits.capacity_critical_percent, Verdict.WARNING: limits.capacity_warning_percent}
    for room in facts.rooms:
        percent = room.capacity_percent
        verdict = next((verdict for verdict, limit in bounds.items() if percent is not None and percent >= limit), None)
        if verdict is not None:
            yield Finding(
                "capacity",
                verdict,
                f"Pool {room.pool} is {percent:g} % full, {human_size(room.free_bytes)} of "
                f"{human_size(room.size_bytes)} are free (limit: {verdict} from {bounds[verdict]:g} %)",
                "ZFS never writes over a block, it looks for a free place. The less there is, the longer it looks, "
                "and the more scattered files become. The documentation asks for 10 % to be left. These are raw "
                "bytes, with parity and copies; and about 3 % of them ZFS keeps for itself, so programs hear “no "
                "space left” before 100 %.",
                lines(
                    "Find what takes the space, snapshots first:",
                    reads("zfs", "list", "-o", "space", "-r", room.pool),
                    "Delete what is not needed, or add disks. Think before you add: what was added to a pool with "
                    "raidz can never be taken out again.",
                ),
                (room.evidence,),
                (TUNING, LIST),
            )


def fragmentation(facts: ZfsFacts) -> Iterator[Finding]:
    for room in facts.rooms:
        percent = room.fragmentation_percent
        if percent is not None and percent >= facts.limits.fragmentation_percent:
            yield _fragmented(facts, room, percent)


def _fragmented(facts: ZfsFacts, room: Room, percent: float) -> Finding:
    return Finding(
        "fragmentation",
        Verdict.WARNING,
        f"The free space of pool {room.pool} is fragmented by {percent:g} % (limit: "
        f"{facts.limits.fragmentation_percent:g} %)",
        "The figure is about the free space, not about files: how small the holes are that new blocks have to go "
        "into. It makes writes slower, the more so the fuller the pool is. ZFS has no tool that undoes it.",
        lines(
            "More free space helps: delete, or add disks. Only copying everything to a new pool makes it 0.",
            reads("zpool", "list", "-v", room.pool),
        ),
        (room.evidence,),
        (LIST,),
    )


def quotas(facts: ZfsFacts) -> Iterator[Finding]:
    """A file system that has nothing left, in a pool that has: a quota, or somebody else's reservation."""
    roots = {dataset.name: dataset for dataset in facts.datasets if dataset.name == dataset.pool}
    full = [
        dataset
        for dataset in facts.datasets
        if dataset.type == "filesystem"
        and _is_full(dataset)
        and dataset.pool in roots
        and not _is_full(roots[dataset.pool])
    ]
    if full:
        yield Finding(
            "dataset-full",
            Verdict.WARNING,
            f"{', '.join(dataset.name for dataset in full[:5])}: {human_size(full[0].available_bytes)} left of "
            f"{human_size((full[0].used_bytes or 0) + (full[0].available_bytes or 0))}, though the pool has room "
            f"(limit: {LEFT_PERCENT} %)",
            "A quota limits what a file system and all below it may use, snapshots included; a refquota limits what "
            "it refers to itself. A reservation of another file system takes room away as well.",
            lines(
                "See which it is:",
                reads("zfs", "get", "-r", "quota,refquota,reservation,refreservation", full[0].pool),
                "Delete in it, snapshots too, or raise the limit.",
            ),
            tuple(dataset.evidence for dataset in full[:5]),
            (PROPERTIES,),
        )


def _is_full(dataset: Dataset) -> bool:
    if dataset.used_bytes is None or dataset.available_bytes is None:
        return False
    return dataset.available_bytes < LEFT_PERCENT / 100 * (dataset.used_bytes + dataset.available_bytes)
