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

    def words(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Unreadable(f"line {self.line} has no list `{key}`", "capture", self.line)
        return tuple(value)

    def texts(self, key: str) -> Mapping[str, str]:
        value = self.values.get(key)
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise Unreadable(f"line {self.line} has no `{key}`", "capture", self.line)
        return value

    def counts(self, key: str) -> Mapping[str, int]:
        value = self.values.get(key)
        if not isinstance(value, dict) or not all(type(item) is int and item >= 0 for item in value.values()):
            raise Unreadable(f"line {self.line} does not count `{key}`", "capture", self.line)
        return value

    @property
    def evidence(self) -> Evidence:
        return Evidence("capture", "stdout", self.line, self.line)


@dataclass(frozen=True, slots=True)
class Handshake:
    """One GET for a websocket; `status` is 0 where no answer was seen, `accept` is right, wrong or empty.

    `unasked` is what the answer has that was not asked for, and `unseen` says why an answer may be there all the same.
    """

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
    unasked: tuple[str, ...]
    unseen: str
    end: str
    sent_again: int
    answers: int
    evidence: Evidence

    @property
    def asks(self) -> bool:
        """Whether the GET asks for the upgrade; without, somebody has taken that out, and left the rest."""
        return "websocket" in _tokens(self.headers.get("upgrade", ""))

    @property
    def accepted(self) -> bool:
        return self.status == 101 and not self.refusal

    @property
    def refusal(self) -> str:
        """Why a client must fail the connection although the answer is 101 (RFC 6455, 4.1); empty when it need not."""
        if not self.key:
            return "101 to a GET without a key"
        if self.accept != "right":
            return "101 with a wrong accept" if self.accept else "101 without an accept"
        if self.answer.get("upgrade", "").lower() != "websocket":
            return "101 without `Upgrade: websocket`"
        if "upgrade" not in _tokens(self.answer.get("connection", "")):
            return "101 without `Connection: Upgrade`"
        articles = {"protocol": "a protocol", "extension": "an extension"}
        unasked = " and ".join(articles.get(name, name) for name in self.unasked)
        return f"101 with {unasked} that nobody asked for" if unasked else ""

    @property
    def where(self) -> str:
        return f"GET {self.target} from {self.client} to {self.server} (frame {self.frame})"


@dataclass(frozen=True, slots=True)
class Answers:
    """All handshakes that were answered in the same way: how many, and the first ones of them."""

    count: int
    slowest: float
    sent_again: int
    shakes: tuple[Handshake, ...]

    @property
    def first(self) -> Handshake:
        return self.shakes[0]


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
    strange_resets: int
    evidence: Evidence

    @property
    def percent(self) -> float:
        return 100 * self.again / self.segments if self.segments else 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """All of the capture; `cut` packets were not kept whole, `broken` says where the file ends before its end.

    What may hide a handshake: `cut_http` and `holes` (HTTP that was cut or not captured), `fragments`, `one_way` (flows
    with packets of one side), `given_up` (flows, for there were too many), `left_out` (handshakes, for there were too
    many kinds of answers). `alone` are answers whose requests were sent before the capture began.
    """

    packets: int
    tcp: int
    flows: int
    tls: int
    http2: int
    tunnels: int
    cut: int
    cut_http: int
    holes: int
    fragments: int
    one_way: int
    alone: int
    given_up: int
    left_out: int
    unread: int
    links: tuple[str, ...]
    broken: str
    answers: tuple[Answers, ...]
    resets: tuple[Reset, ...]
    transport: Transport
    worst: tuple[tuple[str, Evidence], ...]
    warning_percent: float
    critical_percent: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class NoCapture:
    """The file could not be read at all."""

    file: str
    reason: str
    evidence: Evidence


def read(capture: Capture, warning: float, critical: float) -> Facts | NoCapture:
    """{"kind": "capture", "file": "front.pcap", "format": "pcap", "packets": 17, "links": {"Ethernet": 17}, …}
    {"kind": "transport", "segments": 10, "again": 0, "fast": 0, "spurious": 0, "out_of_order": 0, "resets": 0, …}
    {"kind": "answers", "number": 1, "count": 1, "slowest": 0.0011, "sent_again": 0}
    {"kind": "handshake", "client": "10.0.0.1:33158", "frame": 4, "status": 101, "accept": "right", "answers": 1, …}
    """
    lines = capture.stdout.decode("utf-8", "replace").splitlines()
    told = [_told(text, number) for number, text in enumerate(lines, start=1)]
    if told and told[0].kind == "error":
        return NoCapture(told[0].text("file"), told[0].text("detail"), told[0].evidence)
    if [line.kind for line in told[:2]] != ["capture", "transport"]:
        raise Unreadable("it does not begin with what was read", "capture", 1)
    head, transport = told[0], told[1]
    handshakes = tuple(_handshake(line) for line in told if line.kind == "handshake")
    answers = tuple(_answers(line, handshakes) for line in told if line.kind == "answers")
    resets = tuple(_reset(line) for line in told if line.kind == "reset")
    counted = sum(one.count for one in answers) + head.count("left_out")
    known = sum(len(one.shakes) for one in answers)
    if counted != head.count("handshakes") or known != len(handshakes):
        raise Unreadable(
            f"it tells of {counted} handshakes, {len(handshakes)} of them one by one, and not of all",
            "capture",
            len(told),
        )
    if len(resets) != min(transport.count("resets"), 50):
        raise Unreadable(f"it tells of {len(resets)} resets, and not of all", "capture", len(told))
    other = head.counts("other")
    links = head.counts("links")
    return Facts(
        head.count("packets"),
        head.count("tcp"),
        head.count("flows"),
        head.count("tls"),
        head.count("http2"),
        other.get("tunnel", 0),
        head.count("cut"),
        head.count("cut_http"),
        head.count("holes"),
        other.get("fragment", 0),
        head.count("one_way"),
        head.count("alone"),
        head.count("given_up"),
        head.count("left_out"),
        other.get("unknown", 0),
        tuple(links),
        head.text("broken"),
        answers,
        resets,
        Transport(
            transport.count("segments"),
            transport.count("again"),
            transport.count("fast"),
            transport.count("spurious"),
            transport.count("out_of_order"),
            transport.count("twice"),
            transport.count("resets"),
            transport.count("strange_resets"),
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
        told.words("unasked"),
        told.text("unseen"),
        told.text("end"),
        told.count("sent_again"),
        told.count("answers"),
        told.evidence,
    )


def _answers(told: Told, handshakes: tuple[Handshake, ...]) -> Answers:
    number = told.count("number")
    shakes = tuple(shake for shake in handshakes if shake.answers == number)
    if not shakes or len(shakes) > told.count("count"):
        raise Unreadable(f"line {told.line} counts handshakes of which none or too many are told", "capture", told.line)
    return Answers(told.count("count"), told.number("slowest"), told.count("sent_again"), shakes)


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


def _tokens(value: str) -> list[str]:
    return [token.strip() for token in value.lower().split(",")]
