"""Thin pools: how full their data and metadata are, and whether they have promised more than they will have."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import human_size
from runbook.model import Finding, Verdict

from .advice import DM_THIN, LVMTHIN, changes, grow, reads, wanted_bytes
from .facts import LogicalVolume, LvmFacts

FILLED = {
    "data": "The volumes in a thin pool are promised more than is set aside, and take real space only as they are "
    "written to. When the pool is full, writes to all of them {full}, and their file systems break.",
    "metadata": "The pool keeps a map of which block belongs to which volume. When the room for this map is full, "
    "the pool accepts no writes and must be repaired off line, however much space for data is left.",
}


def thin(facts: LvmFacts) -> Iterator[Finding]:
    """thin-pool-data, thin-pool-metadata and thin-pool-overcommitted, for each pool."""
    for pool in facts.lvs:
        if pool.is_pool:
            yield from _filling(facts, pool, "data", pool.data_percent)
            yield from _filling(facts, pool, "metadata", pool.metadata_percent)
            yield from _overcommitted(facts, pool)


def _filling(facts: LvmFacts, pool: LogicalVolume, what: str, percent: float | None) -> Iterator[Finding]:
    limits = {Verdict.CRITICAL: facts.thin_critical_percent, Verdict.WARNING: facts.thin_warning_percent}
    verdict = next((verdict for verdict, limit in limits.items() if percent is not None and percent >= limit), None)
    if verdict is None:
        return
    full = "fail at once" if pool.when_full == "error" else "hang for a minute and then fail"
    yield Finding(
        f"thin-pool-{what}",
        verdict,
        f"Thin pool {pool.full_name}: {percent:.2f} % of its {what} space is used "
        f"(limit: {verdict} from {limits[verdict]:g} %)",
        FILLED[what].format(full=full),
        _more_data(facts, pool) if what == "data" else _more_metadata(facts, pool),
        pool.lines,
        (LVMTHIN, DM_THIN),
    )


def _more_data(facts: LvmFacts, pool: LogicalVolume) -> str:
    mounted = [target for lv in facts.volumes_in(pool) for target in lv.mount_points]
    return "\n".join(
        [
            *grow(facts, pool, "--size", wanted_bytes(pool)),
            *(["Give back what deleted files still hold:"] if mounted else []),
            *(changes("fstrim", "-v", target) for target in mounted[:3]),
            "Or look for volumes and snapshots in it that are not needed any more:",
            reads("lvs", "-o", "lv_name,origin,lv_size,data_percent", "-S", f"pool_lv={pool.name}", pool.vg),
        ]
    )


def _more_metadata(facts: LvmFacts, pool: LogicalVolume) -> str:
    """Twice as much; the group's spare for repairs (lvmthin(7), "Spare metadata LV") grows with it."""
    return "\n".join(grow(facts, pool, "--poolmetadatasize", pool.metadata_size_bytes or 0, copies=2))


def _overcommitted(facts: LvmFacts, pool: LogicalVolume) -> Iterator[Finding]:
    """lvmthin(7), "Automatic extend settings": a threshold of 100 is off, and nothing happens without monitoring."""
    volumes = facts.volumes_in(pool)
    promised = sum(lv.size_bytes or 0 for lv in volumes)
    if not pool.size_bytes or promised <= pool.size_bytes:
        return
    threshold = facts.autoextend_threshold_percent
    said = f"Thin pool {pool.full_name} has promised {human_size(promised)} to {len(volumes)} volumes"
    evidence = (pool.evidence, *(lv.evidence for lv in volumes[:5]), *facts.autoextend_evidence)
    if pool.monitored is False or threshold == 100:
        why = "not monitored" if pool.monitored is False else "its threshold is 100 %"
        yield Finding(
            "thin-pool-overcommitted",
            Verdict.WARNING,
            f"{said} (limit: the {human_size(pool.size_bytes)} it has), and autoextend is off ({why})",
            "More is promised than there is. Thin pools are for that, but then somebody must make the pool larger "
            "before it is full. LVM can do it by itself, and is not set to.",
            "In /etc/lvm/lvm.conf, section activation, set thin_pool_autoextend_threshold = 70 and "
            "thin_pool_autoextend_percent = 20, keep free space in the VG, and have the pool watched:\n"
            + changes("lvchange", "--monitor", "y", pool.full_name),
            evidence,
            (LVMTHIN,),
        )
    elif threshold is None:
        yield Finding(
            "unreadable",
            Verdict.UNKNOWN,
            f"{said}, and whether it grows by itself is not known: the answer of lvmconfig is missing",
            "More is promised than there is, which is well only as long as the pool is made larger before it is full.",
            "See whether LVM is set to do so (100 is off):\n"
            + reads("lvmconfig", "--type", "full", "activation/thin_pool_autoextend_threshold"),
            evidence,
            (LVMTHIN,),
        )
