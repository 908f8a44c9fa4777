"""What could not be told: answers that are missing, cut short or at odds with each other. Unknown, never ok."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import BlockDevice, unread_findings
from runbook.model import Evidence, Finding, Verdict

from .advice import LVS, names, once, reads
from .facts import UNKNOWN, LogicalVolume, LvmFacts, PhysicalVolume, VolumeGroup


def unanswered(facts: LvmFacts) -> Iterator[Finding]:
    """What reading gave up on, and LVs whose state LVM itself does not know."""
    yield from unread_findings(facts.unread)
    unknown = [lv for lv in facts.lvs if "X" in (lv.state_letter, lv.health_letter) and not lv.hidden]
    if unknown and facts.device_mapper != "absent":
        yield Finding(
            "unreadable",
            Verdict.UNKNOWN,
            f"LVM could not ask the kernel about {names(unknown)} (X in lv_attr)",
            "What is on the disks was judged; how the volumes are doing at this moment is not known.",
            evidence=tuple(lv.evidence for lv in unknown[:5]),
            references=(LVS,),
        )


def contradictions(facts: LvmFacts) -> Iterator[Finding]:
    """The three reports count each other's rows: what one of them has lost, the others still tell of."""
    if len(facts.answered) < 3:
        return
    lost = list(_lost(facts))
    if lost:
        reasons, evidence = zip(*lost, strict=True)
        yield Finding(
            "unreadable",
            Verdict.UNKNOWN,
            f"pvs, vgs and lvs do not fit together: {'; '.join(reasons[:3])}",
            "Something was left out of one of the answers, or it was changed while they were given. What is missing "
            "could not be judged.",
            "Look again when no LVM command is running:\n" + reads("runbook", "run", "lvm-inspect"),
            once(evidence[:5]),
        )


def _lost(facts: LvmFacts) -> Iterator[tuple[str, Evidence]]:
    known = {vg.name for vg in facts.vgs} | {notice.vg for notice in facts.noticed("foreign")}
    for vg in facts.vgs:
        yield from ((f"of {vg.name}, {reason}", vg.evidence) for reason in _miscounted(facts, vg))
    parts: tuple[PhysicalVolume | LogicalVolume, ...] = (*facts.pvs, *facts.lvs)
    for part in parts:
        if part.vg and part.vg not in known:
            yield f"vgs does not list {part.vg}", part.evidence
            known.add(part.vg)
    listed = {lv.full_name for lv in facts.lvs}
    for lv in facts.lvs:
        for device in lv.devices:
            if not device.startswith("/") and device not in UNKNOWN and f"{lv.vg}/{device}" not in listed:
                yield f"lvs does not list {device}, a part of {lv.full_name}", lv.evidence


def _miscounted(facts: LvmFacts, vg: VolumeGroup) -> Iterator[str]:
    # A missing PV whose VG is not known may be one of this VG.
    pvs = sum(pv.vg == vg.name or (pv.missing and not pv.vg) for pv in facts.pvs)
    lvs = sum(lv.vg == vg.name and not lv.hidden for lv in facts.lvs)
    if vg.pv_count is not None and pvs < vg.pv_count:
        yield f"vgs counts {vg.pv_count} PV, pvs lists {pvs}"
    # lvs does not look into an exported VG.
    if vg.lv_count is not None and lvs != vg.lv_count and not vg.exported:
        yield f"vgs counts {vg.lv_count} LV, lvs lists {lvs}"


def overlooked(facts: LvmFacts) -> Iterator[Finding]:
    """A disk that carries the signature of a PV, where LVM knows of no PV at all."""
    members = [block for disk in facts.disks for block in disk.family() if block.content == "LVM2_member"]
    if members and len(facts.answered) == 3 and not (facts.pvs or facts.vgs or facts.lvs or facts.notices):
        yield _overlooked(members)


def _overlooked(members: list[BlockDevice]) -> Finding:
    return Finding(
        "unreadable",
        Verdict.UNKNOWN,
        f"{members[0].path} carries the signature of a PV, but LVM does not list it",
        "LVM leaves out what its devices file or a filter in lvm.conf does not allow, such as the disks of virtual "
        "machines. Whether it is well cannot be told from here.",
        "See what LVM may look at; where there is a devices file, `lvmdevices` lists it:\n"
        + reads("lvmconfig", "--type", "full", "devices/filter", "devices/global_filter"),
        tuple(block.evidence for block in members[:5]),
    )
