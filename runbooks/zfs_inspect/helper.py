"""Reads what ZFS says of its pools, in the words of every release, and says what is wrong and what to do about it.

captures ─▶ reading.parse ─▶ facts.ZfsFacts ─┬▶ judge: one check_* file for each kind of trouble
                                             └▶ drawing.draw
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runbook.model import Finding, Verdict

from .advice import STATUS
from .check_answers import notices, unanswered
from .check_cache import cache
from .check_devices import block_size, errors, features, redundancy, slog, unsafe_sync
from .check_pools import damaged, degraded, faulted, not_imported, unavailable
from .check_room import capacity, fragmentation, quotas
from .check_scrubs import scrubs
from .drawing import draw
from .facts import ZfsFacts
from .reading import parse

__all__ = ["draw", "judge", "parse"]

CHECKS: tuple[Callable[[ZfsFacts], Iterator[Finding]], ...] = (
    faulted,
    damaged,
    degraded,
    errors,
    unavailable,
    scrubs,
    capacity,
    quotas,
    redundancy,
    block_size,
    slog,
    unsafe_sync,
    cache,
    fragmentation,
    not_imported,
    features,
    notices,
    unanswered,
)
ABSENCES = {
    "none": (
        "ZFS is here, and no pool is in use",
        "It was asked and has nothing. Pools that lie on the disks and are not in use are told apart, if there are "
        "any.",
    ),
    "no-module": (
        "The tools of ZFS are installed, and the kernel's module is not loaded, so no pool is in use",
        "Without the module nothing of ZFS can be used or seen, pools on this host's disks included. `modprobe zfs` "
        "as root loads it where it was built for this kernel.",
    ),
    "no-daemon": (
        "The tools of zfs-fuse are installed, and its daemon is not running, so no pool is in use",
        "zfs-fuse is a program and no part of the kernel: its pools can be used while it runs, and not otherwise.",
    ),
}


def judge(facts: ZfsFacts) -> Iterator[Finding]:
    """Every trouble; and that all is well only when there is none and every pool has answered in full."""
    found = [finding for check in CHECKS for finding in check(facts)]
    yield from found
    if any(finding.verdict > Verdict.OK for finding in found):
        return
    if facts.presence in ABSENCES:
        yield _no_pools(facts)
    elif facts.presence == "pools" and {"status", "list"} <= set(facts.answered):
        yield _healthy(facts)


def _no_pools(facts: ZfsFacts) -> Finding:
    summary, explanation = ABSENCES[facts.presence]
    return Finding("no-pools", Verdict.OK, summary, explanation, evidence=facts.presence_evidence)


def _healthy(facts: ZfsFacts) -> Finding:
    devices = sum(vdev.is_leaf for pool in facts.pools for vdev in pool.vdevs())
    count = f"{len(facts.pools)} pool{'s' * (len(facts.pools) > 1)}"
    arc, limits = facts.arc, facts.limits
    asides = []
    if arc is None:
        asides.append("The kernel shows no counters of the ARC here, so it was not judged.")
    elif arc.accesses is None:
        asides.append("The ARC's counters were read only once, so its hits were not judged.")
    elif arc.accesses < limits.arc_accesses:
        asides.append(f"The ARC had {arc.accesses} demand reads in {arc.seconds:.0f} s: too few to judge it by.")
    else:
        asides.append(f"The ARC answered {arc.hit_percent:.1f} % of {arc.accesses} demand reads.")
    return Finding(
        "healthy",
        Verdict.OK,
        f"{count} with {devices} devices: all ONLINE, no errors, scrubbed, and with room left",
        " ".join(("Every counter is 0, no data is damaged, and the last scrub is not old.", *asides)),
        evidence=tuple(pool.evidence for pool in facts.pools),
        references=(STATUS,),
    )
