"""lv-health: any other fault that LVM or the kernel reports of an LV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runbook.model import Finding, Verdict

from .advice import DEVICE_MAPPER, LVMRAID, LVMTHIN, LVS, changes, grow, kernel_log, once, reads, wanted_bytes
from .facts import LogicalVolume, LvmFacts


def health(facts: LvmFacts) -> Iterator[Finding]:
    """One finding for each LV with a fault; of a hidden LV only when it is a RAID, whose faults are its own."""
    for lv in facts.lvs:
        fault = None if lv.hidden and not lv.is_redundant else fault_of(lv)
        if fault is not None:
            found = f"{lv.mismatches} sectors, limit: 0; " if fault is DIFFERS and lv.mismatches else ""
            yield Finding(
                "lv-health",
                Verdict.CRITICAL,
                f"LV {lv.full_name} {fault.sentence} ({found}lv_attr {lv.attr}, limit: no fault)",
                fault.meaning,
                fault.advice(facts, lv),
                lv.lines,
                (LVS, LVMTHIN if lv.is_pool or lv.is_thin else LVMRAID),
            )


def no_device_mapper(facts: LvmFacts) -> Iterator[Finding]:
    """LVs are there, but nothing that makes devices of them."""
    if facts.device_mapper == "absent" and facts.lvs:
        visible = sum(not lv.hidden for lv in facts.lvs)
        yield Finding(
            "lv-health",
            Verdict.CRITICAL,
            f"{visible} LV exist, but this kernel has no device mapper to make devices of them (limit: it has one)",
            "Their descriptions are on the disks, but the part of the kernel that makes them usable is missing.",
            f"Load it, if this kernel has it as a module:\n{changes('modprobe', 'dm-mod')}",
            once([vg.evidence for vg in facts.vgs]),
            (DEVICE_MAPPER,),
        )


# ---------------------------------------------------------------------------------------- what to do about each fault


def _repair(facts: LvmFacts, lv: LogicalVolume) -> str:
    """lvmthin(7), "Metadata check and repair"; a pool is out of use only when all its volumes are."""
    pool = lv.pool if lv.is_thin else lv.name
    members = ("-S", f"pool_lv={pool} || lv_name={pool}", lv.vg) if lv.is_pool or lv.is_thin else (lv.full_name,)
    return "\n".join(
        (
            "Save what can still be read, and unmount it. Then take it out of use, repair it, and bring it back:",
            changes("lvchange", "-an", *members),
            changes("lvconvert", "--repair", f"{lv.vg}/{pool}"),
            changes("lvchange", "-ay", *members),
            "Check the file systems on it before they are used again.",
        )
    )


def _make_room(facts: LvmFacts, lv: LogicalVolume) -> str:
    lines = grow(facts, lv, "--size", wanted_bytes(lv))
    return "\n".join((*lines, "Then check the file systems on its volumes: they may have lost writes."))


def _compare(facts: LvmFacts, lv: LogicalVolume) -> str:
    """lvmraid(7), "Scrubbing"."""
    return "\n".join(
        (
            "Back up what matters, then have the copies compared again:",
            changes("lvchange", "--syncaction", "check", lv.full_name),
            reads("lvs", "-a", "-o", "lv_name,raid_sync_action,raid_mismatch_count", lv.vg),
            "If they still differ, `lvchange --syncaction repair` makes them alike, which is not the same as right.",
        )
    )


def _find_cause(facts: LvmFacts, lv: LogicalVolume) -> str:
    return f"Look for the cause in the kernel's log before anything else:\n{kernel_log()}"


def _resume(facts: LvmFacts, lv: LogicalVolume) -> str:
    return "\n".join(
        (
            "Look again in a minute. If it stays so and no LVM command is running, let it go on:",
            reads("dmsetup", "info", lv.dm_name),
            changes("dmsetup", "resume", lv.dm_name),
        )
    )


def _set_up_again(facts: LvmFacts, lv: LogicalVolume) -> str:
    off, on = (changes("lvchange", activate, lv.full_name) for activate in ("-an", "-ay"))
    return f"Set it up anew:\n{off}\n{on}"


# ------------------------------------------------------------------------------------------------------ the faults


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of an LV: the end of the sentence about it, what it means, and what to do."""

    sentence: str
    meaning: str
    advice: Callable[[LvmFacts, LogicalVolume], str]


OUT_OF_DATA = Fault(
    "is out of data space",
    "The kernel has stopped this thin pool: what is written to its volumes waits for room, if at all, and then fails.",
    _make_room,
)
READ_ONLY = Fault("has read-only metadata", "After a fault the kernel lets it be read but not changed.", _repair)
FAILED = Fault("has failed", "The kernel permits no access to it any more.", _repair)
UNCHECKED = Fault("needs a check of its metadata", "The kernel found its map inconsistent and has marked it.", _repair)
CACHE = Fault("has a failing cache", "The fast device in front of it could not store everything.", _find_cause)
DIFFERS = Fault(
    "has copies that differ",
    "A check found places where the copies are not the same. Which one is right, LVM cannot know.",
    _compare,
)
UNMERGED = Fault(
    "could not be merged", "Merging this snapshot failed; its origin may hold old and new mixed.", _find_cause
)
SUSPENDED = Fault(
    "is suspended",
    "Whoever reads or writes it waits. LVM does this for a moment while it changes a volume.",
    _resume,
)
HALF_SET_UP = Fault(
    "is only half set up in the kernel",
    "It has a device without a live table, left behind by a command that broke off.",
    _set_up_again,
)

#: lv_attr, letter 9. The others there are no faults: w (write-mostly), s and R (reshaping, images to remove after it)
#: are a choice or work in progress; p and r belong to pv-missing and raid-degraded.
BY_HEALTH_LETTER = {"D": OUT_OF_DATA, "M": READ_ONLY, "F": FAILED, "E": CACHE, "m": DIFFERS}
#: lv_health_status, which tells in words what letter 9 may hide behind a more urgent one.
BY_HEALTH = {
    "out_of_data": OUT_OF_DATA,
    "metadata_read_only": READ_ONLY,
    "failed": FAILED,
    "error": CACHE,
    "mismatches exist": DIFFERS,
}
#: lv_attr, letter 5. I and S, an invalid snapshot, belong to snapshot-full.
BY_STATE_LETTER = {
    "s": SUSPENDED,
    "m": UNMERGED,
    "M": UNMERGED,
    "c": UNCHECKED,
    "C": UNCHECKED,
    "d": HALF_SET_UP,
    "i": HALF_SET_UP,
}
#: Words in the kernel's status of a thin pool or a cache.
BY_KERNEL_WORD = {"Fail": FAILED, "Error": FAILED, "out_of_data_space": OUT_OF_DATA, "needs_check": UNCHECKED}


def fault_of(lv: LogicalVolume) -> Fault | None:
    """The worst fault of an LV: by the kernel's word, else by LVM's."""
    words = lv.kernel.status.split() if lv.kernel and lv.kernel.target in ("thin-pool", "cache") else []
    told = [fault for word, fault in BY_KERNEL_WORD.items() if word in words]
    told += [BY_HEALTH_LETTER[lv.health_letter]] if lv.health_letter in BY_HEALTH_LETTER else []
    told += [BY_HEALTH[lv.health]] if lv.health in BY_HEALTH else []
    told += [DIFFERS] if lv.mismatches else []
    told += [BY_STATE_LETTER[lv.state_letter]] if lv.state_letter in BY_STATE_LETTER else []
    return told[0] if told else None
