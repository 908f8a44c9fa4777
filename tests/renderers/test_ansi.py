"""Output as text for a page: the shared vectors, and that no output can be anything but text and our own spans."""

from __future__ import annotations

import json
import random
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from runbook.escaping import escape_text
from runbook.renderers.ansi import Pieces, html_lines

VECTORS = json.loads((Path(__file__).parent / "ansi_vectors.json").read_text())
SPAN = re.compile(r'<span class="([a-z0-9 -]+)">|</span>')
CLASSES = {
    *(f"rb-{side}-{number}" for side in ("fg", "bg") for number in range(16)),
    *(f"rb-{name}" for name in ("bold", "dim", "italic", "underline", "strike", "reverse", "ctl")),
}
FRAGMENTS = (
    *(b"<script>alert(1)</script>", b"<img src=x onerror=alert(1)>", b"</code></pre>", b"&lt;", b"&#x3c;", b'"', b"'"),
    *(
        b"\x1b[31m",
        b"\x1b[0m",
        b"\x1b[38;5;208m",
        b"\x1b[48:2::1:2:3m",
        b"\x1b[1;4;7m",
        b"\x1b[",
        b"\x1b[;;;m",
        b"\x1b",
    ),
    *(
        b"\x1b]8;;javascript:alert(1)\x07",
        b"\x1b]52;c;eA==\x1b\\",
        b"\x1bP",
        b"\x9b31m",
        b"\xc2\x9b",
        b"\x1b[2J",
        b"\x00",
    ),
    *(
        "\u202e".encode(),
        "\u2066".encode(),
        "\u200b".encode(),
        "\ufeff".encode(),
        b"\xff",
        b"\xc3",
        b"\xe2\x80",
        b"\xed\xa0\x80",
    ),
    *(b"\n", b"\r\n", b"\r", b"\t", b"\b", b"\\x41", b"plain words ", "ä✓😀".encode()),
)


def hostile(chance: random.Random) -> bytes:
    pieces = [chance.choice(FRAGMENTS) if chance.random() < 0.9 else chance.randbytes(3) for _ in range(25)]
    return b"".join(pieces)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_shared_vectors(vector: dict[str, object]) -> None:
    assert list(html_lines(bytes.fromhex(str(vector["bytes"])))) == vector["lines"]


def test_no_output_is_anything_but_text_in_spans_of_ours() -> None:
    chance = random.Random(1)
    for _ in range(10_000):
        for line in html_lines(hostile(chance)):
            names = [name for match in SPAN.finditer(line) for name in (match[1] or "").split()]
            assert set(names) <= CLASSES
            assert not re.search("[<>]", SPAN.sub("", line))
            assert not re.search(r"&(?!amp;|lt;|gt;)", line)


def test_every_line_closes_its_spans() -> None:
    chance = random.Random(2)
    for _ in range(2_000):
        for line in html_lines(hostile(chance)):
            assert line.count("<span") == line.count("</span>")


def test_nothing_but_colours_is_lost() -> None:
    chance = random.Random(3)
    for _ in range(2_000):
        data = hostile(chance)
        lines = [line.rstrip(b"\r") for line in data.removesuffix(b"\n").split(b"\n")]
        # Every colour that is taken out must be one: what is left of the line has to read as `escape` shows it. Bytes
        # that a colour parted make no character together.
        parts = [re.split(rb"\x1b\[[0-9;:]{0,64}m", line) for line in lines]
        wanted = [escape_text("".join(part.decode("utf-8", "surrogateescape") for part in line)) for line in parts]
        assert [unescape(SPAN.sub("", line)) for line in html_lines(data)] == wanted


def test_there_are_as_many_lines_as_evidence_counts() -> None:
    chance = random.Random(4)
    for _ in range(2_000):
        data = hostile(chance)
        assert len(list(html_lines(data))) == len(data.removesuffix(b"\n").split(b"\n"))


def test_no_control_character_is_left() -> None:
    chance = random.Random(5)
    for _ in range(2_000):
        assert all(line.replace("\t", "").isprintable() for line in html_lines(hostile(chance)))


def test_long_lines_take_linear_time() -> None:
    (line,) = html_lines(b"\x1b[" * 200_000)
    assert line.startswith('<span class="rb-ctl">')


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_piece_by_piece_it_is_the_same_text(vector: dict[str, Any], size: int) -> None:
    data = bytes.fromhex(vector["bytes"])
    pieces = Pieces(terminal=False)
    told = [piece for start in range(0, len(data), size) for piece in pieces.feed(data[start : start + size])]
    told += pieces.feed(b"", final=True)
    lines = [unescape(re.sub("<[^>]*>", "", line)) for line in vector["lines"]]
    assert "".join(text for _, text in told).removesuffix("\n") == "\n".join(lines)
    classes = {name for line in vector["lines"] for name in re.findall('class="([^"]*)"', line)} - {"rb-ctl"}
    assert {names for names, text in told if names and text.strip("\n")} == classes


def test_a_terminals_output_is_told_as_a_log() -> None:
    pieces = Pieces(terminal=True)
    told = [*pieces.feed(b"Password: \x1b[31m"), *pieces.feed(b"no\x1b[0m\r\nab\x08c\rd\x1b[2J", final=True)]
    assert "".join(text for _, text in told) == "Password: no\nabc\nd"
    assert ("rb-fg-1", "no") in told
