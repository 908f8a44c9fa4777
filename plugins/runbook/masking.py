"""Finds secret values in what commands print, also encoded, coloured or wrapped, and puts `***` in their place."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import urllib.parse
from bisect import bisect_right
from collections.abc import Iterable, Iterator

#: What stands for a secret.
MASK = b"***"
#: An encoded form shorter than this, in bytes, is not looked for: it would be found in innocent words.
SHORTEST_FORM = 6
#: A line of a secret of several lines is a secret of its own from this length on, in bytes.
SHORTEST_LINE = 8
#: The most that waits for its other half, in bytes; only endless colour codes or empty lines inside a secret are more.
LONGEST_WAIT = 65536

#: What may stand inside a secret without being of it: control sequences (ECMA-48 5.4, colours among them), line ends.
_BETWEEN = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|[\r\n]+")
_NOTHING = re.compile(rb"(?!)")
#: A control sequence whose end has not come yet.
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*)?\Z")


class Masker:
    """Masks these secrets, however the bytes are cut.

    The forms that are found: plain, base64 (RFC 4648, both alphabets, at any offset), hexadecimal, percent-encoding
    (RFC 3986; `+` for a blank too), JSON strings, XML and HTML text, words quoted for a shell; each also with colour
    codes or line ends inside.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)

    def whole(self, data: bytes) -> bytes:
        """A complete text, without any secret."""
        return self._divided(data, last=True)[0]

    def beginning(self, data: bytes) -> tuple[bytes, bytes]:
        """What can be said by now, without any secret, and what has to wait for what comes after it."""
        return self._divided(data, last=False)

    def _divided(self, data: bytes, *, last: bool) -> tuple[bytes, bytes]:
        if not self._forms:
            return data, b""
        views = (_View(data, _NOTHING), _View(data, _BETWEEN))
        spans = _merged(span for view in views for form in self._forms for span in view.spans(form))
        known = len(data) if last else min(view.half(self._forms) for view in views)
        # One that is complete may still grow together with what comes.
        known = min([known, *(start for start, end in spans if start < known < end)])
        if len(data) - known > LONGEST_WAIT:
            known = len(data)
        return b"".join(_replaced(data[:known], [span for span in spans if span[1] <= known])), data[known:]


class _View:
    """Bytes without what may stand between those of a secret, and where each of them was."""

    def __init__(self, data: bytes, between: re.Pattern[bytes]) -> None:
        tail = _UNFINISHED.search(data)
        self._end = tail.start() if tail else len(data)
        pieces: list[bytes] = []
        self._places: list[int] = []
        self._starts: list[int] = []
        at = length = 0
        for match in [*between.finditer(data, 0, self._end), None]:
            until = match.start() if match else self._end
            if until > at:
                pieces.append(data[at:until])
                self._starts.append(length)
                self._places.append(at)
                length += until - at
            at = match.end() if match else at
        self._data = b"".join(pieces)

    def _place(self, index: int) -> int:
        piece = bisect_right(self._starts, index) - 1
        return self._places[piece] + index - self._starts[piece]

    def spans(self, form: bytes) -> Iterator[tuple[int, int]]:
        """Where this is, also where one begins inside another, as (start, end) in the original bytes."""
        at = self._data.find(form)
        while at >= 0:
            yield self._place(at), self._place(at + len(form) - 1) + 1
            at = self._data.find(form, at + 1)

    def half(self, forms: list[bytes]) -> int:
        """Where in the original bytes the longest beginning of a secret begins that the end of them is."""
        for length in range(min(len(forms[0]) - 1, len(self._data)), 0, -1):
            if any(len(form) > length and self._data.endswith(form[:length]) for form in forms):
                return self._place(len(self._data) - length)
        return self._end


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _replaced(data: bytes, spans: list[tuple[int, int]]) -> Iterator[bytes]:
    at = 0
    for start, end in spans:
        yield data[at:start]
        yield MASK
        # Lines keep their numbers and text its colours.
        yield from (match[0] for match in _BETWEEN.finditer(data, start, end))
        at = end
    yield data[at:]


def _forms(secret: str) -> Iterator[bytes]:
    """Every way this secret is looked for, without line ends and control sequences."""
    plain = secret.encode("utf-8", "surrogateescape")
    lines = [line for line in plain.splitlines() if len(line) >= SHORTEST_LINE]
    for words in {plain, *(lines if len(plain.splitlines()) > 1 else [])}:
        yield words
        for form in _encoded(words):
            if len(form) >= SHORTEST_FORM:
                yield form
    yield from filter(None, [_BETWEEN.sub(b"", plain)])


def _encoded(data: bytes) -> Iterator[bytes]:
    for offset in range(3):
        # Of the first and last signs some bits belong to the neighbours: only those between are always the same.
        signs = base64.b64encode(bytes(offset) + data)
        whole = signs[(0, 2, 3)[offset] : (offset + len(data)) * 8 // 6]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))
    yield data.hex().encode()
    yield data.hex().upper().encode()
    for quote in (urllib.parse.quote, urllib.parse.quote_plus):
        for safe in ("", "/"):
            percent = quote(data, safe=safe)
            yield percent.encode()
            yield re.sub("%..", lambda match: match[0].lower(), percent).encode()
    text = data.decode("utf-8", "replace")
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
    for with_quotes in (True, False):
        yield html.escape(text, quote=with_quotes).encode()
    yield shlex.quote(text).strip("'").encode()
