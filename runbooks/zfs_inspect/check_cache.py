"""The ARC: how many of the reads that somebody waits for it answers; from two readings, not from totals since boot."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import human_size
from runbook.model import Finding, Verdict

from .advice import CACHING, HIT_RATES, MODULE, lines, reads
from .facts import Arc, ZfsFacts


def cache(facts: ZfsFacts) -> Iterator[Finding]:
    arc = facts.arc
    if arc is None:
        return
    percent, limits = arc.hit_percent, facts.limits
    if percent is not None and (arc.accesses or 0) >= limits.arc_accesses and percent < limits.arc_hit_percent:
        yield _misses(facts, arc, percent)
    if arc.throttled:
        yield _throttled(arc)


def _misses(facts: ZfsFacts, arc: Arc, percent: float) -> Finding:
    return Finding(
        "arc-hit-ratio",
        Verdict.WARNING,
        f"The ARC answered {percent:.1f} % of {arc.accesses} demand reads in {arc.seconds:.0f} s (limit: "
        f"{facts.limits.arc_hit_percent:g} %)",
        "Demand reads are those that a program waits for; what ZFS reads ahead is not counted here. A low share is a "
        "fact about this moment and no fault: a backup, which reads everything once, has it too. It is worth a "
        f"thought when it stays so in daily work. The ARC holds {human_size(arc.size_bytes)} and may grow to "
        f"{human_size(arc.most_bytes)}.",
        lines(
            "Look longer, at the busy time of day (called zarcstat from 2.4 on):",
            reads("arcstat", "-f", "time,read,miss,ddh%,dmh%,arcsz,c", "10", "6"),
            "More memory helps where the same data is read again and again. An L2ARC is worth a try only after that: "
            "for what is in it, it takes room from the ARC.",
        ),
        arc.evidence,
        (HIT_RATES, CACHING),
    )


def _throttled(arc: Arc) -> Finding:
    return Finding(
        "arc-throttled",
        Verdict.WARNING,
        f"{arc.throttled} times in {arc.seconds:.0f} s a write had to wait because memory was short (limit: 0)",
        "ZFS made programs wait because it could not get memory for what they wrote. That is short memory on this "
        "host, and not the ARC being large: the ARC gives way when programs need memory.",
        lines("See who uses it:", reads("ps", "-eo", "pid,rss,comm", "--sort=-rss")),
        arc.evidence[-1:],
        (MODULE,),
    )
