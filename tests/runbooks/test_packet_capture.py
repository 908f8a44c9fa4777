"""Broken output never becomes a wrong verdict, and each recorded capture is read as an expert reads it."""

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


@cache
def the_runbook() -> Runbook:
    return find("packet-capture", "/").load()


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
    names = sorted(samples())
    for _ in range(ROUNDS):
        name = source.choice(names)
        recorded, expected = samples()[name]
        data = recorded.captures[0].stdout
        cut = broken(data, source)
        run = judged(name, cut)
        assert run.findings, name
        assert all("Traceback" not in finding.explanation for finding in run.findings)
        if max(expected.values()) > Verdict.OK and run.verdict is Verdict.OK:
            # Only the last lines, which tell of flows, may be gone unseen; and a lone figure become a harmless one.
            assert "handshake-rejected" not in expected, name
            assert "handshake-unanswered" not in expected, name
        if name == "strips-upgrade":
            assert run.verdict >= Verdict.UNKNOWN


#: What an expert reads off each recording (what the client was answered), and what the runbook must say of it.
READINGS = {
    "backend-400-missing-version": "400",
    "backend-blackhole-503": "503",
    "backend-checked-down-503": "503",
    "backend-down-503": "503",
    "close-1011-from-origin": "opened",
    "denies-path-403": "403",
    "direct-ok": "opened",
    "formats-any-sll1": "opened",
    "formats-any-sll2": "opened",
    "formats-dumpcap-pcapng": "opened",
    "formats-ns": "opened",
    "formats-us": "opened",
    "http10-origin": "200",
    "http10-upstream-nginx": "505",
    "http10-upstream-nginx-behind": "without its Upgrade",
    "invalid-response-502": "502",
    "ipv6-via-proxy": "2 websockets opened",
    "netem-rtt-3ms-loss-strips-upgrade": "426",
    "no-upgrade-in-101": "101 without `Upgrade: websocket`",
    "noise-loss-healthy-websocket": "4 websockets opened",
    "noise-loss-strips-upgrade": "426",
    "ok-200-instead-of-101": "200",
    "origin-check-403": "403",
    "origin-hang-504": "504",
    "origin-rst-502": "502",
    "proxy-ok": "opened",
    "redirect-302-login": "302",
    "retransmitted-get-and-101": "1 websocket opened",
    "retransmitted-get-and-101-front": "1 websocket opened",
    # The GET on the loopback is not in the file, only the answer to it: the capture missed it.
    "same-host-any": "426",
    "same-host-any-capture": "426",
    "slow-101": "1 websocket opened",
    "slow-request-408": "No request for a websocket",
    "strips-connection-and-key": "400",
    "strips-upgrade": "426",
    "strips-upgrade-behind": "without its Upgrade",
    "tcp-mode-passthrough": "403",
    "timeout-server-cut": "1 websocket opened",
    "timeout-tunnel-cut": "2 websockets opened",
    "unauthorized-401": "401",
    "wrong-accept": "101 with a wrong accept",
    "wrong-backend-404": "404",
}


@pytest.mark.parametrize(("name", "words"), sorted(READINGS.items()))
def test_a_recorded_capture_is_read_as_an_expert_reads_it(name: str, words: str) -> None:
    assert any(words in finding.summary for finding in judged(name).findings)


def test_every_recorded_capture_has_its_reading() -> None:
    assert set(samples()) - {"accepted", "loss-and-refused", "foreign-reset", "cut-file"} == set(READINGS)


def test_the_answer_comes_first_and_the_loss_second() -> None:
    codes = [finding.code for finding in judged("noise-loss-strips-upgrade").findings]
    assert codes.index("handshake-rejected") < codes.index("retransmissions")
    loss = next(
        finding for finding in judged("noise-loss-strips-upgrade").findings if finding.code == "retransmissions"
    )
    assert "It is not why a websocket was refused" in loss.explanation


def test_a_reset_with_the_right_ttl_is_no_foreign_one() -> None:
    assert "reset-foreign" not in {finding.code for finding in judged("origin-rst-502").findings}
    (foreign,) = [finding for finding in judged("foreign-reset").findings if finding.code == "reset-foreign"]
    assert "its ttl is 64, and the sender's other packets have 63" in foreign.explanation.lower()


def test_few_segments_are_no_more_than_a_remark() -> None:
    run = judged("retransmitted-get-and-101")
    assert {finding.code: finding.verdict for finding in run.findings} == {
        "handshake-accepted": Verdict.OK,
        "retransmissions": Verdict.OK,
    }
