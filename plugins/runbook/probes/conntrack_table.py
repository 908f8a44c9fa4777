"""The table of tracked connections, counted: by protocol and state, without an answer, and who has most of them.

JSON objects, one a line, each with `kind`: one `table`, a `state` for each protocol and state, a `source` and a
`target` for each address that has many. Without a file the kernel is asked over netlink (nf_conntrack_netlink), and
not by conntrack(8): that loads modules where there are none, and an inspection changes nothing.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import re
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from queue import Queue
from threading import Thread
from typing import Any

from .files import Pieces, opened

COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"
MODULE = "/sys/module/nf_conntrack_netlink"
#: linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h.
_NETLINK_NETFILTER, _GET, _REQUEST_DUMP, _ERROR, _DONE = 12, 1 << 8 | 1, 0x301, 2, 3
_STATUS, _PROTOINFO = 3, 4
_SEEN_REPLY, _ASSURED = 2, 4
_TCP_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
    "SYN_SENT2",
)  # fmt: skip
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmpv6", 132: "sctp", 136: "udplite"}
#: Addresses kept at once. With more than so many the small ones are thinned out; one that has a millionth more than a
#: quarter of all entries is never lost so (Misra and Gries, 1982).
MOST_ADDRESSES, TOLD = 100_000, 5
#: Protocols and states told apart; there are far fewer, but whoever wrote a file may have invented some.
MOST_STATES, OTHERS = 1_000, ("(others)", "")
#: How much is read at once, in bytes; a longer line or flow is none.
CHUNK_BYTES = 1 << 20

#: One line of `conntrack -L`, with whatever options, and of /proc/net/nf_conntrack. Here and below each part ends at a
#: character that it cannot contain, or has a greatest length, so that the time is linear.
_LINE = re.compile(
    rb"^[ \t]*(?:ipv[46] +\d{1,3} )?(\w{1,20}) +(\d{1,3}) (?:\d{1,10} )?"
    rb"(?:timeout=\d{1,10}, stream_timeout=\d{1,10} )?(?:([A-Z_0-9]{1,20}) )?"
    rb"src=([0-9a-fA-F:.]{2,45}) dst=([0-9a-fA-F:.]{2,45})((?:[ \r][^\n]*)?)$",
    re.MULTILINE,
)
#: `conntrack -L -o save`.
_SAVED = re.compile(
    rb"^-A (?:-t \d{1,10} )?-u ([A-Z_,]{1,200}) -s ([0-9a-fA-F:.]{2,45}) -d ([0-9a-fA-F:.]{2,45}) "
    rb"(?:-[a-z] \S{1,60} ){0,8}-p (\w{1,20})((?:[ \r][^\n]*)?)$",
    re.MULTILINE,
)
#: One line of `conntrack -E`, with or without its time: no entry of a table.
_EVENT = re.compile(rb"^[ \t]*(?:\[[\d. \t]{1,30}\][ \t]*)?\[(?:NEW|UPDATE|DESTROY)\] [^\n]*$", re.MULTILINE)
#: `conntrack -L -o xml`: a flow's beginning, which says when it is an event, and its first direction.
_FLOW = re.compile(rb"<flow(?: type=\"(new|update|destroy)\")?[^<>]{0,200}>")
_ORIGINAL = re.compile(
    rb"<meta direction=\"original\"><layer3[^<>]{0,100}><src>([0-9a-fA-F:.]{2,45})</src>"
    rb"<dst>([0-9a-fA-F:.]{2,45})</dst></layer3><layer4 protonum=\"(\d{1,3})\" protoname=\"(\w{1,20})\""
)
_STATE, _SAVED_STATE = re.compile(rb"<state>([A-Z_0-9]{1,20})</state>"), re.compile(rb"--state ([A-Z_0-9]{1,20})(?!\S)")
#: What stands around the flows.
_AROUND = re.compile(rb"(?:\s|<\?xml[^<>]{0,200}\?>|<conntrack>)*")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", help="what conntrack -L printed, in any of its formats, plain or gzip")


def run(arguments: argparse.Namespace) -> int:
    """Tell the counts; 0 when all was counted, 1 when it could not be asked for or read."""
    tally = Tally()
    try:
        source = _from_file(tally, arguments.file) if arguments.file else _from_kernel(tally)
    except OSError as error:
        reason = error.strerror or str(error)
        print(json.dumps({"kind": "error", "detail": reason} | ({"file": arguments.file} if arguments.file else {})))
        return 1
    except KeyboardInterrupt:
        return 130
    for line in tally.told(source):
        print(json.dumps(line))
    return 1 if tally.broken else 0


class Tally:
    """What is counted; addresses are bytes, of 4 or 16."""

    def __init__(self) -> None:
        self.entries = 0
        self.unreplied = 0
        self.assured = 0
        self.unread = 0
        self.events = 0
        self.broken = ""
        self.states: Counter[tuple[str, str]] = Counter()
        self.sources: Counter[bytes] = Counter()
        self.targets: Counter[bytes] = Counter()
        self.thinned = 0

    def add(self, protocol: str, state: str, source: bytes, target: bytes, replied: bool, assured: bool) -> None:
        self.entries += 1
        self.unreplied += not replied
        self.assured += assured
        self.count(protocol, state, 1)
        self.sources[source] += 1
        self.targets[target] += 1

    def count(self, protocol: str, state: str, count: int) -> None:
        key = protocol, state
        self.states[key if key in self.states or len(self.states) < MOST_STATES else OTHERS] += count

    def thin(self) -> None:
        """Keep the memory bounded; called now and then."""
        for counter in (self.sources, self.targets):
            while len(counter) > MOST_ADDRESSES:
                self.thinned += 1
                for address in [address for address, count in counter.items() if count <= 1]:
                    del counter[address]
                for address in counter:
                    counter[address] -= 1

    def told(self, source: str) -> Iterator[dict[str, Any]]:
        yield {
            "kind": "table", "from": source, "entries": self.entries, "unreplied": self.unreplied,
            "assured": self.assured, "unread": self.unread, "thinned": self.thinned,
        }  # fmt: skip
        # Only where there is something to say: neither is what a table has.
        if self.events:
            yield {"kind": "events", "count": self.events}
        if self.broken:
            yield {"kind": "broken", "detail": self.broken}
        for (protocol, state), count in self.states.most_common(40):
            yield {"kind": "state", "protocol": protocol, "state": state, "count": count}
        for kind, counter in (("source", self.sources), ("target", self.targets)):
            for address, count in counter.most_common(TOLD):
                yield {"kind": kind, "address": _address(address), "count": count}


def _address(address: bytes) -> str:
    return str(ipaddress.ip_address(address))


def _from_kernel(tally: Tally) -> str:
    if not os.path.exists(COUNT):
        raise OSError(0, "connection tracking is not there: nf_conntrack is not loaded")
    # A kernel without modules has no such list, and then all is built in.
    if not os.path.exists(MODULE) and os.path.exists("/proc/modules") and not _built_in():
        raise OSError(0, "nf_conntrack_netlink is not loaded, and to ask would load it")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.settimeout(30)
        netlink.send(struct.pack("=IHHII", 20, _GET, _REQUEST_DUMP, 1, 0) + bytes(4))
        # The kernel takes most of the time, and meanwhile another processor can count.
        answers: Queue[bytes | OSError] = Queue(64)
        Thread(target=_receive, args=(netlink, answers), daemon=True).start()
        entries = Entries(tally)
        while True:
            answer = answers.get()
            if isinstance(answer, OSError):
                raise answer
            if entries.take(answer):
                return "the kernel"


def _receive(netlink: socket.socket, answers: Queue[bytes | OSError]) -> None:
    """What the kernel answers, until it says that it is done."""
    # The kernel makes its answers as large as what they are received into, up to 32 KiB.
    buffer = bytearray(1 << 16)
    kind = 0
    try:
        while kind not in (_DONE, _ERROR):
            size = netlink.recv_into(buffer)
            kind = _HEAD.unpack_from(buffer, 0)[1] if size >= 16 else _DONE
            answers.put(bytes(memoryview(buffer)[:size]))
    except OSError as error:
        answers.put(error)


def _built_in() -> bool:
    try:
        with open(f"/lib/modules/{os.uname().release}/modules.builtin", encoding="utf-8") as file:
            return "nf_conntrack_netlink" in file.read()
    except OSError:
        return False


_HEAD, _ATTRIBUTE = struct.Struct("=IH"), struct.Struct("=HH")
_WORD, _CODE = struct.Struct("=I"), struct.Struct("=i")
#: How to take an entry apart, and the numbers of the headers that must be between its parts.
Layout = tuple[struct.Struct, tuple[int, int | bytes]]


class Entries:
    """Takes entries out of the kernel's answers.

    Where in an entry everything is depends on which attributes it has. That is found once for each length and family
    that comes, and then all is taken out in one go, as long as the headers between are what they were: a million
    entries are to be counted while the kernel gives them.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._layouts: dict[tuple[int, int], Layout] = {}

    def take(self, data: bytes) -> bool:
        """Count one answer; gives whether it was the last. Raises OSError for what the kernel refuses."""
        # Counted afterwards, in one go each: that is done in C.
        found: list[tuple[int, int, int]] = []
        sources: list[bytes] = []
        targets: list[bytes] = []
        layouts, head = self._layouts, _HEAD.unpack_from
        at, end, done = 0, len(data), False
        while at + 16 <= end:
            length, kind = head(data, at)
            if kind == _DONE or length < 20 or at + length > end:
                done = True
                break
            if kind == _ERROR:
                code = -_CODE.unpack_from(data, at + 16)[0]
                raise OSError(code, os.strerror(code))
            key = length, data[at + 16]
            if key not in layouts:
                layouts[key] = _layout(data, at, length)
            layout, headers = layouts[key]
            source, target, protocol, one, status, other, state = layout.unpack_from(data, at)
            if (one, other) != headers:
                layouts[key] = layout, headers = _layout(data, at, length)
                source, target, protocol, _, status, _, state = layout.unpack_from(data, at)
            sources.append(source)
            targets.append(target)
            found.append((protocol, status, state if headers[1] else -1))
            at += length + 3 & ~3
        self._tally.sources.update(sources)
        self._tally.targets.update(targets)
        for (protocol, status, state), count in Counter(found).items():
            self._add(protocol, socket.ntohl(status), state, count)
        self._tally.thin()
        return done

    def _add(self, protocol: int, status: int, state: int, count: int) -> None:
        tally = self._tally
        tally.entries += count
        if not status & _SEEN_REPLY:
            tally.unreplied += count
        if status & _ASSURED:
            tally.assured += count
        name = "" if state < 0 else _TCP_STATES[state] if state < len(_TCP_STATES) else str(state)
        tally.count(_PROTOCOLS.get(protocol) or str(protocol), name, count)


def _layout(data: bytes, at: int, length: int) -> Layout:
    """How to take out source, target, protocol, status and TCP state, each of the last two after its header's number.

    The first attribute is the tuple of the direction that began it, in which addresses and protocol come first.
    """
    size = 4 if data[at + 16] == socket.AF_INET else 16
    target = 32 + size + 4
    protocol = target + size + 8
    place, status, state = 20, 0, 0
    while place + 4 <= length:
        long, what = _ATTRIBUTE.unpack_from(data, at + place)
        if long < 4:
            break
        if what & 0x3FFF == _STATUS:
            status = place
        elif what & 0x3FFF == _PROTOINFO and data[at + protocol] == socket.IPPROTO_TCP:
            state = place
        place += long + 3 & ~3
    if not protocol < status <= length - 8:
        raise OSError(0, "the kernel's answer has an entry without its status")
    form = f"=32x{size}s4x{size}s8xB{status - protocol - 1}xII"
    # Where there is no TCP state, what it would be is taken from no bytes: the header's number 0 says so.
    form += f"{state - status - 8}xI8xB" if state else "0s0s"
    header = _WORD.unpack_from(data, at + status)[0]
    return struct.Struct(form), (header, _WORD.unpack_from(data, at + state)[0] if state else b"")


def _from_file(tally: Tally, path: str) -> str:
    with opened(path) as file:
        _text(tally, Pieces(file.source, CHUNK_BYTES, size=file.size))
        tally.broken = file.broken
    return path


def _text(tally: Tally, pieces: Pieces) -> None:
    markup = Markup(tally) if pieces.begins_with(b"<?xml", b"<conntrack", b"<flow") else None
    if markup is not None:
        pieces.end_with(b"</flow>")
    for data in pieces:
        if markup is not None:
            markup.take(data)
        else:
            _lines(tally, data)
        tally.thin()
    tally.unread += pieces.overlong
    if markup is not None:
        markup.end()


class Markup:
    """Takes flows out of XML, in which lines mean nothing. All that is no flow, and is not around them, is unread."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._rest = b""

    def take(self, data: bytes) -> None:
        """All of this ends with a flow, but for what is behind the last one."""
        *flows, self._rest = data.split(b"</flow>")
        for flow in flows:
            self._flow(flow)

    def _flow(self, text: bytes) -> None:
        at = text.rfind(b"<flow")
        around = _AROUND.match(text, 0, max(at, 0))
        if at < 0 or around is None or around.end() != at:
            self._tally.unread += 1
        if at < 0:
            return
        head = _FLOW.match(text, at)
        if head is None:
            self._tally.unread += 1
            return
        if head[1] is not None:
            self._tally.events += 1
            return
        found = _ORIGINAL.search(text, head.end())
        addresses = _packed(found[1], found[2]) if found is not None else None
        if found is None or addresses is None:
            self._tally.unread += 1
            return
        stated = _STATE.search(text, found.end())
        name = stated[1].decode() if stated else ""
        replied, assured = text.find(b"<unreplied/>", at) < 0, text.find(b"<assured/>", at) >= 0
        self._tally.add(_name(found[4], found[3]), name, *addresses, replied, assured)

    def end(self) -> None:
        """What comes after the last flow; without the end of it all, it was cut off there."""
        around = _AROUND.match(self._rest)
        if self._rest[around.end() if around else 0 :].strip() != b"</conntrack>":
            self._tally.unread += 1


def _lines(tally: Tally, data: bytes) -> None:
    # Counted afterwards, in one go each: that is done in C.
    kinds: list[tuple[bytes, bytes, bytes | None, bool, bool]] = []
    sources: list[bytes] = []
    targets: list[bytes] = []
    for match in _LINE.finditer(data):
        name, number, state, source, target, rest = match.groups()
        addresses = _packed(source, target)
        if addresses is not None:
            kinds.append((name, number, state, b"[UNREPLIED]" not in rest, b"[ASSURED]" in rest))
            sources.append(addresses[0])
            targets.append(addresses[1])
    tally.sources.update(sources)
    tally.targets.update(targets)
    for (name, number, state, replied, assured), count in Counter(kinds).items():
        tally.entries += count
        tally.unreplied += 0 if replied else count
        tally.assured += count if assured else 0
        tally.count(_name(name, number), (state or b"").decode(), count)
    found = len(kinds)
    if data.startswith(b"-A ") or b"\n-A " in data:
        for match in _SAVED.finditer(data):
            addresses = _packed(match[2], match[3])
            if addresses is None:
                continue
            found += 1
            stated = _SAVED_STATE.search(match[5])
            flags, text = match[1].split(b","), stated[1].decode() if stated else ""
            tally.add(_name(match[4], match[4]), text, *addresses, b"SEEN_REPLY" in flags, b"ASSURED" in flags)
    events = 0
    if b"[NEW] " in data or b"[UPDATE] " in data or b"[DESTROY] " in data:
        events = sum(1 for _ in _EVENT.finditer(data))
    tally.events += events
    lines = sum(1 for line in data.split(b"\n") if line.strip() and not line.startswith((b"conntrack v", b"#")))
    tally.unread += lines - found - events


def _packed(source: bytes, target: bytes) -> tuple[bytes, bytes] | None:
    """Both as the kernel has them; None where one is no address, and so the whole no entry."""
    family = socket.AF_INET6 if b":" in source else socket.AF_INET
    try:
        return socket.inet_pton(family, source.decode()), socket.inet_pton(family, target.decode())
    except OSError:
        return None


def _name(name: bytes, number: bytes) -> str:
    """What it is called in every dialect; `unknown` is what conntrack(8) says of one whose name it does not know."""
    text = name.decode()
    if text == "unknown" and number.isdigit():
        return _PROTOCOLS.get(int(number), str(int(number)))
    return _PROTOCOLS.get(int(text), text) if text.isdigit() else text
