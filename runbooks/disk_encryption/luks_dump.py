"""Reads `cryptsetup luksDump` of LUKS1 and LUKS2, and refuses one of which a part is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from runbook.helpers import Unreadable
from runbook.model import Evidence

from .facts import Header, Keyslot

#: How many keyslots there can be: LUKS1 has a table of 8, LUKS2 numbers them from 0 to 31.
SLOTS = {1: 8, 2: 32}


@dataclass
class _Part:
    """A named part, such as a keyslot: its heading, its fields, and the lines they stand on."""

    title: str
    kind: str
    first: int
    last: int
    fields: dict[str, tuple[str, int]] = field(default_factory=dict)
    #: The keyslots that a token opens: the one field that may come several times.
    keyslots: list[int] = field(default_factory=list)


class _Reader:
    """Fields of one header, looked up by name; each that is missing or no number is refused in words."""

    def __init__(self, device: str, step: str, first: int) -> None:
        self.device, self.step, self._first = device, step, first

    def refuse(self, reason: str, number: int | None = None) -> Unreadable:
        return Unreadable(f"{self.device}: {reason}", self.step, number or self._first)

    def text(self, part: _Part, name: str) -> str:
        if name not in part.fields:
            raise self.refuse(f"{part.title} has no line `{name}`", part.first)
        return part.fields[name][0]

    def number(self, part: _Part, name: str) -> int:
        text = self.text(part, name)
        match = re.fullmatch(r"(\d{1,15})(?: bits| \[bytes\])?", text)
        if match is None:
            raise self.refuse(f"`{name}` of {part.title} is no number: {text!r}", part.fields[name][1])
        return int(match[1])

    def evidence(self, first: int, last: int | None = None) -> Evidence:
        return Evidence(self.step, "stdout", first, last or first)

    def add(self, part: _Part, name: str, value: str, number: int) -> None:
        """A name that comes twice means that the heading between the two was lost."""
        part.last = number
        if part.title.startswith("token") and name == "Keyslot" and value.isascii() and value.isdecimal():
            part.keyslots.append(int(value[:4]))
            return
        if name in part.fields and name not in ("Salt", "Digest"):
            raise self.refuse(f"{part.title} has two lines `{name}`", number)
        part.fields.setdefault(name, (value, number))


def header(device: str, text: str, step: str) -> Header:
    """The header that was printed; raises Unreadable, with the device's name in front, when it is not whole."""
    lines = [line.rstrip() for line in text.split("\n")]
    begin = next((number for number, line in enumerate(lines, 1) if line.startswith("LUKS header information")), None)
    if begin is None:
        raise Unreadable(f"{device}: this is no header of LUKS", step, 1)
    reader = _Reader(device, step, begin)
    top = _Part("the header", "", begin, begin)
    parts = dict[str, list[_Part]]()
    for number, line in enumerate(lines[begin:], begin + 1):
        if line:
            _take(line, number, top, parts, reader)
    version = reader.number(top, "Version")
    if version not in SLOTS:
        raise reader.refuse(f"version {version} of LUKS is unknown", top.fields["Version"][1])
    return _luks1(top, parts, reader) if version == 1 else _luks2(top, parts, reader)


def _take(line: str, number: int, top: _Part, parts: dict[str, list[_Part]], reader: _Reader) -> None:
    """Puts one line where it belongs.

    Version:       	2                  a field of the header
    Keyslots:                          a section
      0: luks2                         a part of the section
        Key:        512 bits            a field of that part
    Key Slot 0: ENABLED                a part by itself (LUKS1)
    """
    if (slot := re.fullmatch(r"Key Slot (\d+): (ENABLED|DISABLED)", line)) is not None:
        parts.setdefault("Keyslots", []).append(_Part(f"keyslot {slot[1]}", slot[2], number, number))
        return
    if (section := re.fullmatch(r"(Data segments|Keyslots|Tokens|Digests):", line)) is not None:
        if section[1] in parts:
            raise reader.refuse(f"there are two sections `{section[1]}`", number)
        parts[section[1]] = []
        return
    last = list(parts)[-1] if parts else ""
    if (entry := re.fullmatch(r"  (\d+): (.+)", line)) is not None and last:
        word = {"Keyslots": "keyslot", "Tokens": "token", "Digests": "digest"}.get(last, "segment")
        parts[last].append(_Part(f"{word} {entry[1]}", entry[2], number, number))
        return
    name, colon, value = line.strip().partition(":")
    below = line.startswith(("\t", "    "))
    if not colon or re.fullmatch(r"[0-9a-f]{2}(?: [0-9a-f]{2})*", line.strip()):
        return
    if below and parts and not parts[last]:
        raise reader.refuse(f"line {number} of `{reader.step}` belongs to no part of {last}", number)
    reader.add(parts[last][-1] if below and parts else top, name.strip(), value.strip(), number)


def _luks1(top: _Part, parts: dict[str, list[_Part]], reader: _Reader) -> Header:
    slots = parts.get("Keyslots", [])
    if [slot.title for slot in slots] != [f"keyslot {number}" for number in range(SLOTS[1])]:
        raise reader.refuse("not all of its 8 keyslots are shown")
    hash_name = reader.text(top, "Hash spec")
    bits = reader.number(top, "MK bits")
    keyslots = tuple(
        Keyslot(
            number=number,
            kdf="pbkdf2",
            rounds=reader.number(slot, "Iterations"),
            memory_kib=0,
            hash=hash_name,
            key_bits=bits,
            kind="luks1",
            unbound=False,
            tokens=(),
            evidence=reader.evidence(slot.first, slot.fields["Iterations"][1]),
        )
        for number, slot in enumerate(slots)
        if slot.kind == "ENABLED"
    )
    return Header(
        device=reader.device,
        version=1,
        uuid=reader.text(top, "UUID"),
        label="",
        cipher=f"{reader.text(top, 'Cipher name')}-{reader.text(top, 'Cipher mode')}",
        key_bits=bits,
        sector_bytes=512,
        slots=keyslots,
        slots_total=SLOTS[1],
        flags=(),
        requirements=(),
        damaged=(),
        evidence=reader.evidence(top.fields["Version"][1]),
        cipher_evidence=reader.evidence(*sorted((top.fields["Cipher name"][1], top.fields["MK bits"][1]))),
        flags_evidence=reader.evidence(top.fields["Version"][1]),
    )


def _luks2(top: _Part, parts: dict[str, list[_Part]], reader: _Reader) -> Header:
    for name in ("Data segments", "Keyslots", "Tokens", "Digests"):
        if name not in parts:
            raise reader.refuse(f"the section `{name}` is missing")
    if not parts["Data segments"] or not parts["Digests"]:
        raise reader.refuse("it has no data segment, or no digest")
    for digest in parts["Digests"]:
        reader.text(digest, "Digest")
    tokens: dict[int, list[str]] = {}
    for token in parts["Tokens"]:
        for slot in token.keyslots:
            tokens.setdefault(slot, []).append(token.kind)
    live = [part for part in parts["Data segments"] if not part.fields.get("flags", ("", 0))[0].startswith("backup-")]
    segments = [part for part in live if part.kind.startswith("crypt")]
    slots = tuple(_slot(part, tokens, reader) for part in parts["Keyslots"])
    # A header whose data is still, or again, unencrypted has a segment of another kind.
    segment = segments[0] if segments else [*live, *parts["Data segments"]][0]
    cipher = reader.text(segment, "cipher") if segments else segment.kind
    bits = next((slot.key_bits for slot in slots if slot.opens_data), 0)
    flags = reader.text(top, "Flags")
    needed = top.fields.get("Requirements", ("", 0))[0]
    return Header(
        device=reader.device,
        version=2,
        uuid=reader.text(top, "UUID"),
        label=reader.text(top, "Label").removeprefix("(no label)"),
        cipher=cipher,
        key_bits=bits,
        sector_bytes=reader.number(segment, "sector") if segments else 0,
        slots=slots,
        slots_total=SLOTS[2],
        flags=() if flags.startswith("(") else tuple(flags.split()),
        requirements=tuple(needed.split()),
        damaged=(),
        evidence=reader.evidence(top.fields["Version"][1]),
        cipher_evidence=reader.evidence(segment.fields["cipher"][1] if segments else segment.first),
        flags_evidence=reader.evidence(top.fields["Requirements" if needed else "Flags"][1]),
        more_ciphers=tuple(
            (reader.text(part, "cipher") if part in segments else part.kind, reader.evidence(part.first, part.last))
            for part in live
            if part is not segment
        ),
    )


def is_sane(rounds: int, memory_kib: int) -> bool:
    """Whether cryptsetup could have made such a keyslot; it takes no more than 4 GiB of memory."""
    return 0 < rounds < 1 << 32 and memory_kib <= 4 << 20


def _slot(part: _Part, tokens: dict[int, list[str]], reader: _Reader) -> Keyslot:
    number = int(part.title.removeprefix("keyslot "))
    kind, _, rest = part.kind.partition(" ")
    if kind == "reencrypt":
        evidence = reader.evidence(part.first, part.last)
        return Keyslot(number, "", 0, 0, "", 0, kind, True, (), evidence)
    kdf = reader.text(part, "PBKDF")
    if kdf == "pbkdf2":
        rounds, memory, hash_name, told = reader.number(part, "Iterations"), 0, reader.text(part, "Hash"), "Iterations"
    elif kdf in ("argon2i", "argon2id"):
        rounds, memory, hash_name, told = reader.number(part, "Time cost"), reader.number(part, "Memory"), "", "Memory"
    else:
        raise reader.refuse(f"the key derivation of {part.title} is unknown: {kdf!r}", part.fields["PBKDF"][1])
    reader.text(part, "Digest ID")
    if not is_sane(rounds, memory):
        raise reader.refuse(f"the key derivation of {part.title} makes no sense", part.first)
    return Keyslot(
        number=number,
        kdf=kdf,
        rounds=rounds,
        memory_kib=memory,
        hash=hash_name,
        key_bits=reader.number(part, "Key"),
        kind=kind,
        unbound="unbound" in rest,
        tokens=tuple(tokens.get(number, ())),
        evidence=reader.evidence(*sorted((part.fields["PBKDF"][1], part.fields[told][1]))),
    )
