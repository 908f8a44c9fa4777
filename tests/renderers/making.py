"""Runs to render: a plain one, and as many hostile ones as wanted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from runbook.model import (
    Capture,
    Ending,
    Evidence,
    Finding,
    Host,
    Parameter,
    Plan,
    Reference,
    Run,
    Runbook,
    Source,
    Verdict,
)

RUNBOOK = Runbook(
    "list-disks", "List the disks", "Lists disks.", "storage", "/kb/runbooks/list_disks", "0a1b",
    parameters=(Parameter("limit", "integer"), Parameter("password", "string", secret=True)),
)  # fmt: skip
HOST = Host("db1", "6.1.0-13-amd64", "Debian GNU/Linux 12 (bookworm)", "x86_64")
CAPTURE = Capture("lister", ("lister", "-a"), Ending.EXITED, 0, b"one\ntwo\nthree\n", b"oops\n", 1790000000.25, 0.5)
LINE_2 = Evidence("lister", "stdout", 2, 2)


def a_run(*findings: Finding, captures: tuple[Capture, ...] = (CAPTURE,), **fields: Any) -> Run:
    """A live run with these findings."""
    plan = Plan(RUNBOOK, {"limit": 3, "password": "hunter2"}, ())
    run = Run(plan, HOST, Source("live"), 1790000000.0, 0.75, captures, {}, findings)
    return replace(run, **fields)


#: What a command, or whoever named its files, may print to do harm: to terminals, to Markdown, to HTML, to JSON.
NASTY = [
    *("\x1b[31m", "\x1b[0m", "\x1b[2J\x1b[H", "\x1b]52;c;aGk=\x07", "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\"),
    *("\x1bP1$r\x1b\\", "\x1b]0;title\x07", "\x9b31m", "\x9d0;t\x9c", "\r", "\b\b", "\t", "\n", "\0", "\x7f", "\v\f"),
    *("\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\u0085", "\xa0", "\udcff", "\ud800", "\U000e0041", "é", "漢"),
    *("`", "``", "```", "````", "~~~", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!--"),
    *("[text](javascript:alert(1))", "![](x)", "[a]: x", "<https://evil.example>", "**", "__"),
    *("# ", "\n# ", "\n- ", "\n---\n", "\n===\n", "-->", "]]>", "    ", "1. ", "> ", "ok", "word "),
    *("| a | b |", "&lt;", "&#60;", "\\", "\\`", "\\x1b", "\\x5c", '"', "'", "{{7*7}}"),
]  # fmt: skip


def nasty_text(chance: random.Random) -> str:
    return "".join(chance.choice(NASTY) for _ in range(chance.randint(0, 8)))


def nasty_bytes(chance: random.Random) -> bytes:
    text = nasty_text(chance).encode("utf-8", "surrogatepass")
    noise = chance.randbytes(chance.randint(0, 20))
    return text + noise + chance.choice((b"", b"\n", b"\r\n"))


def nasty_finding(chance: random.Random) -> Finding:
    """One that an executed helper may give: of the right types, its text whatever the command printed."""
    line = chance.randint(-3, 9)
    evidence = Evidence(
        chance.choice(("lister", "gone", nasty_text(chance))), "stdout", line, line + chance.randint(-2, 9)
    )
    summary, explanation, advice = (nasty_text(chance) for _ in range(3))
    references = (Reference(nasty_text(chance), chance.choice(("", "https://example.org/", nasty_text(chance)))),)
    return Finding("found", chance.choice(list(Verdict)), summary, explanation, advice, (evidence,), references)


def nasty_run(chance: random.Random) -> Run:
    """A run in which everything that is not checked at a door is hostile."""
    words = ("lister", nasty_text(chance).replace("\ud800", ""))
    capture = replace(CAPTURE, argv=words, stdout=nasty_bytes(chance), stderr=nasty_bytes(chance))
    return a_run(
        *(nasty_finding(chance) for _ in range(chance.randint(0, 3))),
        captures=(capture,),
        host=Host(*(nasty_text(chance) for _ in range(4))),
        source=Source(chance.choice(("live", "lab", "sample", "replay")), nasty_text(chance)),
        facts={nasty_text(chance): [nasty_text(chance), nasty_bytes(chance)]},
        drawing=nasty_text(chance),
    )


def joined(render: Callable[..., Iterable[str]]) -> Callable[..., str]:
    """A renderer's function that gives its text in one piece."""
    return lambda *runs, **options: "".join(render(*runs, **options))
