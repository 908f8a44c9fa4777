"""Replaces what identifies a host or a person by stable tokens of the same shape: the same thing, the same token.

A token is recognised as one, so redacting twice changes nothing. What identifies nobody stays: private and
documentation addresses, versions, sizes, dates. Columns stay below their headings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

#: Gives the number of a thing of this kind: the first is 1, and the same thing has the same number ever after.
_Number = Callable[[str, bytes], int]
#: Makes the token for a text, or gives the text back where it may stay.
_Maker = Callable[[bytes, _Number], bytes]
#: What is looked for, its group 1 being what is replaced, and how.
_Rule = tuple[re.Pattern[bytes], _Maker]

#: Words that output is full of, or that name nobody: as the name of a host or a user they are left alone.
_COMMON = frozenset(
    (
        *("root", "localhost", "localdomain", "host", "user", "debian", "ubuntu", "fedora", "arch", "linux", "nobody"),
        *(
            "admin",
            "data",
            "backup",
            "home",
            "boot",
            "swap",
            "disk",
            "max",
            "min",
            "test",
            "mail",
            "sys",
            "proc",
            "dev",
        ),
    )
)


class Redactor:
    """Redacts many texts with one table, so that a token means the same thing in all of them."""

    def __init__(self, names: Iterable[str] = (), users: Iterable[str] = ()) -> None:
        self._numbers: dict[str, dict[bytes, int]] = {}
        self._replaced: dict[bytes, bytes] = {}
        self._rules = (*_RULES, *_host_rules(names), *_user_rules(users))

    @property
    def replaced(self) -> list[tuple[str, str]]:
        """What was replaced by what, in the order it was met."""
        return [(old.decode("utf-8", "replace"), new.decode("utf-8", "replace")) for old, new in self._replaced.items()]

    def redact(self, data: bytes) -> bytes:
        """The same text with tokens; redacting it again changes nothing."""
        redacted = data
        for pattern, make in self._rules:
            redacted = pattern.sub(partial(self._token, make), redacted)
        lines = zip(data.split(b"\n"), redacted.split(b"\n"), strict=True)
        return b"\n".join(new if new == old else _aligned(old, new) for old, new in lines)

    def _token(self, make: _Maker, match: re.Match[bytes]) -> bytes:
        new = make(match[1], self._number)
        if new == match[1]:
            return match[0]
        self._replaced[match[1]] = new
        start, end = (at - match.start() for at in match.span(1))
        return match[0][:start] + new + match[0][end:]

    def _number(self, kind: str, thing: bytes) -> int:
        known = self._numbers.setdefault(kind, {})
        return known.setdefault(thing, len(known) + 1)


_GAP = re.compile(rb"( {2,})")


def _aligned(old: bytes, new: bytes) -> bytes:
    """The new line with its columns, which two blanks or more set apart, where they stood in the old one."""
    was, now = _GAP.split(old), _GAP.split(new)
    if len(was) != len(now):
        return new
    line, column = now[0], len(was[0])
    for gap in range(1, len(was), 2):
        column += len(was[gap])
        line = line.ljust(max(column, len(line) + 1)) + now[gap + 1]
        column += len(was[gap + 1])
    return line


def _laid(token: bytes, old: bytes) -> bytes:
    """The token's characters in the places of the old letters and digits."""
    characters = iter(token)
    return bytes(next(characters) if chr(byte).isalnum() else byte for byte in old)


def _uuid(old: bytes, number: _Number) -> bytes:
    digits = re.sub(rb"[-:]", b"", old).lower()
    if digits.startswith(b"00000000000040008000") or not digits.strip(b"0"):
        return old
    return _laid(b"00000000000040008000%012d" % number("uuid", digits), old)


def _lvm_uuid(old: bytes, number: _Number) -> bytes:
    letters = old.replace(b"-", b"")
    if re.fullmatch(rb"\d{6}0{26}", letters):
        return old
    return _laid(b"%06d%026d" % (number("lvm-uuid", letters), 0), old)


def _short(old: bytes, number: _Number) -> bytes:
    """Any other run of digits that identifies something: its number, with zeros before it."""
    letters = re.sub(rb"[-:]", b"", old)
    if letters.startswith(b"0000"):
        return old
    return _laid(b"%0*d" % (len(letters), number("short", letters.lower())), old)


#: MAC addresses that are no card's (IEEE 802, RFC 1112, RFC 2464), and our own tokens.
_HARMLESS_MACS = (b"00:00:00:00:00", b"ff:ff:ff:ff:ff", b"01:00:5e:", b"01:80:c2:", b"33:33:00:", b"02:00:00:00:")


def _pairs(old: bytes, number: _Number) -> bytes:
    """A MAC address; more than six pairs are a key's fingerprint, a DHCP identifier or an InfiniBand address."""
    address = old.lower()
    if address.startswith(_HARMLESS_MACS):
        return old
    if len(old) > 17:
        return _short(old, number)
    serial = number("mac", address)
    return b"02:00:00:00:%02x:%02x" % (serial >> 8 & 255, serial & 255)


#: Networks of RFC 5737; when they are used up, those of 240.0.0.0/4, which nobody has (RFC 1112).
_NETWORKS_V4 = (b"203.0.113", b"198.51.100", b"192.0.2")


def _ipv4(old: bytes, number: _Number) -> bytes:
    """Addresses of one /24 stay neighbours."""
    from ipaddress import IPv4Address

    try:
        address = IPv4Address(old.decode())
    except ValueError:
        return old
    if address.is_multicast or not address.is_global:
        return old
    network, _, last = old.rpartition(b".")
    serial = number("ipv4", network)
    known = serial <= len(_NETWORKS_V4)
    new = _NETWORKS_V4[serial - 1] if known else b"240.%d.%d" % (serial >> 8 & 255, serial & 255)
    return new + b"." + last


def _ipv6(old: bytes, number: _Number) -> bytes:
    """Addresses of one /64 stay neighbours; of those that nobody else can reach only the interface's half is hidden."""
    from ipaddress import IPv6Address

    try:
        address = IPv6Address(old.decode())
    except ValueError:
        return old
    network, interface = divmod(int(address), 2**64)
    if network >> 61 == 1 and address.is_global:
        network = 0x20010DB8 << 32 | number("ipv6", network.to_bytes(8, "big"))
    elif network >> 61 == 1 or not (address.is_link_local or address.is_private) or network >> 56 < 0xFC:
        return old
    return str(IPv6Address(network << 64 | _interface(interface, number))).encode()


def _interface(interface: int, number: _Number) -> int:
    """The lower half of an IPv6 address: a small number is somebody's choice, another comes from a MAC or by chance."""
    if interface < 0x20000 or interface >> 16 == 0xFFFE00:
        return interface
    if interface >> 24 & 0xFFFF != 0xFFFE:
        return 0x10000 + number("interface", b"%x" % interface)
    # RFC 4291, appendix A; and the token is made in the same way from the token of that MAC.
    octets = interface.to_bytes(8, "big")
    mac = bytes((octets[0] ^ 2, *octets[1:3], *octets[5:]))
    return 0xFFFE000000 + number("mac", mac.hex(":").encode())


def _fingerprint(old: bytes, number: _Number) -> bytes:
    return old if old.startswith(b"0" * 30) else b"%043d" % number("fingerprint", old)


def _serial(old: bytes, number: _Number) -> bytes:
    serial = old.strip()
    if re.fullmatch(rb"(?i)serial\d+|none|null|unknown|n/?a|not .*|to be filled.*|0*|", serial):
        return old
    return old.replace(serial, b"SERIAL%0*d" % (max(4, len(serial) - 6), number("serial", serial)))


def _user(old: bytes, number: _Number) -> bytes:
    return old if re.fullmatch(rb"user\d+|\..*|lost\+found", old) else b"user%d" % number("user", old)


_H, _W = "[0-9a-fA-F]", "[A-Za-z0-9]"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_SERIAL = r"(?i:serial(?:[ _-]?(?:number|num|no|short))*)"
_IS = r"[ \t]*[=:][ \t]*"

_RULES: tuple[_Rule, ...] = tuple(
    (re.compile(pattern.encode()), make)
    for pattern, make in (
        (rf"(?<!\w)({_H}{{8}}(?:-{_H}{{4}}){{3}}-{_H}{{12}})(?!\w)", _uuid),
        # MD RAID writes the same in four groups; LUKS and systemd write it in one.
        (rf"(?<![\w:])({_H}{{8}}(?::{_H}{{8}}){{3}})(?![\w:])", _uuid),
        (rf"CRYPT-LUKS\d-({_H}{{32}})(?!\w)", _uuid),
        (rf"(?i:(?:machine|boot)[ _-]?id)\"?{_IS}\"?({_H}{{32}})(?!\w)", _uuid),
        # LVM's own: 32 letters and digits as 6-4-4-4-4-4-6 (lvm2, lib/uuid/uuid.c), and two in one in a dm UUID.
        (rf"(?<!{_W})({_W}{{6}}(?:-{_W}{{4}}){{5}}-{_W}{{6}})(?!{_W})", _lvm_uuid),
        (rf"(?<=LVM-)({_W}{{32}})(?={_W}{{32}})", _lvm_uuid),
        (rf"(?<=LVM-{_W}{{32}})({_W}{{32}})(?!{_W})", _lvm_uuid),
        # FAT and NTFS, and the disk identifier of an MS-DOS label, alone or with a partition's number.
        (rf"(?i:uuid)\"?(?:{_IS}|/)\"?({_H}{{4}}-{_H}{{4}}|{_H}{{16}}|{_H}{{8}}(?=-{_H}{{2}}(?!\w)))(?!\w)", _short),
        (rf"(?i:ptuuid\"?{_IS}\"?|disk identifier: 0x)({_H}{{8}})(?![\w-])", _short),
        (r"\bvfat\b[^\n]{,200}?(?<![\w-])([0-9A-F]{4}-[0-9A-F]{4})(?![\w-])", _short),
        (rf"(?i:\b(?:eui|naa)\.|(?<![a-z])wwn[-_a-z]*\"?(?:{_IS})?\"?0x)({_H}{{16,32}})(?!\w)", _short),
        (rf"(?<!\w)(?<!\b{_H}{_H}:)({_H}{_H}(?::{_H}{_H}){{5,}})(?!\w)(?!:\w)", _pairs),
        # Behind an address there may be a port or a full stop, but no more numbers: that would be an object identifier.
        (rf"(?<![\w.])((?:{_OCTET}\.){{3}}{_OCTET})(?!\d)(?!\.\d+\.\d)", _ipv4),
        (rf"(?<![\w:.])((?:{_H}{{0,4}}:){{2,7}}(?:{_H}{{1,4}}|(?<=::)))(?!\w)(?!:\w)", _ipv6),
        (r"SHA256:([A-Za-z0-9+/]{43})(?![\w+/])", _fingerprint),
        (rf"{_SERIAL}\"?{_IS}\"([^\"\n]{{2,}})\"", _serial),
        (rf"{_SERIAL}{_IS}([\w.+-]{{4,}})(?![\w/])", _serial),
        (
            r"/by-id/(?:ata|nvme|scsi|usb|mmc|virtio)-(?:[^\s\"/]*_)?([^\s\"/_]{4,}?)"
            r"(?=-part\d+(?!\w)|-\d+:\d+|_\d+(?!\w)|[\s\"]|$)",
            _serial,
        ),
        (r"(?:/home/|/media/(?=[\w.+-]+/))([\w.+-]+)", _user),
    )
)


def _host_rules(names: Iterable[str]) -> Iterator[_Rule]:
    """The host's name, whole or a part (`laptop-vg`), in small or capital letters, and the domain that it is in."""
    for name in names:
        host, _, domain = name.lower().partition(".")
        yield from _word(host, lambda old, number: b"host%d" % number("host", old.lower().replace(b"--", b"-")), "(?i)")
        if "." in domain:
            yield from _word(domain, lambda old, number: b"domain%d.example" % number("domain", old.lower()), "(?i)")


def _user_rules(names: Iterable[str]) -> Iterator[_Rule]:
    for name in names:
        yield from _word(name, _user)


def _word(word: str, make: _Maker, flags: str = "") -> Iterator[_Rule]:
    # A name of one or two letters would be replaced everywhere.
    if len(word) > 2 and word not in _COMMON:
        # The device mapper doubles the hyphens of a name: my-host gives /dev/mapper/my--host--vg-root.
        either = "|".join(re.escape(spelling) for spelling in {word.replace("-", "--"): 0, word: 0})
        yield re.compile(f"{flags}(?<!{_W})({either})(?!{_W})".encode()), make
