"""What the probe counted in the log, line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Evidence

#: What the probe calls what has more names than it tells.
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the probe; `line` is its number."""

    step: str
    kind: str
    values: Mapping[str, object]
    line: int

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str):
            raise Unreadable(f"line {self.line} has no `{key}` in words", self.step, self.line)
        return value

    def number(self, key: str) -> int:
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < 1 << 60:
            raise Unreadable(f"line {self.line} has no number `{key}`", self.step, self.line)
        return value

    def part(self, key: str) -> Told | None:
        """An object within; None where it is null."""
        value = self.values.get(key)
        if value is None and key in self.values:
            return None
        if not isinstance(value, dict):
            raise Unreadable(f"line {self.line} has no `{key}`", self.step, self.line)
        return Told(self.step, self.kind, value, self.line)

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.step, "stdout", self.line, self.line)


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions that ended alike: `status` is empty in TCP mode, `letters` are four, or two in TCP mode."""

    count: int
    frontend: str
    backend: str
    server: str
    status: str
    letters: str
    mark: str
    log_line: int
    evidence: Evidence

    @property
    def place(self) -> str:
        if self.frontend == OTHERS:
            return f"others/{self.server}" if self.server == "<NOSRV>" else "others"
        return f"{self.frontend} → {self.backend}/{self.server}" if self.server else f"{self.frontend}/{self.backend}"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """So many websockets lived so long, to a tenth of a second, and ended with these letters."""

    ms: int
    letters: str
    count: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Path:
    """How requests for a path on which websockets were opened ended: (status, server, letters, count)."""

    path: str
    answers: tuple[tuple[str, str, str, int], ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Websockets:
    opened: int
    early: int
    shortest_ms: int
    longest_ms: int
    slow: int
    slowest_ms: int
    refusals_left_out: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class NotRead:
    """A file that could not be opened, and what the system said."""

    name: str
    detail: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Facts:
    """`name` is what was read; `instead_of` is the file that could not be.

    `unread` lines were a session's and could not be read, `overlong` ones were longer than any, and of `left_out`
    sessions only that is known.
    """

    name: str
    instead_of: NotRead | None
    size: int
    lines: int
    http: int
    tcp: int
    unread: int
    overlong: int
    left_out: int
    broken: str
    first: str
    last: str
    websockets: Websockets
    groups: tuple[Group, ...]
    lifetimes: tuple[Lifetime, ...]
    paths: tuple[Path, ...]
    warning_percent: float
    critical_percent: float
    slow_seconds: float
    evidence: Evidence

    @property
    def sessions(self) -> int:
        return self.http + self.tcp


def not_read(capture: Capture) -> NotRead | None:
    """{"kind": "error", "log": "/var/log/haproxy.log", "detail": "No such file or directory"}"""
    lines = _lines(capture)
    if len(lines) != 1:
        return None
    told = _told(capture.step, lines[0], 1)
    return NotRead(told.text("log"), told.text("detail"), told.evidence) if told.kind == "error" else None


def read(capture: Capture, captures: Captures, instead_of: NotRead | None = None) -> Facts:
    """{"kind": "log", "log": "/var/log/haproxy.log", "bytes": 1043, "lines": 9, "http": 9, "tcp": 0, …}
    {"kind": "websockets", "opened": 4, "early": 0, "shortest_ms": 1001, "longest_ms": 1003, …}
    {"kind": "lifetime", "ms": 1000, "letters": "cD--", "count": 4}
    {"kind": "group", "count": 4, "frontend": "public", "backend": "websockets", "server": "ws1", "status": "101", …}
    """
    told = [_told(capture.step, text, number) for number, text in enumerate(_lines(capture), start=1)]
    if [line.kind for line in told[:2]] != ["log", "websockets"]:
        raise Unreadable("it does not begin with what was read", capture.step, 1)
    log, websockets = told[0], told[1]
    groups = tuple(_group(line) for line in told if line.kind == "group")
    counted = sum(group.count for group in groups if not _failed(group))
    sessions, left_out = log.number("http") + log.number("tcp"), log.number("left_out")
    # A probe that was ended in the middle must not look like a log in which nothing happened.
    if counted + left_out != sessions:
        raise Unreadable(f"the groups are of {counted} sessions, and {sessions} were read", capture.step, len(told))
    slow = websockets.part("slow")
    return Facts(
        log.text("log"),
        instead_of,
        log.number("bytes"),
        log.number("lines"),
        log.number("http"),
        log.number("tcp"),
        log.number("unread"),
        log.number("overlong"),
        left_out,
        log.text("broken"),
        log.text("first"),
        log.text("last"),
        Websockets(
            websockets.number("opened"),
            websockets.number("early"),
            websockets.number("shortest_ms"),
            websockets.number("longest_ms"),
            slow.number("count") if slow is not None else 0,
            websockets.number("slowest_ms"),
            websockets.number("refusals_left_out"),
            websockets.evidence,
        ),
        groups,
        tuple(
            Lifetime(line.number("ms"), line.text("letters"), line.number("count"), line.evidence)
            for line in told
            if line.kind == "lifetime"
        ),
        tuple(_path(line) for line in told if line.kind == "path"),
        captures.number("warning"),
        captures.number("critical"),
        captures.number("slow"),
        log.evidence,
    )


def _lines(capture: Capture) -> list[str]:
    return capture.stdout.decode("utf-8", "replace").splitlines()


def _told(step: str, text: str, number: int) -> Told:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable(f"line {number} is not JSON", step, number) from None
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise Unreadable(f"line {number} does not say what it tells", step, number)
    return Told(step, values["kind"], values, number)


def _group(told: Told) -> Group:
    return Group(
        told.number("count"),
        told.text("frontend"),
        told.text("backend"),
        told.text("server"),
        told.text("status"),
        told.text("letters"),
        told.text("mark"),
        told.number("line"),
        told.evidence,
    )


def _failed(group: Group) -> bool:
    """Whether it was no session at all: a connection that failed before there was one has no letters."""
    return not group.letters


def _path(told: Told) -> Path:
    answers = told.values.get("answers")
    found = []
    for answer in answers if isinstance(answers, list) else [None]:
        if not isinstance(answer, list) or len(answer) != 4 or not isinstance(answer[3], int):
            raise Unreadable(f"line {told.line} does not say how the requests ended", told.step, told.line)
        found.append((str(answer[0]), str(answer[1]), str(answer[2]), int(answer[3])))
    return Path(told.text("path"), tuple(found), told.evidence)
