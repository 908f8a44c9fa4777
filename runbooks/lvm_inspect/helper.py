"""Joins what LVM, the kernel and the block tools say into one stack, says what is wrong with it, and draws it.

A fault is looked for in every place where it can show, for one place alone can hide it: a missing PV may be only a
warning on standard error with exit status 0, and a mirror that has lost a leg still says that 100 % of it is in sync.
"""

# No `from __future__ import annotations`: dataclasses could not look up their module while a helper is being loaded.
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from runbook.formats import (
    BlockDevice,
    Branch,
    Devices,
    Mapping,
    Mount,
    Record,
    Unread,
    block_devices,
    change,
    columns,
    complaint,
    export_blocks,
    human_size,
    json_records,
    look,
    mappings,
    optional,
    tree,
    unread_findings,
)  # fmt: skip
from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Evidence, Finding, Reference, Verdict

MAN = "https://man7.org/linux/man-pages/"
DM = "https://docs.kernel.org/admin-guide/device-mapper/"
LVS = Reference("lvs(8), NOTES: the lv_attr bits", MAN + "man8/lvs.8.html")
VGEXTEND = Reference("vgextend(8)", MAN + "man8/vgextend.8.html")
VGIMPORTCLONE = Reference("vgimportclone(8)", MAN + "man8/vgimportclone.8.html")
VGREDUCE = Reference("vgreduce(8)", MAN + "man8/vgreduce.8.html")
LVMTHIN = Reference("lvmthin(7)", MAN + "man7/lvmthin.7.html")
LVMRAID = Reference("lvmraid(7)", MAN + "man7/lvmraid.7.html")
DEVICE_MAPPER = Reference("Linux: device mapper", DM + "index.html")
DM_THIN = Reference("Linux: thin provisioning", DM + "thin-provisioning.html")
DM_SNAPSHOT = Reference("Linux: device-mapper snapshot", DM + "snapshot.html")
DM_RAID = Reference("Linux: dm-raid", DM + "dm-raid.html")

#: Names that LVM gives to a device that is not there: since 2.02.108, and before.
UNKNOWN = ("[unknown]", "unknown device")


# ------------------------------------------------------------------------------------------------------------- facts


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning of LVM on standard error; `kind` is missing, duplicate or foreign."""

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
    """A VG; `partial` when one of its PVs is missing."""

    name: str
    attr: str
    size_bytes: int | None
    free_bytes: int | None
    extent_bytes: int | None
    pv_count: int | None
    partial: bool
    exported: bool
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """An LV, its hidden parts being LVs of their own; `devices` are PVs or other LVs, `attr` always has ten letters."""

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
    devices: tuple[str, ...]
    dm_name: str
    evidence: Evidence
    kernel: Mapping | None
    content: str
    mounts: tuple[Mount, ...]

    @property
    def full_name(self) -> str:
        return f"{self.vg}/{self.name}"

    @property
    def is_pool(self) -> bool:
        return self.segtype == "thin-pool" or self.attr[0] == "t"

    @property
    def is_thin(self) -> bool:
        return self.attr[6] == "t" and self.attr[0] not in "tTe"

    @property
    def is_snapshot(self) -> bool:
        """A copy-on-write snapshot with room of its own; a thin snapshot is a thin volume like any other."""
        return self.attr[0] in "sS" and not self.is_thin

    @property
    def is_redundant(self) -> bool:
        """Whether it keeps copies or parity: not raid0, nor the mirror that pvmove puts up for the time of a move."""
        whole = self.attr[6] in "rm" and self.attr[0] not in "iIelp"
        return whole and self.segtype not in ("linear", "striped") and not self.segtype.startswith("raid0")

    @property
    def legs(self) -> str:
        """One letter a leg: A in sync, a not yet, D dead (dm-raid; the old mirror target has more letters for dead).

        mirvg-data: 0 409600 raid raid1 2 AD 409600/409600 idle 0 0 -
        cvg-oldmir: 0 81920 mirror 2 254:8 254:9 20/20 1 AA 1 core
        """
        words = self.kernel.status.split() if self.kernel else []
        if self.kernel and self.kernel.target == "raid" and len(words) > 2:
            return words[2]
        legs = int(words[0]) if self.kernel and self.kernel.target == "mirror" and words[0].isdigit() else 0
        return words[legs + 3] if legs and len(words) > legs + 3 else ""

    @property
    def is_degraded(self) -> bool:
        needs = self.attr[8] in "pr" or "partial" in self.health or "needed" in self.health
        return self.is_redundant and (needs or any(leg in "DFSRU" for leg in self.legs))

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
    def lines(self) -> tuple[Evidence, ...]:
        """LVM's lines on it and the kernel's."""
        return (self.evidence, self.kernel.evidence) if self.kernel else (self.evidence,)

    @property
    def is_partial(self) -> bool:
        return self.attr[8] == "p" or any(device in UNKNOWN for device in self.devices)


@dataclass(frozen=True, slots=True)
class LvmFacts:
    """The whole stack. `answered` names the reports that gave a whole answer (pvs, vgs, lvs); percentages are 0 to 100.

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

    def of(self, kind: str) -> list[Notice]:
        return [notice for notice in self.notices if notice.kind == kind]

    def volumes_in(self, pool: LogicalVolume) -> list[LogicalVolume]:
        return [lv for lv in self.lvs if lv.is_thin and (lv.vg, lv.pool) == (pool.vg, pool.name)]

    def disks_below(self, lv: LogicalVolume, depth: int = 5) -> Iterator[str]:
        """The PVs that an LV lies on, through its hidden parts; the same one may come twice."""
        parts = {(part.vg, part.name): part for part in self.lvs}
        for device in lv.devices:
            part = parts.get((lv.vg, device.strip("[]"))) if device not in UNKNOWN else None
            if part is not None and depth:
                yield from self.disks_below(part, depth - 1)
            else:
                yield device

    def room_bytes(self, vg: str) -> int:
        """Free space of a VG that can be given out: on PVs that are there and allocatable (pv_attr bit 1 is `a`)."""
        if "pvs" in self.answered:
            return sum(pv.free_bytes or 0 for pv in self.pvs if pv.vg == vg and not pv.missing and pv.attr[:1] == "a")
        return sum(group.free_bytes or 0 for group in self.vgs if group.name == vg)

    def extent_bytes(self, vg: str) -> int:
        return next((group.extent_bytes or 0 for group in self.vgs if group.name == vg), 0) or 4 * 1024 * 1024


# ------------------------------------------------------------------------------------------------------------- parse


def parse(captures: Captures) -> LvmFacts:
    """All that the captures tell; what cannot be read is kept in `unread`, so that the rest is still judged.

    Raises Unreadable when LVM was asked and not one of its reports can be read.
    """
    unread: list[Unread] = []
    reports = {step: _report(captures, step, unread) for step in ("pvs", "vgs", "lvs")}
    if unread and all(rows is None for rows in reports.values()):
        first = unread[0]
        raise Unreadable(first.reason, first.evidence.step, first.evidence.first_line, first.evidence.stream)
    whole = tuple(s for s, rows in reports.items() if rows is not None and all(u.evidence.step != s for u in unread))
    kernel, device_mapper = _kernel(captures.ran("dmsetup-status"), unread)
    devices = block_devices(captures.ran("lsblk"), captures.ran("findmnt"), captures.ran("blkid"), unread)
    lvs = _lvs(reports["lvs"] or [], kernel, devices)
    # Only where there is a pool does it matter whether its setting can be read.
    pools = any(lv.is_pool for lv in lvs)
    settings = optional(captures.ran("lvmconfig") if pools else None, export_blocks, unread)
    notices = tuple(_notices(captures))
    return LvmFacts(
        pvs=_pvs(reports["pvs"] or [], notices),
        vgs=tuple(_vg(row) for row in reports["vgs"] or []),
        lvs=lvs,
        disks=devices.disks,
        notices=notices,
        unread=tuple(unread),
        answered=whole,
        device_mapper=device_mapper,
        autoextend_threshold_percent=settings[0].number("thin_pool_autoextend_threshold") if settings else None,
        autoextend_evidence=tuple(block.evidence for block in settings),
        thin_warning_percent=captures.number("thin-warning"),
        thin_critical_percent=captures.number("thin-critical"),
        snapshot_warning_percent=captures.number("snapshot-warning"),
    )


def _kernel(capture: Capture | None, unread: list[Unread]) -> tuple[dict[str, Mapping], str]:
    """The kernel's mappings by name, and whether it has a device mapper: present, absent or unknown."""
    if capture is None:
        return {}, "unknown"
    try:
        found = mappings(capture)
    except Unreadable as error:
        unread.append(Unread.because(error))
        return {}, "unknown"
    return (found, "present") if found is not None else ({}, "absent")


#: The headings of the text tables, from LVM 2.02.89 on, and the columns that they stand for.
HEADINGS = {
    "PV": "pv_name", "PSize": "pv_size", "PFree": "pv_free", "VG": "vg_name", "#PV": "pv_count",
    "VSize": "vg_size", "VFree": "vg_free", "LV": "lv_name", "LSize": "lv_size", "Type": "segtype", "Pool": "pool_lv",
    "Origin": "origin", "Data%": "data_percent", "Meta%": "metadata_percent", "Cpy%Sync": "copy_percent",
    "Copy%": "copy_percent", "Move": "move_pv", "Devices": "devices",
}  # fmt: skip


def _report(captures: Captures, step: str, unread: list[Unread]) -> list[Record] | None:
    """The rows of pvs, vgs or lvs, as JSON or else as a table; None when there is no answer.

    Which of the two is chosen by what can be read and not by a version, for JSON can fail for other reasons too.
    """
    problem: Unreadable | None = None
    for capture, read in ((captures.ran(step), _json_rows), (captures.ran(f"{step}-text"), _text_rows)):
        if capture is None:
            continue
        try:
            rows = read(capture, step[:2])
        except Unreadable as error:
            problem = problem or (complaint(capture) if not capture.stdout.strip() else None) or error
            continue
        if capture.exit_code == 0:
            return rows
        # Exit status 5 with a complete document: something was left out, and standard error says what.
        problem = complaint(capture) or Unreadable(f"`{step}` exited with status {capture.exit_code}", capture.step)
        if rows:
            unread.append(Unread.because(problem))
            return rows
    if problem is not None:
        unread.append(Unread.because(problem))
    return None


def _json_rows(capture: Capture, kind: str) -> list[Record]:
    """{"report": [{"lv": [{"lv_name":"root", "vg_name":"laptop-vg", "lv_attr":"-wi-ao----"}]}]}"""
    return [row for report in json_records(capture, "report") for row in report.records(kind)]


def _text_rows(capture: Capture, kind: str) -> list[Record]:
    names = HEADINGS | {"Attr": f"{kind}_attr"}
    return [
        Record({names.get(key, key): value for key, value in row.items()}, row.step, row.first_line, row.last_line)
        for row in columns(capture, kind.upper(), "Attr")
    ]


UUID = r"(?P<uuid>\w{6}(?:-\w{4}){5}-\w{6})"
#: What LVM says on standard error; the first of these that fits a line names its kind.
WARNINGS = (
    ("missing", re.compile(rf"VG (?P<vg>\S+) is missing PV {UUID}(?: \(last written to (?P<device>.+?)\))?")),
    ("missing", re.compile(rf"ouldn't find device with uuid '?{UUID}")),
    ("missing", re.compile(rf"Device for PV {UUID} not found or rejected")),
    ("duplicate", re.compile(rf"Not using device (?P<device>\S+) for PV {UUID}")),
    ("duplicate", re.compile(r"Found duplicate PV (?P<uuid>\S+): using \S+ not (?P<device>\S+)")),
    ("foreign", re.compile(r"Cannot access VG (?P<vg>\S+) with system ID")),
)


def _notices(captures: Captures) -> Iterator[Notice]:
    """Each warning once, though every report repeats it; the wording that tells most wins."""
    seen: dict[tuple[str, str], Notice] = {}
    for step in ("pvs", "vgs", "lvs", "pvs-text", "vgs-text", "lvs-text"):
        capture = captures.ran(step)
        lines = capture.stderr.decode("utf-8", "replace").split("\n") if capture else []
        for number, line in enumerate(lines, start=1):
            if notice := _notice(line, Evidence(step, "stderr", number, number)):
                key = (notice.kind, notice.uuid or notice.vg)
                if key not in seen or (notice.vg and not seen[key].vg):
                    seen[key] = notice
    yield from seen.values()


def _notice(line: str, evidence: Evidence) -> Notice | None:
    for kind, pattern in WARNINGS:
        if match := pattern.search(line):
            return Notice(kind, evidence, **{name: text for name, text in match.groupdict().items() if text})
    return None


def _pvs(rows: list[Record], notices: tuple[Notice, ...]) -> tuple[PhysicalVolume, ...]:
    # `pvs -a` also lists every device that is no PV: of no size and in no VG.
    pvs = [pv for pv in (_pv(row, notices) for row in rows) if pv.vg or pv.size_bytes]
    known = {pv.uuid for pv in pvs}
    # An LVM that leaves a missing PV out still warns of it. In a text table there is no uuid to tell them apart by.
    nameless = {pv.vg for pv in pvs if pv.missing and not pv.uuid}
    for warning in (notice for notice in notices if notice.kind == "missing" and notice.uuid not in known):
        if warning.vg not in nameless and (warning.vg or not nameless):
            lost = ("[unknown]", warning.vg, "", None, None, warning.uuid, True, warning.evidence, warning.device)
            pvs.append(PhysicalVolume(*lost))
    return tuple(pvs)


def _pv(row: Record, notices: tuple[Notice, ...]) -> PhysicalVolume:
    name, vg, attr, uuid = (row.text(key) for key in ("pv_name", "vg_name", "pv_attr", "pv_uuid"))
    missing = name in UNKNOWN or attr[2:3] == "m"
    was = [n.device for n in notices if n.kind == "missing" and n.vg == vg and uuid in (n.uuid, "")] if missing else []
    return PhysicalVolume(
        name, vg, attr, row.size("pv_size"), row.size("pv_free"), uuid, missing, row.evidence, was[0] if was else ""
    )


def _vg(row: Record) -> VolumeGroup:
    attr = row.text("vg_attr").ljust(6, "-")
    pv_count = row.number("pv_count")
    return VolumeGroup(
        name=row.text("vg_name"),
        attr=attr,
        size_bytes=row.size("vg_size"),
        free_bytes=row.size("vg_free"),
        extent_bytes=row.size("vg_extent_size"),
        pv_count=None if pv_count is None else int(pv_count),
        partial=attr[3] == "p",
        exported=attr[2] == "x",
        evidence=row.evidence,
    )


def _lvs(rows: list[Record], kernel: dict[str, Mapping], devices: Devices) -> tuple[LogicalVolume, ...]:
    """One LV for all rows of its segments, which stand together."""
    volumes: dict[tuple[str, str], LogicalVolume] = {}
    for row in rows:
        lv = _lv(row, kernel, devices)
        before = volumes.get((lv.vg, lv.name))
        if before is not None:
            lines = replace(before.evidence, last_line=lv.evidence.last_line)
            lv = replace(before, evidence=lines, devices=tuple(dict.fromkeys(before.devices + lv.devices)))
        volumes[lv.vg, lv.name] = lv
    return tuple(volumes.values())


def _lv(row: Record, kernel: dict[str, Mapping], devices: Devices) -> LogicalVolume:
    shown, vg = row.text("lv_name"), row.text("vg_name")
    name = shown.strip("[]")
    # The name in the kernel: every hyphen doubled, then VG and LV joined by one (laptop--vg-root).
    doubled = f"{vg.replace('-', '--')}-{name.replace('-', '--')}"
    dm_name = row.text("lv_dm_path").removeprefix("/dev/mapper/") or doubled
    mismatches, monitor = row.number("raid_mismatch_count"), row.text("seg_monitor")
    return LogicalVolume(
        name=name,
        vg=vg,
        attr=row.text("lv_attr").ljust(10, "-"),
        size_bytes=row.size("lv_size"),
        segtype=row.text("segtype"),
        hidden=shown != name,
        pool=row.text("pool_lv").strip("[]"),
        origin=row.text("origin").strip("[]"),
        data_percent=row.number("data_percent"),
        metadata_percent=row.number("metadata_percent"),
        sync_percent=row.number("copy_percent"),
        metadata_size_bytes=row.size("lv_metadata_size"),
        health=row.text("lv_health_status"),
        when_full=row.text("lv_when_full"),
        monitored=None if monitor in ("", "undefined") else monitor == "monitored",
        invalid=_is_invalid(row, kernel.get(dm_name)),
        sync_action=row.text("raid_sync_action"),
        mismatches=None if mismatches is None else int(mismatches),
        devices=tuple(re.findall(r"(\[unknown\]|unknown device|[^,]+?)\(\d+\),?", row.text("devices"))),
        dm_name=dm_name,
        evidence=row.evidence,
        # A pool that has volumes is mapped a second time, under its own name as a plain linear device.
        kernel=kernel.get(f"{dm_name}-tpool") or kernel.get(dm_name),
        content=devices.contents.get(f"/dev/mapper/{dm_name}", ""),
        mounts=devices.mounts.get(f"/dev/mapper/{dm_name}", ()),
    )


def _is_invalid(row: Record, kernel: Mapping | None) -> bool:
    """Whether a snapshot is; with report/binary_values_as_numeric, and in json_std, the flag is 1."""
    flagged = row.text("lv_snapshot_invalid") in ("snapshot invalid", "1") or row.text("lv_attr")[4:5] in ("I", "S")
    return flagged or (kernel is not None and kernel.target == "snapshot" and kernel.status in ("Invalid", "Overflow"))


# ------------------------------------------------------------------------------------------------------------- judge


def judge(facts: LvmFacts) -> Iterator[Finding]:
    """Every finding of RUNBOOKS.md, one for each VG, pool, snapshot or LV concerned."""
    problems = [finding for check in CHECKS for finding in check(facts)]
    yield from problems
    # Only three whole answers can say that all is well, or that there is nothing.
    if not problems and len(facts.answered) == 3:
        yield _all_well(facts)


def _all_well(facts: LvmFacts) -> Finding:
    if facts.pvs or facts.vgs or facts.lvs or facts.notices:
        return _healthy(facts)
    members = [block for disk in facts.disks for block in disk.family() if block.content == "LVM2_member"]
    if members:
        return _hidden(members)
    kernel = " This kernel has no device mapper, so it could not use any either." * (facts.device_mapper == "absent")
    return Finding(
        "no-lvm",
        Verdict.OK,
        "No LVM here: no physical volume, no volume group, no logical volume",
        f"LVM was asked and knows of nothing on this host; its disks are used directly.{kernel}",
    )


def _healthy(facts: LvmFacts) -> Finding:
    visible = sum(not lv.hidden for lv in facts.lvs)
    asides = [f"VG {vg.name} is exported: no host can use it before `vgimport`." for vg in facts.vgs if vg.exported]
    asides += [f"VG {notice.vg} belongs to another host and was not looked into." for notice in facts.of("foreign")]
    asides += [
        f"pvmove is emptying a disk of VG {lv.vg} ({lv.sync_percent or 0:.0f} %): remove none before it ends."
        for lv in facts.lvs
        if lv.attr[0] == "p"
    ]
    return Finding(
        "healthy",
        Verdict.OK,
        " ".join([f"Nothing is wrong with {len(facts.pvs)} PV, {len(facts.vgs)} VG and {visible} LV.", *asides]),
        "No PV is missing, and no volume reports a fault or is running out of room.",
        evidence=(*(vg.evidence for vg in facts.vgs), *(notice.evidence for notice in facts.notices)),
        references=(LVS,),
    )


def _hidden(members: list[BlockDevice]) -> Finding:
    return Finding(
        "unreadable",
        Verdict.UNKNOWN,
        f"{members[0].path} carries the signature of a PV, but LVM does not list it",
        "LVM leaves out what its devices file or a filter in lvm.conf does not allow, such as the disks of virtual "
        "machines. Whether it is well cannot be told from here.",
        f"See what LVM may look at:\n{look('lvmdevices')}\n"
        f"{look('lvmconfig --type full devices/filter devices/global_filter')}",
        tuple(block.evidence for block in members[:5]),
    )


def _missing(facts: LvmFacts) -> Iterator[Finding]:
    for name in sorted({pv.vg for pv in facts.pvs if pv.missing} | {vg.name for vg in facts.vgs if vg.partial}):
        vgs = [vg for vg in facts.vgs if vg.name == name]
        gone = [pv for pv in facts.pvs if pv.missing and pv.vg == name]
        affected = [lv for lv in facts.lvs if lv.vg == name and lv.is_partial and not lv.hidden]
        harm = f"affected: {_names(affected)}" if affected else "no LV uses it"
        total = f" of {vgs[0].pv_count}" if vgs and vgs[0].pv_count else ""
        which = ", ".join(f"{human_size(pv.size_bytes) or pv.uuid} last seen as {pv.was or 'unknown'}" for pv in gone)
        warnings = [notice for notice in facts.of("missing") if notice.vg == name]
        yield Finding(
            "pv-missing",
            Verdict.CRITICAL,
            f"VG {name or 'of unknown name'}: {max(len(gone), 1)}{total} PV missing (limit: 0"
            f"{'; ' * bool(which)}{which}); {harm if 'lvs' in facts.answered else 'its LVs could not be listed'}",
            _loss(affected),
            _find_disk(name, gone),
            tuple(part.evidence for parts in (gone, affected[:5], warnings, vgs) for part in parts),
            (VGREDUCE, LVS),
        )


def _loss(affected: list[LogicalVolume]) -> str:
    kept = [lv for lv in affected if lv.is_redundant]
    lost = [lv for lv in affected if not lv.is_redundant]
    text = "A disk that the volume group counts on is not there: unplugged, failed, or not unlocked yet."
    text += f" Without it the data of {_names(lost)} is incomplete." * bool(lost)
    return text + f" {_names(kept)} can go on without it, from copies or parity." * bool(kept)


def _find_disk(vg: str, gone: list[PhysicalVolume]) -> str:
    back = [pv.name for pv in gone if pv.name not in UNKNOWN]
    if back:
        restore = change(f"vgextend --restoremissing {vg} {' '.join(back)}")
        return f"The disk has come back, but the VG was changed without it and still counts it as missing:\n{restore}"
    return "\n".join(
        (
            "Look for the disk first, it may only be unplugged or locked:",
            look("lsblk -o NAME,SIZE,TYPE,FSTYPE,MODEL,SERIAL"),
            look("dmesg --level err,warn"),
            "Once it is back, activate what could not be:",
            change(f"vgchange -ay {vg}".rstrip()),
            "Only when it is gone for good, and its data is in a backup or in copies, take it out of the VG. "
            "`vgreduce --removemissing` does that; with --force it also deletes every LV that is incomplete.",
        )
    )


def _raid(facts: LvmFacts) -> Iterator[Finding]:
    """RAID and mirrors, hidden ones included, for the data of a thin pool may lie on one."""
    for lv in facts.lvs:
        if lv.is_degraded:
            yield _degraded(facts, lv)
        elif lv.is_syncing:
            percent = "not" if lv.sync_percent is None else f"{lv.sync_percent:.2f} %"
            action = lv.sync_action or "copying"
            yield Finding(
                "raid-syncing",
                Verdict.WARNING,
                f"{lv.segtype or 'RAID'} {lv.full_name} is {percent} in sync (limit: 100 %; {action})",
                "Its copies are not the same yet. Until they are, the loss of the wrong disk loses data.",
                "Leave all disks in place, wait, and look again:\n"
                + look(f"lvs -a -o lv_name,copy_percent,raid_sync_action {lv.full_name}"),
                lv.lines,
                (LVMRAID, DM_RAID),
            )


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
            look("dmesg --level err,warn"),
            "If it is sound, take it in again:",
            change(f"lvchange --refresh {lv.full_name}"),
        )
    )


def _rebuild(facts: LvmFacts, lv: LogicalVolume) -> str:
    """lvmraid(7), "Replacing Devices"."""
    holding = {device for device in facts.disks_below(lv) if device not in UNKNOWN}
    spare = any(pv.vg == lv.vg and pv.name not in holding and pv.free_bytes and not pv.missing for pv in facts.pvs)
    add = [f"(VG {lv.vg} has no such disk: add one; NEW_DISK is a name to fill in)", _vgextend(lv)]
    return "\n".join(
        [
            "If the missing disk can come back, put it back first, then take it in again:",
            change(f"lvchange --refresh {lv.full_name}"),
            "If it cannot, build the lost leg anew on a disk of the group that holds none yet:",
            *([] if spare else add),
            change(f"lvconvert --repair {lv.full_name}"),
        ]
    )


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of one LV: the end of the sentence about it, what it means, and advice with {lv} and {dm} to fill in."""

    sentence: str
    meaning: str
    advice: str


_REPAIR = """Save what can still be read, take its volumes out of use, then repair it:
    lvchange -an {lv}   # changes this host
    lvconvert --repair {lv}   # changes this host
    lvchange -ay {lv}   # changes this host"""
_KERNEL_LOG = """Look for the cause in the kernel's log before anything else:
    dmesg --level err,warn"""
_COMPARE = """Back up what matters, then have the copies compared again.
    lvchange --syncaction check {lv}   # changes this host
    lvs -o lv_name,raid_sync_action,raid_mismatch_count {lv}
If they still differ, `lvchange --syncaction repair` makes them alike, which is not the same as right."""

TROUBLES = {
    "D": Trouble(
        "is out of data space",
        "The kernel has stopped this thin pool: writes to its volumes wait, and then fail.",
        "Make the pool larger (see thin-pool-data for the command), then check the file systems on its volumes.",
    ),
    "M": Trouble("has read-only metadata", "After a fault the kernel lets it be read but not changed.", _REPAIR),
    "F": Trouble("has failed", "The kernel permits no access to it any more.", _REPAIR),
    "c": Trouble("needs a check of its metadata", "The kernel found its map inconsistent and has marked it.", _REPAIR),
    "E": Trouble("has a failing cache", "The fast device in front of it could not store everything.", _KERNEL_LOG),
    "m": Trouble(
        "has copies that differ",
        "A check found places where the copies are not the same. Which one is right, LVM cannot know.",
        _COMPARE,
    ),
    "merge": Trouble(
        "could not be merged", "Merging this snapshot failed; its origin may hold old and new mixed.", _KERNEL_LOG
    ),
    "s": Trouble(
        "is suspended",
        "Whoever reads or writes it waits. LVM does this for a moment while it changes a volume.",
        "Look again in a minute. If it stays so and no LVM command is running, let it go on:\n"
        "    dmsetup info {dm}\n    dmsetup resume {dm}   # changes this host",
    ),
    "d": Trouble(
        "is only half set up in the kernel",
        "It has a device without a live table, left behind by a command that broke off.",
        "Set it up anew:\n    lvchange -an {lv}   # changes this host\n    lvchange -ay {lv}   # changes this host",
    ),
}

#: lv_health_status, which tells in words what bit 9 of lv_attr may hide behind a more urgent letter, and bit 5.
HEALTH = {"out_of_data": "D", "metadata_read_only": "M", "failed": "F", "error": "E", "mismatches exist": "m"}
STATES = {"s": "s", "S": "s", "m": "merge", "M": "merge", "c": "c", "C": "c", "d": "d", "i": "d"}


def _trouble(lv: LogicalVolume) -> str:
    """The key into TROUBLES, or "": bits 9 (health) and 5 (state) of lv_attr, lv_health_status, the kernel's status.

    w (write-mostly), s and R (reshaping, images to remove after it) are a choice or work in progress, not a fault.
    """
    words = lv.kernel.status.split() if lv.kernel and lv.kernel.target in ("thin-pool", "cache") else []
    if "Fail" in words or "Error" in words:
        return "F"
    if "out_of_data_space" in words:
        return "D"
    health = lv.attr[8] if lv.attr[8] in "DMFEm" else HEALTH.get(lv.health, "")
    return health or ("m" if lv.mismatches else "c" if "needs_check" in words else STATES.get(lv.attr[4], ""))


def _health(facts: LvmFacts) -> Iterator[Finding]:
    for lv in facts.lvs:
        key = "" if lv.hidden else _trouble(lv)
        if key:
            trouble = TROUBLES[key]
            found = f"{lv.mismatches} sectors, limit: 0; " if key == "m" and lv.mismatches else ""
            yield Finding(
                "lv-health",
                Verdict.CRITICAL,
                f"LV {lv.full_name} {trouble.sentence} ({found}lv_attr {lv.attr}, limit: no fault)",
                trouble.meaning,
                trouble.advice.format(lv=lv.full_name, dm=lv.dm_name),
                lv.lines,
                (LVS, LVMTHIN if lv.is_pool else LVMRAID),
            )


def _duplicates(facts: LvmFacts) -> Iterator[Finding]:
    for notice in facts.of("duplicate"):
        yield Finding(
            "lv-health",
            Verdict.CRITICAL,
            f"{notice.device} is a second copy of PV {notice.uuid} (limit: one)",
            "Two devices carry the same identity: a cloned disk, or one disk seen over two paths. LVM uses one of them "
            "and refuses to activate volumes; what is written to one is missing from the other.",
            f"See where they come from, and detach the copy:\n{look('lsblk -o NAME,SIZE,TYPE,MODEL,SERIAL')}\n"
            "If the copy is to stay beside the original, give it an identity of its own (COPY is a name to fill in):\n"
            + change(f"vgimportclone --basevgname COPY {notice.device}"),
            (notice.evidence,),
            (VGIMPORTCLONE,),
        )


def _no_device_mapper(facts: LvmFacts) -> Iterator[Finding]:
    if facts.device_mapper == "absent" and facts.lvs:
        yield Finding(
            "lv-health",
            Verdict.CRITICAL,
            f"{len(facts.lvs)} LVs exist, but this kernel has no device mapper to make devices of them",
            "Their descriptions are on the disks, but the part of the kernel that makes them usable is missing.",
            f"Load it, if this kernel has it as a module:\n{change('modprobe dm-mod')}",
            tuple(vg.evidence for vg in facts.vgs),
            (DEVICE_MAPPER,),
        )


def _thin(facts: LvmFacts) -> Iterator[Finding]:
    for pool in facts.lvs:
        if pool.is_pool:
            yield from _fill(facts, pool, "data", pool.data_percent)
            yield from _fill(facts, pool, "metadata", pool.metadata_percent)
            yield from _overcommitted(facts, pool)


def _fill(facts: LvmFacts, pool: LogicalVolume, what: str, percent: float | None) -> Iterator[Finding]:
    limits = {Verdict.CRITICAL: facts.thin_critical_percent, Verdict.WARNING: facts.thin_warning_percent}
    verdict = next((verdict for verdict, limit in limits.items() if percent is not None and percent >= limit), None)
    if verdict is None:
        return
    full = "fail at once" if pool.when_full == "error" else "hang for a minute and then fail"
    explanation = {
        "data": "The volumes in a thin pool are promised more than is set aside, and take real space only as they are "
        f"written to. When the pool is full, writes to all of them {full}, and their file systems break.",
        "metadata": "The pool keeps a map of which block belongs to which volume. When the room for this map is full, "
        "the pool accepts no writes and must be repaired off line, however much space for data is left.",
    }
    yield Finding(
        f"thin-pool-{what}",
        verdict,
        f"Thin pool {pool.full_name}: {percent:.2f} % of its {what} space is used "
        f"(limit: {verdict} from {limits[verdict]:g} %)",
        explanation[what],
        _more_data(facts, pool) if what == "data" else _more_metadata(facts, pool),
        pool.lines,
        (LVMTHIN, DM_THIN),
    )


def _more_data(facts: LvmFacts, pool: LogicalVolume) -> str:
    mounts = [mount.target for lv in facts.volumes_in(pool) for mount in lv.mounts if mount.target.startswith("/")]
    return "\n".join(
        [
            *_grow(facts, pool, _wanted(pool), "lvextend -L"),
            *(["Give back what deleted files still hold:"] if mounts else []),
            *(change(f"fstrim -v {shlex.quote(target)}") for target in mounts[:3]),
            "Or look for volumes and snapshots in it that are not needed any more:",
            look(f"lvs -o lv_name,origin,lv_size,data_percent -S pool_lv={pool.name} {pool.vg}"),
        ]
    )


def _more_metadata(facts: LvmFacts, pool: LogicalVolume) -> str:
    return "\n".join(_grow(facts, pool, pool.metadata_size_bytes or 0, "lvextend --poolmetadatasize"))


def _wanted(lv: LogicalVolume) -> int:
    """What brings an LV down to 70 % full, and a fifth of it at least, as autoextend would add."""
    return int((lv.size_bytes or 0) * max((lv.data_percent or 0) / 70 - 1, 0.2))


def _grow(facts: LvmFacts, lv: LogicalVolume, wanted_bytes: int, command: str) -> Iterator[str]:
    """Advice to add what is wanted, or what there is, or to give the VG a disk first."""
    extent = facts.extent_bytes(lv.vg)
    wanted = max(-(-wanted_bytes // extent), 1) * extent
    room = facts.room_bytes(lv.vg) // extent * extent
    if room:
        yield f"Make it larger; VG {lv.vg} has {human_size(room)} free:"
    else:
        yield f"VG {lv.vg} has no room: give it another disk (NEW_DISK is a name to fill in), then make it larger:"
        yield _vgextend(lv)
    yield change(f"{command} +{min(wanted, room or wanted) // 1024}k {lv.full_name}")


def _overcommitted(facts: LvmFacts, pool: LogicalVolume) -> Iterator[Finding]:
    """lvmthin(7), "Automatic extend settings": a threshold of 100 is off, and nothing happens without monitoring."""
    volumes = facts.volumes_in(pool)
    promised = sum(lv.size_bytes or 0 for lv in volumes)
    threshold = facts.autoextend_threshold_percent
    why = "threshold 100" if threshold == 100 else "not monitored"
    grows = threshold is None or (threshold < 100 and pool.monitored is not False)
    if grows or not pool.size_bytes or promised <= pool.size_bytes:
        return
    yield Finding(
        "thin-pool-overcommitted",
        Verdict.WARNING,
        f"Thin pool {pool.full_name} has promised {human_size(promised)} to {len(volumes)} volumes "
        f"(limit: the {human_size(pool.size_bytes)} it has), and autoextend is off ({why})",
        "More is promised than there is. Thin pools are for that, but then somebody must make the pool larger before "
        "it is full. LVM can do it by itself, and is not set to.",
        "In /etc/lvm/lvm.conf, section activation, set thin_pool_autoextend_threshold = 70 and "
        "thin_pool_autoextend_percent = 20, keep free space in the VG, and have the pool watched:\n"
        + change(f"lvchange --monitor y {pool.full_name}"),
        (pool.evidence, *(lv.evidence for lv in volumes[:5]), *facts.autoextend_evidence),
        (LVMTHIN,),
    )


def _full(facts: LvmFacts) -> Iterator[Finding]:
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
            f"{change(f'vgextend {vg.name} /dev/NEW_DISK')}\n"
            f"Or look for a volume that is not needed any more:\n{look(f'lvs {vg.name}')}",
            (vg.evidence, *(pool.evidence for pool in pools)),
            (VGEXTEND,),
        )


def _snapshots(facts: LvmFacts) -> Iterator[Finding]:
    for lv in facts.lvs:
        if not lv.is_snapshot:
            continue
        percent = lv.data_percent or 0.0
        if lv.invalid or percent >= 100:
            yield _lost_snapshot(lv)
        # One that is being merged back (S) counts down to 0.
        elif percent >= facts.snapshot_warning_percent and lv.attr[0] == "s":
            yield _filling_snapshot(facts, lv)


def _lost_snapshot(lv: LogicalVolume) -> Finding:
    mounts = [mount.target for mount in lv.mounts if mount.target.startswith("/")]
    return Finding(
        "snapshot-full",
        Verdict.CRITICAL,
        f"Snapshot {lv.full_name} of {lv.origin} is {'invalid' if lv.invalid else 'full'}: "
        f"its {human_size(lv.size_bytes)} are used up (limit: below 100 %)",
        "A snapshot keeps the old content of every block that changes in its origin. Once it has no room for one of "
        f"them, it is worthless and cannot be brought back. {lv.origin} itself is not harmed.",
        "\n".join(
            [
                "Remove it, and make a larger one if it is still needed:",
                *(change(f"umount {shlex.quote(target)}") for target in mounts),
                change(f"lvremove {lv.full_name}"),
            ]
        ),
        lv.lines,
        (DM_SNAPSHOT, LVS),
    )


def _filling_snapshot(facts: LvmFacts, lv: LogicalVolume) -> Finding:
    return Finding(
        "snapshot-full",
        Verdict.WARNING,
        f"Snapshot {lv.full_name} of {lv.origin} is {lv.data_percent:.2f} % full "
        f"(limit: warning from {facts.snapshot_warning_percent:g} %, worthless at 100 %)",
        "A snapshot keeps the old content of every block that changes in its origin, and its room for that is nearly "
        f"used up. At 100 % it becomes worthless; {lv.origin} itself is not in danger.",
        "\n".join(
            [
                *_grow(facts, lv, _wanted(lv), "lvextend -L"),
                "Or remove it, if it has done its duty:",
                change(f"lvremove {lv.full_name}"),
            ]
        ),
        lv.lines,
        (DM_SNAPSHOT, LVS),
    )


def _untold(facts: LvmFacts) -> Iterator[Finding]:
    yield from unread_findings(facts.unread)
    unknown = [lv for lv in facts.lvs if "X" in (lv.attr[4], lv.attr[8]) and not lv.hidden]
    if unknown and facts.device_mapper != "absent":
        yield Finding(
            "unreadable",
            Verdict.UNKNOWN,
            f"LVM could not ask the kernel about {_names(unknown)} (X in lv_attr)",
            "What is on the disks was judged; how the volumes are doing at this moment is not known.",
            evidence=tuple(lv.evidence for lv in unknown[:5]),
            references=(LVS,),
        )


CHECKS: tuple[Callable[[LvmFacts], Iterator[Finding]], ...] = (
    _missing, _raid, _health, _duplicates, _no_device_mapper, _thin, _full, _snapshots, _untold,
)  # fmt: skip


def _vgextend(lv: LogicalVolume) -> str:
    return change(f"vgextend {lv.vg} /dev/NEW_DISK")


def _names(lvs: list[LogicalVolume]) -> str:
    return ", ".join(lv.name for lv in lvs[:8]) + f" and {len(lvs) - 8} more" * (len(lvs) > 8)


# -------------------------------------------------------------------------------------------------------------- draw

#: Lists longer than this are folded to what is in trouble or in use, and a few more.
FOLD = 16
FEW = 4


def draw(facts: LvmFacts) -> str:
    """The stack as one tree: disk, partition, LUKS, PV, VG, LV, file system and mount; 80 columns wide."""
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
        self._names = {(lv.vg, lv.name): lv for lv in facts.lvs}
        self._drawn: set[str] = set()

    def roots(self) -> tuple[Branch, ...]:
        used = [disk for disk in self._facts.disks if self._is_used(disk)]
        others = [disk for disk in self._facts.disks if disk not in used and disk.kind not in ("loop", "rom", "lvm")]
        branches = [self._block(disk) for disk in used]
        # PVs that lsblk does not show, first of all those that are missing.
        branches += [self._pv(pv) for pv in self._facts.pvs if pv.missing or pv.name not in self._blocks]
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
            return Branch(block.name, human_size(block.size_bytes), (*remarks, "PV"), (self._below(pv),))
        # With LVM's own answer at hand, LVs are drawn in their VG and not a second time where the kernel stacks them.
        below = [child for child in block.children if child.name not in self._lvs]
        return Branch(block.name, human_size(block.size_bytes), remarks, tuple(map(self._block, below)))

    def _pv(self, pv: PhysicalVolume) -> Branch:
        was = f"was {pv.was}" if pv.was else ""
        remarks = ("! missing PV", was) if pv.missing else ("PV",)
        return Branch(pv.name, human_size(pv.size_bytes), remarks, (self._below(pv),))

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
        return self._names.get((lv.vg, name))

    def _folded(self, lvs: list[LogicalVolume]) -> tuple[Branch, ...]:
        shown = lvs
        if len(lvs) > FOLD:
            kept = [lv for lv in lvs if lv.mounts or any(mark.startswith("!") for mark in self._marks(lv))][: 2 * FOLD]
            shown = kept + [lv for lv in lvs if lv not in kept][:FEW]
        return (*map(self._lv, shown), *_more(len(lvs) - len(shown), "LVs"))

    def _lv(self, lv: LogicalVolume) -> Branch:
        below = [other for other in self._facts.lvs if not other.hidden and self._parent(other) is lv]
        block = self._blocks.get(f"/dev/mapper/{lv.dm_name}")
        stacked = [child for child in block.children if child.name not in self._lvs] if block else []
        remarks = (*self._marks(lv), lv.content if lv.content != "LVM2_member" else "", *_mounts(lv.mounts))
        pv = self._pvs.get(f"/dev/mapper/{lv.dm_name}")
        children = (*self._folded(below), *map(self._block, stacked), *([self._below(pv)] if pv else []))
        return Branch(lv.name, human_size(lv.size_bytes), remarks, children)

    def _marks(self, lv: LogicalVolume) -> Iterator[str]:
        """What kind of LV it is, how full, on which disks, and what is wrong with it (`! …`)."""
        facts, kind = self._facts, lv.segtype
        if lv.is_snapshot:
            yield f"snapshot {lv.data_percent or 0:.0f} % full"
        elif lv.is_pool:
            yield f"thin pool: data {lv.data_percent or 0:.0f} %, metadata {lv.metadata_percent or 0:.0f} %"
        elif lv.is_thin:
            yield "thin LV" + (f", snapshot of {lv.origin}" if lv.origin else "")
        else:
            yield "LV" if kind in ("", "linear") else f"{kind} LV"
        devices = [device.rpartition("/")[2] for device in dict.fromkeys(facts.disks_below(lv))]
        if not lv.is_thin and len({pv.name for pv in facts.pvs if pv.vg == lv.vg}) > 1 and devices:
            yield "on " + ", ".join(devices[:3]) + (f" and {len(devices) - 3} more" if len(devices) > 3 else "")
        yield from self._wrongs(lv)

    def _wrongs(self, lv: LogicalVolume) -> Iterator[str]:
        facts = self._facts
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
        if key := _trouble(lv):
            yield f"! {TROUBLES[key].sentence}"
        elif lv.is_pool and lv.fill_percent >= facts.thin_warning_percent:
            yield "! nearly full"


def _mounts(mounts: tuple[Mount, ...]) -> Iterator[str]:
    yield from map(str, mounts[:2])
    if len(mounts) > 2:
        yield f"and {len(mounts) - 2} more mounts"


def _more(count: int, what: str) -> list[Branch]:
    return [Branch(f"… {count} more {what}")] if count > 0 else []
