"""PVs and VGs: a PV that is missing, a PV that is there twice, a VG without room."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import human_size
from runbook.model import Finding, Verdict

from .advice import (
    LVS,
    VGEXTEND,
    VGIMPORTCLONE,
    VGREDUCE,
    another_disk,
    changes,
    kernel_log,
    names,
    once,
    reads,
)  # fmt: skip
from .facts import UNKNOWN, LogicalVolume, LvmFacts, PhysicalVolume


def missing(facts: LvmFacts) -> Iterator[Finding]:
    """pv-missing, for each VG that lacks a PV."""
    for name in sorted({pv.vg for pv in facts.pvs if pv.missing} | {vg.name for vg in facts.vgs if vg.partial}):
        vgs = [vg for vg in facts.vgs if vg.name == name]
        gone = [pv for pv in facts.pvs if pv.missing and pv.vg == name]
        affected = [lv for lv in facts.lvs if lv.vg == name and lv.is_partial and not lv.hidden]
        total = f" of {vgs[0].pv_count}" if vgs and vgs[0].pv_count else ""
        which = "".join(f"; {_last_seen(pv)}" for pv in gone)
        yield Finding(
            "pv-missing",
            Verdict.CRITICAL,
            f"VG {name or 'of unknown name'}: {max(len(gone), 1)}{total} PV missing (limit: 0{which}); "
            f"{_harm(facts, affected)}",
            _loss(facts, gone, affected),
            _find_disk(name, gone),
            once(
                [pv.evidence for pv in gone],
                [lv.evidence for lv in affected[:5]],
                [notice.evidence for notice in facts.noticed("missing") if notice.vg == name],
                [vg.evidence for vg in vgs],
            ),
            (VGREDUCE, LVS),
        )


def _last_seen(pv: PhysicalVolume) -> str:
    where = f"last seen as {pv.was or 'unknown'}" if pv.name in UNKNOWN else f"back as {pv.name}"
    return f"{human_size(pv.size_bytes) or pv.uuid} {where}"


def _harm(facts: LvmFacts, affected: list[LogicalVolume]) -> str:
    if affected:
        return f"affected: {names(affected)}"
    return "no LV uses it" if "lvs" in facts.answered else "its LVs could not be listed"


def _loss(facts: LvmFacts, gone: list[PhysicalVolume], affected: list[LogicalVolume]) -> str:
    lost = [lv for lv in affected if facts.lacks_data(lv)]
    kept = [lv for lv in affected if lv not in lost]
    if any(pv.name not in UNKNOWN for pv in gone):
        text = "A disk of the volume group was away while the group was changed, and LVM does not use it since."
    else:
        text = "A disk that the volume group counts on is not there: unplugged, failed, or not unlocked yet."
    text += f" Without it the data of {names(lost)} is incomplete." * bool(lost)
    return text + f" {names(kept)} can be read from copies or parity, if enough of them are left." * bool(kept)


def _find_disk(vg: str, gone: list[PhysicalVolume]) -> str:
    back = [pv.name for pv in gone if pv.name not in UNKNOWN]
    if back:
        restore = changes("vgextend", "--restoremissing", vg, *back)
        return f"If it is the right disk and sound, have it counted in again:\n{restore}"
    return "\n".join(
        (
            "Look for the disk first, it may only be unplugged or locked:",
            reads("lsblk", "-o", "NAME,SIZE,TYPE,FSTYPE,MODEL,SERIAL"),
            kernel_log(),
            "Once it is back, activate what could not be:",
            changes("vgchange", "-ay", *([vg] if vg else [])),
            "Only when it is gone for good, and its data is in a backup or in copies, take it out of the VG. "
            "`vgreduce --removemissing` does that; with --force it also deletes every LV that is incomplete.",
        )
    )


def duplicates(facts: LvmFacts) -> Iterator[Finding]:
    """lv-health, for each device that is a second copy of a PV."""
    for notice in facts.noticed("duplicate"):
        yield Finding(
            "lv-health",
            Verdict.CRITICAL,
            f"{notice.device} is a second copy of PV {notice.uuid} (limit: one)",
            "Two devices carry the same identity: a cloned disk, or one disk seen over two paths. LVM uses one of them "
            "and refuses to activate volumes; what is written to one is missing from the other.",
            "See where they come from, and detach the copy:\n"
            + reads("lsblk", "-o", "NAME,SIZE,TYPE,MODEL,SERIAL")
            + "\nIf it is a cloned disk that is to stay beside the original, give it an identity of its own (COPY is a "
            "name to fill in):\n" + changes("vgimportclone", "--basevgname", "COPY", notice.device),
            (notice.evidence,),
            (VGIMPORTCLONE,),
        )


def full(facts: LvmFacts) -> Iterator[Finding]:
    """vg-full, for each VG without a free extent; worse when a thin pool in it will need one."""
    for vg in facts.vgs:
        if vg.free_bytes != 0 or not vg.size_bytes or vg.exported:
            continue
        limit = facts.thin_warning_percent
        pools = [lv for lv in facts.lvs if lv.vg == vg.name and lv.is_pool and lv.fill_percent >= limit]
        need = "".join(f"; thin pool {pool.name} is {pool.fill_percent:.1f} % full and cannot grow" for pool in pools)
        yield Finding(
            "vg-full",
            Verdict.CRITICAL if pools else Verdict.WARNING,
            f"VG {vg.name} has 0 B free of {human_size(vg.size_bytes)} (limit: one extent){need}",
            "All space of the disks in this group has been given to logical volumes: none of them can grow, and no "
            "snapshot can be made. The file systems on them may well have room left.",
            "Give the group another disk or partition (NEW_DISK is a name to fill in):\n"
            f"{another_disk(vg.name)}\n"
            f"Or look for a volume that is not needed any more:\n{reads('lvs', vg.name)}",
            (vg.evidence, *(pool.evidence for pool in pools)),
            (VGEXTEND,),
        )
