"""Pools that work on fewer disks, not at all, or are not in use; and data that is damaged."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.model import Evidence, Finding, Verdict

from .advice import CONCEPTS, IMPORT, REPLACE, STATUS, changes, lines, message, names, place, reads
from .facts import CACHE, SPARES, Foreign, Pool, Vdev, ZfsFacts


def faulted(facts: ZfsFacts) -> Iterator[Finding]:
    """Pools that cannot be used: by their own state, or by the kernel's word where zpool does not answer."""
    for pool in facts.pools:
        if pool.is_dead or pool.name in facts.suspended:
            yield _faulted(pool, facts.suspended.get(pool.name))
    known = {pool.name for pool in facts.pools}
    for name, evidence in facts.suspended.items():
        if name not in known:
            yield _suspended(name, (evidence,))


def _faulted(pool: Pool, kernel: Evidence | None) -> Finding:
    if pool.state == "SUSPENDED" or kernel is not None:
        failing = [vdev for vdev in pool.vdevs() if vdev.is_leaf and (vdev.errors or vdev.state != "ONLINE")]
        evidence = (*place(pool, *failing[:6]), *([kernel] if kernel else []))
        return _suspended(pool.name, evidence, names(failing))
    broken = [vdev for vdev in _working(pool) if vdev.is_leaf and vdev.is_broken]
    which = f": {names(broken)}" if broken else ""
    return Finding(
        "pool-faulted",
        Verdict.CRITICAL,
        f"Pool {pool.name} is {pool.state} and cannot be used (limit: ONLINE){which}",
        "More of its disks are missing or broken than its redundancy can replace. Nothing in it can be read until "
        "enough of them are back.",
        lines(
            "Look for the disks first: cables, controllers, the kernel's log. Do not create anything on them.",
            reads("dmesg", "--level", "err,warn"),
            "When they are back:",
            changes("zpool", "clear", pool.name),
        ),
        place(pool, *broken[:6]),
        (CONCEPTS, message("ZFS-8000-3C")),
    )


def _suspended(name: str, evidence: tuple[Evidence, ...], failing: str = "") -> Finding:
    return Finding(
        "pool-faulted",
        Verdict.CRITICAL,
        f"Pool {name} is SUSPENDED: it could not write, and has stopped (limit: ONLINE)"
        + (f"; errors on {failing}" if failing else ""),
        "So many disks went away that a write failed. ZFS then holds every read and write of this pool until "
        "somebody acts. Programs that use it hang and cannot be killed, and commands like `zfs list` may hang or "
        "show nothing. The table of devices can still read ONLINE.",
        lines(
            "Bring the disks back (cable, power, controller), then let it go on:",
            changes("zpool", "clear", name),
            "Do not run `sync`, and do not shut down in a hurry: both wait for this pool.",
            reads("dmesg", "--level", "err,warn"),
        ),
        evidence,
        (message("ZFS-8000-HC"), CONCEPTS),
    )


def degraded(facts: ZfsFacts) -> Iterator[Finding]:
    for pool in facts.pools:
        if pool.state == "DEGRADED":
            broken = [vdev for vdev in _working(pool) if vdev.is_leaf and vdev.is_broken]
            yield Finding(
                "pool-degraded",
                Verdict.WARNING,
                f"Pool {pool.name} is DEGRADED (limit: ONLINE): {_states(broken) or 'no device is named'}{_left(pool)}",
                "All data is there, on fewer disks than planned. It can be used as before, and it is not as safe as "
                "before.",
                lines(*(_bring_back(pool, vdev) for vdev in broken[:3])),
                place(pool, *broken[:6]),
                (CONCEPTS, REPLACE),
            )


def _working(pool: Pool) -> list[Vdev]:
    """What a pool's state depends on: not its caches and spares."""
    return [vdev for vdev in pool.vdevs() if vdev.section not in (CACHE, SPARES)]


def _states(broken: list[Vdev]) -> str:
    told = [f"{vdev.name} is {vdev.state}" + (f" ({vdev.note})" if vdev.note else "") for vdev in broken[:4]]
    return ", ".join(told) + (f" and {len(broken) - 4} more" if len(broken) > 4 else "")


def _left(pool: Pool) -> str:
    """How many more disks may go, where it is worst."""
    copying = any(scan.kind == "resilver" and scan.state == "running" for scan in pool.scans)
    groups = [v for v in pool.vdevs() if v.is_redundant and any(child.state != "ONLINE" for child in v.children)]
    if not groups:
        return ""
    worst = min(groups, key=lambda vdev: vdev.spare_losses(copying))
    left = worst.spare_losses(copying)
    if left == 0:
        return f"; {worst.name} has no redundancy left, the next disk that fails takes data with it"
    return f"; {worst.name} can lose {left} more"


def _bring_back(pool: Pool, vdev: Vdev) -> str:
    if vdev.state == "OFFLINE":
        return lines(
            f"{vdev.name} was taken offline by somebody. Bring it back:",
            changes("zpool", "online", pool.name, vdev.name),
        )
    if vdev.state in ("REMOVED", "UNAVAIL"):
        return lines(
            f"{vdev.name} is not there. If it was only unplugged, plug it in and bring it back:",
            changes("zpool", "online", pool.name, vdev.name),
            "If it is dead, put another in its place (NEW_DISK is a name to fill in):",
            changes("zpool", "replace", pool.name, vdev.name, "/dev/disk/by-id/NEW_DISK"),
        )
    return lines(
        f"{vdev.name} has failed too often. Put another in its place (NEW_DISK is a name to fill in):",
        changes("zpool", "replace", pool.name, vdev.name, "/dev/disk/by-id/NEW_DISK"),
    )


def unavailable(facts: ZfsFacts) -> Iterator[Finding]:
    """Cache devices and spares do not count in a pool's state."""
    for pool in facts.pools:
        broken = [
            vdev
            for vdev in pool.vdevs(CACHE, SPARES)
            if vdev.state not in ("ONLINE", "AVAIL", "INUSE")
        ]  # fmt: skip
        if broken:
            yield Finding(
                "device-unavailable",
                Verdict.WARNING,
                f"Of pool {pool.name}, {_states(broken)} (limit: ONLINE or AVAIL)",
                "The pool goes on without a cache device. But a spare that is not there will not step in when a disk "
                "fails.",
                lines(
                    "Put another in its place, or take it out:", changes("zpool", "remove", pool.name, broken[0].name)
                ),
                place(pool, *broken),
                (CONCEPTS,),
            )


def damaged(facts: ZfsFacts) -> Iterator[Finding]:
    """data-errors: what is broken for good."""
    for pool in facts.pools:
        if not pool.error_count:
            continue
        files = ", ".join(pool.files[:5]) + (f" and {len(pool.files) - 5} more" if len(pool.files) > 5 else "")
        what = f"{len(pool.files)} files are damaged: {files}" if pool.files else f"{pool.error_count} data errors"
        yield Finding(
            "data-errors",
            Verdict.CRITICAL,
            f"Of pool {pool.name}, {what} (limit: none)",
            "Every block has a checksum, and these blocks do not match theirs, in no copy that there is. Reading "
            "them gives an error instead of wrong data. The pool can be ONLINE all the same: this line is what "
            "counts.",
            lines(
                "See which files; only root is told:",
                reads("zpool", "status", "-v", pool.name),
                "Restore them from a backup, or delete them. Then have everything read once more:",
                changes("zpool", "scrub", pool.name),
                "An entry that is not a file's path but a number is of a file that is deleted, or of a snapshot.",
            ),
            pool.error_evidence,
            (message("ZFS-8000-8A"), STATUS),
        )


def not_imported(facts: ZfsFacts) -> Iterator[Finding]:
    for pool in facts.foreign:
        yield _not_imported(pool)


def _not_imported(pool: Foreign) -> Finding:
    good = pool.state == "ONLINE"
    missing = f": {', '.join(pool.broken[:6])}" if pool.broken else ""
    verdict = Verdict.OK if good else Verdict.WARNING if pool.state == "DEGRADED" else Verdict.CRITICAL
    if good:
        advice = lines("If it belongs here, use it:", changes("zpool", "import", pool.name))
    elif verdict is Verdict.WARNING:
        advice = lines("It can be used, with less redundancy than planned:", changes("zpool", "import", pool.name))
    else:
        advice = lines(
            "Look for the missing disks before anything else, and do not write to those that are there:",
            reads("lsblk", "-o", "NAME,SIZE,SERIAL,FSTYPE"),
            reads("zpool", "import", "-d", "/dev/disk/by-id"),
        )
    return Finding(
        "not-imported",
        verdict,
        f"Pool {pool.name} lies on the disks and is not in use; it is {pool.state}{missing}",
        "`zpool status` shows only pools in use. This one was exported, belongs to another host, or could not be used "
        "when this host started."
        + (
            ""
            if good
            else " Too few of its disks are there, or what is on them is damaged."
            if pool.state != "DEGRADED"
            else ""
        ),
        advice,
        (pool.evidence,),
        (IMPORT,),
    )
