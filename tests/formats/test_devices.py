"""Block devices joined from lsblk, findmnt and blkid; the device mapper's status."""

from __future__ import annotations

import json

import pytest

from runbook.errors import Unreadable
from runbook.formats.devices import Devices, Mount, block_devices, mappings
from runbook.formats.partial import Unread
from runbook.model import Capture, Evidence
from tests.formats.printing import printed

LSBLK = {
    "blockdevices": [
        {
            "name": "sda", "kname": "sda", "type": "disk", "size": 1024, "fstype": None, "mountpoint": None,
            "children": [
                {"name": "sda1", "kname": "sda1", "type": "part", "size": 512, "fstype": "vfat", "mountpoint": "/boot"},
                {"name": "vg-root", "kname": "dm-0", "type": "lvm", "size": 512, "fstype": None, "mountpoints": [None]},
            ],
        }
    ]
}  # fmt: skip
FINDMNT = {"filesystems": [{"target": "/", "source": "/dev/mapper/vg-root[/sub]", "fstype": "btrfs", "use%": "43%"}]}


def lsblk(document: object = LSBLK) -> Capture:
    return printed(json.dumps(document))


def devices(*captures: Capture | None) -> tuple[Devices, list[str]]:
    unread: list[Unread] = []
    found = block_devices(*captures, unread)  # type: ignore[call-arg, arg-type]
    return found, [part.reason for part in unread]


def test_the_stack_is_joined() -> None:
    found, unread = devices(lsblk(), printed(json.dumps(FINDMNT)), printed("DEVNAME=/dev/sda\nTYPE=LVM2_member\n"))
    (sda,) = found.disks
    assert [(d.path, d.content) for d in sda.family()] == [
        ("/dev/sda", "LVM2_member"),
        ("/dev/sda1", "vfat"),
        ("/dev/mapper/vg-root", "btrfs"),
    ]
    assert unread == []


def test_mounts_say_how_full_they_are_where_it_is_known() -> None:
    found, _ = devices(lsblk(), printed(json.dumps(FINDMNT)), None)
    assert found.mounts == {"/dev/sda1": (Mount("/boot"),), "/dev/mapper/vg-root": (Mount("/", 43.0),)}
    assert str(Mount("/", 43.0)) == "/ 43 % used"


def test_nothing_that_ran_is_nothing_known() -> None:
    found, unread = devices(None, None, None)
    assert (found, unread) == (Devices((), {}, {}), [])


@pytest.mark.parametrize(
    "bad",
    [
        {"blockdevices": None},
        {"blockdevices": [{"name": "sda", "size": "big"}]},
        {"blockdevices": [{"name": "sda", "size": 1, "children": [{"name": "sda1", "size": "big"}]}]},
    ],
)
def test_a_bad_lsblk_does_not_hide_the_mounts(bad: object) -> None:
    found, unread = devices(lsblk(bad), printed(json.dumps(FINDMNT)), None)
    assert found.mounts == {"/dev/mapper/vg-root": (Mount("/", 43.0),)}
    assert len(unread) == 1


def test_a_bad_findmnt_does_not_hide_the_disks() -> None:
    found, unread = devices(lsblk(), printed('{"filesystems": [{"target": "/", "use%": "half"}]}'), None)
    assert [disk.name for disk in found.disks] == ["sda"]
    assert unread == ["`use%` should be a number, not `half`"]


STATUS = """\
data--vg-pool-tpool: 0 204800 thin-pool 1 119/1024 1520/1600 - rw no_discard_passdown - 256
mirror-vg: 0 409600 raid raid1 2 AD 409600/409600 idle 0 0 -
mirror-vg: 409600 100 linear
"""


def test_the_first_segment_stands_for_a_mapping() -> None:
    found = mappings(printed(STATUS))
    assert found is not None
    assert [(name, found[name].target) for name in found] == [
        ("data--vg-pool-tpool", "thin-pool"),
        ("mirror-vg", "raid"),
    ]
    assert found["mirror-vg"].evidence == Evidence("list", "stdout", 2, 2)


@pytest.mark.parametrize("text", ["", "No devices found\n", "\n"])
def test_a_device_mapper_without_devices_is_not_an_absent_one(text: str) -> None:
    assert mappings(printed(text)) == {}


def test_a_kernel_without_device_mapper_says_so() -> None:
    said = "/dev/mapper/control: open failed: No such device\nCommand failed.\n"
    assert mappings(printed("", said, exit_code=1)) is None


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [("/dev/mapper/control: open failed: Permission denied\n", "Permission denied"), ("", "did not say why")],
)
def test_a_device_mapper_that_could_not_be_asked_is_neither(stderr: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        mappings(printed("", stderr, exit_code=1))


def test_a_line_that_is_no_status_is_refused() -> None:
    with pytest.raises(Unreadable, match="line 2") as refusal:
        mappings(printed("a: 0 1 linear \nwhat\n"))
    assert refusal.value.evidence.first_line == 2
