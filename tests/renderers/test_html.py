"""A run as a fragment of a page: the order of things, ids and links, what is left out, and where it comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from runbook.archive import load_samples, of_sample
from runbook.model import Capture, Ending, Evidence, Finding, Reference, Run, Runbook, Source, Verdict
from runbook.pipeline import replay
from runbook.renderers.html import FIRST_LINES, LAST_LINES, LONGEST_LINE, Panel, card, words
from runbook.renderers.markup import LISTED_FACTS, facts
from tests.base import load
from tests.renderers.making import a_run

LVM = Path(__file__).resolve().parents[2] / "runbooks/lvm_inspect"


def drawn(*runs: Run, **more: str) -> str:
    panels = [Panel(run, f"Run {number}") for number, run in enumerate(runs)]
    return "".join(card(runs[0].plan.runbook, panels, place="rb-x", **more))  # type: ignore[arg-type]


def capture(stdout: bytes = b"", **more: object) -> Capture:
    given = {"ending": Ending.EXITED, "exit_code": 0, "seconds": 1.0, **more}
    return Capture("a", ("tool", "--word"), stdout=stdout, **given)  # type: ignore[arg-type]


def finding(code: str = "full", *evidence: Evidence, **more: object) -> Finding:
    return Finding(code, Verdict.CRITICAL, "It is `full`", evidence=evidence, **more)  # type: ignore[arg-type]


def test_the_verdict_and_where_it_is_from_come_before_findings_and_these_before_steps() -> None:
    html = drawn(a_run(captures=(capture(b"x\n"),), findings=(finding(),), drawing="tree", facts={"a": 1}))
    marks = ["rb-verdict", "rb-from", "rb-findings", "rb-drawing", "rb-facts", "rb-steps"]
    assert sorted(marks, key=html.index) == marks


def test_evidence_and_its_line_lead_to_each_other() -> None:
    html = drawn(a_run(captures=(capture(b"x\ny\n"),), findings=(finding("full", Evidence("a", "stdout", 2, 2)),)))
    (line,) = re.findall(r'<a class="rb-line" id="([^"]+)" href="#([^"]+)">y</a>', html)
    assert f'<a href="#{line[0]}"><span>a:2</span>' in html
    assert f'<li class="rb-finding rb-critical" id="{line[1]}">' in html


def test_a_line_that_two_findings_rest_on_names_the_second() -> None:
    evidence = Evidence("a", "stdout", 1, 1)
    html = drawn(a_run(captures=(capture(b"x\n"),), findings=(finding("full", evidence), finding("late", evidence))))
    assert html.count('class="rb-line"') == 1
    assert re.search(r'<a class="rb-back" href="#[^"]+--late">late</a>', html)


def test_a_last_empty_line_can_be_evidence() -> None:
    html = drawn(a_run(captures=(capture(b"x\n\n"),), findings=(finding("full", Evidence("a", "stdout", 2, 2)),)))
    assert re.search(r'<a class="rb-line" id="[^"]+--L2" href="[^"]+">&nbsp;</a>', html)


def test_long_output_is_cut_in_the_middle_but_never_its_evidence() -> None:
    data = b"".join(b"line %d\n" % number for number in range(1, 1001))
    html = drawn(a_run(captures=(capture(data),), findings=(finding("full", Evidence("a", "stdout", 500, 500)),)))
    assert f"line {FIRST_LINES}\n" in html
    assert f"line {1001 - LAST_LINES}\n" in html
    assert ">line 500</a>" in html
    assert "line 600\n" not in html
    assert "lines left out" in html


def test_a_long_line_is_cut_between_characters() -> None:
    html = drawn(a_run(captures=(capture("ä".encode() * LONGEST_LINE),)))
    assert "more bytes" in html
    assert "\\x" not in html


def test_what_was_printed_as_an_error_stands_apart() -> None:
    html = drawn(a_run(captures=(capture(b"out\n", stderr=b"err\n"),)))
    assert re.search(
        r'stdout</p><pre class="rb-output rb-stdout".*out.*stderr</p><pre class="rb-output rb-stderr"', html, re.S
    )


def test_a_step_that_was_not_needed_is_only_named() -> None:
    html = drawn(a_run(captures=(Capture("b", ("other",), Ending.SKIPPED),)))
    assert "Not needed: b." in html
    assert '<details class="rb-step"' not in html


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (capture(), "It printed nothing."),
        (capture(b"x", dropped=7), "7 more bytes were read and not kept."),
        (Capture("a", ("x",), Ending.NOT_FOUND, detail="x is not on PATH"), "x is not on PATH"),
        (capture(seconds=0.0), '<span class="rb-ended">exited 0</span>'),
        (capture(seconds=2.5), '<span class="rb-ended">exited 0 · 2.50 s</span>'),
    ],
)
def test_a_step_says_how_it_went(made: Capture, said: str) -> None:
    assert said in drawn(a_run(captures=(made,)))


@pytest.mark.parametrize(
    "url", ["javascript:x", "data:text/html,x", "//evil", 'https://a"b', "https://a b", "https://a\x00", "https://ä"]
)
def test_only_a_plain_address_becomes_a_link(url: str) -> None:
    html = drawn(a_run(findings=(finding(references=(Reference("Manual", url),)),)))
    assert not re.search(r'<p class="rb-reference"><a', html)
    assert "Manual" in html


def test_an_address_becomes_a_link() -> None:
    html = drawn(a_run(findings=(finding(references=(Reference("Manual", "https://man7.org/a?b=1&c=2"),)),)))
    assert '<a href="https://man7.org/a?b=1&amp;c=2" rel="noopener">Manual</a>' in html


def test_code_in_back_ticks_is_code() -> None:
    assert "It is <code>full</code>" in drawn(a_run(findings=(finding(),)))


def test_advice_has_sentences_and_commands() -> None:
    html = drawn(a_run(findings=(finding(advice="Do this:\n    lvs -a\n    vgs\nThen rest."),)))
    assert '<p class="rb-advice">Do this:</p><pre class="rb-command"' in html
    assert "<code>lvs -a\nvgs</code></pre>" in html
    assert '<p class="rb-advice">Then rest.</p>' in html


def ids(html: str) -> list[str]:
    return re.findall(r' id="([^"]+)"', html)


def test_no_id_is_there_twice() -> None:
    twin = a_run(captures=(capture(b"x\n"),), findings=(finding("a"), finding("full"), finding("full")))
    found = ids(drawn(twin, twin))
    assert len(found) == len(set(found))


def test_every_block_has_an_id_of_its_own_for_the_copy_button() -> None:
    html = drawn(a_run(captures=(capture(b"x\n"),), findings=(finding(advice="a\n    b\nc\n    d"),), drawing="x"))
    assert html.count("<pre") == len(re.findall(r"<pre [^>]*id=", html)) == 6


def test_a_recording_says_that_it_is_one_and_a_live_run_where() -> None:
    recorded = drawn(a_run(source=Source("sample", "full", "in lab full")))
    assert '<span class="rb-kind">Recorded</span> in lab full' in recorded
    assert '<time datetime="2026-09-21">' in recorded
    assert '<span class="rb-kind">Live</span> on the host that built this page, db1' in drawn(a_run())


def test_a_reader_gets_the_command_for_the_same() -> None:
    run = a_run()
    html = "".join(card(run.plan.runbook, [], place="rb-x", given=(("url", "a b"),)))
    assert f"runbook run {run.plan.runbook.name} --set &#x27;url=a b&#x27;" in html
    assert "Nothing has been recorded yet." in html


def test_the_tabs_say_their_verdicts_in_words() -> None:
    html = drawn(a_run(findings=(finding(),)), a_run())
    assert re.findall(r'class="rb-sr"> \((\w+)\)', html) == ["critical", "unknown"]
    assert html.count(" checked>") == 1


def test_a_search_finds_findings_and_facts_but_not_output() -> None:
    run = a_run(captures=(capture(b"raw output\n"),), findings=(finding(),), facts={"device": "sda3_crypt"})
    text = " ".join(words(run.plan.runbook, [Panel(run, "Full")]))
    assert "critical full: It is" in text
    assert "sda3_crypt" in text
    assert "raw output" not in text


@dataclass(frozen=True)
class Disk:
    name: str
    size_bytes: int
    used: float | None
    flags: tuple[str, ...] = ()


def test_facts_of_one_kind_are_a_table() -> None:
    html = "".join(
        facts({"disks": [Disk("sda", 5, None), Disk("<b>", 6, None, ("a", "b"))], "root": True, "empty": ""})
    )
    assert "<th>name</th><th>size bytes</th><th>flags</th>" in html
    assert "<td>&lt;b&gt;</td><td>6</td><td>a; b</td>" in html
    assert "<td>root</td><td>yes</td>" in html
    assert "empty" not in html


def test_many_facts_are_not_all_listed() -> None:
    html = "".join(facts({"disks": [Disk(str(number), 1, None) for number in range(LISTED_FACTS + 5)]}))
    assert "5 more are not listed." in html


@pytest.mark.parametrize("found", [None, "text", {}, {"a": None}, {"a": [], "b": {}}])
def test_where_there_are_no_facts_there_is_no_table(found: object) -> None:
    assert "".join(facts(found)) == ""


def test_facts_that_cannot_be_told_cost_nothing_else() -> None:
    endless: dict[str, object] = {}
    endless["self"] = endless
    assert "".join(facts(endless)) == ""
    assert "rb-steps" in drawn(a_run(facts=endless))


class Balance(HTMLParser):
    """Holds that every element is closed by itself, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "input":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def lvm() -> Runbook:
    return load(str(LVM))


def test_every_sample_makes_a_whole_card(lvm: Runbook) -> None:
    runs = []
    for sample in load_samples(lvm):
        recorded = of_sample(sample)
        runs.append(
            replay(lvm, recorded.captures, recorded.parameters, recorded.host, recorded.source, recorded.started)
        )
    html = drawn(*runs)
    balance = Balance()
    balance.feed(html)
    found = ids(html)
    assert balance.open == []
    assert len(found) == len(set(found))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(found)
    assert "this host" not in "".join(re.findall(r'class="rb-from">(.*?)</p>', html)).lower()
