"""Whatever a helper or a command does, there is a conclusion, and it is never better than what is known."""

from __future__ import annotations

import time
from typing import Any

import pytest

from runbook.helpers import conclusions
from runbook.helpers.conclusions import MOST_FINDINGS
from runbook.model import Capture, Ending, Evidence, Finding, Host, Run, Source, Verdict
from runbook.pipeline import replay
from runbook.renderers.renderer import FORMATS, renderer
from tests.base import Base, load

HOST = Host("db1", "6.1.0", "Debian GNU/Linux 12", "x86_64")
RAN = Capture("a", ("true",), Ending.EXITED, 0, b"one\ntwo\n")
HEAD = """\
from runbook.model import Evidence, Finding, Verdict
from runbook.helpers import Unreadable
OK, UNKNOWN, WARNING, CRITICAL = Verdict
def parse(captures): return dict(captures)
"""


def judged(base: Base, judge: str, *captures: Capture, head: str = HEAD, **keys: Any) -> Run:
    """The run of a runbook whose helper ends with this source, over these captures."""
    helper = head + judge if judge else ""
    steps = [{"argv": ["true"]}, {"argv": ["lvs"]}]
    folder = base.runbook("tested", steps, helper, packages={"lvs": {"debian": "lvm2", "arch": "lvm"}}, **keys)
    run = replay(load(str(folder)), captures or (RAN,), {}, HOST, Source("replay", "run.json"))
    for name in FORMATS:
        assert "".join(renderer(name).render([run], colour=True))
    return run


def codes(run: Run) -> list[tuple[str, str]]:
    return [(finding.code, str(finding.verdict)) for finding in run.findings]


def test_what_the_helper_finds_is_what_is_found_worst_first(base: Base) -> None:
    run = judged(
        base, "def judge(facts): return [Finding('a', OK, ''), Finding('b', CRITICAL, ''), Finding('c', OK, '')]"
    )
    assert codes(run) == [("b", "critical"), ("a", "ok"), ("c", "ok")]
    assert run.verdict is Verdict.CRITICAL


def test_the_drawing_and_the_facts_are_kept(base: Base) -> None:
    run = judged(base, "def judge(facts): return [Finding('a', OK, '')]\ndef draw(facts): return 'sda'")
    assert (run.drawing, run.facts) == ("sda", {"a": RAN, "b": run.captures[1]})


@pytest.mark.parametrize("judge", ["return []", "return ()", "yield from ()", "return {}"])
def test_a_helper_that_says_nothing_could_not_tell(base: Base, judge: str) -> None:
    run = judged(base, f"def judge(facts): {judge}")
    assert codes(run) == [("no-verdict", "unknown")]


BROKEN = [
    ("def judge(facts): return 1 / 0", "helper.py:5): ZeroDivisionError"),
    ("def judge(facts): return judge(facts)", "RecursionError"),
    ("def judge(facts): return None", "NoneType"),
    ("def judge(facts): return 'abc'", "`judge` gave str, not a Finding"),
    ("def judge(facts): return [None]", "`judge` gave NoneType, not a Finding"),
    ("def judge(facts): return [('a', OK, 'x')]", "`judge` gave tuple, not a Finding"),
    ("def judge(facts): return [Finding]", "`judge` gave type, not a Finding"),
    ("def judge(facts): return [Finding('a', 'critical', '')]", "wrong `verdict` (str)"),
    ("def judge(facts): return [Finding('a', 3, '')]", "wrong `verdict` (int)"),
    ("def judge(facts): return [Finding('a', None, '')]", "wrong `verdict` (NoneType)"),
    ("def judge(facts): return [Finding('Not A Code', OK, '')]", "wrong `code` (str)"),
    ("def judge(facts): return [Finding(None, OK, '')]", "wrong `code` (NoneType)"),
    ("def judge(facts): return [Finding('a', OK, None)]", "wrong `summary` (NoneType)"),
    ("def judge(facts): return [Finding('a', OK, b'x')]", "wrong `summary` (bytes)"),
    ("def judge(facts): return [Finding('a', OK, '', 5)]", "wrong `explanation` (int)"),
    ("def judge(facts): return [Finding('a', OK, '', '', ['lvs'])]", "wrong `advice` (list)"),
    ("def judge(facts): return [Finding('a', OK, '', evidence=Evidence('a', 'stdout', 1, 1))]", "wrong `evidence`"),
    ("def judge(facts): return [Finding('a', OK, '', evidence=('a',))]", "wrong `evidence`"),
    (
        "def judge(facts): return [Finding('a', OK, '', evidence=(Evidence('a', 'stdout', '1', 2),))]",
        "wrong `evidence`",
    ),
    ("def judge(facts): return [Finding('a', OK, '', evidence=(Evidence(None, 'stdout', 1, 2),))]", "wrong `evidence`"),
    ("def judge(facts): return [Finding('a', OK, '', evidence=(Evidence('a', 'stdin', 1, 2),))]", "wrong `evidence`"),
    ("def judge(facts): return [Finding('a', OK, '', references=('x',))]", "wrong `references`"),
    ("import sys\ndef judge(facts): sys.exit(0)", "helper.py:6): SystemExit: 0"),
    ("def judge(facts): raise GeneratorExit", "GeneratorExit"),
    ("def judge(facts): raise Exception('\\ud800\\x1b[2J')", "Exception: "),
    ("def judge(facts): raise Unreadable('odd', 'a', 2)", "(step a, stdout line 2): odd"),
    ("def judge(facts): raise Unreadable('odd', None, 'x')", "helper.py:5): odd"),
    ("def judge(facts): raise Unreadable('odd', 'gone', 99)", "(step gone, stdout line 99): odd"),
    ("def judge(facts): return []\ndef draw(facts): return None", "`draw` gave NoneType, not text"),
    ("def judge(facts): return []\ndef draw(facts): return [1]", "`draw` gave list, not text"),
    ("def judge(facts): return []\ndef parse(captures): return captures['gone']", "KeyError: 'gone'"),
    ("def judge(facts): return []\ndef parse(): return 1", "TypeError"),
]


@pytest.mark.parametrize(("judge", "said"), BROKEN, ids=[judge[18:70] for judge, _ in BROKEN])
def test_a_helper_that_breaks_gives_an_unreadable_finding(base: Base, judge: str, said: str) -> None:
    (finding,) = judged(base, judge).findings
    assert (finding.code, finding.verdict) == ("unreadable", Verdict.UNKNOWN)
    assert said in finding.summary
    assert "    runbook record tested --as unreadable" in finding.advice


def test_an_unreadable_line_is_the_evidence(base: Base) -> None:
    (finding,) = judged(base, "def judge(facts): raise Unreadable('odd', 'a', 2, 'stderr')").findings
    assert finding.evidence == (Evidence("a", "stderr", 2, 2),)


def test_a_break_in_another_file_of_the_helper_is_found_there(base: Base) -> None:
    folder = base.runbook("tested", [{"argv": ["true"]}], HEAD + "from .checks import judge")
    (folder / "checks.py").write_text("def judge(facts):\n    return {}['x']\n")
    (finding,) = replay(load(str(folder)), (RAN,), {}, HOST, Source("live")).findings
    assert f"{folder}/checks.py:2" in finding.summary


HALF_WAY = [
    "yield Finding('bad', CRITICAL, '')\n    raise ValueError('half-way')",
    "yield Finding('bad', CRITICAL, '')\n    yield None",
    "yield Finding('bad', CRITICAL, '')\n    while True: pass",
    "yield Finding('bad', CRITICAL, '')\n    yield Finding('b', 'wrong', '')",
    "yield Finding('bad', CRITICAL, '')\ndef draw(facts): raise ValueError('no picture')",
    "yield Finding('bad', CRITICAL, '')\ndef draw(facts):\n    while True: pass",
]


@pytest.mark.parametrize("judge", HALF_WAY)
def test_a_known_problem_is_not_hidden_by_what_breaks_after_it(
    base: Base, judge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conclusions, "HELPER_SECONDS", 0.2)
    run = judged(base, f"def judge(facts):\n    {judge}")
    assert codes(run) == [("bad", "critical"), ("unreadable", "unknown")]


def test_ok_does_not_hide_what_breaks_after_it(base: Base) -> None:
    run = judged(base, "def judge(facts):\n    yield Finding('well', OK, '')\n    raise ValueError('half-way')")
    assert run.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "helper",
    [
        "def judge(facts):\n    while True: pass",
        "def judge(facts):\n    while True:\n        try: [].x\n        except Exception: pass",
        "def judge(facts): return []\ndef parse(captures):\n    while True: pass",
        "import re\ndef judge(facts): return re.match('(a+)+$', 'a' * 60 + 'b')",
    ],
)
def test_a_helper_that_loops_for_ever_is_given_up(base: Base, helper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conclusions, "HELPER_SECONDS", 0.2)
    started = time.monotonic()
    (finding,) = judged(base, helper).findings
    assert "did not come to an end in 0.2 s" in finding.summary
    assert time.monotonic() - started < 5


def test_a_helper_that_finds_for_ever_is_given_up(base: Base) -> None:
    run = judged(base, "def judge(facts):\n    while True: yield Finding('again', WARNING, '')")
    assert len(run.findings) == MOST_FINDINGS + 1
    assert f"more than {MOST_FINDINGS} findings" in run.findings[-1].summary


@pytest.mark.parametrize("lines", [(0, 0), (-5, 2), (99, 120), (2, 1), (1, 10**9)])
def test_evidence_that_points_nowhere_breaks_no_renderer(base: Base, lines: tuple[int, int]) -> None:
    first, last = lines
    run = judged(
        base, f"def judge(facts): return [Finding('a', OK, '', evidence=(Evidence('a', 'stdout', {first}, {last}),))]"
    )
    assert codes(run) == [("a", "ok")]


def test_a_helper_is_not_told_a_secret(base: Base) -> None:
    secret = {"name": "password", "type": "string", "secret": True, "required": True}
    head = HEAD + "def parse(captures): return dict(captures.parameters)\n"
    limit = {"name": "limit", "type": "integer", "default": 3}
    step = {"argv": ["true"], "terminal": True, "answers": {"Password:": "{password}"}}
    folder = base.runbook("tested", [step], head + "def judge(facts): return []", parameters=[secret, limit])
    run = replay(load(str(folder)), (RAN,), {"password": "hunter2"}, HOST, Source("live"))
    assert run.facts == {"limit": 3}


ENDINGS = {
    Ending.NOT_FOUND: "not-found",
    Ending.NOT_PERMITTED: "not-permitted",
    Ending.TIMED_OUT: "timed-out",
    Ending.SIGNALLED: "signalled",
    Ending.INTERRUPTED: "interrupted",
    Ending.DECLINED: "declined",
}
ALL_WELL = "def judge(facts): return [Finding('well', OK, '')]"


@pytest.mark.parametrize(("ending", "code"), ENDINGS.items())
@pytest.mark.parametrize("detail", ["", "said in words"])
def test_a_step_that_did_not_run_to_its_end_is_unknown_beside_ok(
    base: Base, ending: Ending, code: str, detail: str
) -> None:
    run = judged(base, ALL_WELL, RAN, Capture("b", ("lvs",), ending, detail=detail))
    assert codes(run) == [(code, "unknown"), ("well", "ok")]
    assert "Step b" in run.findings[0].summary


@pytest.mark.parametrize(("ending", "code"), ENDINGS.items())
def test_a_step_that_did_not_run_to_its_end_does_not_hide_a_problem(base: Base, ending: Ending, code: str) -> None:
    run = judged(base, "def judge(facts): return [Finding('bad', WARNING, '')]", RAN, Capture("b", ("lvs",), ending))
    assert codes(run) == [("bad", "warning"), (code, "unknown")]


def test_output_that_was_cut_is_unknown(base: Base) -> None:
    run = judged(base, ALL_WELL, Capture("a", ("true",), Ending.EXITED, 0, dropped=7))
    assert codes(run) == [("truncated", "unknown"), ("well", "ok")]


def test_every_other_ending_has_a_sentence_of_its_own(base: Base) -> None:
    captures = [Capture("b", ("lvs",), ending) for ending in ENDINGS]
    assert len({judged(base, ALL_WELL, RAN, capture).findings[0].summary for capture in captures}) == len(ENDINGS)


def test_a_skipped_step_says_nothing(base: Base) -> None:
    assert codes(judged(base, ALL_WELL, RAN, Capture("b", ("lvs",), Ending.SKIPPED))) == [("well", "ok")]


@pytest.mark.parametrize(
    ("argv", "detail"), [(("lvs",), ""), (("lvs", "-a"), "lvs is not on /sbin:/bin"), (("env",), "lvs is not on /bin")]
)
def test_an_absent_tool_names_its_package(base: Base, argv: tuple[str, ...], detail: str) -> None:
    (finding, _) = judged(base, ALL_WELL, RAN, Capture("b", argv, Ending.NOT_FOUND, detail=detail)).findings
    assert finding.advice == (
        "On Debian:\n    apt install lvm2   # changes this host\nOn Arch:\n    pacman -S lvm   # changes this host"
    )


@pytest.mark.parametrize(("argv", "name"), [(("odd",), "odd"), ((), "b")])
def test_an_absent_tool_without_a_known_package_is_named(base: Base, argv: tuple[str, ...], name: str) -> None:
    (finding, _) = judged(base, ALL_WELL, RAN, Capture("b", argv, Ending.NOT_FOUND)).findings
    assert finding.advice == f"Install the package that brings {name}."
    assert finding.summary == f"Step b: {name} was not found"


def test_a_lacking_right_comes_with_the_exact_line(base: Base) -> None:
    detail = "needs root; this one command: sudo lvs -o 'a b'"
    (finding, _) = judged(
        base, ALL_WELL, RAN, Capture("b", ("lvs", "-o", "a b"), Ending.NOT_PERMITTED, detail=detail)
    ).findings
    assert finding.summary == "Step b was not permitted: needs root"
    assert "    sudo runbook run tested\nOr a command alone:\n    sudo lvs -o 'a b'" in finding.advice


def test_without_a_helper_only_the_exit_codes_are_judged(base: Base) -> None:
    assert codes(judged(base, "")) == [("commands-succeeded", "ok")]
    failed = Capture("b", ("lvs",), Ending.EXITED, 5)
    assert codes(judged(base, "", RAN, failed)) == [("command-failed", "critical")]


@pytest.mark.parametrize("ending", ENDINGS)
def test_without_a_helper_a_step_that_did_not_run_is_not_success(base: Base, ending: Ending) -> None:
    assert judged(base, "", RAN, Capture("b", ("lvs",), ending)).verdict is Verdict.UNKNOWN


def test_without_a_helper_and_without_a_command_that_ran_nothing_is_known(base: Base) -> None:
    assert codes(judged(base, "", Capture("a", ("true",), Ending.SKIPPED))) == [("no-verdict", "unknown")]


@pytest.mark.parametrize(
    ("stdout", "stderr", "evidence"),
    [
        (b"", b"", ()),
        (b"a\nb\n", b" \n", (Evidence("b", "stdout", 2, 2),)),
        (b"a\n", b"why\n\n\n", (Evidence("b", "stderr", 1, 1),)),
        (b"", b"10%\r20%\rno room", (Evidence("b", "stderr", 1, 1),)),
    ],
)
def test_a_failed_command_shows_its_last_words(
    base: Base, stdout: bytes, stderr: bytes, evidence: tuple[Evidence, ...]
) -> None:
    finding: Finding
    (finding,) = judged(base, "", RAN, Capture("b", ("lvs",), Ending.EXITED, 1, stdout, stderr)).findings
    assert finding.evidence == evidence


def test_steps_that_lack_the_same_right_are_told_together_and_their_stand_ins_not(base: Base) -> None:
    steps: list[dict[str, Any]] = [{"argv": ["lvs"]}, {"argv": ["pvs"]}, {"argv": ["lvs", "-a"], "when": {"step": "a"}}]
    folder = base.runbook("tested", steps)
    refused = [Capture(step, argv, Ending.NOT_PERMITTED, detail="needs root") for step, argv in LACKING]
    (finding,) = replay(load(str(folder)), refused, {}, HOST, Source("live")).findings
    assert finding.summary == "Steps a and b were not permitted: needs root"
    assert finding.advice.endswith("    sudo lvs\n    sudo pvs")


LACKING = [("a", ("lvs",)), ("b", ("pvs",)), ("c", ("lvs", "-a"))]


def test_tools_of_one_package_are_told_together(base: Base) -> None:
    folder = base.runbook("tested", [{"argv": ["lvs"]}, {"argv": ["pvs"]}], packages={"lvs": "lvm2", "pvs": "lvm2"})
    absent = [Capture(step, (tool,), Ending.NOT_FOUND, detail=f"{tool} is not on /bin") for step, tool in ABSENT]
    (finding,) = replay(load(str(folder)), absent, {}, HOST, Source("live")).findings
    assert finding.summary == "Steps a and b: lvs, pvs were not found"
    assert "apt install lvm2" in finding.advice


ABSENT = [("a", "lvs"), ("b", "pvs")]


def test_steps_that_the_time_of_the_run_did_not_reach_are_told_together(base: Base) -> None:
    folder = base.runbook("tested", [{"argv": ["lvs"]}, {"argv": ["pvs"]}])
    detail = "was not started: the time for the whole run was up"
    late = [Capture(step, (tool,), Ending.TIMED_OUT, detail=detail) for step, tool in ABSENT]
    (finding,) = replay(load(str(folder)), late, {}, HOST, Source("live")).findings
    assert finding.summary == f"Steps a and b: {detail}"
