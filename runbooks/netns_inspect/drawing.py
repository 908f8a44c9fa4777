"""Draws every namespace with its VRFs and links, where each pair's other end is, and who listens; 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import Branch, tree

from .check_links import without_default
from .facts import Facts, Link, Namespace

#: So many links of one namespace are drawn, and so many namespaces.
MOST_LINKS, MOST_NAMESPACES = 12, 24


def draw(facts: Facts) -> str:
    shown = facts.namespaces[:MOST_NAMESPACES]
    branches = [_namespace(facts, one) for one in shown]
    if len(facts.namespaces) > len(shown):
        branches.append(Branch(f"… {len(facts.namespaces) - len(shown)} more namespaces"))
    return tree(tuple(branches))


def _namespace(facts: Facts, one: Namespace) -> Branch:
    if not one.entered:
        return Branch(one.title, "", ("namespace", _who(one), "? not looked into"))
    remarks = ["namespace", _who(one)]
    remarks += ["forwards"] * (dict(one.forwarding).get("ipv4") == "1")
    remarks += ["no default route" for words in without_default(one) if words == one.title]
    # What was made with a module, such as sit0 and tunl0, and is used by nobody.
    used = [link for link in one.links if link.up or link.addresses or link.kind in ("veth", "loopback", "vrf")]
    tops = [link for link in used if not one.link(link.master)]
    branches = [_link(facts, one, link, used) for link in tops[:MOST_LINKS]]
    if len(tops) > MOST_LINKS:
        branches.append(Branch(f"… {len(tops) - MOST_LINKS} more links"))
    if one.neighbours:
        silent = f"no answer from {', '.join(one.failed_neighbours[:4])}" if one.failed_neighbours else ""
        branches.append(Branch("neighbours", "", (f"{one.neighbours} known", silent)))
    branches += [Branch("sockets", "", sockets)] if (sockets := tuple(_sockets(one))) else []
    return Branch(one.title, "", tuple(remarks), tuple(branches))


def _who(one: Namespace) -> str:
    if not one.processes:
        return "no process"
    of = f" ({one.command})" if one.command else ""
    return f"{one.processes} processes{of}" if one.processes > 1 else f"1 process{of}"


def _link(facts: Facts, one: Namespace, link: Link, used: list[Link]) -> Branch:
    remarks = [f"VRF, table {link.vrf_table}" if link.kind == "vrf" else link.kind or "link"]
    remarks += [f"{address.ip}/{address.prefix}" for address in link.addresses if address.scope == "global"][:3]
    if link.kind == "vrf":
        ways = [route for route in one.routes if route.table == link.vrf_table and route.gateway]
        remarks += [f"{route.destination} via {route.gateway}" for route in ways[:2]]
    remarks += _other(facts, one, link)
    if not link.up:
        remarks.append("! down" if link.kind in ("loopback", "vrf") or _is_awaited(facts, one, link) else "down")
    below = [other for other in used if other.master == link.name and other is not link]
    children = tuple(_link(facts, one, other, []) for other in below[:MOST_LINKS])
    return Branch(link.name, "", tuple(remarks), children)


def _is_awaited(facts: Facts, one: Namespace, link: Link) -> bool:
    """Whether the other end of a pair is up; where both are down, nothing waits for either."""
    other = facts.other_end(one, link)
    return other is not None and other[1].up


def _other(facts: Facts, one: Namespace, link: Link) -> Iterator[str]:
    if link.kind != "veth":
        return
    other = facts.other_end(one, link)
    if other is None:
        yield "⇄ ? not seen" if link.other_index else "⇄ gone"
    else:
        yield f"⇄ {other[1].name} in {other[0].title}" if other[0] is not one else f"⇄ {other[1].name}"
    if link.up and not link.carrier:
        yield "! no carrier"


def _sockets(one: Namespace) -> Iterator[str]:
    listens = dict.fromkeys(f"{socket.protocol} {socket.port}" for socket in one.sockets if socket.listens)
    if listens:
        more = f" and {len(listens) - 6} more" if len(listens) > 6 else ""
        yield f"listens: {', '.join(list(listens)[:6])}{more}"
    bgp = [socket for socket in one.sockets if not socket.listens]
    for socket in bgp[:3]:
        yield f"BGP with {socket.peer}: {socket.state}"
    if one.other_sockets:
        yield f"{one.other_sockets} other connections"
