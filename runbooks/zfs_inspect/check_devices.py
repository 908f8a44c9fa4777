"""Devices that failed, and how a pool is made: redundancy, intent log, block size, settings that trade safety."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.model import Finding, Verdict

from .advice import (
    CACHING,
    CLEAR,
    CONCEPTS,
    FEATURES,
    PROPERTIES,
    STATUS,
    TUNING,
    changes,
    lines,
    message,
    names,
    place,
    reads,
)
from .facts import LOGS, VITAL, Pool, Vdev, ZfsFacts

MEANINGS = {
    "CKSUM": "CKSUM counts silent corruption: the device answered without any error, and what it gave was not what had "
    "been written. A file system without checksums would have passed it on.",
    "READ": "READ counts reads that the device refused.",
    "WRITE": "WRITE counts writes that the device refused.",
}


def errors(facts: ZfsFacts) -> Iterator[Finding]:
    """vdev-errors, one finding a pool; a mirror or raidz only where none of its disks has counted."""
    for pool in facts.pools:
        failing = [vdev for vdev in pool.vdevs() if vdev.errors]
        told = [vdev for vdev in failing if not any(other in failing for other in list(vdev.family())[1:])]
        if not told and pool.root is not None and pool.root.errors:
            told = [pool.root]
        if told:
            yield _errors(pool, told)


def _errors(pool: Pool, told: list[Vdev]) -> Finding:
    kinds = [name for name in MEANINGS if any(name in vdev.errors for vdev in told)]
    rounded = any(counter.rounded for vdev in told for counter in vdev.errors.values())
    return Finding(
        "vdev-errors",
        Verdict.WARNING,
        f"Of pool {pool.name}, {'; '.join(map(_counted, told[:4]))}{' and others' if len(told) > 4 else ''} (limit: 0)",
        " ".join(
            (
                *(MEANINGS[name] for name in kinds),
                "Where there is redundancy, ZFS has answered from another copy and repaired this one.",
                "The tool rounded these figures; `zpool status -p` prints exact ones." if rounded else "",
            )
        ).strip(),
        lines(
            "Find out why before you clear the counters: cable, controller, memory, or the disk itself:",
            reads("dmesg", "--level", "err,warn"),
            *(reads("smartctl", "-a", f"/dev/{vdev.name}") for vdev in told[:2] if _is_kernel_name(vdev)),
            "Then count anew, and read everything once:",
            changes("zpool", "clear", pool.name),
            changes("zpool", "scrub", pool.name),
        ),
        place(pool, *told[:6]),
        (CONCEPTS, message("ZFS-8000-9P"), CLEAR),
    )


def _is_kernel_name(vdev: Vdev) -> bool:
    """Whether it goes by the kernel's name, sda or nvme0n1, and not by an id, a path or its GUID."""
    return vdev.kind == "disk" and vdev.name.isalnum() and not vdev.name.isdigit()


def _counted(vdev: Vdev) -> str:
    return f"{vdev.name} has " + ", ".join(f"{name} {counter}" for name, counter in vdev.errors.items())


def redundancy(facts: ZfsFacts) -> Iterator[Finding]:
    for pool in facts.pools:
        single = [top for top in pool.tops if top.section in VITAL and not top.is_redundant and top.kind != "indirect"]
        if single:
            more = "s" if len(single) > 1 else ""
            yield Finding(
                "no-redundancy",
                Verdict.WARNING,
                f"Pool {pool.name} keeps data on single device{more} without a copy: {names(single)} (limit: none)",
                "Checksums let ZFS notice damage. To repair it, it needs a second copy or parity. The loss of any "
                "one of these devices is the loss of the whole pool. On a laptop with one disk that is a fair "
                "choice, if there is a backup.",
                lines(
                    "With another disk of that size it becomes a mirror (NEW_DISK is a name to fill in):",
                    changes("zpool", "attach", pool.name, single[0].name, "/dev/disk/by-id/NEW_DISK"),
                    "Without one: keep a backup, and scrub, so that you hear of damage while the backup is good.",
                ),
                place(pool, *single[:6]),
                (CONCEPTS,),
            )


def slog(facts: ZfsFacts) -> Iterator[Finding]:
    for pool in facts.pools:
        single = [top for top in pool.tops if top.section == LOGS and not top.is_redundant]
        if single:
            yield Finding(
                "slog-unmirrored",
                Verdict.WARNING,
                f"Pool {pool.name} has its intent log on single devices: {names(single)} (limit: a mirror)",
                "The log is read only after a crash. If its device dies at that very moment, the last seconds of "
                "what programs were told is safe are lost. At any other time the pool falls back to its own disks.",
                lines(
                    "Make it a mirror (NEW_DISK is a name to fill in), of devices that keep their contents when the "
                    "power fails:",
                    changes("zpool", "attach", pool.name, single[0].name, "/dev/disk/by-id/NEW_DISK"),
                ),
                place(pool, *single),
                (CACHING, CONCEPTS),
            )


def block_size(facts: ZfsFacts) -> Iterator[Finding]:
    for pool in facts.pools:
        small = [vdev for vdev in pool.vdevs() if vdev.is_small_blocked]
        if small:
            yield Finding(
                "block-size",
                Verdict.WARNING,
                f"Of pool {pool.name}, {names(small)}: {small[0].note} (limit: the same)",
                "For every small write the disk has to read a larger block and write all of it. The size (ashift) is "
                "fixed when a vdev is made, and cannot be changed.",
                lines(
                    "Only a new vdev has another size. For a mirror: attach new disks to a new pool made with "
                    "ashift=12, copy, and retire the old one. See what is set now:",
                    reads("zpool", "get", "ashift", pool.name),
                ),
                place(pool, *small[:6]),
                (TUNING,),
            )


def unsafe_sync(facts: ZfsFacts) -> Iterator[Finding]:
    off = [setting for setting in facts.settings if setting.property == "sync" and setting.value == "disabled"]
    if off:
        yield Finding(
            "sync-disabled",
            Verdict.WARNING,
            f"sync=disabled on {', '.join(setting.dataset for setting in off[:5])} (limit: standard)",
            "A program that asks for its data to be safe is told so at once, and it is not: it waits in memory for "
            "some seconds. When the power fails, databases and mail servers lose what they had confirmed. The pool "
            "itself stays intact.",
            lines("Give back the default:", changes("zfs", "inherit", "sync", off[0].dataset)),
            tuple(setting.evidence for setting in off[:5]),
            (PROPERTIES,),
        )


def features(facts: ZfsFacts) -> Iterator[Finding]:
    for pool in facts.pools:
        if pool.lacks_features:
            yield Finding(
                "features-disabled",
                Verdict.OK,
                f"Pool {pool.name} does not use every feature of this release; that is no fault",
                "The text below `status:` looks like a warning and is a remark. `zpool upgrade` cannot be undone, "
                "and after it older systems, rescue disks and some boot loaders cannot read the pool.",
                lines(
                    "There is no hurry. See first which features it would be:",
                    reads("zpool", "upgrade"),
                    "Upgrade only when you need one of them, and when everything that must read this pool knows it.",
                ),
                (pool.evidence,),
                (FEATURES, STATUS),
            )
