"""Block devices and what they are used for: lsblk, findmnt and blkid joined, and the device mapper's own status."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from runbook.errors import Unreadable
from runbook.formats.json import json_records
from runbook.formats.partial import Unread, complaint, optional
from runbook.formats.records import Record, text_of
from runbook.formats.tables import export_blocks
from runbook.model import Capture, Evidence


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a device is in use; `[SWAP]` is a target too. `used_percent` is None where it is not known."""

    target: str
    used_percent: float | None = None

    def __str__(self) -> str:
        return self.target + ("" if self.used_percent is None else f" {self.used_percent:.0f} % used")


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """One device as lsblk shows it, with what is stacked on it; `content` is a file system's or a signature's name."""

    name: str
    path: str
    kind: str
    size_bytes: int | None
    content: str
    mounts: tuple[Mount, ...]
    children: tuple[BlockDevice, ...]
    evidence: Evidence

    def family(self) -> Iterator[BlockDevice]:
        """The device itself and everything stacked on it."""
        yield self
        for child in self.children:
            yield from child.family()


@dataclass(frozen=True, slots=True)
class Devices:
    """The disks, and what each device holds and where it is mounted, by path (`/dev/mapper/x` for what is mapped)."""

    disks: tuple[BlockDevice, ...]
    contents: dict[str, str]
    mounts: dict[str, tuple[Mount, ...]]


def block_devices(
    lsblk: Capture | None, findmnt: Capture | None, blkid: Capture | None, unread: list[Unread]
) -> Devices:
    """The join of `lsblk -J -b`, `findmnt -J -l` and `blkid -o export`, as far as they answered.

        {"name": "sda3", "kname": "sda3", "type": "part", "size": 255266390016, "fstype": "crypto_LUKS",
         "mountpoint": null, "children": [{"name": "sda3_crypt", "kname": "dm-0", "type": "crypt", …}]}
        {"target": "/home", "source": "/dev/mapper/laptop--vg-home", "fstype": "ext4", "use%": "43%"}

    lsblk knows a content only from udev, so in a container or a lab blkid fills in.
    """
    roots = optional(lsblk, _disks, unread)
    contents: dict[str, str] = {}
    mounts: dict[str, dict[str, Mount]] = {}
    for record in _descendants(roots):
        contents.setdefault(_path(record), record.text("fstype"))
        several = record.get("mountpoints")
        for target in several if isinstance(several, list) else [record.text("mountpoint")]:
            if target:
                mounts.setdefault(_path(record), {})[str(target)] = Mount(str(target))
    for record in optional(findmnt, _mounted, unread):
        # A part of a file system that is mounted reads /dev/sda1[/subvolume].
        path, target = record.text("source").partition("[")[0], record.text("target")
        mounts.setdefault(path, {})[target] = Mount(target, record.number("use%"))
        contents[path] = contents.get(path) or record.text("fstype")
    for record in optional(blkid, export_blocks, unread):
        path = record.text("DEVNAME")
        contents[path] = contents.get(path) or record.text("TYPE")
    places = {path: tuple(targets.values()) for path, targets in mounts.items()}
    return Devices(tuple(_block(root, contents, places) for root in roots), contents, places)


def _disks(capture: Capture) -> tuple[Record, ...]:
    """lsblk's disks; a size that is none is refused here, where what others say is still read."""
    disks = json_records(capture, "blockdevices")
    for record in _descendants(disks):
        record.size("size")
    return disks


def _mounted(capture: Capture) -> tuple[Record, ...]:
    """findmnt's file systems, those below others too (without `-l` they are nested)."""
    mounted = tuple(_descendants(json_records(capture, "filesystems")))
    for record in mounted:
        record.number("use%")
    return mounted


def _block(record: Record, contents: dict[str, str], mounts: dict[str, tuple[Mount, ...]]) -> BlockDevice:
    path = _path(record)
    return BlockDevice(
        name=record.text("name"),
        path=path,
        kind=record.text("type"),
        size_bytes=record.size("size"),
        content=contents.get(path, ""),
        mounts=mounts.get(path, ()),
        children=tuple(_block(child, contents, mounts) for child in record.records("children")),
        evidence=record.evidence,
    )


def _descendants(records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        yield record
        yield from _descendants(record.records("children"))


def _path(record: Record) -> str:
    mapped = record.text("kname").startswith("dm-") or record.text("type") in ("lvm", "crypt", "mpath", "dm")
    return ("/dev/mapper/" if mapped else "/dev/") + record.text("name")


@dataclass(frozen=True, slots=True)
class Mapping:
    """What the kernel says of a mapped device: its target, and that target's own status words."""

    name: str
    target: str
    status: str
    evidence: Evidence


def mappings(capture: Capture) -> dict[str, Mapping] | None:
    """The lines of `dmsetup status` by name; None when the kernel has no device mapper.

        datavg-pool0-tpool: 0 819200 thin-pool 2 241/2048 6400/6400 - out_of_data_space no_discard_passdown …
        datavg-www_before_upgrade: 0 409600 snapshot Invalid
        mirvg-data: 0 409600 raid raid1 2 AD 409600/409600 idle 0 0 -

    The first segment of a device stands for all of them. Raises Unreadable when dmsetup was not allowed to ask.
    """
    if capture.exit_code != 0:
        if re.search(rb"open failed: No such (device|file)", capture.stderr):
            return None
        raise complaint(capture) or Unreadable("`dmsetup status` failed and did not say why", capture.step)
    found: dict[str, Mapping] = {}
    for number, line in enumerate(text_of(capture).split("\n"), start=1):
        if not line.strip() or line.strip() == "No devices found":
            continue
        match = re.fullmatch(r"(.+?): \d+ \d+ (\S+) ?(.*)", line)
        if match is None:
            raise Unreadable(f"line {number} of `{capture.step}` is no device's status", capture.step, number)
        evidence = Evidence(capture.step, "stdout", number, number)
        found.setdefault(match[1], Mapping(match[1], match[2], match[3].strip(), evidence))
    return found
