"""Websocket handshakes in the bytes of TCP flows: reads HTTP/1 on both ways, heads and as much of bodies as tells where
the next head is, and counts the handshakes by what they were answered. Memory has limits, and counts have none.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Iterator
from typing import Any

from runbook.probes.segments import place
from runbook.probes.streams import Budget, Direction, Flow, after

#: RFC 6455, section 1.3.
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: How large the head of a request or an answer may be, in bytes.
MOST_HEAD = 64 * 1024
#: How many kinds of answer are told apart; of how many handshakes of one kind the details are kept, and of all kinds.
MOST_KINDS, TOLD_OF_KIND, TOLD = 200, 50, 2_000
#: How long the line with a chunk's size may be, and a header that is said several times, in bytes.
MOST_SIZE_LINE, MOST_JOINED = 1_000, 8_000
#: Requests of one flow that wait for their answers.
MOST_ASKED = 100
#: What a handshake that waits for its answer is reckoned at, in bytes.
WAITS_BYTES = 2_000
_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"DELETE ", b"PATCH ", b"CONNECT ")
_ANSWER = (b"HTTP/1.",)
_PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_END = re.compile(rb"\r?\n\r?\n")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_ASKED = ("host", "origin", "upgrade", "connection", "sec-websocket-version", "sec-websocket-protocol")
_ANSWERED = (
    "upgrade", "connection", "server", "location", "sec-websocket-version", "sec-websocket-protocol",
    "sec-websocket-extensions", "www-authenticate",
)  # fmt: skip
#: What comes next on a way: a head, a chunk's size, the lines after the last chunk, a body until the connection ends,
#: or nobody knows; then each piece is looked at, whether it begins like a head.
HEAD, CHUNK, TRAILER, CLOSE, LOST = range(5)


class Handshake:
    """One GET with an Upgrade, and what came back. `unseen` says why the answer may be there and was not seen."""

    __slots__ = (
        "answer", "answer_frame", "answer_ns", "client", "digest", "end", "extensions", "frame", "headers", "key",
        "kind", "ns", "protocols", "reason", "right", "sent_again", "server", "status", "target", "unasked", "unseen",
    )  # fmt: skip

    def __init__(self, flow: Flow, target: str, headers: dict[str, str], frame: int, now: int) -> None:
        self.client, self.server = place(flow.key, True), place(flow.key, False)
        self.target, self.frame, self.ns = target[:500], frame, now
        self.headers = {name: headers[name][:200] for name in _ASKED if name in headers}
        key = headers.get("sec-websocket-key", "")
        self.key = bool(key)
        # SHA-1 is the protocol's, and guards nothing here.
        self.digest = hashlib.sha1(key.encode("latin-1") + MAGIC, usedforsecurity=False).digest()
        self.protocols = frozenset(_tokens(headers.get("sec-websocket-protocol", ""))[:100])
        self.extensions = frozenset(_extensions(headers)[:100])
        self.status, self.reason, self.answer_frame, self.answer_ns = 0, "", 0, 0
        self.answer: dict[str, str] = {}
        self.right = ""
        self.unasked: tuple[str, ...] = ()
        self.unseen = ""
        self.end = ""
        self.sent_again = 0
        self.kind = -1

    def answered(self, status: int, reason: str, headers: dict[str, str], frame: int, now: int) -> None:
        self.status, self.reason, self.answer_frame, self.answer_ns = status, reason[:80], frame, now
        self.answer = {name: headers[name][:200] for name in _ANSWERED if name in headers}
        accept = headers.get("sec-websocket-accept", "")
        self.right = "" if not accept else "right" if accept == base64.b64encode(self.digest).decode() else "wrong"
        self.unseen = ""
        if status == 101:
            found = []
            if "sec-websocket-protocol" in headers and headers["sec-websocket-protocol"] not in self.protocols:
                found.append("protocol")
            if not self.extensions.issuperset(_extensions(headers)):
                found.append("extension")
            self.unasked = tuple(found)

    def sort(self) -> tuple[object, ...]:
        """Those with the same are answered in the same way, whatever one makes of it."""
        return (
            self.status, self.right, self.key, self.unasked, self.unseen,
            "websocket" in _tokens(self.headers.get("upgrade", "").lower()),
            "upgrade" in _tokens(self.headers.get("connection", "").lower()),
            self.answer.get("upgrade", "").lower() == "websocket" if self.status == 101 else False,
            "upgrade" in _tokens(self.answer.get("connection", "").lower()) if self.status == 101 else False,
            "" if self.status else self.end,
        )  # fmt: skip

    def told(self) -> dict[str, Any]:
        return {
            "kind": "handshake", "client": self.client, "server": self.server, "frame": self.frame,
            "target": self.target, "headers": self.headers, "key": self.key, "status": self.status,
            "reason": self.reason, "answer_frame": self.answer_frame,
            "seconds": round((self.answer_ns - self.ns) / 1e9, 6) if self.status else -1, "answer": self.answer,
            "accept": self.right, "unasked": list(self.unasked), "unseen": self.unseen, "end": self.end,
            "sent_again": self.sent_again, "answers": self.kind,
        }  # fmt: skip


class Kind:
    """All handshakes that were answered in the same way."""

    __slots__ = ("count", "number", "sent_again", "slowest", "told")

    def __init__(self, number: int) -> None:
        self.number = number
        self.count = self.told = self.sent_again = 0
        self.slowest = -1.0


class Tally:
    """The handshakes of the capture."""

    def __init__(self) -> None:
        self.kinds: dict[tuple[object, ...], Kind] = {}
        self.details: list[Handshake] = []
        self.count = self.left_out = 0
        self.holes = self.cut = self.one_way = 0
        #: Answers to what was asked before the capture began.
        self.alone = 0

    def add(self, shake: Handshake) -> Kind | None:
        sort = shake.sort()
        kind = self.kinds.get(sort)
        if kind is None:
            if len(self.kinds) >= MOST_KINDS:
                self.left_out += 1
                return None
            kind = self.kinds[sort] = Kind(len(self.kinds) + 1)
        kind.count += 1
        shake.kind = kind.number
        if shake.status:
            kind.slowest = max(kind.slowest, round((shake.answer_ns - shake.ns) / 1e9, 6))
        # Each kind has one detail at least, so that what is rare is not lost among what is frequent.
        if not kind.told or (kind.told < TOLD_OF_KIND and len(self.details) < TOLD):
            kind.told += 1
            self.details.append(shake)
        return kind

    def told(self) -> Iterator[dict[str, Any]]:
        for kind in self.kinds.values():
            yield {
                "kind": "answers", "number": kind.number, "count": kind.count, "slowest": kind.slowest,
                "sent_again": kind.sent_again,
            }  # fmt: skip
        for shake in sorted(self.details, key=lambda shake: shake.frame):
            yield shake.told()


class Way:
    """What one side says."""

    __slots__ = ("body", "buffer", "direction", "frame", "http", "state")

    def __init__(self, http: Http, direction: Direction) -> None:
        self.http, self.direction = http, direction
        self.buffer = b""
        self.frame = 0
        #: So many bytes of a body are still to come.
        self.body = 0
        self.state = HEAD

    def take(self, data: bytes, frame: int, now: int) -> None:
        http = self.http
        http.heard = True
        if self.state >= CLOSE and not self.body and not self.buffer and http.flow.sure and len(data) >= 8:
            # Most segments of a capture are such ones: in the middle of a body whose end is not known.
            asks = self.direction is http.flow.client
            if not data.startswith(_METHODS if asks else _ANSWER) and not (asks and data[0] in b"\r\nP"):
                if not asks and http.pending:
                    http.unsure("no HTTP")
                return
        while data:
            if self.body:
                if len(data) <= self.body:
                    self.body -= len(data)
                    return
                data, self.body = data[self.body :], 0
            if self.state == CHUNK:
                data = self._chunk(data)
            elif self.state == TRAILER:
                data = self._trailer(data)
            else:
                data = self._head(data, frame, now)
            if self.direction.reader is None:
                return

    def missed(self, count: int, cut: bool) -> None:
        """So many bytes are not in the capture."""
        if count <= self.body:
            self.body -= count
            return
        http = self.http
        if count == 1 and not http.flow.sure and not http.heard:
            # A keep-alive has the number before the next one.
            return
        self.body = 0
        self._keep(b"")
        if self.state != CLOSE:
            self.state = LOST
            if cut:
                http.cut += 1
            else:
                http.holes += 1
            if self.direction is http.flow.server:
                http.unsure("hole")

    def _keep(self, data: bytes) -> bool:
        """Wait with these bytes for more; False where there is no room for them."""
        budget = self.http.budget
        budget.give(len(self.buffer))
        self.buffer = b""
        if len(data) > MOST_HEAD or not budget.take(len(data)):
            return False
        self.buffer = data
        return True

    def _chunk(self, data: bytes) -> bytes:
        data = self.buffer + data
        self._keep(b"")
        at = 0
        while True:
            end = data.find(b"\n", at)
            if end < 0:
                if len(data) - at > MOST_SIZE_LINE or not self._keep(data[at:]):
                    self.state = LOST
                return b""
            size = _SIZE.match(data, at)
            if not size:
                self.state = LOST
                return data[end + 1 :]
            length = int(size[0], 16)
            if not length:
                self.state = TRAILER
                return data[end + 1 :]
            # With the end of the line behind it.
            at = end + 1 + length + 2
            if at >= len(data):
                self.body = at - len(data)
                return b""

    def _trailer(self, data: bytes) -> bytes:
        data = self.buffer + data
        self._keep(b"")
        at = 0
        while (end := data.find(b"\n", at)) >= 0:
            if not data[at:end].rstrip(b"\r"):
                self.state = HEAD
                return data[end + 1 :]
            at = end + 1
        if not self._keep(data[at:]):
            self.state = LOST
        return b""

    def _head(self, data: bytes, frame: int, now: int) -> bytes:
        http, flow = self.http, self.http.flow
        asks = self.direction is flow.client
        old = len(self.buffer)
        if not old:
            if asks or not flow.sure:
                # RFC 9112, 2.2: empty lines before a request do not count.
                data = _behind_proxy(data).lstrip(b"\r\n")
            self.frame = frame
        buffer = self.buffer + data if old else data
        if not buffer.startswith(_METHODS if asks else _ANSWER):
            if not flow.sure and buffer.startswith(_ANSWER if asks else _METHODS):
                flow.swap()
                asks = not asks
            elif 0 < len(buffer) < 8 and any(word.startswith(buffer) for word in (_METHODS if asks else _ANSWER)):
                if not self._keep(buffer):
                    self._lost()
                return b""
            else:
                # In the middle of a body, or no HTTP at all: then there is nothing to wait for in this piece.
                if old:
                    self._keep(b"")
                if self.state != CLOSE:
                    self.state = LOST
                if not asks and buffer:
                    http.unsure("no HTTP")
                return b""
        flow.sure = http.said = True
        end = _END.search(buffer, max(0, old - 3))
        if end is None:
            if not self._keep(buffer):
                self._lost()
            return b""
        if old:
            self._keep(b"")
        lines = buffer[: end.start()].decode("latin-1").replace("\r\n", "\n").split("\n")
        headers = _headers(lines)
        self.state = HEAD
        if asks:
            http.asked(lines[0], headers, self.frame, now)
            self._follows(headers, HEAD)
        else:
            http.answered(self, lines[0], headers, self.frame, now)
        return buffer[end.end() :]

    def _lost(self) -> None:
        """A head that there is no room for."""
        self._keep(b"")
        self.state = LOST
        self.http.holes += 1
        if self.direction is self.http.flow.server:
            self.http.unsure("hole")

    def _follows(self, headers: dict[str, str], otherwise: int) -> None:
        """What comes after this head (RFC 9112, 6.3)."""
        length = headers.get("content-length", "")
        if "transfer-encoding" in headers:
            self.state = CHUNK if _tokens(headers["transfer-encoding"].lower())[-1:] == ["chunked"] else otherwise
        elif length.isascii() and length.isdigit() and len(length) < 19:
            self.state, self.body = HEAD, int(length)
        elif length:
            self.state = LOST
        else:
            self.state = otherwise


class Http:
    """Both ways of one flow: which answer belongs to which request."""

    __slots__ = ("budget", "cut", "done", "flow", "heard", "holes", "kinds", "pending", "said", "tally")

    def __init__(self, flow: Flow, tally: Tally, budget: Budget) -> None:
        self.flow, self.tally, self.budget = flow, tally, budget
        #: Requests without their answer: a handshake, or only the method.
        self.pending: list[Handshake | str] = []
        self.kinds: list[Kind] = []
        self.done: list[Handshake] = []
        #: Whether anything was heard, and whether it was HTTP; parts of it that are missing.
        self.heard = self.said = False
        self.holes = self.cut = 0
        for direction in (flow.client, flow.server):
            direction.reader = Way(self, direction)

    @property
    def waits(self) -> bool:
        """Whether a handshake waits for its answer."""
        return any(isinstance(one, Handshake) for one in self.pending)

    def asked(self, line: str, headers: dict[str, str], frame: int, now: int) -> None:
        method, _, rest = line.partition(" ")
        # One object for all of a method: there may be as many as flows times those that wait.
        request: Handshake | str = sys.intern(method)
        if method == "GET" and (
            "websocket" in _tokens(headers.get("upgrade", "").lower())
            or any(name.startswith("sec-websocket-") for name in headers)
        ):
            self.tally.count += 1
            if self.budget.take(WAITS_BYTES):
                request = Handshake(self.flow, rest.rpartition(" ")[0] or rest, headers, frame, now)
            else:
                self.tally.left_out += 1
        if len(self.pending) >= MOST_ASKED:
            # Nobody sends so many before the first answer: the answers are not in the capture.
            self._give_up(self.pending.pop(0), "hole")
        self.pending.append(request)

    def answered(self, way: Way, line: str, headers: dict[str, str], frame: int, now: int) -> None:
        words = line.split(" ", 2)
        code = words[1] if len(words) > 1 else ""
        if len(code) != 3 or not code.isascii() or not code.isdigit() or code < "100":
            way.state = LOST
            self.unsure("no HTTP")
            return
        status = int(code)
        if 100 <= status < 200 and status != 101:
            return
        request = self.pending.pop(0) if self.pending else ""
        if isinstance(request, Handshake):
            self.budget.give(WAITS_BYTES)
            request.answered(status, words[2] if len(words) > 2 else "", headers, frame, now)
            self._count(request)
        if status == 101 or (request == "CONNECT" and 200 <= status < 300):
            # From here on there are frames, or something else, and no HTTP.
            self.stop()
        elif not request:
            if self.flow.syn_ns < 0:
                self.tally.alone += 1
            # It may be the answer to a HEAD, and have no body.
            way.state = LOST
        elif request == "HEAD" or status in (204, 304):
            way.state = HEAD
        else:
            way._follows(headers, CLOSE)

    def unsure(self, why: str) -> None:
        """Something that the server said was not read: it may be the answer to what waits."""
        if self.pending and isinstance(self.pending[0], Handshake) and not self.pending[0].unseen:
            self.pending[0].unseen = why

    def stop(self) -> None:
        for direction in (self.flow.client, self.flow.server):
            way = direction.reader
            if isinstance(way, Way) and way.buffer:
                way._keep(b"")
            direction.reader = None

    def end(self, why: str) -> None:
        """The flow is over; `why` it is not seen any longer, where that is not its end."""
        flow = self.flow
        client, server = flow.client, flow.server
        for direction in (client, server):
            way, missed = direction.reader, _missed(direction)
            if isinstance(way, Way) and (
                (missed > way.body and way.state != CLOSE) or (way.buffer and self.said and not flow.closed)
            ):
                self.holes += 1
        alone = client.expected < 0 or server.expected < 0
        lost = _missed(server) > 0
        for request in self.pending:
            if alone:
                self._give_up(request, "one way")
            else:
                self._give_up(request, why or ("hole" if lost else ""))
        self.pending.clear()
        again = client.again + server.again
        for kind in self.kinds:
            kind.sent_again += again
        for shake in self.done:
            shake.end, shake.sent_again = flow.closed, again
        if self.said or not self.heard:
            self.tally.holes += self.holes
            self.tally.cut += self.cut
        if self.said and alone:
            self.tally.one_way += 1
        self.stop()

    def _give_up(self, request: Handshake | str, why: str) -> None:
        if isinstance(request, Handshake):
            self.budget.give(WAITS_BYTES)
            request.unseen = why if why in ("one way", "given up") else request.unseen or why
            request.end = self.flow.closed
            self._count(request)

    def _count(self, shake: Handshake) -> None:
        kind = self.tally.add(shake)
        if kind is not None:
            if kind not in self.kinds:
                self.kinds.append(kind)
            if self.tally.details and self.tally.details[-1] is shake:
                self.done.append(shake)


def _missed(direction: Direction) -> int:
    """How much more the other side has acknowledged than was seen; a FIN alone is not reckoned."""
    acknowledged = direction.other.acknowledged
    if direction.expected < 0 or acknowledged < 0:
        return 0
    count = after(acknowledged, direction.expected)
    return count if count > 1 else 0


def _headers(lines: list[str]) -> dict[str, str]:
    """By name in small letters; several of one name are one list (RFC 9110, 5.3), and a folded line goes on."""
    headers: dict[str, str] = {}
    name = ""
    for line in lines[1:]:
        if line[:1] in (" ", "\t") and name:
            if len(headers[name]) < MOST_JOINED:
                headers[name] = f"{headers[name]} {line.strip()}".strip()
            continue
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if name not in headers:
            headers[name] = value
        elif len(headers[name]) < MOST_JOINED:
            headers[name] = f"{headers[name]}, {value}"
    return headers


def _behind_proxy(data: bytes) -> bytes:
    """What follows the address that HAProxy says first with `send-proxy` or `send-proxy-v2` (proxy-protocol.txt)."""
    if data.startswith(b"PROXY "):
        return data[data.find(b"\n", 0, 108) + 1 :]
    if data.startswith(_PROXY_V2):
        return data[16 + int.from_bytes(data[14:16], "big") :]
    return data


def _tokens(value: str) -> list[str]:
    return [token for part in value.split(",") if (token := part.strip())] if value else []


def _extensions(headers: dict[str, str]) -> list[str]:
    """The names of extensions, without their parameters."""
    return [token.partition(";")[0].strip() for token in _tokens(headers.get("sec-websocket-extensions", ""))]
