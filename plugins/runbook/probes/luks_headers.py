"""The LUKS headers of this host, read from the devices themselves: JSON lines for each, and `{"end": …}` at the end.

    {"device": "/dev/sda3", "version": 2, "uuid": "…", "label": "", "primary": "good", "secondary": "good",
     "segments": ["0"], "keyslots": ["0", "1"], "tokens": [], "flags": [], "requirements": []}
    {"device": "/dev/sda3", "segment": "0", "type": "crypt", "encryption": "aes-xts-plain64", "sector_bytes": 512}
    {"device": "/dev/sda3", "keyslot": "0", "type": "luks2", "opens_data": true, "key_bits": 512, "kdf": "argon2id",
     "time": 4, "memory_kib": 65536}
    {"device": "/dev/sda3", "token": "0", "type": "systemd-tpm2", "keyslots": ["1"]}
    {"device": "/dev/sdc", "error": "Input/output error"}
    {"end": 14}

The first line of a header names all others. Of LUKS1 there are the same lines, but no copies, tokens or flags.
Only the headers are read, for which no passphrase is needed, and nothing is written; cryptsetup(8), for one, repairs a
header whose one copy is damaged as soon as it reads it. Salts, digests and the places of keyslots are left out: nobody
has to see them. A device whose own header another device on top of it shows (multipath, a mirror) is told once.
Formats: LUKS On-Disk Format Specification 1.2.3 and LUKS2 On-Disk Format Specification 1.1.1 (cryptsetup, docs/).
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import stat
import struct
from collections.abc import Iterator
from typing import Any

SYSFS = "/sys/class/block"
PRIMARY, SECONDARY = b"LUKS\xba\xbe", b"SKUL\xba\xbe"
#: Magic, version, cipher, mode, hash, payload offset, key bytes, digest, its salt and iterations, UUID; then keyslots.
_LUKS1 = struct.Struct(">6sH32s32s32sII20s32sI40s")
_SLOT1 = struct.Struct(">II32sII")
_ENABLED, _DISABLED = 0x00AC71F3, 0x0000DEAD
#: Magic, version, size, sequence, label, checksum algorithm, salt, UUID, subsystem, offset, padding, checksum.
_LUKS2 = struct.Struct(">6sHQQ48s32s64s40s48sQ184s64s")
_BINARY, _CHECKSUM_AT = 4096, 448
#: The sizes that a LUKS2 header may have, JSON area included; the second copy lies right behind the first.
_SIZES = tuple(16384 << shift for shift in range(9))
Line = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="devices or files; without any, every block device")


def run(arguments: argparse.Namespace) -> int:
    """Tell every header; what could not be read is told in a line of its own."""
    found = [(path, _told(path)) for path in arguments.files] if arguments.files else list(_once(_devices()))
    for path, lines in found:
        for line in lines:
            print(json.dumps({"device": path, **line}))
    print(json.dumps({"end": len(found)}))
    return 0


def _devices() -> dict[str, str]:
    """The path of every block device of some size, by its name in sysfs."""
    found = {}
    for node in sorted(os.listdir(SYSFS)):
        try:
            with open(f"{SYSFS}/{node}/size") as file:
                if int(file.read()) == 0:
                    continue
        except (OSError, ValueError):
            continue
        try:
            with open(f"{SYSFS}/{node}/dm/name") as file:
                found[node] = "/dev/mapper/" + file.read().rstrip("\n")
        except OSError:
            # sysfs cannot have a slash in a name, as cciss/c0d0 has.
            found[node] = "/dev/" + node.replace("!", "/")
    return found


def _once(devices: dict[str, str]) -> Iterator[tuple[str, list[Line]]]:
    """The lines of each device, without those that a device on top shows as its own."""
    told = {node: _told(path) for node, path in devices.items()}
    for node, lines in told.items():
        above = [first.get("uuid") for holder in _holders(node) for first in told.get(holder, [])[:1]]
        shown = bool(lines) and bool(lines[0].get("uuid")) and lines[0]["uuid"] in above
        yield devices[node], [] if shown else lines


def _holders(node: str) -> list[str]:
    try:
        return os.listdir(f"{SYSFS}/{node}/holders")
    except OSError:
        return []


def _told(path: str) -> list[Line]:
    """What is known of one device or file; nothing when nothing in it is LUKS."""
    try:
        # A pipe or a terminal may keep us waiting for ever.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
                return [{"error": "it is neither a device with blocks nor a file"}]
            return _read(file.fileno())
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        return [{"error": f"its header makes no sense ({type(error).__name__})"}]
    except OSError as error:
        # No disc in the drive, or the device went away.
        if error.errno in (errno.ENOMEDIUM, errno.ENXIO, errno.ENODEV):
            return []
        return [{"error": os.strerror(error.errno or 0)}]


def _read(file: int) -> list[Line]:
    first = os.pread(file, _BINARY, 0)
    if first.startswith(PRIMARY) and first[6:8] == b"\x00\x01":
        return _luks1(first)
    primary = _copy(file, 0, PRIMARY)
    # With the first copy destroyed, the second can be at any of these places.
    sizes = [_size(first)] if primary and _size(first) else _SIZES
    secondary = next((copy for size in sizes if (copy := _copy(file, size, SECONDARY)) is not None), None)
    copies = [copy for copy in (primary, secondary) if copy is not None]
    if not copies:
        return []
    best = max(copies, key=lambda copy: (copy["state"] == "good", copy["sequence"]))
    states = {"primary": primary, "secondary": secondary}
    told = {name: "missing" if copy is None else copy["state"] for name, copy in states.items()}
    return _luks2({key: best[key] for key in ("version", "uuid", "label")} | told, best["json"])


def _luks1(data: bytes) -> list[Line]:
    if len(data) < _LUKS1.size + 8 * _SLOT1.size:
        return [{"error": "the header is cut short"}]
    _, version, cipher, mode, hash_name, _, key_bytes, _, _, _, uuid = _LUKS1.unpack_from(data)
    slots = []
    for number in range(8):
        state, iterations, *_ = _SLOT1.unpack_from(data, _LUKS1.size + number * _SLOT1.size)
        if state not in (_ENABLED, _DISABLED):
            return [{"error": f"keyslot {number} is neither in use nor free: its header is damaged"}]
        if state == _ENABLED:
            told = {"keyslot": str(number), "type": "luks1", "opens_data": True, "key_bits": key_bytes * 8}
            slots.append({**told, "kdf": "pbkdf2", "hash": _text(hash_name), "iterations": iterations})
    encryption = f"{_text(cipher)}-{_text(mode)}"
    names = {"segments": ["0"], "keyslots": [slot["keyslot"] for slot in slots]}
    segment = {"segment": "0", "type": "crypt", "encryption": encryption, "sector_bytes": 512}
    return [{"version": version, "uuid": _text(uuid), **names}, segment, *slots]


def _size(data: bytes) -> int:
    size = _LUKS2.unpack_from(data)[2] if len(data) == _BINARY else 0
    return size if size in _SIZES else 0


def _copy(file: int, offset: int, magic: bytes) -> Line | None:
    """One copy of a LUKS2 header, and whether its checksum is right; None when there is none."""
    binary = os.pread(file, _BINARY, offset)
    if len(binary) < _BINARY or not binary.startswith(magic):
        return None
    _, version, size, sequence, label, algorithm, _, uuid, _, at, _, checksum = _LUKS2.unpack_from(binary)
    told = {"version": version, "sequence": sequence, "uuid": _text(uuid), "label": _text(label), "json": b""}
    if version != 2 or size not in _SIZES or at != offset:
        return {**told, "state": "damaged"}
    area = os.pread(file, size - _BINARY, offset + _BINARY)
    # Of a fixed length, as cryptsetup wants it; hashlib knows others, too.
    if _text(algorithm) not in ("sha1", "sha224", "sha256", "sha384", "sha512"):
        return {**told, "state": "damaged"}
    right = hashlib.new(_text(algorithm))
    right.update(binary[:_CHECKSUM_AT] + bytes(len(checksum)) + binary[_CHECKSUM_AT + len(checksum) :] + area)
    good = right.digest() == checksum[: right.digest_size]
    return {**told, "json": area.partition(b"\0")[0], "state": "good" if good else "damaged"}


def _luks2(top: Line, area: bytes) -> list[Line]:
    """The first line with its names, and those of the metadata; of metadata that cannot be read there are none."""
    try:
        found = json.loads(area)
        # Of a re-encryption the header also keeps what was, and what is to be.
        kept = [number for number, segment in found["segments"].items() if not _is_backup(segment)]
        found["segments"] = {number: found["segments"][number] for number in kept}
        # A keyslot without a digest of the data's key is unbound: it opens something else, or nothing.
        digests = [digest for digest in found["digests"].values() if set(kept) & set(digest["segments"])]
        opening = {slot for digest in digests for slot in digest["keyslots"]}
        names = {part: list(found[part]) for part in ("segments", "keyslots", "tokens")}
        names["flags"] = list(found["config"].get("flags", []))
        names["requirements"] = list(found["config"].get("requirements", {}).get("mandatory", []))
        parts = [_segment(number, segment) for number, segment in found["segments"].items()]
        parts += [_keyslot(number, slot, number in opening) for number, slot in found["keyslots"].items()]
        for number, token in found["tokens"].items():
            parts.append({"token": number, "type": token["type"], "keyslots": token["keyslots"]})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [top] if "good" not in (top["primary"], top["secondary"]) else [{"error": "its metadata is no LUKS2"}]
    return [{**top, **names}, *parts]


def _is_backup(segment: Line) -> bool:
    return any(flag.startswith("backup-") for flag in segment.get("flags", ()))


def _segment(number: str, found: Line) -> Line:
    told = {"segment": number, "type": found["type"]}
    if found["type"] == "crypt":
        told |= {"encryption": found["encryption"], "sector_bytes": found["sector_size"]}
    return told


def _keyslot(number: str, found: Line, opens_data: bool) -> Line:
    size = found["key_size"]
    if not isinstance(size, int) or not 0 < size <= 4096:
        raise ValueError("key_size")
    told = {"keyslot": number, "type": found["type"], "opens_data": opens_data, "key_bits": size * 8}
    if (kdf := found.get("kdf")) is not None:
        told["kdf"] = kdf["type"]
        names = {"hash": "hash", "iterations": "iterations", "time": "time", "memory": "memory_kib"}
        told |= {name: kdf[key] for key, name in names.items() if key in kdf}
    return told


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")
