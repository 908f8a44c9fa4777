"""What all renderers for people share."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from runbook.escaping import safe
from runbook.model import Capture, Ending, Evidence, Host, Source
from runbook.renderers.plain import (
    SHOWN_CHARACTERS,
    SHOWN_LINES,
    Line,
    Lines,
    duration,
    one_line,
    provenance,
    quote,
    refusal,
)
from runbook.sanitiser import PLAIN
from tests.renderers.making import CAPTURE, HOST, LINE_2, a_run


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text é", "plain text é"),
        ("two\nlines\tand", "two\nlines\tand"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202ertl", "\\xe2\\x80\\xaertl"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\xed\\xa0\\x80"),
        ("\\x1b is text", "\\x1b is text"),
    ],
)
def test_text_is_made_safe_once(text: str, shown: str) -> None:
    assert safe(text) == shown
    assert safe(shown) == shown


def test_one_line_is_one_line() -> None:
    assert one_line(" a\nb\t\tc\rd ") == "a b c\\x0dd"


def test_evidence_is_quoted_by_its_numbers() -> None:
    two, three = quote(a_run(), Evidence("lister", "stdout", 2, 3)).lines
    assert (two, three) == ((2, Line(((PLAIN, "two"),))), (3, Line(((PLAIN, "three"),))))


def test_evidence_on_standard_error_says_so() -> None:
    quoted = quote(a_run(), Evidence("lister", "stderr", 1, 1))
    assert (quoted.place, [line.text for _, line in quoted.lines]) == ("lister stderr", ["oops"])


@pytest.mark.parametrize(
    ("evidence", "numbers"),
    [
        (Evidence("gone", "stdout", 1, 1), []),
        (Evidence("lister", "stdout", 4, 9), []),
        (Evidence("lister", "stdout", 0, 1), [1]),
        (Evidence("lister", "stdout", -9, -1), []),
        (Evidence("lister", "stdout", 3, 2), []),
        (Evidence("lister", "stdout", 2, 10**12), [2, 3]),
    ],
)
def test_evidence_that_does_not_exist_is_left_out(evidence: Evidence, numbers: list[int]) -> None:
    assert [number for number, _ in quote(a_run(), evidence).lines] == numbers


def test_a_command_that_printed_nothing_has_no_lines() -> None:
    run = a_run(captures=(Capture("lister", ("lister",), Ending.EXITED, 0),))
    assert quote(run, Evidence("lister", "stdout", 1, 1)).lines == ()


def test_many_lines_are_folded_and_long_ones_cut() -> None:
    capture = Capture("lister", ("lister",), Ending.EXITED, 0, b"x" * 10_000 + b"\n" + b"y\n" * 20)
    quoted = quote(a_run(captures=(capture,)), Evidence("lister", "stdout", 1, 21))
    assert (len(quoted.lines), quoted.folded) == (SHOWN_LINES, 21 - SHOWN_LINES)
    assert quoted.lines[0][1].text == "x" * SHOWN_CHARACTERS + "…"


def test_only_a_line_feed_ends_a_line() -> None:
    capture = Capture("lister", ("lister",), Ending.EXITED, 0, b"10%\r20%\x0b\x0c\x85\n\xe2\x80\xa8second")
    quoted = quote(a_run(captures=(capture,)), LINE_2)
    assert [(number, line.text) for number, line in quoted.lines] == [(2, "\\xe2\\x80\\xa8second")]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 s"), (0.042, "0.04 s"), (9.99, "9.99 s"), (12.4, "12 s"), (125, "2 min 05 s"), (3600, "60 min 00 s")],
)
def test_a_duration_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("source", "host", "words"),
    [
        (Source("live"), HOST, "this host, db1 · Debian GNU/Linux 12 (bookworm), Linux 6.1.0-13-amd64 · "),
        (Source("lab", "broken"), HOST, "lab broken · Debian GNU/Linux 12 (bookworm), Linux 6.1.0-13-amd64 · "),
        (Source("sample", "laptop"), Host("", "6.1.0", "", ""), "recorded sample laptop · Linux 6.1.0 · "),
        (Source("sample", "laptop"), Host("", "", "", ""), "recorded sample laptop · "),
        (Source("sample", "full", "in lab full"), Host("", "6.1.0", "", ""), "recorded in lab full · Linux 6.1.0 · "),
        (Source("sample", "old", "in lab full and edited"), HOST, "recorded in lab full and edited, sample old · Deb"),
        (Source("replay", "run.json"), HOST, "replay of run.json, recorded on db1 · Debian"),
        (Source("replay", "run.json"), Host("", "", "", ""), "replay of run.json · "),
    ],
)
def test_a_run_says_where_it_comes_from(source: Source, host: Host, words: str) -> None:
    assert provenance(a_run(source=source, host=host)).startswith(words)


def test_only_a_live_run_claims_to_be_this_host() -> None:
    kinds = ("live", "lab", "sample", "replay")
    assert [kind for kind in kinds if "this host" in provenance(a_run(source=Source(kind, "x")))] == ["live"]


def test_a_run_says_when_it_was() -> None:
    assert provenance(a_run()).endswith(" · 2026-09-21 14:13 UTC")


def test_a_sample_knows_only_the_day() -> None:
    assert provenance(a_run(source=Source("sample", "x"))).endswith(" · 2026-09-21")


def test_what_has_no_time_names_none() -> None:
    assert provenance(a_run(started=0.0)).endswith("Linux 6.1.0-13-amd64")


def test_hostile_names_stay_on_the_line() -> None:
    words = provenance(a_run(source=Source("replay", "a\n✓ OK\x1b[2J.json"), host=Host("\nroot#", "", "", "")))
    assert words.startswith("replay of a ✓ OK\\x1b[2J.json, recorded on root#")


def test_a_capture_is_found_by_its_step() -> None:
    other = Capture("other", ("other",), Ending.EXITED, 0, b"first\nsecond\n")
    quoted = quote(a_run(captures=(CAPTURE, other)), Evidence("other", "stdout", 2, 2))
    assert [(number, line.text) for number, line in quoted.lines] == [(2, "second")]


@pytest.mark.parametrize(
    ("stderr", "says"),
    [
        (b"touch: cannot touch 'x': Read-only file system\n", "That is the sandbox and not this host"),
        (b"bash: /dev/tcp/::1/22: Operation not permitted\n", "That may be the sandbox"),
        (b"tool: Address family not supported by protocol\n", "That may be the sandbox"),
        (b"tool: no such device\n", ""),
    ],
)
def test_what_the_sandbox_refused_is_told_from_what_is_wrong_with_the_host(stderr: bytes, says: str) -> None:
    failed = Capture("a", ("a",), Ending.EXITED, 1, stderr=stderr, sandbox="inspect/2: mounts, ids, calls")
    assert refusal(failed).startswith(says)
    assert bool(refusal(failed)) is bool(says)
    # Unconfined, or with success, it is the host's own word.
    assert refusal(replace(failed, sandbox="")) == refusal(replace(failed, exit_code=0)) == ""


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"a", b"a\n", b"a\n\n", b"\n\nb", b"a\nb\nc\n", b"x" * 9000 + b"\ny\n" * 5000]
)
def test_a_line_is_found_wherever_it_is(data: bytes) -> None:
    expected = data.removesuffix(b"\n").split(b"\n") if data else []
    lines = Lines(data)
    assert len(lines) == len(expected)
    numbers = list(range(1, len(expected) + 1))
    random.Random(1).shuffle(numbers)
    assert [lines[number] for number in numbers] == [expected[number - 1] for number in numbers]
