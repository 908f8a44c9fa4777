"""Broken output never becomes a wrong verdict, and each recorded log is read as an expert reads it."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import pytest

from runbook.archive import Recording, case_name, of_sample, sample_paths
from runbook.catalog import find
from runbook.loader.sample import load_sample
from runbook.model import Run, Runbook, Source, Verdict
from runbook.pipeline import replay
from tests.base import rounds

ROUNDS = rounds(1_000, 10_000)
#: What became of a lone figure that a flipped bit made harmless: that may go unseen.
FIGURES = {"slow", "tunnel-timeout", "not-upgraded", "client-gone", "bad-request", "unread"}


@cache
def the_runbook() -> Runbook:
    return find("haproxy-log", "/").load()


@cache
def samples() -> dict[str, tuple[Recording, dict[str, Verdict]]]:
    found = {}
    for path in sample_paths(the_runbook().folder):
        sample = load_sample(path, the_runbook())
        found[case_name(path)] = (of_sample(sample), dict(sample.findings))
    return found


def judged(name: str, stdout: bytes | None = None) -> Run:
    recorded, _ = samples()[name]
    captures = tuple(capture if stdout is None else replace(capture, stdout=stdout) for capture in recorded.captures)
    return replay(the_runbook(), captures, recorded.parameters, recorded.host, Source("sample", name))


def broken(data: bytes, source: random.Random) -> bytes:
    """Cut short, or with a few bits turned."""
    if source.random() < 0.5:
        return data[: source.randrange(len(data) + 1)]
    found = bytearray(data)
    for _ in range(source.randint(1, 5)):
        found[source.randrange(len(found))] ^= 1 << source.randrange(8)
    return bytes(found)


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
    assert recorded - {"mixed", "tunnel-timeout", "dialects", "unread", "empty-journal"} == {*READINGS, *HIDDEN}


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
