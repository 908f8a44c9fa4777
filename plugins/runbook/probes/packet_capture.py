"""A capture file of any size in one pass: every websocket handshake and its answer, retransmissions, resets.

JSON objects, one a line, each with `kind`: one `capture` (what was read), one `transport` (segments, and which were
sent again), `answers` for each way in which a GET for a websocket was answered (all are counted), a `handshake` for
each of the first GETs of each of them, a `reset` for some of the resets, those first that do not fit their flow, and a
`flow` for each of those that lost most. Frames are numbered from 1, as Wireshark does.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from runbook.probes.handshakes import Http, Tally
from runbook.probes.pcap import Broken, CaptureFile
from runbook.probes.segments import LINKS, Segment, place, reversed_key, segment
from runbook.probes.streams import (
    ACK,
    FIN,
    OUT_OF_ORDER,
    RST,
    SYN,
    TWICE,
    Budget,
    Direction,
    Flow,
    after,
    classify,
    deliver,
    flush,
)  # fmt: skip

#: Flows kept at once; the one that was begun first is given up for another.
MOST_FLOWS = 200_000
#: How many of these in turn may stay because a handshake waits in them.
MOST_SPARED = 8
#: What all flows together may keep of heads and of what came out of order, in bytes.
MOST_KEPT = 64 << 20
#: How many of each are told.
MOST_RESETS, TOLD_FLOWS = 50, 10
#: How far a reset may be behind what its sender has sent: the largest window that there is, in bytes (RFC 7323, 2.2).
MOST_BACK = 1 << 30
#: Packets between two looks at the clock, and seconds between two words of progress.
PACKETS, PROGRESS_SECONDS = 50_000, 0.5
#: The first byte of each kind of record of TLS.
_TLS = (b"\x14", b"\x15", b"\x16", b"\x17")
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
        self.broken = ""
        self.first_ns = self.last_ns = 0
        self.tally = Tally()
        self.budget = Budget(MOST_KEPT)
        self.resets = self.strange_resets = 0
        self.strange: list[dict[str, Any]] = []
        self.ordinary: list[dict[str, Any]] = []
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
            if _another(direction, found):
                # The same ports again: another connection.
                self._end(flow, "" if flow.closed else "ports again")
                direction = self._begin(found)
                flow = direction.flow
            if not flags & ACK:
                # The last one, when it was sent again: that is the one which was answered.
                flow.syn_ns = now
        elif flow.round_trip_ns < 0 <= flow.syn_ns and flags & ACK and direction is flow.client:
            flow.round_trip_ns = now - flow.syn_ns
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
        if flags & FIN and not flow.closed:
            flow.closed = "FIN of the client" if direction is flow.client else "FIN of the server"

    def _begin(self, found: Segment) -> Direction:
        if len(self.flows) >= 2 * MOST_FLOWS:
            self._make_room()
        flow = Flow(found.key)
        self.flow_count += 1
        flow.sure = bool(found.flags & SYN)
        answers = found.flags & SYN and found.flags & ACK
        if answers:
            flow.key = found.reverse
        one, two = (flow.server, flow.client) if answers else (flow.client, flow.server)
        self.flows[found.key], self.flows[found.reverse] = one, two
        return one

    def _make_room(self) -> None:
        """Give up the oldest flow, but spare those in which a handshake waits as long as there are others."""
        for _ in range(MOST_SPARED):
            flow = next(iter(self.flows.values())).flow
            if flow.closed or flow.http is None or not flow.http.waits:
                break
            one, other = self.flows.pop(flow.key), self.flows.pop(reversed_key(flow.key))
            self.flows[flow.key], self.flows[reversed_key(flow.key)] = one, other
        flow = next(iter(self.flows.values())).flow
        # Of a flow with no more than a SYN nothing is lost: who is the client shows again when somebody asks.
        if not flow.closed and flow.http is not None:
            self.given_up += 1
        self._end(flow, "" if flow.closed else "given up")

    def _content(self, direction: Direction, found: Segment, data: bytes, expected: int, now: int) -> None:
        flow = direction.flow
        if direction.reader is None:
            if flow.client.reader is not None or flow.server.reader is not None:
                return
            start = data[found.start : found.start + 16]
            if start[:1] in _TLS and start[1:2] == b"\x03":
                self.tls += 1
                flow.wants = False
                return
            if start.startswith(_HTTP2[:16]):
                self.http2 += 1
                flow.wants = False
                return
            flow.http = Http(flow, self.tally, self.budget)
            # What was sent until now had no content. Where the SYN was seen, it is known already.
            if direction.started < 0:
                direction.started = expected
            if direction.other.started < 0:
                direction.other.started = direction.other.expected
        deliver(direction, found, data, self.packets, now, self.budget)
        if flow.client.reader is None and flow.server.reader is None:
            flow.wants = False

    def _reset(self, direction: Direction, found: Segment, now: int, before: int, expected: int) -> None:
        self.resets += 1
        flow, other = direction.flow, direction.other
        if not flow.closed:
            flow.closed = "RST of the client" if direction is flow.client else "RST of the server"
        # It bears the number that the segment it answers has acknowledged, and that segment may be an old one.
        fits = (
            expected < 0 or -MOST_BACK <= after(found.sequence, expected) <= 0 or found.sequence == other.acknowledged
        )
        strange = not fits or found.ttl != direction.ttl
        self.strange_resets += strange
        told = self.strange if strange else self.ordinary
        if len(told) >= MOST_RESETS:
            return
        told.append(
            {
                "kind": "reset", "frame": self.packets, "from": place(found.key, True), "to": place(found.key, False),
                "by": "client" if direction is flow.client else "server", "ttl": found.ttl, "usual_ttl": direction.ttl,
                "answer_ms": round((now - before) / 1e6, 3) if before else -1,
                "last_new_ms": round((now - other.next_ns) / 1e6, 3) if other.expected >= 0 else -1,
                "other_again": other.again, "round_trip_ms": _ms(flow.round_trip_ns),
                "acknowledges": bool(found.flags & ACK), "fits": fits,
            }
        )  # fmt: skip

    def _end(self, flow: Flow, why: str = "") -> None:
        """Forget it, but for what is told of it at the end; `why`, where it has not ended."""
        again = flow.client.again + flow.server.again
        if again:
            self.ended += 1
            entry = (again, self.ended, self._flow(flow))
            if len(self.worst) < TOLD_FLOWS:
                heapq.heappush(self.worst, entry)
            else:
                heapq.heappushpop(self.worst, entry)
        if flow.http is not None:
            flush(flow.client, self.budget)
            flush(flow.server, self.budget)
            flow.http.end(why)
            flow.http = None
        self.flows.pop(flow.key, None)
        self.flows.pop(reversed_key(flow.key), None)

    def _flow(self, flow: Flow) -> dict[str, Any]:
        client, server = flow.client, flow.server
        return {
            "kind": "flow", "client": place(flow.key, True), "server": place(flow.key, False),
            "segments": client.segments + server.segments, "again": client.again + server.again,
            "client_again": client.again, "server_again": server.again,
            "round_trip_ms": _ms(flow.round_trip_ns), "closed": flow.closed,
        }  # fmt: skip

    def told(self, head: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The lines."""
        for direction in list(self.flows.values()):
            if direction is direction.flow.client:
                self._end(direction.flow)
        tally = self.tally
        yield {
            **head, "packets": self.packets, "bytes": self.captured, "cut": self.cut, "broken": self.broken,
            "links": {LINKS.get(link, f"link type {link}"): count for link, count in self.links.items()},
            "seconds": round((self.last_ns - self.first_ns) / 1e9, 3), "tcp": self.tcp, "other": dict(self.other),
            "flows": self.flow_count, "tls": self.tls, "http2": self.http2, "given_up": self.given_up,
            "handshakes": tally.count, "left_out": tally.left_out, "holes": tally.holes, "cut_http": tally.cut,
            "one_way": tally.one_way, "alone": tally.alone,
        }  # fmt: skip
        again = sum(self.kinds[kind] for kind in ("retransmission", "fast", "spurious"))
        yield {
            "kind": "transport", "segments": self.segments, "again": again, "fast": self.kinds["fast"],
            "spurious": self.kinds["spurious"], "out_of_order": self.kinds[OUT_OF_ORDER], "twice": self.kinds[TWICE],
            "keep_alive": self.kinds["keep-alive"], "resets": self.resets, "strange_resets": self.strange_resets,
        }  # fmt: skip
        yield from tally.told()
        yield from [*self.strange, *self.ordinary][:MOST_RESETS]
        for _, _, flow in sorted(self.worst, reverse=True):
            yield flow


def _another(direction: Direction, found: Segment) -> bool:
    """Whether this SYN begins another connection: Wireshark's rule is that its number is another one."""
    if direction.base >= 0:
        return direction.base != found.sequence
    # Nothing was seen of this side. The SYN's answer may have been captured before the SYN.
    other = direction.other
    return not found.flags & ACK and other.expected >= 0 and other.acknowledged != (found.sequence + 1) % (1 << 32)


def _ms(ns: int) -> float:
    return round(ns / 1e6, 3) if ns >= 0 else -1
