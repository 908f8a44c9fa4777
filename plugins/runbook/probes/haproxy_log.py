"""A log of HAProxy of any size, counted in one pass: how sessions ended, and how long websockets lived.

JSON objects, one a line, each with `kind`: one `log` (what was read), one `websockets`, a `path` for each path on which
one was opened, a `lifetime` for each length of life that several of them share, and a `group` for each way in which
sessions ended, with its first line. What the fields are: HAProxy's configuration manual, 8.2 Log formats; what the
letters are: 8.5 Session state at disconnection.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .files import Pieces, opened

#: How much is read at once, in bytes; a longer line than this is none of HAProxy's (65 535 at most) and is left out.
CHUNK_BYTES = 4 * 1024 * 1024
#: How many ways of ending, paths and lengths of life are told apart, so that no log can fill the memory. Ways of each
#: class (see `_class`) have their own room, so that many good ones cannot push out a bad one.
MOST_GROUPS, MOST_PATHS, MOST_LIVES = 2_000, 2_000, 100_000
#: How many more are kept, with less of them known: ways without their place, paths without their name.
MOST_COARSE, MOST_HASHES = 200, 200_000
#: How many of each are told; of the ways, by class.
TOLD_GROUPS, TOLD_PATHS, TOLD_LIVES, TOLD_ANSWERS = (400, 100, 20), 50, 20, 20
#: How much of a line is told, in bytes, and how much of a name in it is kept.
LINE_BYTES, NAME_BYTES = 400, 200
#: Stands for names that were not kept, for their answers, and after a name that was cut.
OTHERS, REFUSED, CUT = b"(others)", b"4xx/5xx", "\u2026".encode()
#: Lives are equal when they are the same in tenths of a second.
LIFE_MS = 100

#: It begins with what every line of a session has, the date in brackets, so that the search for it is a fast one and
#: no syslog prefix matters. Then: frontend, backend/server, timers; status, bytes, two cookies and four letters in
#: HTTP, or bytes and two letters in TCP; connections, queues, and the rest. A client writes into the rest, so here and
#: below no part may be read in two ways: each ends at a character that it cannot contain, and the time is linear.
SESSION = re.compile(
    rb" \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d)[.\d]*\] (\S+) ([^ /\n]+)/(\S+) "
    rb"([-+]?\d{1,12}(?:/[-+]?\d{1,12}){2,6}) "
    rb"(?:(-?\d{1,3}) [-+]?\d{1,20} \S+ \S+ ([-A-Za-z]{4})|[-+]?\d{1,20} ([-A-Za-z]{2})) \+?\d{1,12}"
    rb"(?:/\+?\d{1,12}){3,4} \d{1,12}/\d{1,12}(?: ([^\n]*))?\r?$",
    re.MULTILINE,
)
#: A line of a session by the look of it, whether it can be read or not.
DATED = re.compile(rb" \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d[.\d]*(?: [-+]\d{4})?\] ")
#: A connection that never became a session: `fe/1: SSL handshake failure`.
FAILED = re.compile(rb" \[\d\d/[A-Z][a-z]{2}/\d{4}:[.:\d]+\] ([^\s/]+)/(\S+): ([A-Z][^\n]*)$", re.MULTILINE)
REQUEST = re.compile(rb'"([A-Z]+) ([^\s?]+)(?:\?\S*)? (HTTP/[\d.]+)"')
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
#: What servers say to a request that lost its upgrade on the way. The groups tell of those.
STRIPPED = (b"426", b"505")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", help="the file, plain or gzip; `-` is standard input")
    parser.add_argument("--slow", type=float, default=1.0, help="seconds after which the answer of a websocket is slow")


def run(arguments: argparse.Namespace) -> int:
    """Tell what was counted; 0 when all of it was read, 1 when it could not be opened or read to its end."""
    tally = Tally(slow_ms=arguments.slow * 1000)
    name = arguments.log
    try:
        if name == "-":
            name = "the journal"
            _count(tally, Pieces(sys.stdin.buffer, CHUNK_BYTES))
        else:
            with opened(name) as file:
                _count(tally, Pieces(file.source, CHUNK_BYTES, size=file.size))
                tally.broken = file.broken
    except OSError as error:
        reason = error.strerror or str(error)
        if not tally.size:
            print(json.dumps({"kind": "error", "log": name, "detail": reason}))
            return 1
        tally.broken = reason
    except KeyboardInterrupt:
        return 130
    for line in tally.told(name):
        print(json.dumps(line, ensure_ascii=True))
    return 1 if tally.broken else 0


def _count(tally: Tally, pieces: Pieces) -> None:
    try:
        for data in pieces:
            tally.size = pieces.read
            tally.take(data)
    finally:
        tally.size, tally.overlong = pieces.read, pieces.overlong


@dataclass(slots=True)
class Group:
    """Sessions that ended in the same way."""

    count: int
    line: int
    text: str


#: (frontend, backend, server, status, letters, mark)
Way = tuple[bytes, bytes, bytes, bytes, bytes, bytes]
#: (status, server, letters)
Answer = tuple[bytes, bytes, bytes]


@dataclass(slots=True)
class Tally:
    """All that is counted. `left_out` are sessions of which only that is known."""

    slow_ms: float
    size: int = 0
    lines: int = 0
    http: int = 0
    tcp: int = 0
    unread: int = 0
    first_unread: Group | None = None
    overlong: int = 0
    left_out: int = 0
    broken: str = ""
    opened: int = 0
    early: int = 0
    slow: Group | None = None
    slowest_ms: int = 0
    shortest_ms: int = -1
    longest_ms: int = -1
    groups: dict[Way, Group] = field(default_factory=dict)
    #: What found no room there, without its place.
    coarse: dict[Way, Group] = field(default_factory=dict)
    room: list[int] = field(default_factory=lambda: [MOST_GROUPS] * 3)
    lives: Counter[tuple[int, bytes]] = field(default_factory=Counter)
    #: Paths on which a websocket was opened, and those of which only refusals are known yet; then hashes of more.
    paths: dict[bytes, Counter[Answer]] = field(default_factory=dict)
    refused: dict[bytes, Counter[Answer]] = field(default_factory=dict)
    more_paths: set[int] = field(default_factory=set)
    more_refused: Counter[int] = field(default_factory=Counter)
    #: Whether a path on which a websocket was opened is not even among the hashes; and refusals that are not.
    paths_lost: bool = False
    refusals_lost: int = 0
    #: The earliest and the latest date, each with a form that sorts; and the last one that was compared.
    first: tuple[bytes, bytes] | None = None
    last: tuple[bytes, bytes] | None = None
    _date: bytes = b""
    #: How far in this piece lines were counted, in bytes, and how many there were.
    _at: int = 0
    _seen: int = 0

    def take(self, data: bytes) -> None:
        """Count these whole lines."""
        self._at = self._seen = 0
        ends = []
        for match in SESSION.finditer(data):
            ends.append(match.end())
            self._session(match, data)
        # By its end, since a client can write what looks like another line's beginning into any line.
        known: set[int] | None = None
        for match in FAILED.finditer(data):
            known = set(ends) if known is None else known
            if match.end() not in known:
                known.add(match.end())
                self._group((match[1], match[2], b"", b"", b"", match[3].rstrip()[:80]), match, data)
        if data.count(b" [") > len(ends if known is None else known):
            self._unread(data, set(ends) if known is None else known)
        self.lines += data.count(b"\n") + (not data.endswith(b"\n"))

    def _unread(self, data: bytes, known: set[int]) -> None:
        end = 0
        for match in DATED.finditer(data):
            if match.start() < end:
                continue
            end = data.find(b"\n", match.start())
            end = len(data) if end < 0 else end
            if end not in known:
                self.unread += 1
                if self.first_unread is None:
                    self.first_unread = Group(1, self._number(match, data), _line(match.start(), end, data))

    def _session(self, match: re.Match[bytes], data: bytes) -> None:
        date, frontend, backend, server, _, status, letters, tcp_letters, rest = match.groups()
        if date != self._date:
            self._dated(date)
        if tcp_letters is not None:
            self.tcp += 1
            self._group((frontend, backend, server, b"", tcp_letters, b""), match, data)
            return
        self.http += 1
        rest = rest or b""
        mark = b"bad request" if b'"<BADREQ>"' in rest else b""
        if status == b"101":
            self._websocket(match, data)
        elif b"{" in rest and b"websocket" in rest.split(b'"', 1)[0].lower():
            mark = b"websocket"
        # A refusal with a mark is told by its group, and is not to be counted twice.
        if status == b"101" or (not mark and _refusal(status, server, letters)):
            request = REQUEST.search(rest)
            if request is not None:
                self._path(_cut(request[2]), (status, _cut(server), letters))
        self._group((frontend, backend, server, status, letters, mark), match, data)

    def _dated(self, date: bytes) -> None:
        self._date = date
        month = MONTHS.index(date[3:6]) if date[3:6] in MONTHS else -1
        one = (b"%s%02d%s%s" % (date[7:11], month + 1, date[:2], date[11:]), date)
        self.first = one if self.first is None else min(self.first, one)
        self.last = one if self.last is None else max(self.last, one)

    def _websocket(self, match: re.Match[bytes], data: bytes) -> None:
        self.opened += 1
        timers = match[5].split(b"/")
        # What was waited for before the answer came; -1 is what never was.
        waited = sum(max(0, int(part)) for part in timers[:-1])
        if waited >= self.slow_ms:
            self.slowest_ms = max(self.slowest_ms, waited)
            if self.slow is None:
                self.slow = Group(0, self._number(match, data), _line(match.start(), match.end(), data))
            self.slow.count += 1
        if timers[-1].startswith((b"+", b"-")):
            # `option logasap`: written when it was opened, so nobody knows how long it lived. Nor does anybody when
            # the life is negative, as after a clock was set back.
            self.early += 1
            return
        life = int(timers[-1])
        self.shortest_ms = life if self.shortest_ms < 0 else min(self.shortest_ms, life)
        self.longest_ms = max(self.longest_ms, life)
        key = (life // LIFE_MS, match[7])
        if key not in self.lives and len(self.lives) >= MOST_LIVES:
            # Thinned out by one each: a life that many share stays (Misra and Gries, 1982).
            self.lives = Counter({life: count - 1 for life, count in self.lives.items() if count > 1})
        self.lives[key] += 1

    def _path(self, path: bytes, answer: Answer) -> None:
        opened = answer[0] == b"101"
        known = self.paths.get(path)
        if known is None and opened:
            known = self._opened(path)
        elif known is None:
            known = self.refused.get(path)
            if known is None and len(self.refused) < MOST_PATHS:
                known = self.refused[path] = Counter()
            elif known is None and (hash(path) in self.more_refused or len(self.more_refused) < MOST_HASHES):
                self.more_refused[hash(path)] += 1
                return
        if known is None:
            self.refusals_lost += not opened
            return
        if answer not in known and len(known) >= 100:
            answer = (answer[0], OTHERS, b"----")
        known[answer] += 1

    def _opened(self, path: bytes) -> Counter[Answer] | None:
        """Where to count for a path on which the first websocket was opened; None when only its hash is kept."""
        if len(self.paths) < MOST_PATHS:
            known = self.paths[path] = self.refused.pop(path, Counter[Answer]())
            if times := self.more_refused.pop(hash(path), 0):
                known[REFUSED, OTHERS, b"----"] += times
            return known
        if hash(path) not in self.more_paths:
            if len(self.more_paths) < MOST_HASHES:
                self.more_paths.add(hash(path))
            else:
                self.paths_lost = True
        return None

    def _group(self, way: Way, match: re.Match[bytes], data: bytes) -> None:
        known = self.groups.get(way)
        if known is None:
            way = tuple(map(_cut, way))  # type: ignore[assignment]
            known = self.groups.get(way)
        if known is None:
            kind = _class(way)
            groups = self.groups
            if self.room[kind]:
                self.room[kind] -= 1
            else:
                way, groups = _coarse(way), self.coarse
                known = groups.get(way)
                if known is None and len(groups) >= MOST_COARSE:
                    # A connection that failed before there was a session is none that is missing.
                    self.left_out += bool(way[4])
                    return
            if known is None:
                text = _line(match.start(), match.end(), data)
                known = groups[way] = Group(0, self._number(match, data), text)
        known.count += 1

    def _number(self, match: re.Match[bytes], data: bytes) -> int:
        """The number of its line in the whole log, counted on from where it was asked for last."""
        if match.start() < self._at:
            self._at = self._seen = 0
        self._seen += data.count(b"\n", self._at, match.start())
        self._at = match.start()
        return self.lines + self._seen + 1

    def told(self, name: str) -> Iterator[dict[str, Any]]:
        """The lines: of the ways those first that may be a fault, each class with the largest first."""
        unread = {"line": self.first_unread.line, "text": self.first_unread.text} if self.first_unread else None
        groups, left_out = self._told_groups()
        paths, refusals_lost = self._told_paths()
        yield {
            "kind": "log", "log": name, "bytes": self.size, "lines": self.lines, "http": self.http, "tcp": self.tcp,
            "unread": self.unread, "first_unread": unread, "overlong": self.overlong, "left_out": left_out,
            "broken": self.broken, "first": self.first[1].decode() if self.first else "",
            "last": self.last[1].decode() if self.last else "",
        }  # fmt: skip
        slow = {"count": self.slow.count, "line": self.slow.line, "text": self.slow.text} if self.slow else None
        yield {
            "kind": "websockets", "opened": self.opened, "early": self.early, "shortest_ms": self.shortest_ms,
            "longest_ms": self.longest_ms, "slow": slow, "slowest_ms": self.slowest_ms,
            "refusals_left_out": refusals_lost,
        }  # fmt: skip
        for path, answers in paths:
            told = [[*map(_shown, answer), count] for answer, count in _told_answers(answers)]
            yield {"kind": "path", "path": _shown(path), "answers": told}
        lives = self.lives.most_common()
        timed_out = [item for item in lives if item[0][1][:1] in b"cs"][:TOLD_LIVES]
        several = [item for item in lives if item[0][1][:1] not in b"cs" and item[1] > 1][:TOLD_LIVES]
        for (life, letters), count in (*timed_out, *several):
            yield {"kind": "lifetime", "ms": life * LIFE_MS, "letters": _shown(letters), "count": count}
        for way, group in groups:
            frontend, backend, server, status, ended, mark = map(_shown, way)
            yield {
                "kind": "group", "count": group.count, "frontend": frontend, "backend": backend, "server": server,
                "status": status, "letters": ended, "mark": mark, "line": group.line, "text": group.text,
            }  # fmt: skip

    def _told_groups(self) -> tuple[list[tuple[Way, Group]], int]:
        """The groups to be told, the rest of them without their places, and how many sessions are in none."""
        by_class: list[list[tuple[Way, Group]]] = [[], [], []]
        for way, group in sorted(self.groups.items(), key=lambda item: -item[1].count):
            by_class[_class(way)].append((way, group))
        told = [item for items, most in zip(by_class, TOLD_GROUPS, strict=True) for item in items[:most]]
        rest = [item for items, most in zip(by_class, TOLD_GROUPS, strict=True) for item in items[most:]]
        merged: dict[Way, Group] = {}
        left_out = self.left_out
        for way, group in (*self.coarse.items(), *rest):
            way = _coarse(way)
            if way in merged:
                merged[way].count += group.count
            elif len(merged) < MOST_COARSE:
                merged[way] = Group(group.count, group.line, group.text)
            else:
                left_out += group.count if way[4] else 0
        return [*told, *merged.items()], left_out

    def _told_paths(self) -> tuple[list[tuple[bytes, Counter[Answer]]], int]:
        """Paths on which a websocket was opened, first those with refusals, and how many of these are not told."""
        found = list(self.paths.items())
        lost, others = self.refusals_lost, Counter[Answer]()
        for path, answers in self.refused.items():
            if hash(path) in self.more_paths:
                found.append((path, answers))
            elif self.paths_lost:
                lost += answers.total()
        for number, count in self.more_refused.items():
            if number in self.more_paths:
                others[REFUSED, OTHERS, b"----"] += count
            elif self.paths_lost:
                lost += count
        found.sort(key=lambda item: (-_refusals(item[1]), -item[1].total()))
        for _, answers in found[TOLD_PATHS:]:
            for answer, count in answers.items():
                if answer[0] != b"101":
                    others[answer[0], OTHERS, b"----"] += count
        return [*found[:TOLD_PATHS], *([(OTHERS, others)] if others else [])], lost


def _refusal(status: bytes, server: bytes, letters: bytes) -> bool:
    """Whether a server refused, and HAProxy passed that on. What may be a websocket's, and nothing marks it."""
    return letters[:2] == b"--" and status[:1] in (b"4", b"5") and status not in STRIPPED and server != b"<NOSRV>"


def _refusals(answers: Counter[Answer]) -> int:
    return sum(count for answer, count in answers.items() if answer[0] != b"101")


def _told_answers(answers: Counter[Answer]) -> Iterable[tuple[Answer, int]]:
    """The most frequent ones; beyond them refusals are added up, and of websockets the groups tell."""
    told = answers.most_common(TOLD_ANSWERS)
    rest = Counter[Answer]()
    for answer, count in answers.most_common()[TOLD_ANSWERS:]:
        if answer[0] != b"101":
            rest[REFUSED, OTHERS, b"----"] += count
    return [*told, *rest.items()]


def _class(way: Way) -> int:
    """0 for what may be a fault, 1 for a session that ended as it should, 2 for what was no session."""
    if not way[4]:
        return 2
    return 1 if way[4][:2] == b"--" and way[3][:1] in b"123" and not way[5] else 0


def _coarse(way: Way) -> Way:
    """The same without its place: but that there was no server is half of what happened."""
    server = way[2] if way[2] in (b"", b"<NOSRV>") else OTHERS
    return OTHERS, OTHERS, server, way[3], way[4], way[5]


def _cut(name: bytes) -> bytes:
    return name if len(name) <= NAME_BYTES else name[:NAME_BYTES] + CUT


def _line(start: int, end: int, data: bytes) -> str:
    """The line around `start` that ends at `end`, as far as it is told."""
    start = data.rfind(b"\n", 0, start) + 1
    return _shown(data[start : min(end, start + LINE_BYTES)].rstrip(b"\r"))


def _shown(data: bytes) -> str:
    return data[:LINE_BYTES].decode("utf-8", "replace")
