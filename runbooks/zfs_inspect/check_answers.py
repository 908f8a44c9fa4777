"""What could not be told: answers that are missing, cut or at odds with each other. Unknown, never ok."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import unread_findings
from runbook.model import Finding, Verdict

from .advice import STATUS, lines, message, reads
from .facts import Pool, ZfsFacts


def unanswered(facts: ZfsFacts) -> Iterator[Finding]:
    yield from unread_findings(facts.unread)
    if facts.hung:
        yield Finding(
            "zpool-hangs",
            Verdict.UNKNOWN,
            f"{', '.join(facts.hung)}: a command of ZFS did not end in time",
            "These commands ask the kernel, and wait as it waits. Usually a pool has stopped because its disks went "
            "away, and everything that touches it hangs.",
            lines(
                "The kernel's own word needs no zpool:",
                reads("grep", "-r", "--include=state", ".", "/proc/spl/kstat/zfs"),
                reads("dmesg", "--level", "err,warn"),
            ),
            references=(message("ZFS-8000-HC"),),
        )
    if facts.presence == "sealed":
        yield Finding(
            "unreadable",
            Verdict.UNKNOWN,
            "zfs-fuse is running, and a step that only reads may not ask it",
            "Its commands speak to it through a local socket, and the sandbox lets no reading step open one. So its "
            "pools were not looked at. OpenZFS is asked through /dev/zfs, which can be.",
            lines("Ask it yourself:", reads("zpool", "status", "-v"), reads("zpool", "list")),
            facts.presence_evidence,
        )


def notices(facts: ZfsFacts) -> Iterator[Finding]:
    """Texts below `status:` that no other finding accounts for."""
    for pool in facts.pools:
        if pool.status and not pool.lacks_features and not _explained(pool):
            yield Finding(
                "status-notice",
                Verdict.WARNING,
                f"ZFS says of pool {pool.name}: {' '.join(pool.status.split())}",
                "This text is ZFS's own, and none of this runbook's other findings accounts for it.",
                lines(
                    "What it advises: " + " ".join(pool.action.split()) if pool.action else "",
                    reads("zpool", "status", "-v", pool.name),
                ),
                (pool.evidence,),
                (STATUS,),
            )


def _explained(pool: Pool) -> bool:
    """Whether something else is found of this pool that makes ZFS say so."""
    return (
        pool.state != "ONLINE"
        or bool(pool.error_count)
        or any(vdev.errors or vdev.is_broken or vdev.is_small_blocked for vdev in pool.vdevs())
        or bool(pool.root and pool.root.errors)
        or any(scan.kind == "resilver" and scan.state == "running" for scan in pool.scans)
    )
