"""Copies of data: RAID and mirrors that have lost a leg or are still copying, and moves that have not ended."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.model import Finding, Verdict

from .advice import DM_RAID, LVMRAID, PVMOVE, another_disk, changes, kernel_log, reads
from .facts import UNKNOWN, LogicalVolume, LvmFacts


def raid(facts: LvmFacts) -> Iterator[Finding]:
    """raid-degraded and raid-syncing; of hidden LVs too, for the data of a thin pool may lie on a RAID."""
    for lv in facts.lvs:
        if lv.is_degraded:
            yield _degraded(facts, lv)
        elif lv.is_syncing:
            yield _syncing(lv)
        elif lv.is_move:
            yield _moving(lv)


def _degraded(facts: LvmFacts, lv: LogicalVolume) -> Finding:
    signs = {"health": lv.health, "legs": lv.legs, "lv_attr": lv.attr}
    shown = ", ".join(f"{name} {sign}" for name, sign in signs.items() if sign)
    return Finding(
        "raid-degraded",
        Verdict.CRITICAL,
        f"{lv.segtype or 'RAID'} {lv.full_name} has lost a leg (limit: 0; {shown})",
        "It still works, from the copies or the parity that are left; the next disk that fails may take the data with "
        "it. Cpy%Sync does not show this: it counts only the legs that are there.",
        _rebuild(facts, lv) if lv.is_partial else _refresh(lv),
        lv.lines,
        (LVMRAID, DM_RAID),
    )


def _refresh(lv: LogicalVolume) -> str:
    """lvmraid(7), "Refreshing an LV"."""
    return "\n".join(
        (
            "A disk was away for a moment or has had a write error; see which in the kernel's log:",
            kernel_log(),
            "If it is sound, take it in again:",
            changes("lvchange", "--refresh", lv.full_name),
        )
    )


def _rebuild(facts: LvmFacts, lv: LogicalVolume) -> str:
    """lvmraid(7), "Replacing Devices"."""
    holding = {device for device in facts.disks_below(lv) if device not in UNKNOWN}
    spare = any(pv.vg == lv.vg and pv.name not in holding and pv.free_bytes and not pv.missing for pv in facts.pvs)
    add = [f"(VG {lv.vg} has no such disk: add one; NEW_DISK is a name to fill in)", another_disk(lv.vg)]
    return "\n".join(
        [
            "If the missing disk can come back, put it back first, then take it in again:",
            changes("lvchange", "--refresh", lv.full_name),
            "If it cannot, build the lost leg anew on a disk of the group that holds none yet:",
            *([] if spare else add),
            *([] if lv.is_active else [_activate(facts, lv)]),
            changes("lvconvert", "--repair", lv.full_name),
        ]
    )


def _activate(facts: LvmFacts, lv: LogicalVolume) -> str:
    """Only an active LV can be repaired, and a hidden one is activated by the pool that it is a part of."""
    whole = next((other for other in facts.lvs if not other.hidden and lv in facts.parts_of(other)), lv)
    mode = "degraded" if whole is lv else "partial"
    return changes("lvchange", "-ay", "--activationmode", mode, whole.full_name)


def _syncing(lv: LogicalVolume) -> Finding:
    percent = "not" if lv.sync_percent is None else f"{lv.sync_percent:.2f} %"
    return Finding(
        "raid-syncing",
        Verdict.WARNING,
        f"{lv.segtype or 'RAID'} {lv.full_name} is {percent} in sync (limit: 100 %; {lv.sync_action or 'copying'})",
        "Its copies are not the same yet. Until they are, the loss of the wrong disk loses data.",
        "Leave all disks in place, wait, and look again:\n"
        + reads("lvs", "-a", "-o", "lv_name,copy_percent,raid_sync_action", lv.vg),
        lv.lines,
        (LVMRAID, DM_RAID),
    )


def _moving(lv: LogicalVolume) -> Finding:
    percent = "an unknown part" if lv.sync_percent is None else f"{lv.sync_percent:.2f} %"
    return Finding(
        "raid-syncing",
        Verdict.WARNING,
        f"pvmove has moved {percent} of what it is to move off {lv.moved_from or 'a PV'} of VG {lv.vg} (limit: 100 %)",
        "While data is moved from one disk to another, LVM holds it together with a temporary mirror. Until that has "
        "ended the data needs both disks.",
        "Leave all disks in place, wait, and look again:\n"
        + reads("lvs", "-a", "-o", "lv_name,move_pv,copy_percent", lv.vg)
        + "\nIf the figure stands still, because the host was restarted for example, let the move go on:\n"
        + changes("pvmove"),
        lv.lines,
        (PVMOVE,),
    )
