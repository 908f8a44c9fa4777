"""Sockets and settings: BGP sessions, ports that several listen on, forwarding."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from runbook.model import Finding, Reference, Verdict

from .check_links import NAMESPACES, device, inside
from .facts import Facts, Link, Namespace, Socket

BGP = 179
RFC4271 = Reference(
    "RFC 4271, A Border Gateway Protocol 4, 8.2.2", "https://www.rfc-editor.org/rfc/rfc4271#section-8.2.2"
)
IP_SYSCTL = Reference("Linux: IP sysctl", "https://docs.kernel.org/networking/ip-sysctl.html")
#: What a state that is not ESTAB says of the other side.
WHY = {
    "SYN-SENT": "Nobody answers: no such neighbour, a firewall that drops, or the wrong namespace or VRF.",
    "SYN-RECV": "The other side asked, and our answer does not reach it.",
    "CLOSE-WAIT": "The other side has ended the session, and the program here has not closed its own end.",
}


def _sessions(one: Namespace) -> Iterator[Socket]:
    for socket in one.sockets:
        if socket.protocol == "tcp" and BGP in (socket.port, socket.peer_port) and not socket.listens:
            yield socket


def bgp_down(facts: Facts) -> Iterator[Finding]:
    """What is begun and not established; and, of the peers that were named, whoever is in no session."""
    up = {(one.inode, socket.link, socket.peer) for one in facts.entered for socket in _sessions(one) if _is_up(socket)}
    told = set()
    for one in facts.entered:
        for socket in _sessions(one):
            # A session that was just ended waits a minute, and means nothing.
            if _is_up(socket) or socket.state in ("TIME-WAIT", "CLOSED"):
                continue
            if (one.inode, socket.link, socket.peer) in up:
                continue
            told.add(socket.peer)
            bound = one.link(socket.link)
            words = "VRF" if bound is not None and bound.kind == "vrf" else "bound to"
            vrf = f" ({words} {socket.link})" if bound else ""
            yield Finding(
                "bgp-down",
                Verdict.CRITICAL,
                f"{one.title}{vrf}: the BGP session of {socket.local} with {socket.peer} is {socket.state}, not ESTAB",
                "BGP is one TCP connection on port 179, and routes are learned only while it is established. "
                + WHY.get(socket.state, "It is being ended, and no other has taken its place."),
                "See whether the neighbour can be reached, from the very same namespace, and what goes over the wire:\n"
                + inside(one, _way(socket.peer, bound))
                + "\n"
                + inside(one, "tcpdump -ni any tcp port 179"),
                one.evidence("sockets"),
                (RFC4271,),
            )
    # The same address can be written in several ways, and the kernel has one of its own.
    known = {_address(peer) for peer in told} | {_address(peer) for _, _, peer in up}
    for peer in facts.peers:
        if (address := _address(peer)) is None:
            yield _no_address(peer)
            continue
        if address in known:
            continue
        seen = facts.step == "all" and not facts.hidden and all("sockets" in one.answered for one in facts.namespaces)
        verdict = Verdict.CRITICAL if seen or (facts.step == "one" and facts.entered) else Verdict.UNKNOWN
        yield Finding(
            "bgp-down",
            verdict,
            f"No session with the BGP peer {peer} in the {len(facts.entered)} namespaces that were looked into",
            "It was named as one that should be there. There is not even an attempt on port 179 to or from it."
            + ("" if verdict is Verdict.CRITICAL else " It may be in a namespace that could not be looked into."),
            "See whether the routing daemon runs, in which namespace, and what it says of this neighbour.",
            tuple(line for one in facts.entered[:4] for line in one.evidence("sockets")),
            (RFC4271,),
        )


def _is_up(socket: Socket) -> bool:
    return socket.state == "ESTAB"


def _way(peer: str, bound: Link | None) -> str:
    """The route to this neighbour, by way of what the socket is bound to."""
    if bound is None:
        return f"ip route get {shlex.quote(peer)}"
    return f"ip route get {shlex.quote(peer)} {'vrf' if bound.kind == 'vrf' else 'oif'} {device(bound)}"


def _address(word: str) -> IPv4Address | IPv6Address | None:
    """The address that this word is; an IPv4 address written as an IPv6 one is that IPv4 address."""
    try:
        address = ip_address(word)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _no_address(word: str) -> Finding:
    return Finding(
        "bgp-down",
        Verdict.UNKNOWN,
        f"`{word}` is no IP address, so whether there is a session with it cannot be told",
        "`bgp-peers` takes IPv4 and IPv6 addresses in full, with commas between them. A figure with a 0 before it, as "
        "in 010.1.2.3, is refused as well: some programs read it as octal.",
        "Write it as the session has it:\n    runbook run netns-inspect --set bgp-peers=192.0.2.1,2001:db8::1",
        references=(RFC4271,),
    )


def listen_overlap(facts: Facts) -> Iterator[Finding]:
    """The same port in several namespaces or VRFs."""
    held: dict[tuple[str, int], dict[str, Namespace]] = defaultdict(dict)
    for one in facts.entered:
        for socket in one.sockets:
            if socket.listens:
                bound = one.link(socket.link)
                vrf = one.vrf_of(bound) if bound is not None else ""
                held[socket.protocol, socket.port][f"{one.title}, VRF {vrf}" if vrf else one.title] = one
    several = {port: places for port, places in held.items() if len(places) > 1}
    if several:
        words = [f"{protocol} {port} in {'; '.join(list(places)[:4])}" for (protocol, port), places in several.items()]
        spaces = {one.inode: one for places in several.values() for one in places.values()}
        yield Finding(
            "listen-overlap",
            Verdict.OK,
            f"Several listen on the same port, without a conflict: {', '.join(words[:4])}",
            "Each namespace has all ports of its own, and each VRF where programs bind to it. So “the port is taken” "
            "and “the service answers” are only true of one of them.",
            evidence=tuple(line for one in list(spaces.values())[:6] for line in one.evidence("sockets")),
            references=(NAMESPACES,),
        )


def forwarding_differs(facts: Facts) -> Iterator[Finding]:
    """Whether a packet is passed on is a setting of each namespace."""
    for family, label, path in (("ipv4", "IPv4", "ip_forward"), ("ipv6", "IPv6", "conf/all/forwarding")):
        told = [(one, dict(one.forwarding).get(family)) for one in facts.entered if not one.isolated]
        on = [one for one, value in told if value not in (None, "0")]
        off = [one for one, value in told if value == "0"]
        if on and off:
            yield Finding(
                "forwarding-differs",
                Verdict.OK,
                f"{label} is forwarded in {_names(on)}, and not in {_names(off)}",
                f"net.{family}.{path.replace('/', '.')} belongs to each namespace. A new one has the kernel's default "
                "or its maker's, whatever the host says, so a router in a namespace must be told by itself.",
                "See it from inside:\n    ip netns exec NAME sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding",
                tuple(line for one in (on[0], off[0]) for line in one.evidence("forwarding")),
                (IP_SYSCTL,),
            )


def _names(spaces: list[Namespace]) -> str:
    return ", ".join(one.title for one in spaces[:4]) + (f" and {len(spaces) - 4} more" if len(spaces) > 4 else "")
