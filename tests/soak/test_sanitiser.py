"""Hostile output becomes text without control characters, the same however it is cut, and no byte is lost."""

from __future__ import annotations

import random

from runbook.escaping import escape, escape_blocks, unescape
from tests.base import rounds

PARTS = (
    *(
        b"\x1b]8;;javascript:alert(1)\x07",
        b"\x1b]52;c;aGk=\x1b\\",
        b"\x1b]0;title\x07",
        b"\x1bP$q\x1b\\",
        b"\x1b[6n",
        b"\x1b[",
    ),
    *(
        b"\x9b31m",
        b"\x9d0;t\x9c",
        b"\xc2\x9b31m",
        b"\x1b[2J",
        b"\x1b[?1049h",
        b"\x1bc",
        b"\r",
        b"\x08",
        b"\x00",
        b"\x7f",
        b"\n",
    ),
    *(
        b"\t",
        b"\xe2\x80\xae",
        b"\xef\xbb\xbf",
        b"\xf0\x9f\x98\x80",
        b"\xf0\x9f",
        b"\xed\xa0\x80",
        b"\xff",
        b"\\x1b",
        b"\\",
        b"x5c",
    ),
    *(b"plain ", b"\xe2\x80\xa8", b"\xc3", b"\xc3\xa9"),
)


def test_hostile_output_is_neutral_however_it_is_cut() -> None:
    chance = random.Random(5)
    for _ in range(rounds(2_000, 10_000)):
        data = b"".join(chance.choices(PARTS, k=chance.randrange(30))) + chance.randbytes(chance.randrange(8))
        text = escape(data)
        assert text.replace("\n", "").replace("\t", "").isprintable()
        assert unescape(text) == data
        for size in (3, 4, chance.randrange(5, 40)):
            assert "".join(escape_blocks(data, size)) == text
