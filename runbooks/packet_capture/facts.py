"""What the probe told of the capture, line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from runbook.helpers import Unreadable
from runbook.model import Capture, Evidence


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the probe; `line` is its number."""

    kind: str
    values: Mapping[str, object]
    line: int

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str):
            raise Unreadable(f"line {self.line} has no `{key}` in words", "capture", self.line)
        return value

    def number(self, key: str) -> float:
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e18 < value < 1e18:
            raise Unreadable(f"line {self.line} has no number `{key}`", "capture", self.line)
        return value

    def count(self, key: str) -> int:
        value = self.number(key)
        if not isinstance(value, int) or value < 0:
            raise Unreadable(f"line {self.line} does not count `{key}`", "capture", self.line)
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key)
        if not isinstance(value, bool):
            raise Unreadable(f"line {self.line} does not say `{key}`", "capture", self.line)
        return value

    def texts(self, key: str) -> Mapping[str, str]:
        value = self.values.get(key)
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise Unreadable(f"line {self.line} has no `{key}`", "capture", self.line)
        return value

    @property
    def evidence(self) -> Evidence:
        return Evidence("capture", "stdout", self.line, self.line)


@dataclass(frozen=True, slots=True)
class Handshake:
    """One GET for a websocket; `status` is 0 where no answer was seen, `accept` is right, wrong or empty."""

    client: str
    server: str
    target: str
    frame: int
    answer_frame: int
    status: int
    reason: str
    headers: Mapping[str, str]
    answer: Mapping[str, str]
    key: bool
    accept: str
    seconds: float
    end: str
    sent_again: int
    evidence: Evidence

    @property
    def asks(self) -> bool:
        """Whether the GET asks for the upgrade; without, somebody has taken that out, and left the rest."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    @property
    def accepted(self) -> bool:
        return self.status == 101 and self.accept == "right" and self.answer.get("upgrade", "").lower() == "websocket"

    @property
    def where(self) -> str:
        return f"GET {self.target} from {self.client} to {self.server} (frame {self.frame})"


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset; times in ms, -1 where not known."""

    frame: int
    source: str
    ttl: int
    usual_ttl: int
    answer_ms: float
    last_new_ms: float
    other_again: int
    round_trip_ms: float
    fits: bool
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Transport:
    segments: int
    again: int
    fast: int
    spurious: int
    out_of_order: int
    twice: int
    resets: int
    evidence: Evidence

    @property
    def percent(self) -> float:
        return 100 * self.again / self.segments if self.segments else 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """All of the capture; `cut` packets were not kept whole, `broken` says where the file ends before its end."""

    packets: int
    tcp: int
    flows: int
    tls: int
    http2: int
    cut: int
    unread: int
    broken: str
    handshakes: tuple[Handshake, ...]
    resets: tuple[Reset, ...]
    transport: Transport
    worst: tuple[tuple[str, Evidence], ...]
    warning_percent: float
    critical_percent: float
    evidence: Evidence


def read(capture: Capture, warning: float, critical: float) -> Facts:
    """{"kind": "capture", "file": "front.pcap", "format": "pcap", "packets": 17, "links": {"Ethernet": 17}, …}
    {"kind": "transport", "segments": 10, "again": 0, "fast": 0, "spurious": 0, "out_of_order": 0, "resets": 0, …}
    {"kind": "handshake", "client": "10.0.0.1:33158", "frame": 4, "status": 101, "accept": "right", …}
    """
    lines = capture.stdout.decode("utf-8", "replace").splitlines()
    told = [_told(text, number) for number, text in enumerate(lines, start=1)]
    if told and told[0].kind == "error":
        raise Unreadable(f"{told[0].text('file')}: {told[0].text('detail')}", "capture", 1)
    if [line.kind for line in told[:2]] != ["capture", "transport"]:
        raise Unreadable("it does not begin with what was read", "capture", 1)
    head, transport = told[0], told[1]
    handshakes = tuple(_handshake(line) for line in told if line.kind == "handshake")
    resets = tuple(_reset(line) for line in told if line.kind == "reset")
    if len(handshakes) != head.count("handshakes") or len(resets) != min(transport.count("resets"), 50):
        raise Unreadable(
            f"it tells of {len(handshakes)} handshakes and {len(resets)} resets, and not of all", "capture", len(told)
        )
    other = head.values.get("other")
    unread = other.get("unknown", 0) if isinstance(other, dict) else 0
    return Facts(
        head.count("packets"),
        head.count("tcp"),
        head.count("flows"),
        head.count("tls"),
        head.count("http2"),
        head.count("cut"),
        unread if isinstance(unread, int) else 0,
        head.text("broken"),
        handshakes,
        resets,
        Transport(
            transport.count("segments"),
            transport.count("again"),
            transport.count("fast"),
            transport.count("spurious"),
            transport.count("out_of_order"),
            transport.count("twice"),
            transport.count("resets"),
            transport.evidence,
        ),
        tuple((_flow(line), line.evidence) for line in told if line.kind == "flow"),
        warning,
        critical,
        head.evidence,
    )


def _told(text: str, number: int) -> Told:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable(f"line {number} is not JSON", "capture", number) from None
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise Unreadable(f"line {number} does not say what it tells", "capture", number)
    return Told(values["kind"], values, number)


def _handshake(told: Told) -> Handshake:
    return Handshake(
        told.text("client"),
        told.text("server"),
        told.text("target"),
        told.count("frame"),
        told.count("answer_frame"),
        told.count("status"),
        told.text("reason"),
        told.texts("headers"),
        told.texts("answer"),
        told.flag("key"),
        told.text("accept"),
        told.number("seconds"),
        told.text("end"),
        told.count("sent_again"),
        told.evidence,
    )


def _reset(told: Told) -> Reset:
    return Reset(
        told.count("frame"),
        told.text("from"),
        told.count("ttl"),
        int(told.number("usual_ttl")),
        told.number("answer_ms"),
        told.number("last_new_ms"),
        told.count("other_again"),
        told.number("round_trip_ms"),
        told.flag("fits"),
        told.evidence,
    )


def _flow(told: Told) -> str:
    return f"{told.text('client')} → {told.text('server')}: {told.count('again')} of {told.count('segments')}"
