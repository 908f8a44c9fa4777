"""Reads the probe's lines: the list of namespaces, and what the kernel said inside each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from runbook.formats import Unread, json_line
from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Evidence

from .facts import Address, Facts, Link, Namespace, Route, Socket

_Value = TypeVar("_Value", str, int, bool, list[Any])

#: What is asked inside each namespace; a namespace is known when all of these were answered.
ASKS = ("links", "routes", "neighbours", "sockets", "forwarding", "ids")


def parse(captures: Captures) -> Facts:
    """What the widest of the steps that ran tells: all namespaces, or the one that was named, or only our own."""
    named = str(captures.parameters.get("namespace", "") or "")
    words = str(captures.parameters.get("bgp-peers", "") or "")
    peers = tuple(word for word in re.split(r"[,\s]+", words) if word)
    read = [_read(capture, step) for step in ("all", "one", "own") if (capture := captures.ran(step)) is not None]
    if not read:
        return Facts(peers=peers, asked_for=named)
    # All of them are looked into for a name, too, when there is none such.
    unread = (*read[0].unread, *(why for facts in read[1:] if facts.step == "one" for why in facts.unread))
    return replace(read[0], peers=peers, asked_for=named, unread=unread)


def _read(capture: Capture, step: str) -> Facts:
    """{"ask": "list", "own": 4026531840, "hidden": 0, "refused": [], "found": [{"inode": 4026532250, "names": …
    {"inode": 4026532250, "ask": "routes", "routes": [{"to": "default", "table": "main", …
    """
    if capture.truncated:
        raise Unreadable("more was printed than is kept", step, max(1, capture.stdout.count(b"\n")))
    if not capture.stdout:
        raise Unreadable("the probe told nothing", step, stream="stderr")
    told = list(_lines(capture))
    number, first = told[0]
    if first.get("ask") != "list" or not isinstance(first.get("found"), list):
        raise Unreadable(f"line {number} is not the list of namespaces", step, number)
    spaces = {one.inode: one for one in (_listed(entry, first, step, number) for entry in first["found"])}
    own = first.get("own")
    if own not in spaces:
        raise Unreadable(f"line {number} does not list the namespace that it was told in", step, number)
    hidden, refused = first.get("hidden"), first.get("refused")
    if not isinstance(hidden, int) or isinstance(hidden, bool) or not isinstance(refused, list):
        raise Unreadable(f"line {number} does not say what was hidden", step, number)
    unread: list[Unread] = []
    # One cause that many have is told once: the namespaces, by what was asked and what was said.
    causes: dict[tuple[str, str], list[tuple[Namespace, Evidence]]] = {}
    asked: dict[int, set[str]] = {inode: set() for inode in spaces}
    for number, line in told[1:]:
        inode = line.get("inode")
        if line.get("ask") == "rest" and isinstance(line.get("error"), str):
            unread.append(Unread(line["error"], Evidence(step, "stdout", number, number)))
            continue
        if not isinstance(inode, int) or inode not in spaces:
            raise Unreadable(f"line {number} is about no namespace of the list", step, number)
        asked[inode].add(str(line["ask"]))
        try:
            spaces[inode] = _answered(spaces[inode], line, number)
        except Unreadable as error:
            entering = line["ask"] == "enter"
            causes.setdefault((line["ask"], str(error)), []).append(
                (spaces[inode], Evidence(step, "stdout", number, number))
            )
            spaces[inode] = replace(spaces[inode], entered=not entering, refused=str(error) if entering else "")
    unread += (_cause(ask, why, found) for (ask, why), found in causes.items())
    unread += _cut_short(spaces, asked, None if step == "one" else own, told[-1][0])
    names = tuple(str(name) for name in refused)
    return Facts(tuple(sorted(spaces.values(), key=_order)), hidden, names, step=step, unread=tuple(unread))


def _cause(ask: str, why: str, found: list[tuple[Namespace, Evidence]]) -> Unread:
    """Why these did not answer that question, in one sentence and with the line of the first."""
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return Unread(f"{', '.join(one.title for one, _ in found[:4])}{more}, {ask}: {why}", found[0][1])


def _cut_short(spaces: dict[int, Namespace], asked: dict[int, set[str]], begun: object, last: int) -> Iterator[Unread]:
    """Namespaces that were begun with and not ended; what was refused, or never begun with, is told elsewhere."""
    for inode, asks in asked.items():
        missing = [ask for ask in ASKS if ask not in asks]
        if missing and "enter" not in asks and (asks or inode == begun):
            one = spaces[inode]
            yield Unread(f"{one.title}: no answer for {', '.join(missing)}", Evidence(one.step, "stdout", last, last))


def _order(one: Namespace) -> tuple[bool, bool, tuple[str, ...], int]:
    return (not one.own, not one.names, one.names, one.inode)


def _lines(capture: Capture) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(capture.stdout.decode("utf-8", "replace").removesuffix("\n").split("\n"), start=1):
        told = json_line(line, capture.step, number)
        if not isinstance(told.get("ask"), str):
            raise Unreadable(f"line {number} answers no question", capture.step, number)
        yield number, told


def _listed(entry: object, first: dict[str, Any], step: str, number: int) -> Namespace:
    entry = entry if isinstance(entry, dict) else {}
    inode, names, processes = entry.get("inode"), entry.get("names"), entry.get("processes")
    if not isinstance(inode, int) or not isinstance(names, list) or not isinstance(processes, int):
        raise Unreadable(f"line {number} lists something that is no namespace", step, number)
    texts = tuple(name for name in names if isinstance(name, str))
    if len(texts) != len(names):
        raise Unreadable(f"line {number} has a name that is no text", step, number)
    command = str(entry.get("command", ""))
    return Namespace(inode, texts, inode == first.get("own"), processes, command, step, lines=(("list", number),))


def _answered(one: Namespace, line: dict[str, Any], number: int) -> Namespace:
    """The namespace with this answer in it; raises Unreadable where there is none or it makes no sense."""
    ask = line["ask"]
    if "error" in line:
        raise Unreadable(str(line["error"]), one.step, number)
    told = {key: value for key, value in line.items() if key not in ("inode", "ask")}
    if ask not in _READERS or not told:
        raise Unreadable("there was no answer", one.step, number)
    try:
        one = replace(_READERS[ask](one, told), entered=True, answered=one.answered | {ask})
    except (TypeError, KeyError, ValueError):
        raise Unreadable("this is not what the probe tells", one.step, number) from None
    return replace(one, lines=(*one.lines, (ask, number)))


class _Entry:
    """One JSON object, whose fields have the type that is asked for; raises ValueError for what it should not have."""

    def __init__(self, found: object, *names: str) -> None:
        if not isinstance(found, dict) or not found.keys() <= set(names):
            raise ValueError
        self._found = found

    def text(self, name: str) -> str:
        return self._one(name, str)

    def number(self, name: str, without: int | None = None) -> int:
        """Where it is not told, `without`."""
        return without if without is not None and name not in self._found else self._one(name, int)

    def flag(self, name: str) -> bool:
        return self._one(name, bool)

    def each(self, name: str, *names: str) -> tuple[_Entry, ...]:
        return tuple(_Entry(entry, *names) for entry in self._one(name, list))

    def texts(self, name: str) -> tuple[str, ...]:
        found = self._one(name, list)
        if not all(isinstance(word, str) for word in found):
            raise ValueError
        return tuple(found)

    def addresses(self, name: str) -> tuple[Address, ...]:
        found = []
        for ip, prefix, scope in self._one(name, list):
            if not isinstance(ip, str) or type(prefix) is not int or not isinstance(scope, str):
                raise ValueError
            found.append(Address(ip, prefix, scope))
        return tuple(found)

    def _one(self, name: str, kind: type[_Value]) -> _Value:
        value = self._found[name]
        # To Python true is a number.
        if type(value) is not kind or (isinstance(value, int) and value < 0 and name != "other_id"):
            raise ValueError
        return value


_LINK = ("index", "name", "kind", "up", "carrier", "other_index", "other_id", "master", "table", "addresses")


def _links(one: Namespace, told: dict[str, Any]) -> Namespace:
    """{"links": [{"index": 2, "name": "et1", "kind": "veth", "up": true, "carrier": true, "other_index": 3,
    "other_id": 0, "addresses": [["10.0.12.1", 30, "global"]]}]}
    """
    entries = _Entry(told, "links").each("links", *_LINK)
    names = {entry.number("index"): entry.text("name") for entry in entries}
    links = []
    for entry in entries:
        kind, master = entry.text("kind"), entry.number("master", 0)
        links.append(
            Link(
                entry.number("index"),
                entry.text("name"),
                kind,
                entry.flag("up"),
                entry.flag("carrier"),
                entry.number("other_index", 0),
                entry.number("other_id", -1),
                # It may be in another namespace, where it is not listed.
                names.get(master, ""),
                str(entry.number("table")) if kind == "vrf" else "",
                entry.addresses("addresses"),
            )
        )
    if not any(link.kind == "loopback" for link in links):
        # Every namespace has one, and it cannot be deleted.
        raise ValueError
    return replace(one, links=tuple(links))


def _routes(one: Namespace, told: dict[str, Any]) -> Namespace:
    """{"routes": [{"to": "default", "table": "main", "via": "198.51.100.1", "link": "et2"}]}"""
    entries = _Entry(told, "routes").each("routes", "to", "table", "via", "link")
    names = ("to", "table", "via", "link")
    return replace(one, routes=tuple(Route(*(entry.text(name) for name in names)) for entry in entries))


def _neighbours(one: Namespace, told: dict[str, Any]) -> Namespace:
    """{"known": 3, "failed": ["10.7.0.99"]}"""
    entry = _Entry(told, "known", "failed")
    return replace(one, neighbours=entry.number("known"), failed_neighbours=entry.texts("failed"))


_SOCKET = ("protocol", "state", "local", "port", "peer", "peer_port", "link")
_STATES = (
    *("ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE-WAIT", "LAST-ACK", "LISTEN"),
    *("CLOSING", "UNCONN", "NEW-SYN-RECV", "CLOSED"),
)


def _sockets(one: Namespace, told: dict[str, Any]) -> Namespace:
    """{"sockets": [{"protocol": "tcp", "state": "ESTAB", "local": "10.0.12.1", "port": 41179, "peer": "10.0.12.2",
    "peer_port": 179, "link": "blue"}], "others": 12}
    """
    entry = _Entry(told, "sockets", "others")
    found = []
    for socket in entry.each("sockets", *_SOCKET):
        protocol, state, port, far = (
            socket.text("protocol"),
            socket.text("state"),
            socket.number("port"),
            socket.number("peer_port"),
        )
        if protocol not in ("tcp", "udp") or state not in _STATES or max(port, far) > 65535:
            raise ValueError
        local, peer, link = socket.text("local"), socket.text("peer"), socket.text("link")
        found.append(Socket(protocol, state, local, link, port, peer, far))
    return replace(one, sockets=tuple(found), other_sockets=entry.number("others"))


def _forwarding(one: Namespace, told: dict[str, Any]) -> Namespace:
    """{"ipv4": 1, "ipv6": 0}, the latter where there is IPv6."""
    entry = _Entry(told, "ipv4", "ipv6")
    names = ("ipv4", "ipv6") if "ipv6" in told else ("ipv4",)
    return replace(one, forwarding=tuple((name, str(entry.number(name))) for name in names))


def _ids(one: Namespace, told: dict[str, Any]) -> Namespace:
    """{"ids": {"4026532389": 0}}"""
    ids = told["ids"]
    if len(told) > 1 or not isinstance(ids, dict) or not all(type(value) is int for value in ids.values()):
        raise ValueError
    return replace(one, ids=tuple((int(inode), value) for inode, value in ids.items()))


_READERS: dict[str, Callable[[Namespace, dict[str, Any]], Namespace]] = {
    "links": _links,
    "routes": _routes,
    "neighbours": _neighbours,
    "sockets": _sockets,
    "forwarding": _forwarding,
    "ids": _ids,
}
