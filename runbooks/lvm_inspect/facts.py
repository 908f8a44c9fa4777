"""What is known of a host's LVM, as frozen values: PVs, VGs, LVs, the disks below them, and what LVM warned of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbook.formats import BlockDevice, Mapping, Mount, Unread
from runbook.model import Evidence

#: Names that LVM gives to a device that is not there: since 2.02.108, and before.
UNKNOWN = ("[unknown]", "unknown device")


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning of LVM.

    `kind` is missing (a PV is not there), duplicate (two devices are the same PV), foreign (a VG belongs to another
    host) or outdated (a PV was taken out of its VG while it was away).
    """

    kind: str
    evidence: Evidence
    vg: str = ""
    uuid: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """A PV; `was` is the device that a missing one was last seen on."""

    name: str
    vg: str
    attr: str
    size_bytes: int | None
    free_bytes: int | None
    uuid: str
    missing: bool
    evidence: Evidence
    was: str = ""


@dataclass(frozen=True, slots=True)
class VolumeGroup:
    """A VG; `partial` when one of its PVs is missing. `lv_count` leaves hidden LVs out."""

    name: str
    attr: str
    size_bytes: int | None
    free_bytes: int | None
    extent_bytes: int | None
    pv_count: int | None
    lv_count: int | None
    partial: bool
    exported: bool
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """An LV; its hidden parts are LVs of their own. `devices` are PVs or hidden LVs, `attr` always has ten letters.

    `kernel` is what the device mapper says of it, None while it is not active. `moved_from` is the PV that a pvmove
    is emptying.
    """

    name: str
    vg: str
    attr: str
    size_bytes: int | None
    segtype: str
    hidden: bool
    pool: str
    origin: str
    data_percent: float | None
    metadata_percent: float | None
    sync_percent: float | None
    metadata_size_bytes: int | None
    health: str
    when_full: str
    monitored: bool | None
    invalid: bool
    sync_action: str
    mismatches: int | None
    moved_from: str
    devices: tuple[str, ...]
    dm_name: str
    evidence: Evidence
    kernel: Mapping | None
    content: str
    mounts: tuple[Mount, ...]

    # The letters of lv_attr that matter here, as lvs(8) numbers them: 1, 5, 7 and 9.

    @property
    def type_letter(self) -> str:
        return self.attr[0]

    @property
    def state_letter(self) -> str:
        return self.attr[4]

    @property
    def target_letter(self) -> str:
        return self.attr[6]

    @property
    def health_letter(self) -> str:
        return self.attr[8]

    @property
    def full_name(self) -> str:
        return f"{self.vg}/{self.name}"

    @property
    def lines(self) -> tuple[Evidence, ...]:
        """LVM's lines on it and the kernel's."""
        return (self.evidence, self.kernel.evidence) if self.kernel else (self.evidence,)

    @property
    def is_active(self) -> bool:
        return self.state_letter != "-"

    @property
    def is_pool(self) -> bool:
        return self.segtype == "thin-pool" or self.type_letter == "t"

    @property
    def is_thin(self) -> bool:
        """A volume in a thin pool; not the pool, nor its two halves (T and e)."""
        return self.target_letter == "t" and self.type_letter not in "tTe"

    @property
    def is_snapshot(self) -> bool:
        """A copy-on-write snapshot with room of its own; a thin snapshot is a thin volume like any other."""
        return self.type_letter in "sS" and not self.is_thin

    @property
    def is_move(self) -> bool:
        """The hidden mirror that pvmove puts up for the time of a move."""
        return self.type_letter == "p"

    @property
    def is_partial(self) -> bool:
        return self.health_letter == "p" or any(device in UNKNOWN for device in self.devices)

    @property
    def is_redundant(self) -> bool:
        """Whether it keeps copies or parity: not raid0, nor a move."""
        segtype = self.segtype or ("raid" if self.type_letter in "rRmM" else "")
        return segtype.startswith(("raid", "mirror")) and not segtype.startswith("raid0") and not self.is_move

    @property
    def legs(self) -> str:
        """The kernel's letter for each leg: A in sync, a not yet, any other dead; "" where it says nothing of legs.

        mirvg-data: 0 409600 raid raid1 2 AD 409600/409600 idle 0 0 -
        cvg-oldmir: 0 81920 mirror 2 254:8 254:9 20/20 1 AA 1 core
        """
        words = self.kernel.status.split() if self.kernel else []
        target = self.kernel.target if self.kernel else ""
        if target == "raid":
            return "".join(words[2:3])
        if target == "mirror" and words and words[0].isdigit():
            after_devices = 1 + int(words[0])
            return "".join(words[after_devices + 2 : after_devices + 3])
        return ""

    @property
    def is_degraded(self) -> bool:
        needs_help = self.health_letter in "pr" or self.health in ("partial", "refresh needed")
        return self.is_redundant and (needs_help or any(leg not in "Aa" for leg in self.legs))

    @property
    def is_syncing(self) -> bool:
        """A scrub (`check`, `repair`) also counts up to 100 %, but all copies are complete meanwhile."""
        if not self.is_redundant or self.is_degraded or self.sync_action in ("check", "repair"):
            return False
        return "a" in self.legs or (self.sync_percent is not None and self.sync_percent < 100)

    @property
    def fill_percent(self) -> float:
        """How full a thin pool is, by whichever of data and metadata is fuller; of any other LV it says nothing."""
        return max(self.data_percent or 0.0, self.metadata_percent or 0.0)

    @property
    def mount_points(self) -> list[str]:
        """Where its file system is mounted; swap is no such place."""
        return [mount.target for mount in self.mounts if mount.target.startswith("/")]


@dataclass(frozen=True, slots=True)
class LvmFacts:
    """The whole stack, and the limits to judge it by; percentages are 0 to 100.

    `answered` names the reports that gave a whole answer (pvs, vgs, lvs); `unread` is what is missing from the others.
    `device_mapper` is present, absent (the kernel has none) or unknown.
    """

    pvs: tuple[PhysicalVolume, ...]
    vgs: tuple[VolumeGroup, ...]
    lvs: tuple[LogicalVolume, ...]
    disks: tuple[BlockDevice, ...]
    notices: tuple[Notice, ...]
    unread: tuple[Unread, ...]
    answered: tuple[str, ...]
    device_mapper: str
    autoextend_threshold_percent: float | None
    autoextend_evidence: tuple[Evidence, ...]
    thin_warning_percent: float
    thin_critical_percent: float
    snapshot_warning_percent: float

    def noticed(self, kind: str) -> list[Notice]:
        return [notice for notice in self.notices if notice.kind == kind]

    def volumes_in(self, pool: LogicalVolume) -> list[LogicalVolume]:
        return [lv for lv in self.lvs if lv.is_thin and (lv.vg, lv.pool) == (pool.vg, pool.name)]

    def parts_of(self, lv: LogicalVolume) -> list[LogicalVolume]:
        """The LVs that this one is made of: its hidden parts; for a thin volume, its pool."""
        wanted = {*lv.devices, f"{lv.name}_tmeta" if lv.is_pool else "", lv.pool if lv.is_thin else ""}
        return [part for part in self.lvs if part.vg == lv.vg and part.name in wanted]

    def disks_below(self, lv: LogicalVolume, depth: int = 5) -> Iterator[str]:
        """The PVs that an LV lies on, through its hidden parts; the same one may come twice."""
        parts = {part.name: part for part in self.parts_of(lv)}
        for device in lv.devices:
            if device in parts and depth:
                yield from self.disks_below(parts[device], depth - 1)
            else:
                yield device

    def lacks_data(self, lv: LogicalVolume, depth: int = 5) -> bool:
        """Whether a missing PV takes data of this LV with it: no copies or parity stand between the two."""
        if lv.is_redundant or not lv.is_partial:
            return False
        partial = [part for part in self.parts_of(lv) if part.is_partial]
        if not partial or not depth or any(device in UNKNOWN for device in lv.devices):
            return True
        return any(self.lacks_data(part, depth - 1) for part in partial)

    def room_bytes(self, vg: str) -> int:
        """Free space of a VG that can be given out: on PVs that are there and (a)llocatable, by pvs(8)."""
        if "pvs" in self.answered:
            return sum(pv.free_bytes or 0 for pv in self.pvs if pv.vg == vg and not pv.missing and pv.attr[:1] == "a")
        return sum(group.free_bytes or 0 for group in self.vgs if group.name == vg)

    def extent_bytes(self, vg: str) -> int:
        """LVM gives out space in extents of this size; 4 MiB is its default."""
        return next((group.extent_bytes or 0 for group in self.vgs if group.name == vg), 0) or 4 * 1024 * 1024
