"""Escaped text is safe to show and loses nothing."""

from __future__ import annotations

import json
import random
import unicodedata

import pytest

from runbook.escaping import escape, escape_blocks, safe, unescape
from runbook.values import HIDDEN

SHOWN = [
    (b"", ""),
    (b"plain\ttext\n", "plain\ttext\n"),
    ("größe 日本 😀".encode(), "größe 日本 😀"),
    (b"\xff", "\\xff"),
    (b"\0\x07\x1b[31m\x7f", "\\x00\\x07\\x1b[31m\\x7f"),
    (b"a\r\nb\rc", "a\\x0d\nb\\x0dc"),
    (b"\xc2\x9b31m", "\\xc2\\x9b31m"),
    (
        "\u202e\u200b\ufeff\u00a0".encode(),
        "\\xe2\\x80\\xae\\xe2\\x80\\x8b\\xef\\xbb\\xbf\\xc2\\xa0",
    ),
    (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    (b"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"),
    (b"\\xff", "\\x5cxff"),
    (b"\\x5cxff", "\\x5cx5cxff"),
    (b"\\xFF \\xg \\n \\", "\\xFF \\xg \\n \\"),
    (b"\\\xff", "\\\\xff"),
]


@pytest.mark.parametrize(("data", "text"), SHOWN)
def test_what_cannot_be_seen_is_written_as_bytes(data: bytes, text: str) -> None:
    assert escape(data) == text


@pytest.mark.parametrize(("data", "text"), SHOWN)
def test_unescaping_gives_back_the_bytes(data: bytes, text: str) -> None:
    assert unescape(text) == data


def test_any_bytes_come_back() -> None:
    chance = random.Random(3)
    for _ in range(2000):
        data = bytes(chance.choice(b'\\x5cf0\xff\xc3\xa9\xed\xa0\x80\r\n "') for _ in range(chance.randrange(12)))
        assert unescape(escape(data)) == data


#: Every character of the planes that have any to hide, as UTF-8, and every byte.
ALL = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE1000)))).encode() + bytes(
    range(256)
)


def test_every_character_comes_back_and_none_is_left_that_cannot_be_seen() -> None:
    text = escape(ALL)
    assert unescape(text) == ALL
    assert HIDDEN.search(text) is None
    assert {character for character in set(text) if unicodedata.category(character)[0] in "CZ"} == {"\n", "\t", " "}


def test_escaped_text_is_valid_json() -> None:
    text = escape(bytes(range(256)))
    assert json.loads(json.dumps(text, ensure_ascii=False).encode()) == text


def test_blocks_are_the_text_whatever_they_cut() -> None:
    chance = random.Random(3)
    parts = [b"\\", b"x", b"4", b"1", b"\\x41", "é€😀".encode(), b"\x80", b"\xf0", b"\n", b"\0", b"a"]
    for _ in range(2000):
        data = b"".join(chance.choice(parts) for _ in range(chance.randrange(40)))
        assert "".join(escape_blocks(data, chance.randrange(4, 12))) == escape(data)


@pytest.mark.parametrize("byte", [b"\\", b"\x80", b"\xf0", b"x"])
def test_no_block_grows_without_end(byte: bytes) -> None:
    assert len(list(escape_blocks(byte * 1000, 10))) == 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain é", "plain é"), ("\x1b[31m", "\\x1b[31m"), ("\udcff", "\\xff"), ("\ud800", "\\xed\\xa0\\x80")],
)
def test_text_is_made_safe_to_show(text: str, shown: str) -> None:
    assert safe(text) == shown
    assert safe(shown) == shown
