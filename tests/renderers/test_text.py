"""A run at a terminal: what it says, and what no output can make it say."""

from __future__ import annotations

import random
import re

import pytest

from runbook.model import Capture, Ending, Evidence, Finding, Reference, Verdict
from runbook.renderers import text as renderer
from tests.renderers.making import CAPTURE, LINE_2, a_run, joined, nasty_run

render = joined(renderer.render)

FINDING = Finding(
    "disk-full", Verdict.CRITICAL, "The disk is full", "Nothing can be written.",
    "Make room:\n    rm   /tmp/big   # changes this host\nOr buy another one.",
    (LINE_2,), (Reference("rm(1)", "https://example.org/rm"),),
)  # fmt: skip
OWN_SGR = re.compile(r"\x1b\[(?:0|1|2|32|36|33|31;1)m")
SGR = re.compile(r"\x1b\[[0-9;]*m")


def test_a_finding_stands_with_its_evidence_and_advice() -> None:
    assert render([a_run(FINDING)]).split("\n") == [
        "List the disks",
        "this host, db1 · Debian GNU/Linux 12 (bookworm), Linux 6.1.0-13-amd64 · 2026-09-21 14:13 UTC",
        "",
        "✗ critical  disk-full: The disk is full",
        "    lister:2 │ two",
        "    Nothing can be written.",
        "  → Make room:",
        "      rm   /tmp/big   # changes this host",
        "    Or buy another one.",
        "    rm(1) https://example.org/rm",
        "",
        "1 of 1 steps exited 0",
        "✗ CRITICAL  list-disks in 0.75 s",
    ]


def test_the_verdict_is_said_last_by_sign_and_word() -> None:
    for verdict, last in zip(Verdict, ("✓ OK", "? UNKNOWN", "! WARNING", "✗ CRITICAL"), strict=True):
        assert render([a_run(Finding("found", verdict, ""))]).split("\n")[-1].startswith(f"{last}  list-disks")


def test_a_run_without_findings_is_unknown() -> None:
    assert render([a_run()]).endswith("? UNKNOWN  list-disks in 0.75 s")


def test_several_runs_stand_one_after_the_other() -> None:
    assert render([a_run(), a_run()]).count("List the disks") == 2
    assert render([]) == ""


def test_steps_are_counted_and_the_odd_ones_named() -> None:
    captures = (
        CAPTURE,
        Capture("b", ("b",), Ending.EXITED, 5),
        Capture("c", ("c",), Ending.NOT_FOUND),
        Capture("d", ("d",), Ending.SKIPPED),
    )
    assert "1 of 3 steps exited 0 · b exited 5 · c not-found · 1 skipped" in render([a_run(captures=captures)])


def test_many_lines_of_evidence_are_folded() -> None:
    capture = Capture("lister", ("lister",), Ending.EXITED, 0, b"x\n" * 20)
    run = a_run(Finding("found", Verdict.OK, "", evidence=(Evidence("lister", "stdout", 1, 20),)), captures=(capture,))
    assert "lister │ … 14 more lines" in render([run])


def test_the_drawing_stands_above_the_findings() -> None:
    text = render([a_run(FINDING, drawing="sda\n└─ sda1\n")])
    assert "\n\nsda\n└─ sda1\n\n✗ critical" in text


SAID = b"\x1b[31mred\x1b[8;30;40m hidden\x1b]52;c;eA==\x07\x1b[1;32mon and on"


def test_evidence_keeps_its_colours_and_nothing_else() -> None:
    captures = (Capture("lister", (), Ending.EXITED, 1, SAID, SAID),)
    run = a_run(Finding("found", Verdict.OK, "", evidence=(Evidence("lister", "stdout", 1, 1),)), captures=captures)
    for shown in (run, a_run(captures=captures)):
        said = "\x1b[31mred\x1b[0m hidden\\x1b]52;c;eA==\\x07\x1b[1;32mon and on\x1b[0m\n"
        assert said in render([shown], colour=True)
        assert "red hidden\\x1b]52;c;eA==\\x07on and on\n" in render([shown])


def test_a_colour_ends_with_its_row() -> None:
    captures = (Capture("lister", (), Ending.EXITED, 0, b"\x1b[31m" + b"x" * 300),)
    run = a_run(Finding("found", Verdict.OK, "", evidence=(Evidence("lister", "stdout", 1, 1),)), captures=captures)
    rows = [line for line in render([run], colour=True, width=40).split("\n") if "│" in line]
    ends = [row.partition("│ ")[2] for row in rows]
    assert ends == ["\x1b[0m\x1b[31m" + "x" * 25 + "\x1b[0m", "\x1b[0m\x1b[31m" + "x" * 24 + "\x1b[0m…"]


def test_there_is_no_colour_unless_it_is_asked_for() -> None:
    assert "\x1b" not in render([a_run(FINDING)])
    assert "\x1b" not in render([a_run(FINDING)], colour=False)


def test_colour_says_nothing_that_the_words_do_not() -> None:
    assert OWN_SGR.sub("", render([a_run(FINDING)], colour=True)) == render([a_run(FINDING)])
    assert "\x1b[31;1m✗ critical\x1b[0m" in render([a_run(FINDING)], colour=True)


@pytest.mark.parametrize(("width", "used"), [(20, 40), (60, 60), (96, 96), (120, 120), (400, 120)])
def test_paragraphs_are_as_wide_as_the_terminal_within_reason(width: int, used: int) -> None:
    finding = Finding("found", Verdict.OK, "", "word " * 200, "word " * 200)
    wrapped = [line for line in render([a_run(finding)], width=width).split("\n") if "word" in line]
    assert used - 4 <= max(map(len, wrapped)) <= used


def test_a_command_is_never_broken() -> None:
    command = "lvs " + "-o lv_name " * 30
    finding = Finding("found", Verdict.OK, "", "", f"    {command}")
    assert f"      {command.strip()}\n" in render([a_run(finding)], width=40)


def test_a_hostile_summary_cannot_pass_for_another_line() -> None:
    finding = Finding(
        "found", Verdict.CRITICAL, "bad\n\n✓ OK  list-disks in 0.01 s\r✓ OK", "a\n✓ OK  list-disks", "b\rc"
    )
    lines = render([a_run(finding)]).split("\n")
    assert [line for line in lines if line.lstrip().startswith("✓")] == []
    assert lines[-1].startswith("✗ CRITICAL")


def test_nothing_prints_a_control_character() -> None:
    chance = random.Random(2026)
    for _ in range(1000):
        run = nasty_run(chance)
        plain = render([run])
        coloured = SGR.sub("", render([run], colour=True))
        for text in (plain, coloured):
            assert {character for character in text if not character.isprintable()} <= {"\n"}
        assert "  list-disks" in plain.split("\n")[-1]
        assert coloured == plain


def test_a_long_line_of_output_takes_two_rows() -> None:
    evidence = (Evidence("lister", "stdout", 1, 1),)
    captures = (Capture("lister", (), Ending.EXITED, 0, b"x" * 300),)
    run = a_run(Finding("found", Verdict.OK, "", evidence=evidence), captures=captures)
    rows = [line for line in render([run], width=40).split("\n") if "│" in line]
    assert rows == ["    lister:1 │ " + "x" * 25, "             │ " + "x" * 24 + "…"]


def test_a_summary_is_wrapped_behind_its_code() -> None:
    lines = render([a_run(Finding("found", Verdict.OK, "word " * 20))], width=60).split("\n")
    assert lines[3].startswith("✓ ok  found: word word")
    assert lines[4].startswith("    word")
    assert max(map(len, lines[3:6])) <= 60


def test_what_a_failed_step_said_last_is_shown_where_no_finding_speaks_of_it() -> None:
    captures = (Capture("lister", ("x",), Ending.EXITED, 1, b"", b"one\nno bus\n"),)
    assert "    lister stderr:2 │ no bus" in render([a_run(captures=captures)]).split("\n")
