"""Broken output never becomes a wrong verdict; both dialects of the statistics; and what depends on a namespace."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import cache

import pytest

from runbook.archive import Recording
from runbook.catalog import find
from runbook.model import Capture, Run, Runbook, Source, Verdict
from runbook.pipeline import replay
from tests.base import rounds
from tests.recordings import broken, samples_of

ROUNDS = rounds(1_000, 10_000)
NETLINK = "cpu=0   \tfound=1 invalid=0 insert=0 insert_failed=3 drop=40 early_drop=0 error=0 chaintoolong=0 \n"
#: What an ordinary user is given: conntrack(8) reads the file instead.
FALLBACK = "cpu=0   \tentries=18 clashres=0 found=0 new=0 invalid=0 insert=0 insert_failed=1 drop=2 \n"
#: Saved, and not of the table that all formats were made of.
OTHER = {"saved-nat", "saved-events"}
HEADING = "entries  clashres found new invalid insert insert_failed drop early_drop icmp_error"


@cache
def the_runbook() -> Runbook:
    return find("conntrack-inspect", "/").load()


@cache
def samples() -> dict[str, tuple[Recording, dict[str, Verdict]]]:
    return samples_of(the_runbook())


def judged(name: str, **stdout: bytes) -> Run:
    recorded, _ = samples()[name]

    def with_it(capture: Capture) -> Capture:
        step = capture.step.replace("-", "_")
        return replace(capture, stdout=stdout[step]) if step in stdout else capture

    captures = tuple(with_it(capture) for capture in recorded.captures)
    return replay(the_runbook(), captures, recorded.parameters, recorded.host, Source("sample", name))


def test_broken_output_is_never_a_traceback_nor_a_wrong_ok() -> None:
    source = random.Random(2026)
    names = sorted(samples())
    for _ in range(ROUNDS):
        name = source.choice(names)
        recorded, expected = samples()[name]
        told = [capture for capture in recorded.captures if capture.stdout]
        if not told:
            continue
        chosen = source.choice(told)
        run = judged(name, **{chosen.step.replace("-", "_"): broken(chosen.stdout, source)})
        assert run.findings, name
        assert all("Traceback" not in finding.explanation for finding in run.findings)
        if "drops" in expected and chosen.step in ("count", "table", "kernel-log", "namespace"):
            # What was dropped stands in the statistics, whatever became of the rest.
            assert run.verdict > Verdict.OK, (name, chosen.step)


def codes(run: Run) -> dict[str, Verdict]:
    return {finding.code: finding.verdict for finding in run.findings}


@pytest.mark.parametrize(("text", "drops", "failed"), [(NETLINK, 40, 3), (FALLBACK, 2, 1), (NETLINK + NETLINK, 80, 6)])
def test_both_shapes_of_conntrack_s(text: str, drops: int, failed: int) -> None:
    run = judged("without-proc", statistics_netlink=text.encode())
    assert codes(run)["drops"] is Verdict.CRITICAL
    summaries = [finding.summary for finding in run.findings]
    assert any(f"{drops} packets dropped" in summary for summary in summaries)
    assert any(f"{failed} connections could not be entered" in summary for summary in summaries)


def test_the_numbers_are_hexadecimal_and_entries_is_no_sum() -> None:
    rows = f"{HEADING}\n" + ("00000040 " + "00000000 " * 6 + "00000010 00000000 00000000\n") * 2
    run = judged("table-of-64", statistics=rows.encode())
    assert any("32 packets dropped" in finding.summary for finding in run.findings)


def test_drops_of_long_ago_in_a_table_with_room_are_a_warning() -> None:
    assert codes(judged("table-of-64", count=b"3\n", kernel_log=b""))["drops"] is Verdict.WARNING


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("table full, dropping packet", True),
        ("table full in netns 4026532999, dropping packet", True),
        ("table full in netns 4026532470, dropping packet", False),
    ],
)
def test_the_log_of_another_namespace_is_not_ours(line: str, told: bool) -> None:
    recorded, _ = samples()["table-of-64"]
    text = f"[ 1.5] nf_conntrack: nf_conntrack: {line}\n".encode()
    captures = tuple(
        replace(capture, stdout=text) if capture.step == "kernel-log" else capture for capture in recorded.captures
    )
    log = next(capture for capture in captures if capture.step == "kernel-log")
    name = replace(log, step="namespace", stdout=b"net:[4026532999]\n")
    source = Source("sample", "table-of-64")
    run = replay(the_runbook(), (*captures, name), recorded.parameters, recorded.host, source)
    assert ("table-full-log" in codes(run)) == told


def test_every_format_of_a_saved_table_gives_the_same() -> None:
    found = {name: judged(name) for name in samples() if name.startswith("saved-") and name not in OTHER}
    assert len(found) == 5
    assert {finding.summary for run in found.values() for finding in run.findings} == {
        "18 entries, 3 of them without an answer"
    }


def test_a_scan_is_told_with_who_and_where() -> None:
    run = judged("syn-scan")
    assert codes(run) == {"unreplied-share": Verdict.WARNING, "top-talker": Verdict.WARNING}
    assert any("10.88.1.2" in finding.summary for finding in run.findings)


def test_idle_is_not_called_healthy() -> None:
    assert codes(judged("idle")) == {"inactive": Verdict.OK}
    assert codes(judged("not-loaded")) == {"inactive": Verdict.OK}


def saved(**changes: object) -> Run:
    """A saved table of 200 entries, with this in the line of the table, or more lines."""
    lines = [
        {
            "kind": "table",
            "from": "/tmp/table",
            "entries": 200,
            "unreplied": 0,
            "assured": 0,
            "unread": 0,
            "thinned": 0,
        },
        {"kind": "state", "protocol": "tcp", "state": "ESTABLISHED", "count": 200},
        {"kind": "source", "address": "10.0.0.1", "count": 1},
        {"kind": "target", "address": "10.0.0.2", "count": 200},
    ]
    more = changes.pop("more", None)
    lines[0] |= changes
    if more:
        lines.insert(1, more)  # type: ignore[arg-type]
    return judged("saved-list", saved="".join(json.dumps(line) + "\n" for line in lines).encode())


def test_a_whole_saved_table_is_healthy() -> None:
    assert codes(saved()) == {"healthy": Verdict.OK}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"unread": 1}, "1 line could not be read"),
        ({"more": {"kind": "events", "count": 900}}, "900 are events, and no entries"),
        ({"more": {"kind": "broken", "detail": "it was cut short"}}, "to its end: it was cut short"),
    ],
)
def test_a_saved_table_of_which_something_was_not_read_is_not_ok(changes: dict[str, object], says: str) -> None:
    run = saved(**changes)
    assert codes(run) == {"unread": Verdict.UNKNOWN}
    assert says in run.findings[0].summary


def test_a_saved_table_without_an_entry_is_not_ok() -> None:
    line = {"kind": "table", "from": "/t", "entries": 0, "unreplied": 0, "assured": 0, "unread": 0, "thinned": 0}
    assert codes(judged("saved-list", saved=json.dumps(line).encode() + b"\n")) == {"unread": Verdict.UNKNOWN}


@pytest.mark.parametrize("detail", ["No such file or directory", "Permission denied", "Is a directory"])
def test_a_table_that_cannot_be_opened_is_told_with_its_cure(detail: str) -> None:
    told = json.dumps({"kind": "error", "detail": detail, "file": "/tmp/a b;c"}).encode() + b"\n"
    (finding,) = judged("saved-list", saved=told).findings
    assert (finding.code, finding.verdict) == ("not-read", Verdict.UNKNOWN)
    assert finding.summary == f"/tmp/a b;c could not be read: {detail}"
    assert "'/tmp/a b;c'" in finding.advice or "ls -l /tmp" in finding.advice


def test_what_goes_into_a_command_is_an_address() -> None:
    bad = judged("syn-scan", saved=samples()["syn-scan"][0].captures[0].stdout.replace(b"10.88.1.2", b"$(id)"))
    assert {finding.code for finding in bad.findings} == {"unreadable"}
    assert all("$(id)" not in finding.advice for finding in bad.findings)


def test_a_critical_limit_below_the_warning_holds() -> None:
    recorded, _ = samples()["table-of-64"]
    captures = tuple(
        replace(capture, stdout=b"32\n") if capture.step == "count" else capture for capture in recorded.captures
    )
    parameters = {**recorded.parameters, "warning": 75.0, "critical": 40.0}
    run = replay(the_runbook(), captures, parameters, recorded.host, Source("sample", "x"))
    assert codes(run)["table-usage"] is Verdict.CRITICAL
