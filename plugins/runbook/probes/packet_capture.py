"""A capture file of any size in one pass: every websocket handshake and its answer, retransmissions, resets.

JSON objects, one a line, each with `kind`: one `capture` (what was read), one `transport` (segments, and which were
sent again), a `handshake` for each GET that asked for a websocket, a `reset` for each of the first resets, and a `flow`
for each of those that lost most. Frames are numbered from 1, as Wireshark does.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import heapq
import ipaddress
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from runbook.probes.pcap import Broken, CaptureFile
from runbook.probes.segments import LINKS, Segment, segment
from runbook.probes.streams import (
    ACK,
    FIN,
    OUT_OF_ORDER,
    RST,
    SYN,
    TWICE,
    Direction,
    Flow,
    after,
    classify,
    deliver,
)  # fmt: skip

#: RFC 6455, section 1.3.
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: Flows kept at once; the one that was begun first is given up for another.
MOST_FLOWS = 200_000
#: How large the head of a request or an answer may be, in bytes.
MOST_HEAD = 64 * 1024
#: How many of each are kept and told.
MOST_HANDSHAKES, MOST_RESETS, TOLD_FLOWS = 2_000, 50, 10
#: How far a reset may be behind what its sender has sent: the largest window that there is, in bytes (RFC 7323, 2.2).
MOST_BACK = 1 << 30
#: Packets between two looks at the clock, and seconds between two words of progress.
PACKETS, PROGRESS_SECONDS = 50_000, 0.5
_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"DELETE ", b"PATCH ", b"CONNECT ")
_HTTP2 = b"PRI * HTTP/2.0\r\n"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="pcap or pcapng, plain or gzip")


def run(arguments: argparse.Namespace) -> int:
    """Tell what was found; 0 when all was read, 1 when the file could not be opened or read to its end."""
    reader = Reader()
    try:
        with closing(CaptureFile(arguments.file)) as file:
            reader.read(file)
            head = {"kind": "capture", "file": arguments.file, "format": file.format, "zipped": file.zipped}
    except (OSError, EOFError, Broken) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        print(json.dumps({"kind": "error", "file": arguments.file, "detail": reason}))
        return 1
    except KeyboardInterrupt:
        return 130
    for line in reader.told(head):
        print(json.dumps(line))
    return 1 if reader.broken else 0


class Handshake:
    """One GET with an Upgrade, and what came back."""

    __slots__ = (
        "answer", "answer_frame", "answer_ns", "client", "end", "flow", "frame", "headers", "ns", "reason",
        "sent_again", "server", "status", "target",
    )  # fmt: skip

    def __init__(self, flow: Flow, target: str, headers: dict[str, str], frame: int, ns: int) -> None:
        self.flow: Flow | None = flow
        self.client, self.server = flow.key, b""
        self.target, self.headers, self.frame, self.ns = target, headers, frame, ns
        self.status, self.reason, self.answer_frame, self.answer_ns = 0, "", 0, 0
        self.answer: dict[str, str] = {}
        self.end = ""
        self.sent_again = 0


class Http:
    """Reads the heads of one flow's requests and answers, and finds the handshakes in them."""

    __slots__ = ("buffers", "found", "frames", "open", "tunnel")

    def __init__(self, found: list[Handshake]) -> None:
        self.buffers = {True: b"", False: b""}
        self.frames = {True: 0, False: 0}
        self.found = found
        self.open: Handshake | None = None
        self.tunnel = False

    def take(self, direction: Direction, data: bytes, frame: int, now: int) -> None:
        flow = direction.flow
        asks = direction is flow.client
        buffer = self.buffers[asks]
        if not buffer:
            begins = _METHODS if asks else (b"HTTP/1.",)
            if not any(data.startswith(word) or word.startswith(data) for word in begins):
                # In the middle of a body, or no HTTP at all: then there is nothing to wait for in this piece.
                return
            self.frames[asks] = frame
        buffer += data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self.buffers[asks] = buffer if len(buffer) <= MOST_HEAD else b""
            return
        self.buffers[asks] = b""
        lines = buffer[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if asks:
            self._asked(flow, lines[0], headers, self.frames[asks], now)
        else:
            self._answered(flow, lines[0], headers, self.frames[asks], now)

    def _asked(self, flow: Flow, line: str, headers: dict[str, str], frame: int, now: int) -> None:
        method, _, rest = line.partition(" ")
        target = rest.rpartition(" ")[0] or rest
        asks = headers.get("upgrade", "").lower() == "websocket"
        lost = any(name.startswith("sec-websocket-") for name in headers)
        self.open = None
        if method != "GET" or not (asks or lost) or len(self.found) >= MOST_HANDSHAKES:
            return
        self.open = Handshake(flow, target[:500], headers, frame, now)
        self.found.append(self.open)

    def _answered(self, flow: Flow, line: str, headers: dict[str, str], frame: int, now: int) -> None:
        shake = self.open
        words = line.split(" ", 2)
        if shake is None or shake.status or len(words) < 2 or not words[1].isdigit():
            return
        if words[1].startswith("1") and words[1] != "101":
            return
        shake.status, shake.reason = int(words[1][:3]), words[2][:80] if len(words) > 2 else ""
        shake.answer, shake.answer_frame, shake.answer_ns = headers, frame, now
        if shake.status == 101:
            # From here on there are frames, and no HTTP.
            flow.client.reader = flow.server.reader = None


class Reader:
    """All that is counted while the file is read."""

    def __init__(self) -> None:
        self.flows: dict[bytes, Direction] = {}
        self.packets = 0
        self.captured = 0
        self.cut = 0
        self.other: Counter[str] = Counter()
        self.links: Counter[int] = Counter()
        self.kinds: Counter[str] = Counter()
        self.segments = 0
        self.tcp = 0
        self.flow_count = 0
        self.ended = 0
        self.given_up = 0
        self.tls = 0
        self.http2 = 0
        self.http = 0
        self.broken = ""
        self.first_ns = self.last_ns = 0
        self.found: list[Handshake] = []
        self.resets = 0
        self.told_resets: list[dict[str, Any]] = []
        self.worst: list[tuple[int, int, dict[str, Any]]] = []

    def read(self, file: CaptureFile) -> None:
        told = time.monotonic()
        try:
            for now, link, data, wire in file.packets():
                self.packets += 1
                self._packet(now, link, data, wire)
                if not self.packets % PACKETS and time.monotonic() - told >= PROGRESS_SECONDS:
                    told = time.monotonic()
                    print(f"\r{100 * file.share:.0f} %", end="", file=sys.stderr, flush=True)
        except (Broken, EOFError, OSError) as error:
            self.broken = str(error)

    def _packet(self, now: int, link: int, data: bytes, wire: int) -> None:
        if not self.first_ns:
            self.first_ns = now
        self.last_ns = now
        self.captured += len(data)
        self.links[link] += 1
        if len(data) < wire:
            self.cut += 1
        found = segment(link, data)
        if isinstance(found, str):
            self.other[found] += 1
            return
        self.tcp += 1
        direction = self.flows.get(found.key)
        if direction is None:
            direction = self._begin(found)
        flags = found.flags
        flow = direction.flow
        if flags & SYN:
            if not flags & ACK and flow.closed and found.sequence != (direction.expected - 1) % (1 << 32):
                # The same ports again: another connection.
                self._end(flow)
                direction = self._begin(found)
                flow = direction.flow
            if flags & ACK:
                if flow.syn_ns >= 0 and flow.round_trip_ns < 0:
                    flow.round_trip_ns = now - flow.syn_ns
            else:
                # The last one, when it was sent again: that is the one which was answered.
                flow.syn_ns = now
        before, expected = direction.other.last_ns, direction.expected
        kind = classify(direction, found, now)
        if kind:
            self.kinds[kind] += 1
        if found.length or flags & (SYN | FIN):
            self.segments += kind != TWICE
        if direction.ttl < 0:
            direction.ttl = found.ttl
        if found.length and flow.wants:
            self._content(direction, found, data, expected, now)
        if flags & RST and kind != TWICE:
            self._reset(direction, found, now, before, expected)
        if flags & FIN:
            direction.finished = True
            if not flow.closed:
                flow.closed = "FIN of the client" if direction is flow.client else "FIN of the server"

    def _begin(self, found: Segment) -> Direction:
        if len(self.flows) >= 2 * MOST_FLOWS:
            self.given_up += 1
            self._end(next(iter(self.flows.values())).flow)
        flow = Flow(found.key)
        self.flow_count += 1
        answers = found.flags & SYN and found.flags & ACK
        if answers:
            flow.key = found.reverse
        one, two = (flow.server, flow.client) if answers else (flow.client, flow.server)
        self.flows[found.key], self.flows[found.reverse] = one, two
        return one

    def _content(self, direction: Direction, found: Segment, data: bytes, expected: int, now: int) -> None:
        flow = direction.flow
        if direction.reader is None:
            if flow.client.reader is not None or flow.server.reader is not None:
                return
            start = data[found.start : found.start + 16]
            if start[:1] == b"\x16" and start[1:2] == b"\x03":
                self.tls += 1
                flow.wants = False
                return
            if start.startswith(_HTTP2[:16]):
                self.http2 += 1
                flow.wants = False
                return
            http = Http(self.found)
            flow.client.reader = flow.server.reader = http.take
            # What was sent until now had no content: a SYN.
            direction.other.started = direction.other.expected
            direction.started = expected if expected >= 0 else found.sequence
        deliver(direction, found, data, self.packets, now)
        if flow.client.reader is None and flow.server.reader is None:
            flow.wants = False

    def _reset(self, direction: Direction, found: Segment, now: int, before: int, expected: int) -> None:
        self.resets += 1
        flow, other = direction.flow, direction.other
        if not flow.closed:
            flow.closed = "RST of the client" if direction is flow.client else "RST of the server"
        if len(self.told_resets) >= MOST_RESETS:
            return
        self.told_resets.append(
            {
                "kind": "reset", "frame": self.packets, "from": _place(found.key, True), "to": _place(found.key, False),
                "by": "client" if direction is flow.client else "server", "ttl": found.ttl, "usual_ttl": direction.ttl,
                "answer_ms": round((now - before) / 1e6, 3) if before else -1,
                "last_new_ms": round((now - other.next_ns) / 1e6, 3) if other.expected >= 0 else -1,
                "other_again": other.again, "round_trip_ms": round(flow.round_trip_ns / 1e6, 3),
                "acknowledges": bool(found.flags & ACK),
                # It bears the number that the segment it answers has acknowledged, and that segment may be an old one.
                "fits": (
                    expected < 0
                    or -MOST_BACK <= after(found.sequence, expected) <= 0
                    or found.sequence == other.acknowledged
                ),
            }
        )  # fmt: skip

    def _end(self, flow: Flow) -> None:
        """Forget it, but for what is told of it at the end."""
        again = flow.client.again + flow.server.again
        if again:
            self.ended += 1
            entry = (again, self.ended, self._flow(flow))
            if len(self.worst) < TOLD_FLOWS:
                heapq.heappush(self.worst, entry)
            else:
                heapq.heappushpop(self.worst, entry)
        for shake in [shake for shake in self.found[-50:] if shake.flow is flow]:
            self._settle(shake)
        self.flows.pop(flow.key, None)
        self.flows.pop(_reversed(flow.key), None)

    def _settle(self, shake: Handshake) -> None:
        """What became of its flow."""
        flow = shake.flow
        if flow is not None:
            shake.end = flow.closed
            shake.sent_again = flow.client.again + flow.server.again
            shake.flow = None

    def _flow(self, flow: Flow) -> dict[str, Any]:
        client, server = flow.client, flow.server
        return {
            "kind": "flow", "client": _place(flow.key, True), "server": _place(flow.key, False),
            "segments": client.segments + server.segments, "again": client.again + server.again,
            "client_again": client.again, "server_again": server.again,
            "round_trip_ms": round(flow.round_trip_ns / 1e6, 3), "closed": flow.closed,
        }  # fmt: skip

    def told(self, head: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The lines."""
        for direction in list(self.flows.values()):
            if direction is direction.flow.client:
                self._end(direction.flow)
        for shake in self.found:
            self._settle(shake)
        yield {
            **head, "packets": self.packets, "bytes": self.captured, "cut": self.cut, "broken": self.broken,
            "links": {LINKS.get(link, f"link type {link}"): count for link, count in self.links.items()},
            "seconds": round((self.last_ns - self.first_ns) / 1e9, 3), "tcp": self.tcp, "other": dict(self.other),
            "flows": self.flow_count, "tls": self.tls, "http2": self.http2, "given_up": self.given_up,
            "handshakes": len(self.found),
        }  # fmt: skip
        again = sum(self.kinds[kind] for kind in ("retransmission", "fast", "spurious"))
        yield {
            "kind": "transport", "segments": self.segments, "again": again, "fast": self.kinds["fast"],
            "spurious": self.kinds["spurious"], "out_of_order": self.kinds[OUT_OF_ORDER], "twice": self.kinds[TWICE],
            "keep_alive": self.kinds["keep-alive"], "resets": self.resets,
        }  # fmt: skip
        for shake in self.found:
            yield _told(shake)
        yield from self.told_resets
        for _, _, flow in sorted(self.worst, reverse=True):
            yield flow


def _told(shake: Handshake) -> dict[str, Any]:
    key = shake.headers.get("sec-websocket-key", "")
    # SHA-1 is the protocol's, and guards nothing here.
    digest = hashlib.sha1(key.encode("latin-1") + MAGIC, usedforsecurity=False).digest()
    accept = shake.answer.get("sec-websocket-accept", "")
    names = ("host", "origin", "upgrade", "connection", "sec-websocket-version", "sec-websocket-protocol")
    backs = ("upgrade", "connection", "server", "location", "sec-websocket-version", "www-authenticate")
    return {
        "kind": "handshake", "client": _place(shake.client, True), "server": _place(shake.client, False),
        "frame": shake.frame, "target": shake.target,
        "headers": {name: shake.headers[name][:200] for name in names if name in shake.headers},
        "key": bool(key), "status": shake.status, "reason": shake.reason, "answer_frame": shake.answer_frame,
        "seconds": round((shake.answer_ns - shake.ns) / 1e9, 6) if shake.status else -1,
        "answer": {name: shake.answer[name][:200] for name in backs if name in shake.answer},
        "accept": "" if not accept else "right" if accept == base64.b64encode(digest).decode() else "wrong",
        "end": shake.end, "sent_again": shake.sent_again,
    }  # fmt: skip


def _reversed(key: bytes) -> bytes:
    size = (len(key) - 4) // 2
    return key[size : 2 * size] + key[:size] + key[-2:] + key[-4:-2]


def _place(key: bytes, source: bool) -> str:
    size = (len(key) - 4) // 2
    address = ipaddress.ip_address(key[:size] if source else key[size : 2 * size])
    port = int.from_bytes(key[-4:-2] if source else key[-2:], "big")
    return f"[{address}]:{port}" if size == 16 else f"{address}:{port}"
