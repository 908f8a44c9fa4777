"""Namespaces, their links, addresses, routes and sockets, as far as each could be looked into."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.formats import Unread
from runbook.model import Evidence


@dataclass(frozen=True, slots=True)
class Address:
    """An address on a link; `scope` is global, link or host."""

    ip: str
    prefix: int
    scope: str


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface. `other_index` and `other_id` name its other end: its index, and which namespace."""

    index: int
    name: str
    kind: str
    up: bool
    carrier: bool
    other_index: int = 0
    other_id: int = -1
    master: str = ""
    vrf_table: str = ""
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One route that leads on; `table` is main, default or a number."""

    destination: str
    table: str
    gateway: str
    link: str


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket; `link` is what it is bound to (a VRF, for example). Without a peer, `peer_port` is 0."""

    protocol: str
    state: str
    local: str
    link: str
    port: int
    peer: str
    peer_port: int

    @property
    def listens(self) -> bool:
        return self.state == "LISTEN" or (self.state == "UNCONN" and not self.peer_port)


@dataclass(frozen=True, slots=True)
class Namespace:
    """One network namespace. Without `entered` no more is known of it than that it is there.

    `refused` says why the kernel did not let the probe enter it, and is empty where nobody tried to.
    `sockets` are those that listen or are on BGP's port; of the others there is only the number. `lines` says on which
    line of the probe each question was answered; `ids` are the namespaces (inode) by the number that this one has for
    them.
    """

    inode: int
    names: tuple[str, ...]
    own: bool
    processes: int
    command: str
    step: str
    entered: bool = False
    refused: str = ""
    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: int = 0
    failed_neighbours: tuple[str, ...] = ()
    sockets: tuple[Socket, ...] = ()
    other_sockets: int = 0
    forwarding: tuple[tuple[str, str], ...] = ()
    ids: tuple[tuple[int, int], ...] = ()
    answered: frozenset[str] = frozenset()
    lines: tuple[tuple[str, int], ...] = ()

    @property
    def title(self) -> str:
        """What to call it; on one line, whatever its name holds."""
        if self.names:
            # White space that a line or a table would lose is shown as Python writes it.
            return " / ".join(name if name == " ".join(name.split()) else repr(name) for name in self.names)
        return "(this one)" if self.own else f"(unnamed, net:[{self.inode}])"

    @property
    def isolated(self) -> bool:
        """Nothing but its loopback, no name, no socket: a sandbox that is to reach nothing."""
        silent = not self.sockets and not self.other_sockets
        return not self.names and not self.own and len(self.links) == 1 and silent

    def link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.name == name), None)

    def vrf_of(self, link: Link) -> str:
        """The VRF that a link is in, or is; empty where it is in none."""
        if link.kind == "vrf":
            return link.name
        seen = {link.name}
        above = self.link(link.master)
        while above is not None and above.name not in seen:
            if above.kind == "vrf":
                return above.name
            seen.add(above.name)
            above = self.link(above.master)
        return ""

    def evidence(self, *asks: str) -> tuple[Evidence, ...]:
        places = dict(self.lines)
        return tuple(Evidence(self.step, "stdout", places[ask], places[ask]) for ask in asks if ask in places)


@dataclass(frozen=True, slots=True)
class Facts:
    """`hidden` counts the processes whose namespace could not be told; `peers` are the BGP peers that should be up.

    `step` is the step that told: `all`, `one` for the namespace that was asked for, or `own`."""

    namespaces: tuple[Namespace, ...] = ()
    hidden: int = 0
    refused: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    step: str = ""
    asked_for: str = ""
    unread: tuple[Unread, ...] = ()

    @property
    def entered(self) -> tuple[Namespace, ...]:
        return tuple(one for one in self.namespaces if one.entered)

    def other_end(self, here: Namespace, link: Link) -> tuple[Namespace, Link] | None:
        """The other end of a veth, where it could be looked at."""
        if link.kind != "veth" or not link.other_index:
            return None
        inode = {number: inode for inode, number in here.ids}.get(link.other_id)
        inode = here.inode if link.other_id < 0 else inode
        there = next((one for one in self.namespaces if one.inode == inode), None)
        found = next((one for one in there.links if one.index == link.other_index), None) if there else None
        # What points back is the other end; an index alone may be another link's, after a change in between.
        return (there, found) if there and found and found.other_index == link.index and found.kind == "veth" else None
