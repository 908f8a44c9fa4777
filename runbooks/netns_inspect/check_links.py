"""Links, addresses and routes: ends of pairs, loopbacks, the same address twice, the way out."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator

from runbook.model import Finding, Reference, Verdict

from .facts import Facts, Link, Namespace

MAN = "https://man7.org/linux/man-pages/"
VETH = Reference("veth(4)", MAN + "man4/veth.4.html")
NAMESPACES = Reference("network_namespaces(7)", MAN + "man7/network_namespaces.7.html")
VRF = Reference("Linux: Virtual Routing and Forwarding", "https://docs.kernel.org/networking/vrf.html")


def inside(one: Namespace, command: str, changes: bool = False) -> str:
    """A line to copy that runs this command in that namespace."""
    mark = "   # changes this host" if changes else ""
    name = next((name for name in one.names if can_be_typed(name)), None)
    if name is not None and command.startswith("ip "):
        command = f"ip -n {shlex.quote(name)} {command.removeprefix('ip ')}"
    elif name is not None:
        command = f"ip netns exec {shlex.quote(name)} {command}"
    elif one.own:
        pass
    elif one.names:
        # Such a name has been escaped to be shown, so to type it would name another. The number is unambiguous, and is
        # compared by stat(1): find(1) takes that of the folder, which is not the one of what is mounted there.
        command = (
            f'for f in /run/netns/*; do [ "$(stat -Lc %i "$f")" = {one.inode} ] && nsenter --net="$f" {command}; done'
        )
        return f"    # Its name holds characters that cannot be typed; {one.inode} is its number.\n    {command}{mark}"
    else:
        command = f"nsenter -t PID -n {command}"
    return f"    {command}{mark}"


def can_be_typed(name: str) -> bool:
    """Whether a name, in quotes, means on a command line what it shows; what was escaped has a backslash."""
    return name.isprintable() and "\\" not in name


def device(link: Link) -> str:
    """How to name a link on a command line: ip(8) also knows each by its number."""
    return shlex.quote(link.name) if can_be_typed(link.name) else f"if{link.index}"


def place(one: Namespace, link: Link) -> str:
    return f"{one.title}: {link.name}"


def peer_down(facts: Facts) -> Iterator[Finding]:
    """A veth that is up and has no carrier: the kernel gives it one exactly when its other end is up."""
    for one in facts.entered:
        for link in one.links:
            if link.kind != "veth" or not link.up or link.carrier:
                continue
            other = facts.other_end(one, link)
            if not link.other_index:
                far, advice = "its other end is gone", "Make the pair again, then set both ends up."
            elif other is not None:
                state = "up, but has no carrier either" if other[1].up else "down"
                far = f"its other end, {other[1].name} in {other[0].title}, is {state}"
                up = inside(other[0], f"ip link set {device(other[1])} up", changes=True)
                advice = f"Set the other end up:\n{up}"
            else:
                far = f"its other end (link {link.other_index}) is down, in a namespace that could not be looked into"
                advice = (
                    "Look for it in a namespace that only an open file or another mount keeps, or that was refused:\n"
                    "    sudo lsns -t net"
                    if facts.step == "all"
                    else "Look for it in the other namespaces, as root:\n    sudo runbook run netns-inspect"
                )
            yield Finding(
                "peer-down",
                Verdict.CRITICAL,
                f"{place(one, link)} is up and has no carrier: {far}",
                "A veth pair is a cable with two plugs, and each plug can be in another namespace. This one is up; "
                "as long as the other is not, nothing that is sent into it arrives, and routes over it are not used.",
                advice,
                (*one.evidence("links"), *(other[0].evidence("links") if other and other[0] is not one else ())),
                (VETH,),
            )


def pair_down(facts: Facts) -> Iterator[Finding]:
    """Pairs that carry nothing and of which no end is up: meant, or forgotten; which of the two nobody can tell."""
    told: set[tuple[int, int]] = set()
    words, spaces = [], {}
    for one in facts.entered:
        for link in one.links:
            if link.kind != "veth" or link.up or (one.inode, link.index) in told:
                continue
            other = facts.other_end(one, link)
            if other is None:
                words.append(f"{place(one, link)} (its other end was not seen)")
            elif not other[1].up:
                words.append(f"{place(one, link)} and {place(*other)}")
                told.add((other[0].inode, other[1].index))
                spaces[other[0].inode] = other[0]
            else:
                # Its other end is told as a fault.
                continue
            spaces[one.inode] = one
    if words:
        more = f" and {len(words) - 6} more" if len(words) > 6 else ""
        yield Finding(
            "pair-down",
            Verdict.OK,
            f"Pairs without an end that is up: {'; '.join(words[:6])}{more}",
            "A veth pair is made with both ends down, and carries nothing before both are up. No end that could "
            "be seen is, so nothing waits there; whether that is meant or was forgotten cannot be seen.",
            evidence=tuple(line for one in list(spaces.values())[:6] for line in one.evidence("links")),
            references=(VETH,),
        )


def loopback_down(facts: Facts) -> Iterator[Finding]:
    for one in facts.entered:
        down = [link for link in one.links if link.kind == "loopback" and not link.up]
        if down and not one.isolated:
            yield Finding(
                "loopback-down",
                Verdict.WARNING,
                f"{place(one, down[0])} is down",
                "A new namespace has its loopback, but down. Programs in there cannot reach 127.0.0.1, ::1, nor any "
                "address of their own, and fail in ways that do not look like a network's fault.",
                "Set it up:\n" + inside(one, "ip link set lo up", changes=True),
                one.evidence("links"),
                (NAMESPACES,),
            )


class _Wires:
    """Which links are on the same wire: ends of a pair, ports of a bridge, and what is stacked on a link."""

    def __init__(self, facts: Facts) -> None:
        self._above: dict[tuple[int, int], tuple[int, int]] = {}
        for one in facts.entered:
            for link in one.links:
                here = (one.inode, link.index)
                other = facts.other_end(one, link)
                if other is not None:
                    self._join(here, (other[0].inode, other[1].index))
                if link.kind in ("macvlan", "macvtap", "ipvlan", "ipvtap") and link.other_index:
                    inode = {number: inode for inode, number in one.ids}.get(link.other_id, one.inode)
                    self._join(here, (inode, link.other_index))
                master = one.link(link.master)
                if master is not None and master.kind in ("bridge", "bond", "team", "openvswitch"):
                    self._join(here, (one.inode, master.index))

    def root(self, end: tuple[int, int]) -> tuple[int, int]:
        while end in self._above:
            end = self._above[end]
        return end

    def _join(self, one: tuple[int, int], other: tuple[int, int]) -> None:
        top, below = self.root(one), self.root(other)
        if top != below:
            self._above[top] = below


def address_duplicate(facts: Facts) -> Iterator[Finding]:
    """The same address twice: on one wire a fault; in two namespaces or VRFs what these are for."""
    wires = _Wires(facts)
    holders: dict[str, list[tuple[Namespace, Link]]] = defaultdict(list)
    for one in facts.entered:
        for link in one.links:
            for ip in dict.fromkeys(address.ip for address in link.addresses if address.scope == "global"):
                holders[ip].append((one, link))
    apart = []
    for ip, held in holders.items():
        by_wire: dict[tuple[int, int], list[tuple[Namespace, Link]]] = defaultdict(list)
        for one, link in held:
            by_wire[wires.root((one.inode, link.index))].append((one, link))
        clash = next((ends for ends in by_wire.values() if len(ends) > 1), None)
        if clash is not None:
            spaces = tuple({one.inode: one for one, _ in clash}.values())
            yield Finding(
                "address-duplicate",
                Verdict.WARNING,
                f"{ip} is there twice on one wire: {' and '.join(place(*end) for end in clash[:4])}",
                "Both answer when somebody asks who has this address, or each believes that it is itself. Answers go "
                "to the wrong one, or to nobody.",
                "Take it from one of the two:\n"
                + inside(clash[1][0], f"ip address del {shlex.quote(ip)} dev {device(clash[1][1])}", changes=True),
                tuple(line for one in spaces for line in one.evidence("links")),
                (NAMESPACES,),
            )
        elif len({(one.inode, one.vrf_of(link)) for one, link in held}) > 1:
            apart.append((ip, held))
    if apart:
        ip, held = apart[0]
        yield Finding(
            "address-duplicate",
            Verdict.OK,
            f"The same address in several places, apart from each other ({len(apart)} in all); {ip}: "
            + ", ".join(place(*end) for end in held[:4]),
            "No wire that could be seen joins them. Namespaces and VRFs exist so that the same address can be used in "
            "each; it only means that an address alone does not say which of them is meant.",
            evidence=tuple(line for one in {o.inode: o for o, _ in held}.values() for line in one.evidence("links")),
            references=(VRF,),
        )


def without_default(one: Namespace) -> Iterator[str]:
    """The namespace itself, and each VRF in it, that has addresses and no default route; as words."""
    if not one.answered >= {"links", "routes"}:
        return
    tables = {link.name: link.vrf_table for link in one.links if link.kind == "vrf"}
    for vrf in ("", *tables):
        mine = [link for link in one.links if one.vrf_of(link) == vrf and link.kind != "loopback"]
        if not any(address.scope == "global" for link in mine for address in link.addresses):
            continue
        names = {link.name for link in mine}
        ways = [route for route in one.routes if route.destination == "default"]
        if not any(
            route.link in names or (not route.link and (route.table == tables.get(vrf, "main"))) for route in ways
        ):
            yield f"{one.title}, VRF {vrf}" if vrf else one.title


def no_default_route(facts: Facts) -> Iterator[Finding]:
    missing = [(one, words) for one in facts.entered for words in without_default(one)]
    if missing:
        yield Finding(
            "no-default-route",
            Verdict.OK,
            f"No default route: {'; '.join(words for _, words in missing[:6])}",
            "What is in no network that is listed there is answered with “Network is unreachable”. For a namespace or "
            "VRF of its own that is often meant.",
            "See what can be reached from there:\n" + inside(missing[0][0], "ip route get 192.0.2.1"),
            tuple({line: None for one, _ in missing[:6] for line in one.evidence("routes")}),
            (NAMESPACES,),
        )
