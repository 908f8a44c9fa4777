"""Replaces what identifies a host or a person by stable tokens of the same shape: the same thing, the same token."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

#: Addresses that identify nobody (RFC 1918, 5737, 3927, 1122): they stay.
_HARMLESS_V4 = re.compile(
    rb"(?:0|10|127|2(?:2[4-9]|[345]\d))\.|192\.168\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.|192\.0\.[02]\.|198\.51\.100\."
    rb"|203\.0\.113\.|255\."
)
_HEX = rb"[0-9a-fA-F]"
_OCTET = rb"(?:25[0-5]|2[0-4]\d|1?\d?\d)"


class Redactor:
    """Redacts many texts with one table, so that a token means the same thing in all of them."""

    def __init__(self, names: Iterable[str] = (), users: Iterable[str] = ()) -> None:
        self._tokens: dict[bytes, bytes] = {}
        self._counts: dict[str, int] = {}
        self._rules = [*_rules(), *_words(names, "host", b"host"), *_words(users, "user", b"user")]

    @property
    def replaced(self) -> list[tuple[str, str]]:
        """What was replaced by what, in the order it was met."""
        return [(old.decode("utf-8", "replace"), new.decode()) for old, new in self._tokens.items()]

    def redact(self, data: bytes) -> bytes:
        """The same text with tokens; redacting it again changes nothing."""
        for rule in self._rules:
            data = self._apply(rule, data)
        return data

    def _apply(self, rule: _Rule, data: bytes) -> bytes:
        kind, pattern, token = rule
        return pattern.sub(lambda match: self._token(kind, match, token), data)

    def _token(self, kind: str, match: re.Match[bytes], token: Callable[[int], bytes]) -> bytes:
        """The whole match with its last group (or all of it) replaced."""
        start, end = match.span(match.re.groups)
        old = match[match.re.groups]
        if old in self._tokens.values() or (kind == "ipv4" and _HARMLESS_V4.match(old)):
            return match[0]
        if old not in self._tokens:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._tokens[old] = token(self._counts[kind])
        return match[0][: start - match.start()] + self._tokens[old] + match[0][end - match.start() :]


_Rule = tuple[str, re.Pattern[bytes], Callable[[int], bytes]]


def _rules() -> Iterator[_Rule]:
    yield "uuid", re.compile(rb"\b%s{8}(?:-%s{4}){3}-%s{12}\b" % ((_HEX,) * 3)), _uuid
    # LVM's own: 32 letters and digits as 6-4-4-4-4-4-6 (lvm2, lib/uuid/uuid.c), and two of them glued in a dm UUID.
    yield (
        "lvm-uuid",
        re.compile(rb"\b\w{6}(?:-\w{4}){5}-\w{6}\b"),
        lambda n: b"%06d-0000-0000-0000-0000-0000-000000" % n,
    )
    yield "dm-uuid", re.compile(rb"\bLVM-(\w{64})\b"), lambda n: b"%064d" % n
    yield "dm-uuid", re.compile(rb"\bCRYPT-LUKS\d-(%s{32})\b" % _HEX), lambda n: b"%032d" % n
    yield "fat-uuid", re.compile(rb"(?i)uuid\"?[=:]\s*\"?([0-9a-f]{4}-[0-9a-f]{4})\b"), lambda n: b"0000-%04d" % n
    yield "mac", re.compile(rb"\b(?!(?:00:){5}00|(?:ff:){5}ff)%s{2}(?::%s{2}){5}\b" % (_HEX, _HEX)), _mac
    yield (
        "ipv4",
        re.compile(rb"(?<![\d.])(?:%s\.){3}%s(?![\d.])" % (_OCTET, _OCTET)),
        lambda n: b"203.0.113.%d" % (n % 256),
    )
    yield (
        "ipv6",
        re.compile(rb"(?<![:\w])[23]%s{3}(?!:db8:)(?::%s{0,4}){2,7}(?![:\w])" % (_HEX, _HEX)),
        lambda n: b"2001:db8::%x" % n,
    )
    yield "fingerprint", re.compile(rb"SHA256:([A-Za-z0-9+/]{43})"), lambda n: b"%043d" % n
    yield "serial", re.compile(rb"(?i)serial(?:_short)?\"?[=:]\s*\"?([\w.-]{4,})"), lambda n: b"SERIAL%04d" % n
    yield "home", re.compile(rb"/home/(?!user\d*\b)([\w.-]+)"), lambda n: b"user%d" % n


def _words(words: Iterable[str], kind: str, stem: bytes) -> Iterator[_Rule]:
    for word in words:
        # A name of one or two letters, or a word that output is full of, would be replaced everywhere.
        if len(word) > 2 and word not in {"root", "localhost", "host", "user", "debian", "linux"}:
            pattern = re.compile(rb"(?<![\w-])" + re.escape(word.encode()) + rb"(?![\w-])")
            yield kind, pattern, lambda n: b"%s%d" % (stem, n)


def _uuid(number: int) -> bytes:
    return b"00000000-0000-4000-8000-%012d" % number


def _mac(number: int) -> bytes:
    return b"02:00:00:00:%02x:%02x" % (number >> 8, number & 255)
