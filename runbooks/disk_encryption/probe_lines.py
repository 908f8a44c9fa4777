"""Reads the lines of `runbook-probe luks-headers`: each header that is on this host, as its own bytes tell it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runbook.formats import Unread, json_line
from runbook.helpers import Unreadable
from runbook.model import Evidence

from .facts import Header, Keyslot
from .luks_dump import SLOTS, is_sane

LUKS = "crypto_LUKS"


def told(text: str, step: str, contents: Mapping[str, str], unread: list[Unread]) -> tuple[tuple[Header, ...], bool]:
    """The headers, and whether the probe came to its end; what cannot be read goes to `unread`, device by device.

    A device that cannot be opened, and that has a file system mounted, is no LUKS device: so it is in containers.
    """
    devices: dict[str, list[_Line]] = {}
    lines, ended = text.removesuffix("\n").split("\n"), False
    for number, line in enumerate(lines, start=1):
        evidence = Evidence(step, "stdout", number, number)
        try:
            found = json_line(line, step, number)
            if ended:
                raise Unreadable(f"line {number} is behind the end", step, number)
            if "end" in found:
                ended = True
            else:
                part = _Line(found, evidence)
                devices.setdefault(part.text("device"), []).append(part)
        except Unreadable as error:
            unread.append(Unread.because(error))
        except ValueError as error:
            unread.append(Unread(str(error), evidence))
    if not ended:
        unread.append(Unread("the probe did not come to its end", Evidence(step, "stdout", len(lines), len(lines))))
    headers = []
    for device, parts in devices.items():
        if parts[0].has("error") and contents.get(device, LUKS) not in ("", LUKS):
            continue
        try:
            headers.append(_header(device, parts))
        except ValueError as error:
            unread.append(Unread(f"{device}: {error}", parts[0].evidence))
    return tuple(headers), ended


class _Line:
    """One line; each field that is missing or of another type is refused in words."""

    def __init__(self, found: dict[str, Any], evidence: Evidence) -> None:
        self._found, self.evidence = found, evidence

    def has(self, name: str) -> bool:
        return name in self._found

    def text(self, name: str) -> str:
        value = self._found.get(name)
        if not isinstance(value, str):
            raise ValueError(f"line {self.evidence.first_line} has no {name}")
        return value

    def number(self, name: str) -> int:
        value = self._found.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
            raise ValueError(f"line {self.evidence.first_line} has no {name}")
        return value

    def flag(self, name: str) -> bool:
        value = self._found.get(name)
        if not isinstance(value, bool):
            raise ValueError(f"line {self.evidence.first_line} does not say whether {name}")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        value = self._found.get(name)
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise ValueError(f"line {self.evidence.first_line} has no {name}")
        return tuple(value)


def _header(device: str, lines: list[_Line]) -> Header:
    """One header of its lines: all that the first one names have to be there, and no others."""
    first, rest = lines[0], lines[1:]
    if first.has("error"):
        raise ValueError(first.text("error"))
    version = first.number("version")
    if version not in SLOTS:
        raise ValueError(f"version {version} of LUKS is unknown")
    copies = ("primary", "secondary") if version == 2 else ()
    damaged = tuple(name for name in copies if first.text(name) != "good")
    lost = len(damaged) == 2 and not first.has("segments")
    parts = {kind: {} if lost else _parts(kind, first, rest) for kind in ("segment", "keyslot", "token")}
    if sum(map(len, parts.values())) != len(rest):
        raise ValueError("there are lines that its first one does not name")
    if not parts["segment"] and not lost:
        raise ValueError("it has no data segment")
    tokens: dict[str, list[str]] = {}
    for token in parts["token"].values():
        for number in token.words("keyslots"):
            tokens.setdefault(number, []).append(token.text("type"))
    slots = [_keyslot(number, line, tuple(tokens.get(number, ()))) for number, line in parts["keyslot"].items()]
    segments = list(parts["segment"].values())
    segment = next((one for one in segments if one.text("type") == "crypt"), segments[0] if segments else first)
    encrypted = not lost and segment.text("type") == "crypt"
    return Header(
        device=device,
        version=version,
        uuid=first.text("uuid"),
        label=first.text("label") if version == 2 else "",
        cipher="" if lost else segment.text("encryption" if encrypted else "type"),
        key_bits=next((slot.key_bits for slot in slots if slot.opens_data), 0),
        sector_bytes=segment.number("sector_bytes") if encrypted else 0,
        slots=tuple(sorted(slots, key=lambda slot: slot.number)),
        slots_total=SLOTS[version],
        flags=first.words("flags") if version == 2 and not lost else (),
        requirements=first.words("requirements") if version == 2 and not lost else (),
        damaged=damaged,
        evidence=first.evidence,
        cipher_evidence=segment.evidence,
        flags_evidence=first.evidence,
        more_ciphers=tuple(
            (one.text("encryption" if one.text("type") == "crypt" else "type"), one.evidence)
            for one in segments
            if one is not segment
        ),
    )


def _parts(kind: str, first: _Line, lines: list[_Line]) -> dict[str, _Line]:
    """The lines of this kind by number, which are those that the first line names."""
    found = {line.text(kind): line for line in lines if line.has(kind)}
    named = first.words(f"{kind}s") if first.has(f"{kind}s") else ()
    if set(found) != set(named) or (kind != "token" and not first.has(f"{kind}s")):
        raise ValueError(f"not all of its {kind}s are told")
    return found


def _keyslot(number: str, line: _Line, tokens: tuple[str, ...]) -> Keyslot:
    if not re.fullmatch("[0-9]{1,2}", number):
        raise ValueError(f"a keyslot has the number {number!r}")
    kind, place = line.text("type"), int(number)
    if kind == "reencrypt":
        return Keyslot(place, "", 0, 0, "", 0, kind, True, tokens, line.evidence)
    name = line.text("kdf")
    if name == "pbkdf2":
        rounds, memory, hash_name = line.number("iterations"), 0, line.text("hash")
    elif name in ("argon2i", "argon2id"):
        rounds, memory, hash_name = line.number("time"), line.number("memory_kib"), ""
    else:
        raise ValueError(f"the key derivation of keyslot {number} is unknown: {name!r}")
    if not is_sane(rounds, memory):
        raise ValueError(f"the key derivation of keyslot {number} makes no sense")
    unbound = not line.flag("opens_data")
    return Keyslot(
        place, name, rounds, memory, hash_name, line.number("key_bits"), kind, unbound, tokens, line.evidence
    )
