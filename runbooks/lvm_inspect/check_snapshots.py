"""snapshot-full: copy-on-write snapshots that are running out of room, or already have."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import human_size
from runbook.model import Finding, Verdict

from .advice import DM_SNAPSHOT, LVS, changes, grow, wanted_bytes
from .facts import LogicalVolume, LvmFacts

KEEPS = "A snapshot keeps the old content of every block that changes in its origin"


def snapshots(facts: LvmFacts) -> Iterator[Finding]:
    for lv in facts.lvs:
        percent = lv.data_percent or 0.0
        if not lv.is_snapshot:
            continue
        if lv.invalid or percent >= 100:
            yield _lost(lv)
        # One that is being merged back (S) counts down to 0.
        elif percent >= facts.snapshot_warning_percent and lv.type_letter == "s":
            yield _filling(facts, lv)


def _lost(lv: LogicalVolume) -> Finding:
    return Finding(
        "snapshot-full",
        Verdict.CRITICAL,
        f"Snapshot {lv.full_name} of {lv.origin} is {'invalid' if lv.invalid else 'full'}: "
        f"its {human_size(lv.size_bytes)} are used up (limit: below 100 %)",
        f"{KEEPS}. Once it has no room for one of them, it is worthless and cannot be brought back. {lv.origin} itself "
        "is not harmed.",
        "\n".join(
            [
                "Remove it, and make a larger one if it is still needed:",
                *(changes("umount", target) for target in lv.mount_points),
                changes("lvremove", lv.full_name),
            ]
        ),
        lv.lines,
        (DM_SNAPSHOT, LVS),
    )


def _filling(facts: LvmFacts, lv: LogicalVolume) -> Finding:
    return Finding(
        "snapshot-full",
        Verdict.WARNING,
        f"Snapshot {lv.full_name} of {lv.origin} is {lv.data_percent:.2f} % full "
        f"(limit: warning from {facts.snapshot_warning_percent:g} %, worthless at 100 %)",
        f"{KEEPS}, and its room for that is nearly used up. At 100 % it becomes worthless; {lv.origin} itself is not "
        "in danger.",
        "\n".join(
            [
                *grow(facts, lv, "--size", wanted_bytes(lv)),
                "Or remove it, if it has done its duty:",
                changes("lvremove", lv.full_name),
            ]
        ),
        lv.lines,
        (DM_SNAPSHOT, LVS),
    )
