"""What several checks advise and refer to: commands as exact words, room to grow, names in a sentence."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from runbook.formats import change, human_size, look
from runbook.model import Evidence, Reference

from .facts import LogicalVolume, LvmFacts

MAN = "https://man7.org/linux/man-pages/"
DM = "https://docs.kernel.org/admin-guide/device-mapper/"
LVS = Reference("lvs(8), NOTES: the lv_attr bits", MAN + "man8/lvs.8.html")
VGEXTEND = Reference("vgextend(8)", MAN + "man8/vgextend.8.html")
VGIMPORTCLONE = Reference("vgimportclone(8)", MAN + "man8/vgimportclone.8.html")
VGREDUCE = Reference("vgreduce(8)", MAN + "man8/vgreduce.8.html")
PVMOVE = Reference("pvmove(8)", MAN + "man8/pvmove.8.html")
LVMTHIN = Reference("lvmthin(7)", MAN + "man7/lvmthin.7.html")
LVMRAID = Reference("lvmraid(7)", MAN + "man7/lvmraid.7.html")
DEVICE_MAPPER = Reference("Linux: device mapper", DM + "index.html")
DM_THIN = Reference("Linux: thin provisioning", DM + "thin-provisioning.html")
DM_SNAPSHOT = Reference("Linux: device-mapper snapshot", DM + "snapshot.html")
DM_RAID = Reference("Linux: dm-raid", DM + "dm-raid.html")


def reads(*words: str) -> str:
    """A command to copy that changes nothing. Words are quoted: a name may come from a stranger's recording."""
    return look(shlex.join(words))


def changes(*words: str) -> str:
    """A command to copy that changes the host, and is marked so."""
    return change(shlex.join(words))


def kernel_log() -> str:
    return reads("dmesg", "--level", "err,warn")


def another_disk(vg: str) -> str:
    return changes("vgextend", vg, "/dev/NEW_DISK")


def wanted_bytes(lv: LogicalVolume) -> int:
    """What brings an LV down to 70 % full, and a fifth of it at least, as autoextend would add."""
    return int((lv.size_bytes or 0) * max((lv.data_percent or 0) / 70 - 1, 0.2))


def grow(facts: LvmFacts, lv: LogicalVolume, option: str, wanted_bytes: int, copies: int = 1) -> Iterator[str]:
    """Advice to add what is wanted, or what there is room for, or to give the VG a disk first.

    `option` is lvextend's for the size; `copies` is how often the VG has to have the room.
    """
    extent = facts.extent_bytes(lv.vg)
    wanted = max(-(-wanted_bytes // extent), 1) * extent
    room = facts.room_bytes(lv.vg) // copies // extent * extent
    if room:
        yield f"Make it larger; VG {lv.vg} has {human_size(facts.room_bytes(lv.vg))} free:"
    else:
        yield f"VG {lv.vg} has no room: give it another disk (NEW_DISK is a name to fill in), then make it larger:"
        yield another_disk(lv.vg)
    yield changes("lvextend", option, _lvm_size(min(wanted, room or wanted)), lv.full_name)


def _lvm_size(size_bytes: int) -> str:
    """More of a size, as lvextend takes it: exact, and in megabytes where that is exact."""
    mebibytes, rest = divmod(size_bytes, 1 << 20)
    return f"+{size_bytes >> 10}k" if rest else f"+{mebibytes}m"


def names(lvs: Sequence[LogicalVolume]) -> str:
    return ", ".join(lv.name for lv in lvs[:8]) + f" and {len(lvs) - 8} more" * (len(lvs) > 8)


def once(*parts: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """All this evidence, each line of it once."""
    return tuple(dict.fromkeys(evidence for part in parts for evidence in part))
