"""What passes to a person's terminal: the shared vectors, what may never hide, and how little is kept in memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from runbook.sanitiser import LINE, LOG, LONGEST_STRING, PLAIN, SCREEN, Drawn, Look, Painter, Shown, Surface

VECTORS = json.loads((Path(__file__).parent / "renderers/ansi_vectors.json").read_text())
EACH = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])


def shown(data: bytes, colours: bool = True) -> str:
    painter = Painter(colours)
    return "".join(painter.paint(look, text) for look, text in Shown().feed(data, final=True)) + painter.end()


def drawn(data: bytes, surface: Surface = LINE, colours: bool = True) -> str:
    return Drawn(surface, colours).feed(data, final=True).removesuffix(surface.restore)


@EACH
def test_the_shared_vectors_quoted(vector: dict[str, str]) -> None:
    assert shown(bytes.fromhex(vector["bytes"])) == vector["shown"]


@EACH
def test_the_shared_vectors_of_a_step_in_which_a_person_types(vector: dict[str, str]) -> None:
    assert drawn(bytes.fromhex(vector["bytes"])) == vector["typed"]


def test_colours_are_left_out_where_nobody_wants_them() -> None:
    assert shown(b"\x1b[31mred\x1b[0m \x1b[4mx", colours=False) == "red x"
    assert drawn(b"\x1b[31mred\x1b[0m \x1b[4mx", colours=False) == "red x"


@pytest.mark.parametrize("foreground", [None, *range(16)])
@pytest.mark.parametrize("background", [None, *range(16)])
@pytest.mark.parametrize("reverse", [False, True])
def test_no_two_colours_hide_text(foreground: int | None, background: int | None, reverse: bool) -> None:
    sgr = Look(foreground, background, frozenset({"reverse"} if reverse else ())).sgr
    numbers = [int(word) for word in sgr.split(";") if word]
    # One hue at most, on the terminal's own ground or the other way round: nothing it could be alike to.
    assert len([number for number in numbers if number != 7]) <= 1
    assert set(numbers) <= {7, *range(31, 37), *range(91, 97)}


@pytest.mark.parametrize(
    "hidden", ["8", "5", "6", "30;40", "38;5;0", "38;2;0;0;0", "97;107", "37", "90;100", "38;5;16;48;5;16"]
)
def test_what_hides_text_changes_nothing(hidden: str) -> None:
    assert shown(f"\x1b[{hidden}mtext".encode()) == "text"
    assert drawn(f"\x1b[{hidden}mpassword: ".encode()) == "password: "


def test_a_look_is_put_back_when_the_output_ends() -> None:
    state = Drawn(LINE)
    assert state.feed(b"\x1b[1;31mred") == "\x1b[1;31mred"
    assert state.feed(b"", final=True) == "\x1b[0m"


def test_a_prompt_is_not_held_back() -> None:
    state = Drawn(LINE)
    assert state.feed(b"\x1b[?2004h\x1b[32mpassword:\x1b[0m ") == "\x1b[32mpassword:\x1b[0m "
    assert state.feed("Straße: ".encode()[:5]) == "Stra"
    assert state.feed("Straße: ".encode()[5:]) == "ße: "


@pytest.mark.parametrize("surface", [LINE, SCREEN], ids=["line", "screen"])
def test_reads_that_cut_a_sequence_let_nothing_pass(surface: Surface) -> None:
    state = Drawn(surface)
    reads = (b"a\x1b", b"]52;c;", b"eA=", b"=\x1b", b"\\b\x1b[", b"6", b"nc\xc2", b"\x9d0;t\xc2", b"\x9cd\x9b", b"5i")
    assert "".join(map(state.feed, reads)) == "abcd"


def test_a_string_without_an_end_swallows_little() -> None:
    assert drawn(b"\x1b]0;" + b"t" * 10_000 + b" password: ").endswith(" password: ")
    assert len(drawn(b"\x1b]" + b"t" * 10_000)) == 10_000 - LONGEST_STRING
    assert drawn(b"\x1b]0;title\npassword: ") == "\npassword: "


@pytest.mark.parametrize("start", [b"\x1b]52;c;", b"\x1bP", b"\x1b[31", b"\\", b"\xf0\x9f"])
@pytest.mark.parametrize("filling", [b"0", b"A", b"\\", b"\xf0", b"\x1b]" + b"x" * 62, b"\x1b[" + b"1" * 62])
def test_memory_is_bounded_whatever_comes(start: bytes, filling: bytes) -> None:
    states = (Shown().feed, Drawn(LINE).feed, Drawn(SCREEN).feed)
    chunk = filling * (16384 // len(filling))
    tracemalloc.start()
    try:
        for feed in states:
            for data in (start, *[chunk] * 4):
                for _ in feed(data):
                    pass
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 40_000


@pytest.mark.parametrize(
    ("passes", "name"),
    [
        (b"\x1b[2J\x1b[1;1H\x1b[?1049h\x1b[?25l\x1b[1;24r\x1b[4L\x1b[m", "an editor"),
        (b"\x1b[38;5;208mx\x1b[48;2;1;2;3my\x1b[0;8mz", "colours of its own"),
        (b"\x1b(0lqk\x1b(B\x0e\x0f\x1b7\x1b8\x1bM\x1b=\x1b>", "lines drawn with the other character set"),
        ("a\u200db \ue0b0 \u202e".encode(), "characters nobody can see, which have their place on the screen"),
    ],
)
def test_what_programs_draw_with_passes_in_a_lab(passes: bytes, name: str) -> None:
    assert Drawn(SCREEN).feed(passes) == passes.decode(), name


@pytest.mark.parametrize(
    "dropped",
    [
        *(b"\x1b]52;c;eA==\x07", b"\x1b]0;t\x1b\\", b"\x1b]8;;http://h\x1b\\", b"\x1bPq#0\x1b\\", b"\x1b_G\x1b\\"),
        *(b"\x1b^x\x1b\\", b"\x1b[6n", b"\x1b[c", b"\x1b[>c", b"\x1b[=c", b"\x1b[21t", b"\x1b[?6n", b"\x1b[?1$p"),
        *(b"\x1b[>q", b"\x1b[x", b"\x1bZ", b"\x05", b"\x1b[5i", b"\x1b[?u", b"\x1b%@", b"\x9b2J", b"\xc2\x9b2J"),
        *(b"\x9d0;t\x9c", b"\x00", b"\x7f", b"\x1bn"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("surface", [LINE, SCREEN], ids=["line", "screen"])
def test_what_is_never_needed_is_dropped_everywhere(surface: Surface, dropped: bytes) -> None:
    assert drawn(b"a" + dropped + b"b", surface) == "ab"


def test_a_lab_leaves_the_terminal_as_it_was() -> None:
    end = Drawn(SCREEN).feed(b"\x1b[31;8m\x1b(0\x0e\x1b[?25l", final=True)
    assert end.endswith("\x1b[0m\x1b(B\x0f\x1b[?25h")


@pytest.mark.parametrize(
    ("said", "put_back"),
    [
        (b"\x1b[?1003;1006h", "\x1b[?1003l\x1b[?1006l"),
        (b"\x1b[?1003h\x1b[?1003l", ""),
        (b"\x1b[?7l\x1b[?25l", "\x1b[?7h\x1b[?25h"),
        (b"\x1b[?7h", ""),
        (b"\x1b[?1049h\x1b[?2004h\x1b[?1004h", "\x1b[?1049l\x1b[?2004l\x1b[?1004l"),
        (b"\x1b[4h", "\x1b[4l"),
        (b"\x1b[4;7r", "\x1b[s\x1b[r\x1b[u"),
        (b"\x1b=", "\x1b>"),
        (b"\x1b=\x1b>", ""),
    ],
)
def test_a_mode_that_a_lab_left_on_is_put_back(said: bytes, put_back: str) -> None:
    assert drawn(said, SCREEN) == said.decode() + put_back


def test_a_repetition_has_a_bound() -> None:
    assert drawn(b"x\x1b[9999b", SCREEN) == "x\x1b[9999b"
    assert drawn(b"x\x1b[99999b", SCREEN) == "x"


def test_in_a_log_nothing_is_written_over() -> None:
    assert drawn(b"the disk is failing\r\x1b[Kall is well\x08\r\n", LOG) == "the disk is failing\nall is well\n"


def test_looks_of_the_same_kind_are_equal() -> None:
    assert PLAIN.after("\x1b[1;31m").after("\x1b[0m") == PLAIN
    assert PLAIN.after("\x1b[1;31m") == PLAIN.after("\x1b[31m").after("\x1b[1m")
