"""Hostile output is neutral on a terminal, in JSON and on a page, the same however it is cut, and no byte is lost."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import unescape as unescape_html

from runbook.escaping import escape, escape_blocks, escape_text, unescape
from runbook.renderers import json as as_json
from runbook.renderers.ansi import html_lines
from runbook.sanitiser import LINE, SCREEN, Drawn, Painter, Shown
from tests.base import rounds
from tests.renderers.making import CAPTURE, a_run, joined

PARTS = (
    *(b"\x1b]8;;javascript:alert(1)\x07", b"\x1b]52;c;aGk=\x1b\\", b"\x1b]0;title\x07", b"\x1bP$q\x1b\\"),
    *(b"\x1b_x", b"\x1b^", b"\x1bX", b"\x1b[6n", b"\x1b[", b"\x1b", b"\x1b(0"),
    *(b"\x1b[?1049h", b"\x1bc", b"\x1b[2J", b"\x1b[31m", b"\x1b[0m", b"\x1b[38;5;208;1m", b"\x1b[48:2::1:2:3m"),
    *(b"\x1b[8;30;40m", b"\x1b[7m", b"\x1b[31", b"m", b"\x1b[K", b"\x1b[2D", b"\x1b[3A", b";", b"1", b"[", b"]"),
    *(b"\x9b31m", b"\x9d0;t\x9c", b"\x9b", b"\x90", b"\xc2", b"\x9c", b"\xc2\x9b31m", b"\xc2\x9d0;t\xc2\x9c"),
    *(b"\xc2\x85", b"\r", b"\x08", b"\x00", b"\x07", b"\x7f", b"\x0e", b"\x18", b"\n", b"\t", b"\xe2\x80\xae"),
    *(b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\xf0\x9f", b"\xed\xa0\x80", b"\xff", b"\\x1b", b"\\", b"x5c"),
    *(b"plain ", b"\xe2\x80\xa8", b"\xc3", b"\xc3\xa9", b"\xc2\xa0", b"x", b"4"),
)  # fmt: skip

#: A title longer than any that is taken for one; few, for it is cut into single bytes, too.
LONG = b"\x1b]0;" + b"t" * 5000

#: By themselves, without a word from the code that is tried.
SGR = "\x1b\\[[0-9;:]*m"
INPUT_SGR = re.compile(rb"\x1b\[[0-9;:]{0,64}m")
CONTROL = r"\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
SHOWN = re.compile(f"(?:[^{CONTROL}]|[\n\t]|{SGR})*")
TYPED = re.compile(f"(?:[^{CONTROL}]|[\n\t\r\a\b]|{SGR}|\x1b\\[[0-9]*[CDGKPX@])*")
#: Strings, what a terminal answers, 8-bit controls, and bytes that are no text.
NEVER_DRAWN = re.compile("\x1b[P\\]X^_Z]|\x1b\\[[^@-~]*[cntxiy]|[\x00-\x06\x10-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]")

#: What one read after the other makes of the output.
Way = Callable[[list[bytes]], str]


def shown(colours: bool) -> Way:
    def way(chunks: list[bytes]) -> str:
        state, painter = Shown(), Painter(colours)
        pieces = [piece for chunk in chunks for piece in state.feed(chunk)] + list(state.feed(b"", final=True))
        return "".join(painter.paint(look, text) for look, text in pieces) + painter.end()

    return way


def drawn(screen: bool) -> Way:
    def way(chunks: list[bytes]) -> str:
        state = Drawn(SCREEN if screen else LINE)
        return "".join(map(state.feed, chunks)) + state.feed(b"", final=True)

    return way


def hostile() -> Iterator[tuple[bytes, list[list[bytes]]]]:
    """Outputs, each with three ways to cut it."""
    chance = random.Random(5)
    for _ in range(rounds(1_000, 10_000)):
        data = b"".join(chance.choices(PARTS, k=chance.randrange(30))) + chance.randbytes(chance.randrange(8))
        if chance.random() < 0.01:
            data += LONG + data
        middle = chance.randrange(len(data) + 1)
        some = sorted(chance.randrange(len(data) + 1) for _ in range(8))
        single = [data[place : place + 1] for place in range(len(data))]
        pieces = [data[start:end] for start, end in zip([0, *some], [*some, len(data)], strict=True)]
        yield data, [single, pieces, [data[:middle], data[middle:]]]


def without_colours(data: bytes) -> str:
    parts = INPUT_SGR.split(data)
    return escape_text("".join(part.decode("utf-8", "surrogateescape") for part in parts))


def test_quoted_output_is_neutral_and_complete_however_it_is_cut() -> None:
    for data, cuts in hostile():
        for colours in (True, False):
            way = shown(colours)
            text = way([data])
            assert SHOWN.fullmatch(text)
            assert re.sub(SGR, "", text) == without_colours(data)
            assert [way(chunks) for chunks in cuts] == [text] * 3
        assert "\x1b" not in text


def test_an_interactive_step_stays_in_its_line_however_it_is_cut() -> None:
    way = drawn(screen=False)
    for data, cuts in hostile():
        text = way([data])
        assert TYPED.fullmatch(text)
        assert [way(chunks) for chunks in cuts] == [text] * 3


def test_a_shell_in_a_lab_sends_no_string_and_asks_the_terminal_nothing() -> None:
    way = drawn(screen=True)
    for data, cuts in hostile():
        text = way([data])
        assert not NEVER_DRAWN.search(text.removesuffix(SCREEN.restore))
        assert [way(chunks) for chunks in cuts] == [text] * 3


def test_no_colour_goes_on_past_a_line() -> None:
    for data, _ in hostile():
        for line in shown(True)([data]).split("\n"):
            assert ["", *re.findall(SGR, line)][-1] in {"", "\x1b[0m"}


def test_escaped_output_gives_every_byte_back_however_it_is_cut() -> None:
    chance = random.Random(6)
    for data, _ in hostile():
        text = escape(data)
        assert text.replace("\n", "").replace("\t", "").isprintable()
        assert unescape(text) == data
        for size in (3, 4, chance.randrange(5, 40)):
            assert "".join(escape_blocks(data, size)) == text


def test_json_is_valid_and_gives_every_byte_back() -> None:
    render = joined(as_json.render)
    for data, _ in hostile():
        document = render([a_run(captures=(replace(CAPTURE, stdout=data, stderr=data[::-1]),))])
        assert document.replace("\n", "").isprintable()
        (capture,) = json.loads(document)["captures"]
        assert (unescape(capture["stdout"]), unescape(capture["stderr"])) == (data, data[::-1])


def test_a_page_shows_what_a_terminal_shows() -> None:
    for data, _ in hostile():
        lines = [line.rstrip(b"\r") for line in data.removesuffix(b"\n").split(b"\n")] if data else []
        text = [unescape_html(re.sub("<[^>]*>", "", line)) for line in html_lines(data)]
        assert text == [shown(False)([line]) for line in lines]
