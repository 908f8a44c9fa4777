"""Joins what LVM, the kernel and the block tools say into one stack, says what is wrong with it, and draws it.

A fault is looked for in every place where it can show, for one place alone can hide it: a missing PV may be only a
warning on standard error with exit status 0, and a mirror that has lost a leg still says that 100 % of it is in sync.

    captures ─▶ reading.parse ─▶ facts.LvmFacts ─┬▶ judge: one check_* file for each kind of trouble
                                                 └▶ drawing.draw
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runbook.model import Finding, Verdict

from .advice import LVS, once
from .check_answers import contradictions, overlooked, unanswered
from .check_disks import duplicates, full, missing
from .check_health import health, no_device_mapper
from .check_raid import raid
from .check_snapshots import snapshots
from .check_thin import thin
from .drawing import draw
from .facts import LvmFacts
from .reading import parse

__all__ = ["draw", "judge", "parse"]

CHECKS: tuple[Callable[[LvmFacts], Iterator[Finding]], ...] = (
    missing,
    duplicates,
    raid,
    health,
    no_device_mapper,
    thin,
    full,
    snapshots,
    unanswered,
    contradictions,
    overlooked,
)


def judge(facts: LvmFacts) -> Iterator[Finding]:
    """Every trouble; and only when there is none, and LVM has answered in full, that all is well."""
    troubles = [finding for check in CHECKS for finding in check(facts)]
    yield from troubles
    if not troubles and len(facts.answered) == 3:
        yield _healthy(facts) if facts.pvs or facts.vgs or facts.lvs or facts.notices else _no_lvm(facts)


def _no_lvm(facts: LvmFacts) -> Finding:
    kernel = " This kernel has no device mapper, so it could not use any either." * (facts.device_mapper == "absent")
    return Finding(
        "no-lvm",
        Verdict.OK,
        "No LVM here: no physical volume, no volume group, no logical volume",
        f"LVM was asked and knows of nothing on this host; its disks are used directly.{kernel}",
    )


def _healthy(facts: LvmFacts) -> Finding:
    visible = sum(not lv.hidden for lv in facts.lvs)
    counts = f"Nothing is wrong with {len(facts.pvs)} PV, {len(facts.vgs)} VG and {visible} LV."
    return Finding(
        "healthy",
        Verdict.OK,
        " ".join((counts, *_asides(facts))),
        "No PV is missing, and no volume reports a fault or is running out of room.",
        evidence=once([vg.evidence for vg in facts.vgs], [notice.evidence for notice in facts.notices]),
        references=(LVS,),
    )


def _asides(facts: LvmFacts) -> Iterator[str]:
    """What is no trouble, and yet good to know."""
    for vg in facts.vgs:
        if vg.exported:
            yield f"VG {vg.name} is exported: no host can use it before `vgimport`."
    for notice in facts.noticed("foreign"):
        yield f"VG {notice.vg} belongs to another host and was not looked into."
    for notice in facts.noticed("outdated"):
        yield (
            f"{notice.device} was taken out of VG {notice.vg} while it was away, and is left out "
            f"(`vgck --updatemetadata {notice.vg}` would wipe LVM's label off it)."
        )
