"""A log of HAProxy of any size, counted in one pass: how sessions ended, and how long websockets lived.

JSON objects, one a line, each with `kind`: one `log` (what was read), one `websockets`, a `path` for each path on which
one was opened, a `lifetime` for each length of life that several of them share, and a `group` for each way in which
sessions ended, with its first line. What the fields are: HAProxy's configuration manual, 8.2 Log formats; what the
letters are: 8.5 Session state at disconnection.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

#: How much is read at once, in bytes; a longer line than this is none of HAProxy's (65 535 at most) and is left out.
CHUNK_BYTES = 4 * 1024 * 1024
#: How many ways of ending, paths and lengths of life are told apart, so that no log can fill the memory.
MOST_GROUPS, MOST_PATHS, MOST_LIVES = 2_000, 2_000, 100_000
#: How many of each are told.
TOLD_GROUPS, TOLD_PATHS, TOLD_LIVES = 500, 50, 20
#: How much of a line is told, in bytes.
LINE_BYTES = 400
#: Lives are equal when they are the same in tenths of a second.
LIFE_MS = 100
#: Seconds before progress is told for the first time, and between two times.
PROGRESS_SECONDS = 0.5

#: It begins with what every line of a session has, the date in brackets, so that the search for it is a fast one and
#: no syslog
#: prefix matters. Then: frontend, backend/server, timers; status, bytes, two cookies and four letters in HTTP, or bytes
#: and two letters in TCP; connections, queues, and the rest.
SESSION = re.compile(
    rb" \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d)[.\d]*\] (\S+) ([^ /\n]+)/(\S+) "
    rb"([-+]?\d{1,12}(?:/[-+]?\d{1,12}){2,6}) "
    rb"(?:(-?\d+) [-+]?\d+ \S+ \S+ ([-A-Za-z]{4})|[-+]?\d+ ([-A-Za-z]{2})) [+\d]+"
    rb"(?:/[+\d]+){3,4} \d+/\d+(?: ([^\n]*))?$",
    re.MULTILINE,
)
#: A line of a session by the look of it, whether it can be read or not.
DATED = re.compile(rb" \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d[.\d]*(?: [-+]\d{4})?\] ")
#: A connection that never became a session: `fe/1: SSL handshake failure`.
FAILED = re.compile(rb" \[\d\d/[A-Z][a-z]{2}/\d{4}:[.:\d]+\] (\S+?)/(\S+): ([A-Z][^\n]*)$", re.MULTILINE)
REQUEST = re.compile(rb'"([A-Z]+) (\S+?)(?:\?\S*)? (HTTP/[\d.]+)"')


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", help="the file, plain or gzip; `-` is standard input")
    parser.add_argument("--slow", type=float, default=1.0, help="seconds after which the answer of a websocket is slow")


def run(arguments: argparse.Namespace) -> int:
    """Tell what was counted; 0 when all of it was read, 1 when it could not be opened or read to its end."""
    tally = Tally(slow_ms=arguments.slow * 1000)
    try:
        with _opened(arguments.log) as (source, name, size):
            _count(tally, source, size)
    except (OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if not tally.size:
            print(json.dumps({"kind": "error", "log": arguments.log, "detail": reason}))
            return 1
        tally.broken, name = reason, arguments.log
    except KeyboardInterrupt:
        return 130
    for line in tally.told(name):
        print(json.dumps(line, ensure_ascii=True))
    return 1 if tally.broken else 0


@contextmanager
def _opened(path: str) -> Iterator[tuple[IO[bytes], str, int]]:
    """The log as bytes, what it is called, and its size in bytes (0 where nobody knows)."""
    if path == "-":
        yield sys.stdin.buffer, "the journal", 0
        return
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        # A device or a pipe might never end.
        if not stat.S_ISREG(status.st_mode):
            raise OSError(22, "is not a file")
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if zipped:
            with gzip.open(file) as inner:
                yield inner, path, 0  # type: ignore[misc]
        else:
            yield file, path, status.st_size


def _count(tally: Tally, source: IO[bytes], size: int) -> None:
    """Read all of it, piece by piece, each ending with a line."""
    rest, told = b"", time.monotonic()
    while data := source.read(CHUNK_BYTES):
        tally.size += len(data)
        data = rest + data
        end = data.rfind(b"\n") + 1
        if end:
            tally.take(data[:end])
        rest = data[end:]
        if len(rest) > CHUNK_BYTES:
            tally.overlong, rest = tally.overlong + 1, b""
        if size and time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            print(f"\r{100 * tally.size // size} %", end="", file=sys.stderr, flush=True)
    if rest:
        tally.take(rest)


@dataclass(slots=True)
class Group:
    """Sessions that ended in the same way."""

    count: int
    line: int
    text: str


@dataclass(slots=True)
class Tally:
    """All that is counted."""

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
    first: str = ""
    last: str = ""
    opened: int = 0
    early: int = 0
    slow: Group | None = None
    slowest_ms: int = 0
    shortest_ms: int = -1
    longest_ms: int = -1
    groups: dict[tuple[bytes, ...], Group] = field(default_factory=dict)
    lives: Counter[tuple[int, bytes]] = field(default_factory=Counter)
    paths: dict[bytes, Counter[tuple[bytes, bytes, bytes]]] = field(default_factory=dict)

    def take(self, data: bytes) -> None:
        """Count these whole lines."""
        found = 0
        for match in SESSION.finditer(data):
            found += 1
            self._session(match, data)
        for match in FAILED.finditer(data):
            found += 1
            self._group((match[1], match[2], b"", b"", b"", match[3][:80]), match, data)
        dated = len(DATED.findall(data)) if data.count(b" [") > found else found
        if dated > found:
            self.unread += dated - found
            if self.first_unread is None:
                self._first_unread(data)
        self.lines += data.count(b"\n") + (not data.endswith(b"\n"))

    def _first_unread(self, data: bytes) -> None:
        for number, line in enumerate(data.split(b"\n"), start=1):
            if DATED.search(line) and not SESSION.search(line) and not FAILED.search(line):
                self.first_unread = Group(1, self.lines + number, _shown(line))
                return

    def _session(self, match: re.Match[bytes], data: bytes) -> None:
        date, frontend, backend, server, _, status, letters, tcp_letters, rest = match.groups()
        self.first = self.first or date.decode()
        self.last = date.decode()
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
        request = REQUEST.search(rest)
        if request is not None:
            self._path(request[2], (status, server, letters))
        self._group((frontend, backend, server, status, letters, mark), match, data)

    def _websocket(self, match: re.Match[bytes], data: bytes) -> None:
        self.opened += 1
        timers = match[5].split(b"/")
        # What was waited for before the answer came; -1 is what never was.
        waited = sum(max(0, int(part)) for part in timers[:-1])
        if waited >= self.slow_ms:
            self.slowest_ms = max(self.slowest_ms, waited)
            if self.slow is None:
                self.slow = Group(0, self._number(match, data), _line(match, data))
            self.slow.count += 1
        if timers[-1].startswith(b"+"):
            # `option logasap`: written when it was opened, so nobody knows how long it lived.
            self.early += 1
            return
        life = int(timers[-1])
        self.shortest_ms = life if self.shortest_ms < 0 else min(self.shortest_ms, life)
        self.longest_ms = max(self.longest_ms, life)
        key = (life // LIFE_MS, match[7])
        if key in self.lives or len(self.lives) < MOST_LIVES:
            self.lives[key] += 1
        else:
            self.left_out += 1

    def _path(self, path: bytes, ending: tuple[bytes, bytes, bytes]) -> None:
        known = self.paths.get(path)
        if known is None:
            if len(self.paths) >= MOST_PATHS and ending[0] != b"101":
                return
            if len(self.paths) >= 2 * MOST_PATHS:
                self.left_out += 1
                return
            known = self.paths[path] = Counter()
        if ending in known or len(known) < 100:
            known[ending] += 1
        else:
            self.left_out += 1

    def _group(self, key: tuple[bytes, ...], match: re.Match[bytes], data: bytes) -> None:
        known = self.groups.get(key)
        if known is not None:
            known.count += 1
        elif len(self.groups) < MOST_GROUPS:
            self.groups[key] = Group(1, self._number(match, data), _line(match, data))
        else:
            self.left_out += 1

    def _number(self, match: re.Match[bytes], data: bytes) -> int:
        return self.lines + data.count(b"\n", 0, match.start()) + 1

    def told(self, name: str) -> Iterator[dict[str, Any]]:
        """The lines, the largest groups first."""
        unread = {"line": self.first_unread.line, "text": self.first_unread.text} if self.first_unread else None
        yield {
            "kind": "log", "log": name, "bytes": self.size, "lines": self.lines, "http": self.http, "tcp": self.tcp,
            "unread": self.unread, "first_unread": unread, "overlong": self.overlong, "left_out": self.left_out,
            "broken": self.broken, "first": self.first, "last": self.last,
        }  # fmt: skip
        slow = {"count": self.slow.count, "line": self.slow.line, "text": self.slow.text} if self.slow else None
        yield {
            "kind": "websockets", "opened": self.opened, "early": self.early, "shortest_ms": self.shortest_ms,
            "longest_ms": self.longest_ms, "slow": slow, "slowest_ms": self.slowest_ms,
        }  # fmt: skip
        opened = {path: endings for path, endings in self.paths.items() if any(key[0] == b"101" for key in endings)}
        for path, endings in sorted(opened.items(), key=lambda item: -item[1].total())[:TOLD_PATHS]:
            answers = [[*map(_shown, key), count] for key, count in endings.most_common(20)]
            yield {"kind": "path", "path": _shown(path), "answers": answers}
        lives = self.lives.most_common()
        timed_out = [item for item in lives if item[0][1][1:2] == b"D"][:TOLD_LIVES]
        several = [item for item in lives if item[0][1][1:2] != b"D" and item[1] > 1][:TOLD_LIVES]
        for (life, letters), count in (*timed_out, *several):
            yield {"kind": "lifetime", "ms": life * LIFE_MS, "letters": _shown(letters), "count": count}
        for key, group in sorted(self.groups.items(), key=lambda item: -item[1].count)[:TOLD_GROUPS]:
            frontend, backend, server, status, ended, mark = map(_shown, key)
            yield {
                "kind": "group", "count": group.count, "frontend": frontend, "backend": backend, "server": server,
                "status": status, "letters": ended, "mark": mark, "line": group.line, "text": group.text,
            }  # fmt: skip


def _line(match: re.Match[bytes], data: bytes) -> str:
    start = data.rfind(b"\n", 0, match.start()) + 1
    return _shown(data[start : match.end()])


def _shown(data: bytes) -> str:
    return data[:LINE_BYTES].decode("utf-8", "replace")
