"""Reads the probe's lines: the list of namespaces, and what ip(8), ss(8) and the kernel said inside each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from runbook.formats import Unread, json_document
from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Ending, Evidence

from .facts import Address, Facts, Link, Namespace, Route, Socket

#: What is asked inside each namespace; a namespace is known when all of these were answered.
ASKS = ("links", "routes", "neighbours", "sockets", "forwarding")


def parse(captures: Captures) -> Facts:
    """What the widest of the steps that ran tells: all namespaces, or the one that was named, or only our own."""
    named = str(captures.parameters.get("namespace", "") or "")
    words = str(captures.parameters.get("bgp-peers", "") or "")
    peers = tuple(word for word in re.split(r"[,\s]+", words) if word)
    for step in ("all", "one", "own"):
        capture = captures.ran(step)
        if capture is None:
            continue
        if step != "own" and not capture.stdout and capture.exit_code not in (0, None):
            # `ip netns exec` itself refuses: no such name, or no right to it.
            reason = capture.stderr.decode("utf-8", "replace").strip().split("\n")[0] or "the probe told nothing"
            unread = (Unread(reason, Evidence(step, "stderr", 1, 1)),)
            return Facts(peers=peers, asked_for=named, step=step, unread=unread)
        return replace(_read(capture, step), peers=peers, step=step, asked_for=named)
    return Facts(peers=peers, asked_for=named)


def _read(capture: Capture, step: str) -> Facts:
    """{"ask": "list", "own": 4026531840, "hidden": 0, "refused": [], "found": [{"inode": 4026532250, "names": …
    {"inode": 4026532250, "ask": "routes", "argv": ["ip", …], "exit": 0, "stdout": "[{\"dst\":\"default\", …
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
            evidence = Evidence(step, "stdout", number, number)
            unread.append(Unread(f"{spaces[inode].title}, {line['ask']}: {error}", evidence))
            if line.get("ask") != "enter":
                spaces[inode] = replace(spaces[inode], entered=True)
    unread += _cut_short(spaces, asked, own, told[-1][0])
    names = tuple(str(name) for name in refused)
    return Facts(tuple(sorted(spaces.values(), key=_order)), hidden, names, unread=tuple(unread))


def _cut_short(spaces: dict[int, Namespace], asked: dict[int, set[str]], own: object, last: int) -> Iterator[Unread]:
    """Namespaces that were begun with and not ended; what was refused, or never begun with, is told elsewhere."""
    for inode, asks in asked.items():
        missing = [ask for ask in ("ids", *ASKS) if ask not in asks]
        if missing and "enter" not in asks and (asks or inode == own):
            one = spaces[inode]
            yield Unread(f"{one.title}: no answer for {', '.join(missing)}", Evidence(one.step, "stdout", last, last))


def _order(one: Namespace) -> tuple[bool, bool, tuple[str, ...], int]:
    return (not one.own, not one.names, one.names, one.inode)


def _lines(capture: Capture) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(capture.stdout.decode("utf-8", "replace").removesuffix("\n").split("\n"), start=1):
        try:
            told = _document(line)
        except Unreadable:
            raise Unreadable(f"line {number} is not JSON", capture.step, number) from None
        if not isinstance(told, dict) or not isinstance(told.get("ask"), str):
            raise Unreadable(f"line {number} answers no question", capture.step, number)
        yield number, told


def _document(text: str) -> Any:
    """The JSON in this text, in which every string is safe to show."""
    return json_document(Capture("", (), Ending.EXITED, 0, text.encode("utf-8", "replace")))


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
    refusal = Unreadable("there was no answer", one.step, number)
    if "error" in line:
        raise Unreadable(str(line["error"]), one.step, number)
    if ask == "ids":
        told = line.get("ids")
        if not isinstance(told, dict) or not all(isinstance(value, int) for value in told.values()):
            raise refusal
        ids = tuple((int(inode), value) for inode, value in told.items() if inode.isdecimal())
        return replace(one, entered=True, ids=ids, lines=(*one.lines, (ask, number)))
    if ask not in _READERS or not isinstance(line.get("stdout"), str):
        raise refusal
    # Where there is no IPv6, grep(1) says 2 and has answered for IPv4 all the same.
    if line.get("exit") != 0 and not (ask == "forwarding" and line["stdout"]):
        raise Unreadable(str(line.get("stderr", "")).strip() or "the command failed", one.step, number)
    try:
        one = replace(_READERS[ask](one, line["stdout"], number), entered=True, answered=one.answered | {ask})
    except Unreadable as error:
        raise Unreadable(str(error), one.step, number) from None
    except (TypeError, KeyError, AttributeError, ValueError):
        raise Unreadable("this is not what the command prints", one.step, number) from None
    return replace(one, lines=(*one.lines, (ask, number)))


def _objects(text: str) -> list[dict[str, Any]]:
    # An old iproute2 prints nothing where there is nothing.
    found = _document(text) if text.strip() else []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError
    # iproute2 leaves an empty object where it has filtered one out.
    return [entry for entry in found if entry]


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str | int):
        raise ValueError
    return str(value)


def _links(one: Namespace, text: str, number: int) -> Namespace:
    """[{"ifindex":2,"link_index":3,"ifname":"et1","flags":["UP","LOWER_UP"],"link_netnsid":0,
    "linkinfo":{"info_kind":"veth"},"addr_info":[{"family":"inet","local":"10.0.12.1","prefixlen":30,"scope":"global"}]}]
    """
    found = []
    for entry in _objects(text):
        info = entry.get("linkinfo", {})
        data = info.get("info_data") or {}
        flags = entry["flags"]
        addresses = tuple(
            Address(_text(address, "local"), int(address["prefixlen"]), _text(address, "scope"))
            for address in entry["addr_info"]
            if address and "local" in address
        )
        kind = "loopback" if "LOOPBACK" in flags else _text(info, "info_kind")
        up, carrier = "UP" in flags, "LOWER_UP" in flags
        index, other, number_of = (
            int(entry["ifindex"]),
            int(entry.get("link_index") or 0),
            entry.get("link_netnsid", -1),
        )
        table = _text(data, "table") if kind == "vrf" else ""
        name, master = _text(entry, "ifname"), _text(entry, "master")
        found.append(Link(index, name, kind, up, carrier, other, int(number_of), master, table, addresses))
    if not any(link.kind == "loopback" for link in found):
        # Every namespace has one, and it cannot be deleted.
        raise ValueError
    return replace(one, links=tuple(found))


def _routes(one: Namespace, text: str, number: int) -> Namespace:
    """[{"dst":"default","gateway":"198.51.100.1","dev":"et2","flags":[]},
    {"type":"unreachable","dst":"default","table":"10","metric":4278198272,"flags":[]}]
    """
    routes = tuple(
        Route(
            _text(entry, "dst") if entry["dst"] else "",
            _text(entry, "type") or "unicast",
            _text(entry, "table") or "main",
            _text(entry, "gateway"),
            _text(entry, "dev"),
        )
        for entry in _objects(text)
    )
    return replace(one, routes=routes)


def _neighbours(one: Namespace, text: str, number: int) -> Namespace:
    """[{"dst":"10.0.12.2","dev":"et1","lladdr":"06:00:00:00:00:02","state":["REACHABLE"]}]"""
    entries = _objects(text)
    failed = tuple(_text(entry, "dst") for entry in entries if "FAILED" in entry.get("state", ()))
    return replace(one, neighbours=len(entries), failed_neighbours=failed)


_SOCKET = re.compile(r"(tcp|udp|mptcp|sctp|dccp)\s+(\S+)\s+\d+\s+\d+\s+(\S+):(\S+)\s+(\S+):(\S+)(?:\s+(.*))?\s*")
_PROCESS = re.compile(r'users:\(\("((?:[^"\\]|\\.)*)"')
_STATES = (
    *("ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE-WAIT", "LAST-ACK", "LISTEN"),
    *("CLOSING", "UNCONN", "NEW-SYN-RECV", "CLOSED"),
)


def _sockets(one: Namespace, text: str, number: int) -> Namespace:
    """tcp   LISTEN 0      5            0.0.0.0%blue:22         0.0.0.0:*    users:(("sshd",pid=812,fd=5))
    tcp   ESTAB  0      0      10.0.12.1:41179    10.0.12.2:179
    """
    found = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        match = _SOCKET.fullmatch(line)
        if match is None or match[2] not in _STATES or not _is_port(match[4]) or not _is_port(match[6]):
            raise Unreadable(f"`{line}` is no line of ss", one.step, number)
        local, _, bound = match[3].rpartition("%") if "%" in match[3] else (match[3], "", "")
        process = _PROCESS.search(match[7] or "")
        found.append(
            Socket(
                match[1],
                match[2],
                local.strip("[]"),
                bound.rstrip("]"),
                match[4],
                match[5].partition("%")[0].strip("[]"),
                match[6],
                process[1] if process else "",
                number,
            )
        )
    return replace(one, sockets=tuple(found))


def _is_port(word: str) -> bool:
    return word == "*" or (len(word) < 6 and word.isdecimal() and int(word) < 65536)


def _forwarding(one: Namespace, text: str, number: int) -> Namespace:
    """/proc/sys/net/ipv4/ip_forward:1
    /proc/sys/net/ipv6/conf/all/forwarding:0
    """
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"/proc/sys/net/(ipv[46])/(?:ip_forward|conf/all/forwarding):([0-9])", line)
        if match is None:
            raise ValueError
        found.append((match[1], match[2]))
    if not any(name == "ipv4" for name, _ in found):
        raise ValueError
    return replace(one, forwarding=tuple(found))


_READERS: dict[str, Callable[[Namespace, str, int], Namespace]] = {
    "links": _links,
    "routes": _routes,
    "neighbours": _neighbours,
    "sockets": _sockets,
    "forwarding": _forwarding,
}
