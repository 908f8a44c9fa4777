"""TCP segments out of captured packets: link layers, VLAN, IPv4 and IPv6 with their extensions, fragments left out.

A segment is a tuple and not an object, and this is one long function, because both are done a million times.
"""

from __future__ import annotations

import ipaddress
from struct import Struct
from typing import NamedTuple

ETHERNET, RAW, LINUX_SLL, LINUX_SLL2, NULL, LOOP = 1, 101, 113, 276, 0, 108
#: Link types of IP without anything before it (tcpdump.org/linktypes.html; 12 and 14 are how some systems write RAW).
_BARE = {RAW, 12, 14, 228, 229}
LINKS = {
    ETHERNET: "Ethernet", RAW: "raw IP", 12: "raw IP", 14: "raw IP", 228: "raw IPv4", 229: "raw IPv6",
    LINUX_SLL: "Linux cooked v1", LINUX_SLL2: "Linux cooked v2", NULL: "BSD loopback", LOOP: "OpenBSD loopback",
}  # fmt: skip
_VLAN = {b"\x81\x00", b"\x88\xa8", b"\x91\x00"}
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_HEAD = Struct(">IIBBH")
#: IPv6 headers that another one follows: hop-by-hop, routing, destination options; a fragment's and AH are their own.
_SKIPPED, _FRAGMENT, _AUTHENTICATION, _TCP = {0, 43, 60}, 44, 51, 6


class Segment(NamedTuple):
    """`key` is addresses and ports of this direction; `payload` is where it is in the packet, `length` as on the "
    "wire."""

    key: bytes
    reverse: bytes
    sequence: int
    acknowledged: int
    flags: int
    start: int
    length: int
    ttl: int
    identification: int
    window: int


def place(key: bytes, source: bool) -> str:
    """Address and port of one end."""
    size = (len(key) - 4) // 2
    address = ipaddress.ip_address(key[:size] if source else key[size : 2 * size])
    port = int.from_bytes(key[-4:-2] if source else key[-2:], "big")
    return f"[{address}]:{port}" if size == 16 else f"{address}:{port}"


def reversed_key(key: bytes) -> bytes:
    size = (len(key) - 4) // 2
    return key[size : 2 * size] + key[:size] + key[-2:] + key[-4:-2]


#: What a packet is that is no segment.
NO_TCP, FRAGMENT, TUNNEL, UNKNOWN = "no TCP", "fragment", "tunnel", "unknown"
#: Whole packets are within these: IP in IP, GRE, ESP, EtherIP and MPLS in IP; PPPoE and MPLS; VXLAN and GENEVE in UDP.
_TUNNELS, _UDP = {4, 41, 47, 50, 97, 137}, 17
_TUNNEL_TYPES = {b"\x88\x64", b"\x88\x47", b"\x88\x48"}
_TUNNEL_PORTS = {4789, 8472, 6081}


def segment(link: int, data: bytes) -> Segment | str:
    """The segment in this packet, or a word for what it is instead. Never raises for bytes that make no sense."""
    try:
        return _segment(link, data)
    except (IndexError, ValueError, OverflowError):
        return UNKNOWN


def _segment(link: int, data: bytes) -> Segment | str:
    if link == ETHERNET:
        at, kind = 14, data[12:14]
    elif link == LINUX_SLL2:
        at, kind = 20, data[0:2]
    elif link == LINUX_SLL:
        at, kind = 16, data[14:16]
    elif link in _BARE:
        at, kind = 0, _IPV6 if data[0] >> 4 == 6 else _IPV4
    elif link in (NULL, LOOP):
        # The family is a number of the system that captured: 2 is IPv4 everywhere, IPv6 is not.
        at, kind = 4, _IPV6 if data[4] >> 4 == 6 else _IPV4
    else:
        return UNKNOWN
    while kind in _VLAN:
        kind = data[at + 2 : at + 4]
        at += 4
    if kind == _IPV4:
        first = data[at]
        if first >> 4 != 4:
            return UNKNOWN
        if data[at + 9] != _TCP:
            return _no_tcp(data, data[at + 9], at + ((first & 15) << 2))
        if (data[at + 6] & 0x3F) << 8 | data[at + 7]:
            return FRAGMENT
        total = data[at + 2] << 8 | data[at + 3]
        ttl, identification = data[at + 8], data[at + 4] << 8 | data[at + 5]
        source, target = data[at + 12 : at + 16], data[at + 16 : at + 20]
        tcp = at + ((first & 15) << 2)
        # 0 is what the kernel writes of a segment that the card cuts later.
        end = at + total if total else len(data)
    elif kind == _IPV6:
        if data[at] >> 4 != 6:
            return UNKNOWN
        following, total = data[at + 6], data[at + 4] << 8 | data[at + 5]
        ttl, identification = data[at + 7], -1
        source, target = data[at + 8 : at + 24], data[at + 24 : at + 40]
        tcp = at + 40
        end = tcp + total if total else len(data)
        while following != _TCP:
            if following in _SKIPPED:
                following, tcp = data[tcp], tcp + (data[tcp + 1] + 1) * 8
            elif following == _AUTHENTICATION:
                following, tcp = data[tcp], tcp + (data[tcp + 1] + 2) * 4
            elif following == _FRAGMENT:
                return FRAGMENT if data[tcp] == _TCP else NO_TCP
            else:
                return _no_tcp(data, following, tcp)
    elif len(kind) < 2:
        # It was cut before one can tell.
        return UNKNOWN
    else:
        return TUNNEL if kind in _TUNNEL_TYPES else NO_TCP
    ports = data[tcp : tcp + 4]
    if len(data) < tcp + 16:
        return UNKNOWN
    sequence, acknowledged, offset, flags, window = _HEAD.unpack_from(data, tcp + 4)
    start = tcp + (offset >> 4 << 2)
    length = end - start
    if length < 0 or offset < 0x50:
        return UNKNOWN
    return Segment(
        source + target + ports,
        target + source + ports[2:] + ports[:2],
        sequence,
        acknowledged,
        flags,
        start,
        length,
        ttl,
        identification,
        window,
    )


def _no_tcp(data: bytes, protocol: int, at: int) -> str:
    if protocol in _TUNNELS:
        return TUNNEL
    to = int.from_bytes(data[at + 2 : at + 4], "big")
    return TUNNEL if protocol == _UDP and to in _TUNNEL_PORTS else NO_TCP
