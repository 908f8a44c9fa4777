"""10 000 hostile outputs in pages, looked at by a real browser: text, and nothing that acts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from runbook.model import Capture, Command, Ending, Evidence, Finding, Host, Plan, Reference, Run, Runbook, Source, Step
from runbook.model import Verdict as V
from runbook.renderers.html import Panel, card, words
from tests.e2e.browser import Watch, served

CARDS, ON_A_PAGE = 10_000, 250
FRAGMENTS = (
    *(
        b"<script>pwned=1</script>",
        b"<img src=x onerror=pwned=1>",
        b"<svg/onload=pwned=1>",
        b"<iframe srcdoc=x>",
        b"<b>",
    ),
    *(
        b"</code></pre></details></section></div>",
        b"</li></ul>",
        b'" onmouseover="pwned=1',
        b"' autofocus onfocus=pwned=1 '",
    ),
    *(
        b"javascript:pwned=1",
        b"data:text/html,<script>pwned=1</script>",
        b"https://evil.example/",
        b'http://h/"onclick=x',
    ),
    *(
        b"\x1b]8;;javascript:pwned=1\x07x\x1b]8;;\x07",
        b"\x1b]8;;http://evil.example\x1b\\y\x1b]8;;\x1b\\",
        b"\x1b]52;c;eA==\x07",
    ),
    *(b"\x1b[31m", b"\x1b[0m", b"\x1b[38;2;1;2;3m", b"\x1b[2J", b"\x1bPq\x1b\\", b"\x9b31m", b"\x00", b"\x07", b"\x08"),
    *(
        "\u202e".encode(),
        "\u2066x\u2069".encode(),
        "\u200b".encode(),
        "\ufeff".encode(),
        "\u2028".encode(),
        b"\xff\xfe",
        b"\xc3",
    ),
    *(
        b"&lt;script&gt;",
        b"&#60;",
        b"&",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"<style>*{display:none}</style>",
        b"<base href=//e>",
    ),
    *(
        b"```\n",
        b"~~~",
        b"[x](javascript:pwned=1)",
        b"![x](https://evil.example/i.png)",
        b"{{ 7*7 }}",
        b"{% raw %}",
        b"`code`",
    ),
    *(
        b"\n",
        b"\r\n",
        b"\r",
        b"\t",
        b"    ",
        b"plain",
        b"<meta http-equiv=refresh content=0>",
        b"<form action=//e><input>",
        b"\\x41",
    ),
)

#: Every element of a card, with the attributes that it may have.
ALLOWED = {
    # The last two are the runbook's name and the values that its note gives, not what a command printed.
    "div": {"class", "id", "role", "aria-labelledby", "tabindex", "data-rb-name", "data-rb-given"},
    "p": {"class", "id"},
    "ul": {"class"},
    "li": {"class", "id"},
    "a": {"href", "class", "id", "rel"},
    "span": {"class", "aria-hidden"},
    "code": set(),
    "pre": {"class", "id", "tabindex"},
    "input": {"type", "class", "name", "id", "checked"},
    "label": {"for"},
    "details": {"class", "id"},
    "summary": set(),
    "section": {"class", "data-search-exclude"},
    "time": {"datetime"},
    "table": {"class"},
    **{name: set() for name in ("thead", "tbody", "tr", "th", "td")},
}

#: What is wrong with a page, by its own account.
FAULTS = """([allowed, classes]) => {
    const faults = [];
    const known = new RegExp(classes);
    const control = /[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]/;
    if (window.pwned !== undefined) faults.push('a payload ran');
    for (const element of document.body.querySelectorAll('*')) {
        const name = element.localName;
        if (!(name in allowed)) { faults.push(`element ${name}`); continue; }
        for (const { name: key, value } of element.attributes) {
            if (!allowed[name].includes(key)) faults.push(`${name} ${key}=${value}`);
            if (key === 'class' && !value.split(' ').every((one) => known.test(one))) faults.push(`class ${value}`);
            if (key === 'data-rb-name' && !/^[a-z0-9-]+$/.test(value)) faults.push(`name ${value}`);
            if (key === 'data-rb-given' && Object.values(JSON.parse(value)).some((one) => typeof one !== 'string'))
                faults.push(`values ${value}`);
            if (key === 'id' && !/^rb-[A-Za-z0-9-]+$/.test(value)) faults.push(`id ${value}`);
            if (key === 'href' && !(value.startsWith('#') ? document.getElementById(value.slice(1))
                : /^https?:/.test(value) && ['http:', 'https:'].includes(element.protocol)))
                faults.push(`href ${value}`);
        }
    }
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ALL);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (node.nodeType === Node.COMMENT_NODE) faults.push('a comment');
        if (node.nodeType === Node.TEXT_NODE && control.test(node.data)) faults.push(`control in ${node.data}`);
    }
    return faults;
}"""


@dataclass(frozen=True)
class Facts:
    """What a helper may have read."""

    name: str
    rows: list[dict[str, Any]]


def hostile(chance: random.Random, pieces: int = 6) -> bytes:
    return b"".join(chance.choice(FRAGMENTS) if chance.random() < 0.95 else chance.randbytes(2) for _ in range(pieces))


def text(chance: random.Random) -> str:
    return hostile(chance, 3).decode("utf-8", "surrogateescape")


def hostile_run(chance: random.Random) -> Run:
    """Everything that a command, a helper or a recording decides is hostile; a definition's names are checked names."""
    argv = ("tool", text(chance).replace("\0", ""))
    step = Step("look", text(chance), argv)
    runbook = Runbook("odd", text(chance), text(chance), "testing", "/", "0" * 64, steps=(step,))
    capture = Capture(
        *("look", argv, chance.choice(list(Ending))),
        stdout=hostile(chance, 12),
        stderr=hostile(chance, 3),
        seconds=1.0,
        detail=text(chance),
    )
    lines = tuple(Evidence("look", chance.choice(["stdout", "stderr"]), number, number + 1) for number in (1, 2))
    found = tuple(
        Finding(
            *(text(chance), chance.choice(list(V)), text(chance), text(chance)),
            f"{text(chance)}\n    {text(chance)}",
            *(lines, (Reference(text(chance), text(chance)), Reference("x", "https://man7.org/" + text(chance)))),
        )
        for _ in range(2)
    )
    facts = Facts(text(chance), [{text(chance): text(chance), "b": [text(chance)]}])
    host = Host(text(chance), text(chance), text(chance), text(chance))
    source = Source(chance.choice(["live", "sample", "lab", "replay"]), text(chance), text(chance))
    plan = Plan(runbook, {}, (Command("look", text(chance), argv, ()),))
    return Run(plan, host, source, 1.7e9, 1.0, (capture,), facts, found, text(chance))


def page_of(cards: list[str]) -> str:
    body = "\n".join(cards)
    # Laying out what nobody looks at would take most of the time.
    head = '<meta charset="utf-8"><title>x</title><link rel="icon" href="data:,"><link rel="stylesheet" href="x.css">'
    return f"<!doctype html>{head}<body>{body}</body>"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cards, many on a page."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "x.css").write_text(".rb { content-visibility: auto; contain-intrinsic-size: 1px 1000px }")
    chance = random.Random(20261126)
    for number in range(CARDS // ON_A_PAGE):
        cards: list[str] = []
        for place in range(ON_A_PAGE):
            run = hostile_run(chance)
            panel = Panel(run, text(chance), text(chance), text(chance))
            runbook = run.plan.runbook
            given = (("name", text(chance)),)
            cards += card(runbook, [panel], place=f"rb-{place}", link="#rb-0", remark=text(chance), given=given)
            cards += ["<p>", *words(runbook, [panel]), "</p>"]
        (folder / f"{number}.html").write_text(page_of(cards))
    return folder


def faults_of(browser: Browser, address: str, home: str) -> list[str]:
    page = browser.new_page()
    watch = Watch(page, home)
    page.goto(address)
    allowed = {name: sorted(attributes) for name, attributes in ALLOWED.items()}
    found = page.evaluate(FAULTS, [allowed, "^rb(-[a-z0-9]+)*$"])
    page.close()
    return [*watch.faults, *found]


def test_no_output_acts(browser: Browser, pages: Path) -> None:
    with served(pages) as home:
        for number in range(CARDS // ON_A_PAGE):
            assert faults_of(browser, f"{home}{number}.html", home) == []


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<script>pwned=1</script>", "element script"),
        ('<p onclick="x">', "p onclick=x"),
        ('<a href="javascript:x">', "href javascript:x"),
        ('<a href="#rb-nowhere">', "href #rb-nowhere"),
        ('<p class="md-x">', "class md-x"),
        ("<p>\u202e</p>", "control in"),
        ("<!-- -->", "a comment"),
        ('<p style="color:red">', "p style=color:red"),
    ],
)
def test_the_check_sees_what_it_looks_for(browser: Browser, tmp_path: Path, html: str, said: str) -> None:
    (tmp_path / "x.css").touch()
    (tmp_path / "x.html").write_text(page_of([html]))
    with served(tmp_path) as home:
        assert any(said in fault for fault in faults_of(browser, f"{home}x.html", home))
