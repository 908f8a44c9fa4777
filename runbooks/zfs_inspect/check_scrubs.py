"""Scrubs and resilvers: when the last one was, what it found, and how far the running one is."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.model import Finding, Verdict

from .advice import SCRUB, SCRUBBING, changes, lines, message, reads
from .facts import Pool, Scan, ZfsFacts

WHY = (
    "A scrub reads every block that is in use, compares it with its checksum and repairs what it can. Without it, "
    "damage in a file that nobody reads stays unknown until the other copy is gone as well."
)


def scrubs(facts: ZfsFacts) -> Iterator[Finding]:
    for pool in facts.pools:
        if pool.is_dead or pool.name in facts.suspended:
            continue
        yield from _results(pool)
        yield from _running(pool)
        yield from _age(facts, pool)


def _results(pool: Pool) -> Iterator[Finding]:
    for scan in pool.scans:
        if scan.errors:
            yield Finding(
                "scrub-errors",
                Verdict.CRITICAL,
                f"The last {scan.kind} of pool {pool.name} found {scan.errors} errors that it could not repair "
                "(limit: 0)",
                "For these blocks no good copy was left. The finding data-errors names the files, if they are still "
                "there.",
                lines("See which files:", reads("zpool", "status", "-v", pool.name)),
                (scan.evidence,),
                (message("ZFS-8000-8A"), SCRUBBING),
            )
        elif scan.kind == "scrub" and scan.repaired_bytes and pool.whole and not any(v.errors for v in pool.vdevs()):
            yield Finding(
                "scrub-repaired",
                Verdict.WARNING,
                f"The last scrub of pool {pool.name} repaired {_amount(scan)} (limit: 0)",
                "Somewhere a device gave back wrong data, and ZFS has put it right from another copy. The counters "
                "were cleared since, so they do not say any more which device it was.",
                lines("The history and the kernel's log may tell more:", reads("zpool", "events", "-v", pool.name)),
                (scan.evidence,),
                (SCRUBBING, message("ZFS-8000-9P")),
            )


def _amount(scan: Scan) -> str:
    return scan.repaired or f"{scan.repaired_bytes} bytes"


def _running(pool: Pool) -> Iterator[Finding]:
    for scan in pool.scans:
        if scan.state not in ("running", "paused"):
            continue
        done = f"{scan.done_percent:.2f} % done" if scan.done_percent is not None else "how far is not told"
        left = f", {scan.to_go} to go" if scan.to_go else ""
        if scan.kind == "resilver":
            yield Finding(
                "resilver-running",
                Verdict.WARNING,
                f"Pool {pool.name} is resilvering: {done}{left}",
                "It copies data onto a disk that is new or was away. Until it is done, that disk does not count: "
                "pull no other one.",
                lines("Look again later:", reads("zpool", "status", pool.name)),
                (scan.evidence,),
                (SCRUBBING,),
            )
        else:
            paused = scan.state == "paused"
            yield Finding(
                "scrub-running",
                Verdict.WARNING if paused else Verdict.OK,
                f"A scrub of pool {pool.name} is {'paused' if paused else 'running'}: {done}{left}",
                "It gives way to ordinary work, and can take days on a large pool. The percentage counts what was "
                "read, "
                "not the time." + (" Paused, it waits until somebody lets it go on." if paused else ""),
                lines("Let it go on:", changes("zpool", "scrub", pool.name)) if paused else "",
                (scan.evidence,),
                (SCRUB,),
            )


def _age(facts: ZfsFacts, pool: Pool) -> Iterator[Finding]:
    if any(scan.kind == "scrub" and scan.state in ("running", "paused") for scan in pool.scans):
        return
    if not pool.scans and not pool.whole:
        # What it says of scans may be what could not be read.
        return
    scrub = pool.scan("scrub")
    if scrub is not None and scrub.state == "finished":
        yield from _days(facts, pool, scrub)
    elif scrub is None and not pool.scan("resilver", "error-scrub"):
        yield _finding(
            pool,
            "scrub-never",
            Verdict.WARNING,
            f"Pool {pool.name} was never scrubbed (limit: every {_month(facts)} days)",
        )
    else:
        other = scrub or pool.scan("resilver", "error-scrub")
        what = "was canceled" if scrub is not None else f"was of another kind ({other.kind if other else ''})"
        yield _finding(
            pool,
            "scrub-unknown",
            Verdict.UNKNOWN,
            f"When pool {pool.name} was last scrubbed cannot be told: its last scan {what}, and it keeps only the last",
        )


def _days(facts: ZfsFacts, pool: Pool, scrub: Scan) -> Iterator[Finding]:
    days = facts.clock.days_since(scrub.moment) if facts.clock else None
    if days is None:
        reason = (
            "there is no clock to compare with" if facts.clock is None else "it does not lie before this host's clock"
        )
        when = scrub.moment.text if scrub.moment else "an unknown date"
        yield _finding(
            pool,
            "scrub-unknown",
            Verdict.UNKNOWN,
            f"How old the scrub of pool {pool.name} is ({when}) cannot be told: {reason}",
        )
        return
    limits = facts.limits
    bounds = {Verdict.CRITICAL: limits.scrub_critical_days, Verdict.WARNING: limits.scrub_warning_days}
    verdict = next((verdict for verdict, limit in bounds.items() if days > limit), None)
    if verdict is not None:
        yield _finding(
            pool,
            "scrub-old",
            verdict,
            f"The last scrub of pool {pool.name} was {days:.0f} days ago (limit: {verdict} from {bounds[verdict]:g} "
            "days)",
        )


def _month(facts: ZfsFacts) -> str:
    return f"{facts.limits.scrub_warning_days:g}"


def _finding(pool: Pool, code: str, verdict: Verdict, summary: str) -> Finding:
    zone = (
        " The date has no zone: it is local time, and was compared with the same host's own clock."
        if any(scan.moment and scan.moment.wall_seconds is not None for scan in pool.scans)
        else ""
    )
    return Finding(
        code,
        verdict,
        summary,
        f"{WHY} For consumers' disks once a month is usual, for better ones once in three.{zone}",
        lines(
            "Start one, when the pool is not busy:",
            changes("zpool", "scrub", pool.name),
            "Where systemd's timers of OpenZFS are installed, have it done every month:",
            changes("systemctl", "enable", "--now", f"zfs-scrub-monthly@{pool.name}.timer"),
        ),
        tuple(scan.evidence for scan in pool.scans) or (pool.evidence,),
        (SCRUBBING, SCRUB),
    )
