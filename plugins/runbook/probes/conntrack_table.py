"""The table of tracked connections, counted: by protocol and state, without an answer, and who has most of them.

JSON objects, one a line, each with `kind`: one `table`, a `state` for each protocol and state, a `source` and a
`target` for each address that has many. Without a file the kernel is asked over netlink (nf_conntrack_netlink), and
not by conntrack(8): that loads modules where there are none, and an inspection changes nothing.
"""

from __future__ import annotations

import argparse
import gzip
import ipaddress
import json
import os
import re
import socket
import stat
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from queue import Queue
from threading import Thread
from typing import IO, Any

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
CHUNK_BYTES = 1 << 20

#: One line of `conntrack -L`, with whatever options, of /proc/net/nf_conntrack, and of events.
_LINE = re.compile(
    rb"^(?:.*?\s)?(?:ipv[46] +\d+ )?(\w+) +(\d+) (?:\d+ )?"
    rb"(?:timeout=\d+, stream_timeout=\d+ )?(?:([A-Z_0-9]+) )?src=(\S+) dst=(\S+)([^\n]*)$",
    re.MULTILINE,
)
#: `conntrack -L -o save`.
_SAVED = re.compile(rb"^-A (?:-t \d+ )?-u (\S+) -s (\S+) -d (\S+) .*?-p (\S+)([^\n]*)$", re.MULTILINE)
#: `conntrack -L -o xml`.
_FLOW = re.compile(
    rb"<flow[^>]*><meta direction=\"original\"><layer3[^>]*><src>([^<]+)</src><dst>([^<]+)</dst></layer3>"
    rb"<layer4 protonum=\"(\d+)\" protoname=\"([^\"]+)\"(.*?)</flow>",
    re.DOTALL,
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", help="what conntrack -L printed, in any of its formats, plain or gzip")


def run(arguments: argparse.Namespace) -> int:
    """Tell the counts; 0 when all was counted, 1 when it could not be asked for or read."""
    tally = Tally()
    try:
        source = _from_file(tally, arguments.file) if arguments.file else _from_kernel(tally)
    except (OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        print(json.dumps({"kind": "error", "detail": reason}))
        return 1
    except KeyboardInterrupt:
        return 130
    for line in tally.told(source):
        print(json.dumps(line))
    return 0


class Tally:
    """What is counted; addresses are bytes, of 4 or 16, or as text in a file."""

    def __init__(self) -> None:
        self.entries = 0
        self.unreplied = 0
        self.assured = 0
        self.unread = 0
        self.states: Counter[tuple[str, str]] = Counter()
        self.sources: Counter[bytes] = Counter()
        self.targets: Counter[bytes] = Counter()
        self.thinned = 0

    def add(self, protocol: str, state: str, source: bytes, target: bytes, replied: bool, assured: bool) -> None:
        self.entries += 1
        self.unreplied += not replied
        self.assured += assured
        self.states[protocol, state] += 1
        self.sources[source] += 1
        self.targets[target] += 1

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
        for (protocol, state), count in self.states.most_common(40):
            yield {"kind": "state", "protocol": protocol, "state": state, "count": count}
        for kind, counter in (("source", self.sources), ("target", self.targets)):
            for address, count in counter.most_common(TOLD):
                yield {"kind": kind, "address": _address(address), "count": count}


def _address(address: bytes) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.decode("utf-8", "replace")


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
        tally.states[_PROTOCOLS.get(protocol) or str(protocol), name] += count


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
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        # A device or a pipe might never end.
        if not stat.S_ISREG(status.st_mode):
            raise OSError(22, "is not a file")
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if zipped:
            with gzip.open(file) as inner:
                _text(tally, inner, 0)
        else:
            _text(tally, file, status.st_size)
    return path


def _text(tally: Tally, source: IO[bytes] | gzip.GzipFile, size: int) -> None:
    rest, read, told, markup = b"", 0, time.monotonic(), None
    while data := source.read(CHUNK_BYTES):
        read += len(data)
        data = rest + data
        if markup is None:
            markup = data.lstrip().startswith(b"<?xml")
        cut = data.rfind(b"</flow>") + 7 if markup else data.rfind(b"\n") + 1
        cut = max(0, cut) if cut != 6 else 0
        _lines(tally, data[:cut], markup)
        rest = data[cut:]
        if len(rest) > CHUNK_BYTES:
            tally.unread, rest = tally.unread + 1, b""
        tally.thin()
        if size and time.monotonic() - told > 0.5:
            told = time.monotonic()
            print(f"\r{100 * read // size} %", end="", file=sys.stderr, flush=True)
    if rest.strip() and not markup:
        _lines(tally, rest, False)


def _lines(tally: Tally, data: bytes, markup: bool) -> None:
    if markup:
        for match in _FLOW.finditer(data):
            stated = re.search(rb"<state>([A-Z_0-9]+)</state>", match[5])
            name = stated[1].decode() if stated else ""
            unreplied, assured = b"<unreplied/>" in match[5], b"<assured/>" in match[5]
            tally.add(_name(match[4], match[3]), name, match[1], match[2], not unreplied, assured)
        return
    found = 0
    for match in _LINE.finditer(data):
        found += 1
        rest, state = match[6], (match[3] or b"").decode()
        name = _name(match[1], match[2])
        tally.add(name, state, match[4], match[5], b"[UNREPLIED]" not in rest, b"[ASSURED]" in rest)
    if not found or b"\n-A " in b"\n" + data:
        for match in _SAVED.finditer(data):
            found += 1
            stated = re.search(rb"--state ([A-Z_0-9]+)", match[5])
            flags, name = match[1], _name(match[4], match[4])
            text = stated[1].decode() if stated else ""
            tally.add(name, text, match[2], match[3], b"SEEN_REPLY" in flags, b"ASSURED" in flags)
    lines = sum(1 for line in data.split(b"\n") if line.strip() and not line.startswith((b"conntrack v", b"#")))
    tally.unread += lines - found


def _name(name: bytes, number: bytes) -> str:
    """What it is called in every dialect; `unknown` is what conntrack(8) says of one whose name it does not know."""
    text = name.decode()
    if text == "unknown" and number.isdigit():
        return _PROTOCOLS.get(int(number), str(int(number)))
    return _PROTOCOLS.get(int(text), text) if text.isdigit() else text
