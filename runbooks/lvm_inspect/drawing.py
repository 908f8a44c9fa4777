"""Draws the stack as one tree: disk, partition, LUKS, PV, VG, LV, file system and mount; 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import BlockDevice, Branch, Mount, human_size, tree

from .check_health import fault_of
from .facts import LogicalVolume, LvmFacts, PhysicalVolume

#: Lists of LVs longer than this are folded to those that are in trouble or mounted, and a few more.
FOLD = 16
FEW = 4


def draw(facts: LvmFacts) -> str:
    if not facts.disks and not facts.pvs and not facts.vgs:
        return ""
    return tree(_Drawing(facts).roots())


class _Drawing:
    """Branches for every device; a VG is drawn once, below the first of its PVs, and named below the others."""

    def __init__(self, facts: LvmFacts) -> None:
        self._facts = facts
        self._pvs = {pv.name: pv for pv in facts.pvs}
        self._lvs = {lv.dm_name: lv for lv in facts.lvs}
        self._blocks = {block.path: block for disk in facts.disks for block in disk.family()}
        self._named = {(lv.vg, lv.name): lv for lv in facts.lvs}
        self._drawn: set[str] = set()

    def roots(self) -> tuple[Branch, ...]:
        used = [disk for disk in self._facts.disks if self._is_used(disk)]
        others = [disk for disk in self._facts.disks if disk not in used and disk.kind not in ("loop", "rom", "lvm")]
        branches = [self._block(disk) for disk in used]
        # PVs that lsblk does not show, first of all those that are missing.
        branches += [self._pv(pv) for pv in self._facts.pvs if pv.name not in self._blocks]
        branches += [self._vg(vg.name) for vg in self._facts.vgs if vg.name not in self._drawn]
        branches += [self._block(disk) for disk in others[:FEW]]
        return (*branches, *_more(len(others) - FEW, "disks without LVM"))

    def _is_used(self, disk: BlockDevice) -> bool:
        # What stands for a missing part of an LV is a root to lsblk, for nothing is below it.
        lost = disk.kind == "lvm" and bool(self._lvs)
        return not lost and any(block.kind == "lvm" or block.path in self._pvs for block in disk.family())

    def _block(self, block: BlockDevice) -> Branch:
        pv = self._pvs.get(block.path)
        content = "" if block.content == "LVM2_member" and pv else block.content
        remarks = (block.kind, content, *_mounts(block.mounts))
        if pv is not None:
            return Branch(block.name, human_size(block.size_bytes), (*remarks, *_standing(pv)), (self._below(pv),))
        return Branch(block.name, human_size(block.size_bytes), remarks, self._stacked(block))

    def _stacked(self, block: BlockDevice | None) -> tuple[Branch, ...]:
        """With LVM's own answer at hand, LVs are drawn in their VG and not a second time where lsblk shows them."""
        return tuple(self._block(child) for child in block.children if child.name not in self._lvs) if block else ()

    def _pv(self, pv: PhysicalVolume) -> Branch:
        return Branch(pv.name, human_size(pv.size_bytes), _standing(pv), (self._below(pv),))

    def _below(self, pv: PhysicalVolume) -> Branch:
        if not pv.vg:
            return Branch("(in no VG)")
        if pv.vg in self._drawn or pv.missing:
            return Branch(pv.vg, "", ("VG, drawn with its other PV",))
        return self._vg(pv.vg)

    def _vg(self, name: str) -> Branch:
        self._drawn.add(name)
        vg = next((vg for vg in self._facts.vgs if vg.name == name), None)
        tops = [lv for lv in self._facts.lvs if lv.vg == name and not lv.hidden and not self._parent(lv)]
        if vg is None:
            return Branch(name, "", ("VG",), self._folded(tops))
        marks = ["! partial"] * vg.partial + ["! full"] * (vg.free_bytes == 0) + ["exported"] * vg.exported
        free = f"{human_size(vg.free_bytes)} free" if vg.free_bytes else ""
        several = f"{vg.pv_count} PVs" if (vg.pv_count or 0) > 1 else ""
        return Branch(name, human_size(vg.size_bytes), ("VG", several, free, *marks), self._folded(tops))

    def _parent(self, lv: LogicalVolume) -> LogicalVolume | None:
        """The pool of a thin volume, the origin of a snapshot."""
        name = lv.pool if lv.is_thin else lv.origin if lv.is_snapshot else ""
        return self._named.get((lv.vg, name))

    def _folded(self, lvs: list[LogicalVolume]) -> tuple[Branch, ...]:
        shown = lvs
        if len(lvs) > FOLD:
            kept = [lv for lv in lvs if lv.mounts or any(self._wrongs(lv))][: 2 * FOLD]
            shown = kept + [lv for lv in lvs if lv not in kept][:FEW]
        return (*map(self._lv, shown), *_more(len(lvs) - len(shown), "LVs"))

    def _lv(self, lv: LogicalVolume) -> Branch:
        path = f"/dev/mapper/{lv.dm_name}"
        content = "" if lv.content == "LVM2_member" else lv.content
        below = [other for other in self._facts.lvs if not other.hidden and self._parent(other) is lv]
        pv = self._pvs.get(path)
        return Branch(
            lv.name,
            human_size(lv.size_bytes),
            (_kind(lv), self._place(lv), *self._wrongs(lv), content, *_mounts(lv.mounts)),
            (*self._folded(below), *self._stacked(self._blocks.get(path)), *([self._below(pv)] if pv else [])),
        )

    def _place(self, lv: LogicalVolume) -> str:
        """The PVs that it lies on, where its VG has several."""
        if lv.is_thin or len({pv.name for pv in self._facts.pvs if pv.vg == lv.vg}) < 2:
            return ""
        devices = [device.rpartition("/")[2] for device in dict.fromkeys(self._facts.disks_below(lv))]
        more = f" and {len(devices) - 3} more" if len(devices) > 3 else ""
        return f"on {', '.join(devices[:3])}{more}" if devices else ""

    def _wrongs(self, lv: LogicalVolume) -> Iterator[str]:
        """What is wrong with it, by the same rules as the findings."""
        facts, fault = self._facts, fault_of(lv)
        if lv.is_degraded:
            yield "! degraded"
        elif lv.is_partial:
            yield "! partial"
        if lv.is_syncing:
            yield f"! in sync {lv.sync_percent or 0:.0f} %"
        if lv.is_snapshot and lv.invalid:
            yield "! invalid"
        elif lv.is_snapshot and (lv.data_percent or 0) >= facts.snapshot_warning_percent:
            yield "! nearly full"
        if fault is not None:
            yield f"! {fault.sentence}"
        elif lv.is_pool and lv.fill_percent >= facts.thin_warning_percent:
            yield "! nearly full"


def _standing(pv: PhysicalVolume) -> tuple[str, ...]:
    return ("! missing PV", f"was {pv.was}" if pv.was else "") if pv.missing else ("PV",)


def _kind(lv: LogicalVolume) -> str:
    """What kind of LV it is, and how full, which is known only of one that is active."""
    if lv.is_snapshot:
        return "snapshot" + ("" if lv.data_percent is None else f" {lv.data_percent:.0f} % full")
    if lv.is_pool:
        parts = {"data": lv.data_percent, "metadata": lv.metadata_percent}
        filled = ", ".join(f"{name} {percent:.0f} %" for name, percent in parts.items() if percent is not None)
        return f"thin pool: {filled}" if filled else "thin pool"
    if lv.is_thin:
        return f"thin LV, snapshot of {lv.origin}" if lv.origin else "thin LV"
    return "LV" if lv.segtype in ("", "linear") else f"{lv.segtype} LV"


def _mounts(mounts: tuple[Mount, ...]) -> Iterator[str]:
    yield from map(str, mounts[:2])
    if len(mounts) > 2:
        yield f"and {len(mounts) - 2} more mounts"


def _more(count: int, what: str) -> list[Branch]:
    return [Branch(f"… {count} more {what}")] if count > 0 else []
