"""Reads what blkid, cryptsetup and the device mapper say; keeps what could not be read beside what could."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Pairs

from runbook.formats import BlockDevice, Record, Unread, block_devices, columns, complaint
from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Evidence

from .facts import Facts, Header, Mapping
from .luks_dump import header as dumped
from .probe_lines import told

NO_LUKS = b"is not a valid LUKS device"


def parse(captures: Captures) -> Facts:
    """All that the captures tell."""
    unread: list[Unread] = []
    asked = str(captures.parameters.get("device", "") or "")
    devices = block_devices(captures.ran("lsblk"), captures.ran("findmnt"), captures.ran("blkid"), unread)
    parents = {child.name: disk.path for disk, child in _stacked(devices.disks) if child.kind == "crypt"}
    headers, looked = _headers(captures, asked, devices.contents, unread)
    mapped, device_mapper = _mappings(captures, parents, unread)
    return Facts(
        headers=headers,
        mappings=tuple(mapped),
        disks=devices.disks,
        stated=tuple(_stated(captures.ran("crypttab"))),
        asked_for=asked,
        not_luks=_nothing_there(captures, asked, headers, unread),
        looked=looked,
        device_mapper=device_mapper,
        unread=tuple(unread),
    )


def _stacked(roots: tuple[BlockDevice, ...]) -> Iterator[tuple[BlockDevice, BlockDevice]]:
    for root in roots:
        for child in root.children:
            yield root, child
        yield from _stacked(root.children)


# ------------------------------------------------------------------------------------------------------------- headers


def _headers(
    captures: Captures, asked: str, contents: Pairs[str, str], unread: list[Unread]
) -> tuple[tuple[Header, ...], bool]:
    """The one header that was asked for, or every one of this host, and whether the probe came to its end."""
    one, dump = (captures.ran(step) if asked else None for step in ("one", "header"))
    if one is None and dump is not None:
        return _printed(dump, asked, unread), False
    capture = one or captures.ran("headers")
    if capture is None:
        return (), False
    try:
        headers, ended = told(_text(capture), capture.step, {} if asked else contents, unread)
    except Unreadable as error:
        unread.append(Unread.because(error))
        return (), False
    return headers, ended and not asked


def _printed(capture: Capture, device: str, unread: list[Unread]) -> tuple[Header, ...]:
    """The one header as `cryptsetup luksDump` prints it."""
    if capture.exit_code != 0 and NO_LUKS in capture.stderr:
        return ()
    try:
        if capture.exit_code != 0:
            raise complaint(capture) or Unreadable("`cryptsetup luksDump` failed and did not say why", capture.step)
        return (dumped(device, _text(capture), capture.step),)
    except Unreadable as error:
        unread.append(Unread.because(error))
    return ()


def _nothing_there(
    captures: Captures, asked: str, headers: tuple[Header, ...], unread: list[Unread]
) -> Evidence | None:
    """The line that says that what was asked for is no LUKS device; None when it is one, or nobody can tell."""
    one, dump = (captures.ran(step) if asked else None for step in ("one", "header"))
    if headers or any(part.evidence.step in ("one", "header") for part in unread):
        return None
    if one is not None:
        return Evidence("one", "stdout", 1, 1)
    if dump is not None and NO_LUKS in dump.stderr and b"lock" not in dump.stderr:
        return Evidence("header", "stderr", 1, 1)
    return None


def _text(capture: Capture) -> str:
    if capture.truncated:
        last = capture.stdout.count(b"\n") + 1
        raise Unreadable(f"`{capture.step}` printed more than was kept, the rest is missing", capture.step, last)
    return capture.stdout.decode("utf-8", "replace")


# ------------------------------------------------------------------------------------------------------------ mappings

#: `sda3_crypt: 0 498563072 crypt aes-xts-plain64 :64:logon:cryptsetup:… 0 8:3 32768 1 allow_discards`
TABLE = re.compile(
    r"(?P<name>.+?): \d+ \d+ crypt (?P<cipher>\S+) (?P<key>\S+) \d+ (?P<device>\S+) \d+(?: \d+ (?P<options>.+))?"
)
#: The key's own place in it is zeros, or, where the kernel's key ring has it, its size and name.
IN_KEYRING = re.compile(r":(?P<bytes>\d+):\w+:(?:cryptsetup:(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-)?")


def _mappings(captures: Captures, parents: Pairs[str, str], unread: list[Unread]) -> tuple[list[Mapping], bool | None]:
    """What is open, and whether this kernel has a device mapper at all (None: that was not told)."""
    capture = captures.ran("dmsetup-table")
    if capture is None:
        return [], None
    if capture.exit_code != 0:
        if re.search(rb"open failed: No such (device|file)", capture.stderr):
            return [], False
        reason = complaint(capture) or Unreadable("`dmsetup table` failed and did not say why", capture.step)
        unread.append(Unread.because(reason))
        return [], None
    named = _uuids(captures.ran("dmsetup-info"), unread)
    found = []
    try:
        for number, line in enumerate(_text(capture).split("\n"), start=1):
            if (mapping := _mapping(line.strip(), capture.step, number, named, parents)) is not None:
                found.append(mapping)
        if capture.stdout and not capture.stdout.endswith(b"\n"):
            last = capture.stdout.count(b"\n") + 1
            raise Unreadable(f"`{capture.step}` stops in the middle of line {last}", capture.step, last)
    except Unreadable as error:
        unread.append(Unread.because(error))
    # Whatever the one names as encrypted, the other has to show.
    for name, (kind, _, evidence) in named.items():
        if kind and name not in {mapping.name for mapping in found}:
            unread.append(Unread(f"`dmsetup table` does not show {name}, which is open", evidence))
    return found, True


def _mapping(
    line: str, step: str, number: int, named: dict[str, tuple[str, str, Evidence]], parents: Pairs[str, str]
) -> Mapping | None:
    if not line or line == "No devices found" or re.match(r".+?: \d+ \d+ (?!crypt )\S+", line):
        return None
    match = TABLE.fullmatch(line)
    if match is None:
        raise Unreadable(f"line {number} of `{step}` is no encrypted device", step, number)
    key = IN_KEYRING.match(match["key"])
    bits = int(key["bytes"]) * 8 if key else len(match["key"]) * 4 if match["key"] != "-" else 0
    kind, uuid, _ = named.get(match["name"], ("", "", None))
    return Mapping(
        name=match["name"],
        format=kind or ("LUKS2" if key and key["uuid"] else ""),
        uuid=uuid or ((key["uuid"] or "") if key else ""),
        device=parents.get(match["name"], ""),
        cipher=match["cipher"],
        key_bits=bits,
        options=tuple((match["options"] or "").split()),
        evidence=Evidence(step, "stdout", number, number),
    )


def _uuids(capture: Capture | None, unread: list[Unread]) -> dict[str, tuple[str, str, Evidence]]:
    """CRYPT-LUKS2-ae1d4f873fc94408bffb42d79198468c-detached: format and UUID by the name of the mapping."""
    if capture is None or capture.exit_code != 0 or b"No devices found" in capture.stdout:
        return {}
    try:
        rows = columns(capture, "Name", "UUID")
    except Unreadable as error:
        unread.append(Unread.because(error))
        return {}
    return {row.text("Name"): (*_format(row), row.evidence) for row in rows}


def _format(row: Record) -> tuple[str, str]:
    match = re.match(
        r"CRYPT-([A-Z0-9]+)-(?:([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})-)?", row.text("UUID")
    )
    if match is None:
        return "", ""
    return match[1], "-".join(match.groups()[1:]) if match[2] else ""


def _stated(capture: Capture | None) -> Iterator[tuple[str, str]]:
    """`name device key header=/boot/name.img,discard` of crypttab(5): where the header of which mapping is."""
    for line in _text(capture).split("\n") if capture is not None and capture.exit_code == 0 else ():
        words = line.split()
        if len(words) >= 4 and not words[0].startswith("#"):
            for option in words[3].split(","):
                if option.startswith("header="):
                    yield words[0], option.removeprefix("header=")
