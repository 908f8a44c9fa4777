"""What could not be told: answers that are missing, cut or at odds with each other. Unknown, never ok."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import unread_findings
from runbook.model import Finding, Verdict

from .advice import STATUS, lines, message, reads
from .facts import ZfsFacts

#: Codes that explain a text below `status:`; with none of them, the text itself is a finding.
EXPLAINING = frozenset(
    (
        "pool-degraded",
        "pool-faulted",
        "vdev-errors",
        "data-errors",
        "resilver-running",
        "block-size",
        "device-unavailable",
    )
)


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


def notices(facts: ZfsFacts, codes: set[tuple[str, str]]) -> Iterator[Finding]:
    """Texts below `status:` that nothing found so far accounts for; `codes` are pairs of a code and a pool's name."""
    for pool in facts.pools:
        if pool.status and not pool.lacks_features and not any((code, pool.name) in codes for code in EXPLAINING):
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
