"""A run as Markdown: what it says, and that no output breaks out of its fence or its line."""

from __future__ import annotations

import random
import re

import pytest

from runbook.model import Capture, Ending, Finding, Reference, Verdict
from runbook.renderers import markdown as renderer
from runbook.renderers.markdown import fenced, inline
from tests.renderers.making import LINE_2, a_run, joined, nasty_run, nasty_text

render = joined(renderer.render)

FINDING = Finding(
    "disk-full", Verdict.CRITICAL, "The disk is *full*", "Nothing can be `written`.",
    "Make room:\n    rm big\n    sync\nOr buy one.", (LINE_2,), (Reference("rm(1)", "https://example.org/rm"),),
)  # fmt: skip


def test_a_run_as_markdown() -> None:
    assert render([a_run(FINDING, drawing="sda\n└─ sda1\n")]).split("\n") == [
        "## ✗ List the disks: critical",
        "",
        "this host, db1 · Debian GNU/Linux 12 (bookworm), Linux 6.1.0-13-amd64 · 2026-09-21 14:13 UTC · 0.75 s",
        "",
        "```text",
        "sda",
        "└─ sda1",
        "```",
        "",
        "### ✗ critical: `disk-full`",
        "",
        "The disk is \\*full\\*",
        "",
        "```text",
        "lister:2 │ two",
        "```",
        "",
        "Nothing can be `written`.",
        "",
        "Make room:",
        "",
        "```sh",
        "rm big",
        "sync",
        "```",
        "",
        "Or buy one.",
        "",
        "[rm(1)](<https://example.org/rm>)",
        "",
        "| step | ended | seconds |",
        "| --- | --- | --- |",
        "| `lister` | exited 0 | 0.500 |",
    ]


def test_evidence_that_does_not_exist_leaves_no_empty_fence() -> None:
    run = a_run(FINDING, captures=(Capture("other", ("other",), Ending.NOT_FOUND),))
    assert "```text" not in render([run])
    assert "| `other` | not-found | 0.000 |" in render([run])


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("plain", "plain"),
        ("say `lvs -a` now", "say `lvs -a` now"),
        ("`<b>`", "`<b>`"),
        ("a ` b", "a \\` b"),
        ("```<script>`", "\\`\\`\\`\\<script\\>\\`"),
        ("`a``<b>`", "\\`a\\`\\`\\<b\\>\\`"),
        ("<script>", "\\<script\\>"),
        ("[a](javascript:x)", "\\[a\\](javascript:x)"),
        ("\\`<b>`", "\\\\`<b>`"),
        ("one\ntwo", "one two"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("---", "\\---"),
        ("# no", "\\# no"),
        ("a | b &lt;", "a \\| b \\&lt;"),
        ("\x1b[2J", "\\\\x1b\\[2J"),
        ("    indented", "indented"),
    ],
)
def test_text_stays_text(text: str, markdown: str) -> None:
    assert inline(text) == markdown


def active(line: str) -> str:
    """What CommonMark takes for more than text in a line: all but escapes and code spans (0.31, 6.1)."""
    left, at = "", 0
    while at < len(line):
        ticks = re.compile("`+").match(line, at)
        closing = ticks and re.compile(rf"(?<!`){ticks[0]}(?!`)").search(line, ticks.end())
        if line[at] == "\\":
            at += 2
        elif closing:
            at = closing.end()
        else:
            left += line[at]
            at += 1
    return left


def test_no_text_becomes_markup() -> None:
    chance = random.Random(2026)
    for _ in range(1000):
        line = inline(nasty_text(chance))
        assert not set(active(line)) & set("<>[]*_~#|&`\n"), line
        assert not re.match(r"\s*(?:[-+=>]|\d+[.)]|    )", line), line


def test_no_output_closes_its_fence() -> None:
    chance = random.Random(2026)
    for _ in range(1000):
        opening, *lines, closing = fenced(nasty_text(chance))
        fence = opening.removesuffix("text")
        assert closing == fence
        assert not [line for line in lines if line.strip().startswith(fence)]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://a>b", "https://a b", "https://a\n# b", "data:x", "https://a`b", "x", ""]
)
def test_only_a_plain_web_address_is_a_link(url: str) -> None:
    text = render([a_run(Finding("found", Verdict.OK, "", references=(Reference("title", url),)))])
    assert "](<" not in text
    assert "title" in text


def test_a_hostile_run_keeps_its_shape() -> None:
    chance = random.Random(2026)
    for _ in range(300):
        fence, headings = "", 0
        for line in render([nasty_run(chance)]).split("\n"):
            opening = re.match("(`{3,})(?:text|sh)?$", line)
            if fence:
                fence = "" if line == fence else fence
            elif opening:
                fence = opening[1]
            else:
                headings += line.startswith("## ")
                assert not re.search(r"(?<!\\)<(?!https://example\.org/>)", re.sub("`[^`]+`", "", line)), line
        assert (fence, headings) == ("", 1)
