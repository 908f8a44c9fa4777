"""Broken output never becomes a wrong verdict, and each recorded log is read as an expert reads it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import cache

import pytest

from runbook.archive import Recording
from runbook.catalog import find
from runbook.model import Run, Runbook, Source, Verdict
from runbook.pipeline import replay
from tests.base import rounds
from tests.recordings import broken, samples_of

ROUNDS = rounds(1_000, 10_000)
#: What became of a lone figure that a flipped bit made harmless: that may go unseen.
FIGURES = {"slow", "tunnel-timeout", "not-upgraded", "client-gone", "bad-request", "unread"}


@cache
def the_runbook() -> Runbook:
    return find("haproxy-log", "/").load()


@cache
def samples() -> dict[str, tuple[Recording, dict[str, Verdict]]]:
    return samples_of(the_runbook())


def judged(name: str, stdout: bytes | None = None) -> Run:
    recorded, _ = samples()[name]
    captures = tuple(capture if stdout is None else replace(capture, stdout=stdout) for capture in recorded.captures)
    return replay(the_runbook(), captures, recorded.parameters, recorded.host, Source("sample", name))


def test_broken_output_is_never_a_traceback_nor_a_wrong_ok() -> None:
    source = random.Random(2026)
    names = sorted(set(samples()) - {"empty-journal"})
    for _ in range(ROUNDS):
        name = source.choice(names)
        recorded, expected = samples()[name]
        data = recorded.captures[0].stdout
        cut = broken(data, source)
        run = judged(name, cut)
        assert run.findings, name
        assert all("Traceback" not in finding.explanation for finding in run.findings)
        if data.rstrip(b"\n").startswith(cut.rstrip(b"\n")) and len(cut) < len(data) - 1:
            assert run.verdict is Verdict.UNKNOWN, name
        elif max(expected.values()) > Verdict.OK and run.verdict is Verdict.OK:
            # A letter or a status was turned into another one that there is.
            changed = sum(a != b for a, b in zip(data, cut, strict=True))
            assert changed <= 5, name


#: What an expert reads off the recorded log, and what the runbook says. Where the log itself hides it, the reason.
READINGS = {
    "backend-blackhole-503": "server-silent",
    "backend-checked-down-503": "no-server",
    "backend-down-503": "server-refused",
    "denies-path-403": "denied-by-proxy",
    "http10-upstream-nginx": "not-upgraded",
    "invalid-response-502": "server-broke",
    "ipv6-via-proxy": "healthy",
    "log-mixed-traffic": "no-server",
    "netem-rtt-3ms-loss-strips-upgrade": "not-upgraded",
    "noise-loss-healthy-websocket": "healthy",
    "noise-loss-strips-upgrade": "not-upgraded",
    "origin-check-403": "not-upgraded",
    "origin-hang-504": "server-silent",
    "origin-rst-502": "server-broke",
    "pcap-formats": "healthy",
    "proxy-ok": "healthy",
    "retransmitted-get-and-101": "healthy",
    "same-host-any-capture": "not-upgraded",
    "slow-101": "slow",
    "slow-request-408": "bad-request",
    "strips-upgrade": "not-upgraded",
    "timeout-server-cut": "tunnel-timeout",
    "timeout-tunnel-cut": "tunnel-timeout",
}
#: Of our own labs and hosts, where no expert looked.
OWN = {
    "mixed", "less-common", "tunnel-timeout", "dialects", "unread", "empty-journal", "missing-log", "no-resource",
}  # fmt: skip
#: The expert knows these from the client's side or a capture; the log has an ordinary 101, or an answer of the
#: server to
#: a request that nothing marks as a websocket's.
HIDDEN = {
    "backend-400-missing-version": "no-websockets",
    "close-1011-from-origin": "healthy",
    "http10-origin": "no-websockets",
    "no-upgrade-in-101": "healthy",
    "ok-200-instead-of-101": "no-websockets",
    "redirect-302-login": "no-websockets",
    "strips-connection-and-key": "no-websockets",
    "tcp-mode-passthrough": "no-websockets",
    "unauthorized-401": "no-websockets",
    "wrong-accept": "healthy",
    "wrong-backend-404": "healthy",
}


@pytest.mark.parametrize(("name", "code"), sorted((READINGS | HIDDEN).items()))
def test_a_recorded_log_is_read_as_an_expert_reads_it(name: str, code: str) -> None:
    assert code in {finding.code for finding in judged(name).findings}


def test_every_recorded_log_has_its_reading() -> None:
    recorded = {name for name, (_, _) in samples().items()}
    assert recorded - OWN == {*READINGS, *HIDDEN}


def test_what_the_log_cannot_know_it_says() -> None:
    (healthy,) = judged("wrong-accept").findings
    assert "Sec-WebSocket-Accept" in healthy.explanation
    assert "websocket-handshake" in healthy.advice


def test_a_rare_failure_among_many_sessions_is_a_remark() -> None:
    recorded, _ = samples()["log-mixed-traffic"]
    text = recorded.captures[0].stdout.decode()
    http = int(text.split('"http": ')[1].split(",")[0])
    pages = '{"kind": "group", "count": 100000, "frontend": "f", "backend": "b", "server": "s", "status": "200", '
    more = text.replace(f'"http": {http}', f'"http": {http + 100000}', 1)
    more += pages + '"letters": "----", "mark": "", "line": 1, "text": ""}\n'
    run = judged("log-mixed-traffic", more.encode())
    assert {finding.code: finding.verdict for finding in run.findings} == {
        "no-server": Verdict.OK,
        "bad-request": Verdict.OK,
        "healthy": Verdict.OK,
    }


def counted(*ways: tuple[str, str, int], opened: int = 2, **more: object) -> bytes:
    """What the probe tells of good websockets and of sessions that ended so, each (status, letters, count)."""
    ways = (("101", "----", opened), *ways)
    told = [json.loads(line) for line in samples()["proxy-ok"][0].captures[0].stdout.splitlines()]
    log, websockets = told[:2]
    sockets = {key: more.pop(key) for key in [*more] if key in websockets}
    log |= {"http": sum(count for _, _, count in ways), **more}
    websockets |= {"opened": opened, "longest_ms": 8_000, **sockets}
    (group,) = (line for line in told if line["kind"] == "group")
    lines = [
        group | {"status": status, "letters": letters, "count": count, "server": "ws1"}
        for status, letters, count in ways
    ]
    return "".join(json.dumps(line) + "\n" for line in (log, websockets, *lines)).encode()


#: The letters of HAProxy's manual, 8.5, and the code of what they stand for with a 503.
LETTERS = {
    "CC": "client-gone", "CH": "client-gone", "CQ": "client-gone", "CR": "client-gone", "CD": "client-gone",
    "CT": "client-gone", "CL": "client-gone", "cD": "client-gone", "cH": "client-gone", "cR": "client-gone",
    "SC": "server-refused", "sC": "server-silent", "SH": "server-broke", "sH": "server-silent", "SD": "server-broke",
    "sD": "server-broke", "SL": "server-broke", "sQ": "queue-full", "SQ": "queue-full",
    "PR": "denied-by-proxy", "PT": "denied-by-proxy", "PH": "server-broke", "PD": "server-broke",
    "PC": "proxy-fault", "PL": "denied-by-proxy", "PQ": "denied-by-proxy", "P-": "denied-by-proxy",
    "LR": "answered-by-proxy", "LH": "answered-by-proxy", "L-": "answered-by-proxy",
    "RC": "proxy-fault", "RR": "proxy-fault", "RD": "proxy-fault",
    "IH": "proxy-fault", "ID": "proxy-fault", "DD": "cut-by-proxy", "DH": "cut-by-proxy",
    "UD": "cut-by-proxy", "UH": "cut-by-proxy", "KD": "cut-by-proxy",
    "--": "server-errors", "-D": "unread", "XX": "unread", "CX": "unread",
}  # fmt: skip


@pytest.mark.parametrize("letters", LETTERS)
@pytest.mark.parametrize("cookies", ["--", "VN"])
def test_no_way_of_ending_unusually_is_ok(letters: str, cookies: str) -> None:
    run = judged("proxy-ok", counted(("503", letters + cookies, 200)))
    assert [finding.code for finding in run.findings] == [LETTERS[letters]]
    assert run.verdict > Verdict.OK


@pytest.mark.parametrize("first", "CSPLRIDUKcs-")
@pytest.mark.parametrize("second", "RQCHDLT-")
def test_every_pair_of_letters_has_a_code(first: str, second: str) -> None:
    run = judged("proxy-ok", counted(("503", f"{first}{second}--", 200)))
    assert run.verdict > Verdict.OK
    assert "does not know" not in run.findings[0].summary or (first == "-") != (second == "-")


@pytest.mark.parametrize("letters", ["RD--", "ID--", "DD--", "UD--", "KD--", "PD--", "SD--", "cL--", "sL--", "XD--"])
def test_an_open_websocket_that_ends_unusually_is_not_ok(letters: str) -> None:
    assert judged("proxy-ok", counted(("101", letters, 200), opened=200)).verdict > Verdict.OK


@pytest.mark.parametrize(("status", "letters"), [("200", "LR--"), ("302", "LR--"), ("404", "----"), ("304", "--NI")])
def test_ordinary_ends_are_ok(status: str, letters: str) -> None:
    assert [finding.code for finding in judged("proxy-ok", counted((status, letters, 200))).findings] == ["healthy"]


@pytest.mark.parametrize("letters", ["RC--", "IH--", "PC--"])
def test_what_should_never_happen_is_a_warning_even_once(letters: str) -> None:
    run = judged("proxy-ok", counted(("200", "----", 100_000), ("503", letters, 1)))
    assert run.verdict is Verdict.WARNING


@pytest.mark.parametrize("key", ["unread", "overlong", "refusals_left_out"])
def test_what_was_not_read_is_unknown(key: str) -> None:
    run = judged("proxy-ok", counted(**{key: 1}))
    assert {finding.code: finding.verdict for finding in run.findings} == {"unread": Verdict.UNKNOWN}


def test_sessions_that_were_left_out_are_unknown_and_must_add_up() -> None:
    told = counted(("200", "----", 5))
    more = told.replace(b'"http": 7', b'"http": 9')
    assert {finding.code for finding in judged("proxy-ok", more).findings} == {"unreadable"}
    run = judged("proxy-ok", more.replace(b'"left_out": 0', b'"left_out": 2', 1))
    assert {finding.code: finding.verdict for finding in run.findings} == {"unread": Verdict.UNKNOWN}


def test_a_share_is_written_as_people_write_it() -> None:
    run = judged("proxy-ok", counted(("503", "SC--", 1_000)))
    assert "(100 %)" in run.findings[0].summary


def test_a_refusal_with_a_cookie_is_one_too() -> None:
    assert judged("proxy-ok", counted(("426", "--NI", 200))).findings[0].code == "not-upgraded"


@pytest.mark.parametrize(
    ("detail", "says"),
    [
        ("No such file or directory", "ls -l '/tmp/a b'"),
        ("Permission denied", "sudo runbook run haproxy-log --set log='/tmp/a b/c;d'"),
        ("Is a directory", "ls -l '/tmp/a b/c;d'"),
        ("Is not a regular file", "head -c 100M '/tmp/a b/c;d' > FILE"),
        ("Input/output error", "ls -l '/tmp/a b/c;d'"),
    ],
)
def test_a_file_that_cannot_be_opened_is_told_with_its_cure(detail: str, says: str) -> None:
    told = json.dumps({"kind": "error", "log": "/tmp/a b/c;d", "detail": detail}).encode()
    (finding,) = judged("proxy-ok", told + b"\n").findings
    assert (finding.code, finding.verdict) == ("not-read", Verdict.UNKNOWN)
    assert finding.summary == f"/tmp/a b/c;d could not be read: {detail}"
    assert says in finding.advice


def journal(detail: str) -> Run:
    recorded, _ = samples()["empty-journal"]
    captures = tuple(
        replace(capture, stdout=capture.stdout.replace(b"No such file or directory", detail.encode()))
        for capture in recorded.captures
    )
    return replay(the_runbook(), captures, recorded.parameters, recorded.host, Source("sample", "x"))


def test_a_log_that_may_not_be_read_is_not_called_an_empty_journal() -> None:
    (finding,) = journal("Permission denied").findings
    assert (finding.code, finding.verdict) == ("not-read", Verdict.UNKNOWN)
    assert "/var/log/haproxy.log" in finding.summary
    assert "sudo runbook run haproxy-log" in finding.advice


def test_a_log_that_is_not_there_is_named_beside_the_journal() -> None:
    (finding,) = journal("No such file or directory").findings
    assert finding.summary == "There is no /var/log/haproxy.log, and no session in 0 lines of the journal"


def test_many_connections_that_never_began_are_not_ok() -> None:
    told = counted(("200", "----", 200)).decode()
    failed = {"kind": "group", "count": 9_000, "frontend": "tls", "backend": "1", "server": "", "status": ""}
    failed |= {"letters": "", "mark": "SSL handshake failure", "line": 1, "text": ""}
    run = judged("proxy-ok", (told + json.dumps(failed) + "\n").encode())
    assert [finding.code for finding in run.findings] == ["not-begun"]
    assert run.verdict is Verdict.WARNING
    assert "SSL handshake failure at tls/1 x 9000" in run.findings[0].summary
