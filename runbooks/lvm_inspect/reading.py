"""Reads the captures into facts. What cannot be read is kept beside what can, so that the rest is still judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from runbook.formats import (
    Devices,
    Mapping,
    Record,
    Unread,
    block_devices,
    columns,
    complaint,
    export_blocks,
    json_records,
    mappings,
    optional,
)  # fmt: skip
from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Evidence

from .facts import UNKNOWN, LogicalVolume, LvmFacts, Notice, PhysicalVolume, VolumeGroup

REPORTS = ("pvs", "vgs", "lvs")
Made = TypeVar("Made")


def parse(captures: Captures) -> LvmFacts:
    """All that the captures tell."""
    unread: list[Unread] = []
    kernel, device_mapper = _kernel(captures.ran("dmsetup-status"), unread)
    devices = _devices(captures, unread)
    notices = tuple(_notices(captures))
    pvs = _report(captures, "pvs", lambda row: _pv(row, notices), unread)
    vgs = _report(captures, "vgs", _vg, unread)
    segments = _report(captures, "lvs", lambda row: _lv(row, kernel, devices), unread)
    lvs = _joined(segments or [])
    threshold, threshold_lines = _autoextend(captures, lvs, unread)
    answers = {"pvs": pvs, "vgs": vgs, "lvs": segments}
    incomplete = {part.evidence.step.removesuffix("-text") for part in unread}
    return LvmFacts(
        pvs=(*_present(pvs or []), *_only_warned_of(pvs or [], notices)),
        vgs=tuple(vgs or []),
        lvs=lvs,
        disks=devices.disks,
        notices=notices,
        unread=tuple(unread),
        answered=tuple(step for step, rows in answers.items() if rows is not None and step not in incomplete),
        device_mapper=device_mapper,
        autoextend_threshold_percent=threshold,
        autoextend_evidence=threshold_lines,
        thin_warning_percent=captures.number("thin-warning"),
        thin_critical_percent=captures.number("thin-critical"),
        snapshot_warning_percent=captures.number("snapshot-warning"),
    )


# ------------------------------------------------------------------------------------ the three reports, JSON or text


def _report(captures: Captures, step: str, make: Callable[[Record], Made], unread: list[Unread]) -> list[Made] | None:
    """The rows of pvs, vgs or lvs, as JSON or else as a table; None when there is no answer.

    Which of the two is chosen by what can be read and not by a version, for JSON can fail for other reasons too.
    """
    problems: list[Unreadable] = []
    for capture, rows in ((captures.ran(step), _json_rows), (captures.ran(f"{step}-text"), _text_rows)):
        if capture is None:
            continue
        try:
            made = [make(row) for row in rows(capture, step[:2])]
        except Unreadable as error:
            problems.append((complaint(capture) if not capture.stdout.strip() else None) or error)
            continue
        if capture.exit_code == 0:
            return made
        problems.append(_failure(capture))
        if made:
            unread.append(Unread.because(problems[-1]))
            return made
    # The last resort's problem tells most: the first may only be that this LVM knows no JSON.
    unread += [Unread.because(problem) for problem in problems[-1:]]
    return None


def _failure(capture: Capture) -> Unreadable:
    """Exit status 5 with a complete document: something was left out, and standard error says what."""
    return complaint(capture) or Unreadable(f"`{capture.step}` exited with status {capture.exit_code}", capture.step)


def _json_rows(capture: Capture, kind: str) -> list[Record]:
    """{"report": [{"lv": [{"lv_name":"root", "vg_name":"laptop-vg", "lv_attr":"-wi-ao----"}]}]}"""
    return [row for report in json_records(capture, "report") for row in report.records(kind)]


#: The headings of the text tables, from LVM 2.02.89 on, and the columns that they stand for.
HEADINGS = {
    "PV": "pv_name", "PSize": "pv_size", "PFree": "pv_free", "VG": "vg_name", "#PV": "pv_count", "#LV": "lv_count",
    "VSize": "vg_size", "VFree": "vg_free", "LV": "lv_name", "LSize": "lv_size", "Type": "segtype", "Pool": "pool_lv",
    "Origin": "origin", "Data%": "data_percent", "Meta%": "metadata_percent", "Cpy%Sync": "copy_percent",
    "Copy%": "copy_percent", "Move": "move_pv", "Devices": "devices",
}  # fmt: skip


def _text_rows(capture: Capture, kind: str) -> list[Record]:
    _check_end(capture)
    names = HEADINGS | {"Attr": f"{kind}_attr"}
    return [
        Record({names.get(key, key): value for key, value in row.items()}, row.step, row.first_line, row.last_line)
        for row in columns(capture, kind.upper(), "Attr")
    ]


def _check_end(capture: Capture) -> None:
    """Refuse text whose last line was cut: half of 82.50 is a number too. (JSON shows by itself where it is cut.)"""
    if capture.stdout and not capture.stdout.endswith(b"\n"):
        last = capture.stdout.count(b"\n") + 1
        raise Unreadable(f"`{capture.step}` stops in the middle of line {last}", capture.step, last)


# -------------------------------------------------------------------------------- what LVM only says in its warnings

UUID = r"(?P<uuid>\w{6}(?:-\w{4}){5}-\w{6})"
#: The first of these that fits a line names its kind.
WARNINGS = (
    ("missing", re.compile(rf"VG (?P<vg>\S+) is missing PV {UUID}(?: \(last written to (?P<device>.+?)\))?")),
    ("missing", re.compile(rf"ouldn't find device with uuid '?{UUID}")),
    ("missing", re.compile(rf"Device for PV {UUID} not found or rejected")),
    ("duplicate", re.compile(rf"Not using device (?P<device>\S+) for PV {UUID}")),
    ("duplicate", re.compile(r"Found duplicate PV (?P<uuid>\S+): using \S+ not (?P<device>\S+)")),
    ("outdated", re.compile(r"outdated PV (?P<device>\S+) seqno \d+ has been removed in current VG (?P<vg>\S+)")),
    ("foreign", re.compile(r"Cannot access VG (?P<vg>\S+) with system ID")),
)


def _notices(captures: Captures) -> Iterator[Notice]:
    """Each warning once, though every report repeats it; the wording that tells most wins."""
    seen: dict[tuple[str, str], Notice] = {}
    for notice in _warnings(captures):
        key = (notice.kind, notice.uuid or notice.device or notice.vg)
        if key not in seen or (notice.vg and not seen[key].vg):
            seen[key] = notice
    yield from seen.values()


def _warnings(captures: Captures) -> Iterator[Notice]:
    """From standard error, and from standard output too: in a colleague's paste both are often one."""
    for step in (*REPORTS, *(f"{report}-text" for report in REPORTS)):
        capture = captures.ran(step)
        for stream, data in (("stderr", capture.stderr), ("stdout", capture.stdout)) if capture else ():
            for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), start=1):
                if notice := _warning(line, Evidence(step, stream, number, number)):
                    yield notice


def _warning(line: str, evidence: Evidence) -> Notice | None:
    for kind, pattern in WARNINGS:
        if match := pattern.search(line):
            return Notice(kind, evidence, **{name: text for name, text in match.groupdict().items() if text})
    return None


# ------------------------------------------------------------------------------------------------------- PVs and VGs


def _pv(row: Record, notices: tuple[Notice, ...]) -> PhysicalVolume:
    name, vg, attr, uuid = (row.text(key) for key in ("pv_name", "vg_name", "pv_attr", "pv_uuid"))
    missing = name in UNKNOWN or attr[2:3] == "m"
    was = [n.device for n in notices if n.kind == "missing" and n.vg == vg and uuid in (n.uuid, "")] if missing else []
    return PhysicalVolume(
        name=name,
        vg=vg,
        attr=attr,
        size_bytes=row.size("pv_size"),
        free_bytes=row.size("pv_free"),
        uuid=uuid,
        missing=missing,
        evidence=row.evidence,
        was=was[0] if was else "",
    )


def _present(pvs: list[PhysicalVolume]) -> list[PhysicalVolume]:
    """`pvs -a` also lists devices that are no PV (in no VG, without a size), and the copies of one (d in its attr)."""
    return [pv for pv in pvs if (pv.vg or pv.size_bytes) and not pv.attr.startswith("d")]


def _only_warned_of(pvs: list[PhysicalVolume], notices: tuple[Notice, ...]) -> Iterator[PhysicalVolume]:
    """Missing PVs that an LVM leaves out of its report, and only warns of."""
    listed = {pv.uuid for pv in pvs}
    # A text table has no uuid: there a missing PV of the same VG must be the one that is warned of.
    nameless = {pv.vg for pv in pvs if pv.missing and not pv.uuid}
    for notice in (notice for notice in notices if notice.kind == "missing" and notice.uuid not in listed):
        if notice.vg not in nameless if notice.vg else not nameless:
            yield PhysicalVolume(
                name=UNKNOWN[0],
                vg=notice.vg,
                attr="",
                size_bytes=None,
                free_bytes=None,
                uuid=notice.uuid,
                missing=True,
                evidence=notice.evidence,
                was=notice.device,
            )


def _vg(row: Record) -> VolumeGroup:
    attr = row.text("vg_attr").ljust(6, "-")
    return VolumeGroup(
        name=row.text("vg_name"),
        attr=attr,
        size_bytes=row.size("vg_size"),
        free_bytes=row.size("vg_free"),
        extent_bytes=row.size("vg_extent_size"),
        pv_count=_count(row, "pv_count"),
        lv_count=_count(row, "lv_count"),
        partial=attr[3] == "p",
        exported=attr[2] == "x",
        evidence=row.evidence,
    )


def _count(row: Record, name: str) -> int | None:
    number = row.number(name)
    return None if number is None else int(number)


# --------------------------------------------------------------------------------------------------------------- LVs


def _joined(segments: list[LogicalVolume]) -> tuple[LogicalVolume, ...]:
    """lvs prints one row a segment; the rows of one LV stand together and become one."""
    volumes: dict[str, LogicalVolume] = {}
    for segment in segments:
        first = volumes.get(segment.full_name, segment)
        volumes[segment.full_name] = replace(
            first,
            evidence=replace(first.evidence, last_line=segment.evidence.last_line),
            devices=tuple(dict.fromkeys(first.devices + segment.devices)),
        )
    return tuple(volumes.values())


def _lv(row: Record, kernel: dict[str, Mapping], devices: Devices) -> LogicalVolume:
    shown, vg = row.text("lv_name"), row.text("vg_name")
    name, dm_name = shown.strip("[]"), _dm_name(row)
    monitor, path = row.text("seg_monitor"), f"/dev/mapper/{dm_name}"
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
        mismatches=_count(row, "raid_mismatch_count"),
        moved_from=row.text("move_pv"),
        devices=_below(row),
        dm_name=dm_name,
        evidence=row.evidence,
        # A pool that has volumes is mapped a second time, under its own name as a plain linear device.
        kernel=kernel.get(f"{dm_name}-tpool") or kernel.get(dm_name),
        content=devices.contents.get(path, ""),
        mounts=devices.mounts.get(path, ()),
    )


def _dm_name(row: Record) -> str:
    """The name in the kernel: every hyphen doubled, then VG and LV joined by one (laptop--vg-root)."""
    vg, lv = (row.text(key).strip("[]").replace("-", "--") for key in ("vg_name", "lv_name"))
    return row.text("lv_dm_path").removeprefix("/dev/mapper/") or f"{vg}-{lv}"


def _below(row: Record) -> tuple[str, ...]:
    """/dev/sda(0),[unknown](12),[pool_tdata](0): the first extent in brackets, hidden LVs in brackets or not."""
    found = re.findall(r"(\[unknown\]|unknown device|[^,]+?)\(\d+\),?", row.text("devices"))
    return tuple(device if device in UNKNOWN else device.strip("[]") for device in found)


def _is_invalid(row: Record, kernel: Mapping | None) -> bool:
    """Whether a snapshot is; with report/binary_values_as_numeric, and in json_std, the flag is 1."""
    flagged = row.text("lv_snapshot_invalid") in ("snapshot invalid", "1") or row.text("lv_attr")[4:5] in ("I", "S")
    return flagged or (kernel is not None and kernel.target == "snapshot" and kernel.status in ("Invalid", "Overflow"))


# ------------------------------------------------------------------------------------ the kernel, the disks, settings


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


def _devices(captures: Captures, unread: list[Unread]) -> Devices:
    try:
        return block_devices(captures.ran("lsblk"), captures.ran("findmnt"), captures.ran("blkid"), unread)
    except Unreadable as error:
        unread.append(Unread.because(error))
        return Devices((), {}, {})


def _autoextend(
    captures: Captures, lvs: tuple[LogicalVolume, ...], unread: list[Unread]
) -> tuple[float | None, tuple[Evidence, ...]]:
    """From how many per cent on a thin pool is made larger, which matters only where there is a pool.

    thin_pool_autoextend_threshold=100
    """
    capture = captures.ran("lvmconfig") if any(lv.is_pool for lv in lvs) else None
    try:
        if capture is not None:
            _check_end(capture)
        for block in optional(capture, export_blocks, unread):
            return block.number("thin_pool_autoextend_threshold"), (block.evidence,)
    except Unreadable as error:
        unread.append(Unread.because(error))
    return None, ()
