"""What the samples do not say: broken output never becomes a wrong verdict, and of two faults the right one leads."""

from __future__ import annotations

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


@cache
def the_runbook() -> Runbook:
    return find("websocket-handshake", "/").load()


@cache
def samples() -> dict[str, tuple[Recording, dict[str, Verdict]]]:
    return samples_of(the_runbook())


def judged(captures: tuple[Capture, ...], name: str) -> Run:
    recorded, _ = samples()[name]
    return replay(the_runbook(), captures, recorded.parameters, recorded.host, Source("sample", name))


def test_broken_output_is_never_a_traceback_nor_a_wrong_ok() -> None:
    source = random.Random(2026)
    names = sorted(samples())
    for _ in range(ROUNDS):
        name = source.choice(names)
        recorded, expected = samples()[name]
        step = source.choice(["direct", "via"])
        changed = tuple(
            replace(capture, stdout=broken(capture.stdout, source))
            if capture.step == step and capture.stdout
            else capture
            for capture in recorded.captures
        )
        run = judged(changed, name)
        codes = {finding.code for finding in run.findings}
        assert codes, name
        for finding in run.findings:
            assert "Traceback" not in finding.explanation
        if max(expected.values()) > Verdict.OK and run.verdict is Verdict.OK:
            # What was bad became ok: only where a lone figure was turned into a harmless one.
            assert set(expected) <= {"handshake", "slow", "closed-idle", "retransmissions"}, (name, run.findings)


def test_the_header_comes_first_and_the_loss_second() -> None:
    recorded, expected = samples()["loss-and-upgrade-stripped"]
    run = judged(recorded.captures, "loss-and-upgrade-stripped")
    codes = [finding.code for finding in run.findings]
    assert codes.index("upgrade-required") < codes.index("retransmissions")
    (loss,) = [finding for finding in run.findings if finding.code == "retransmissions"]
    assert "It is not why the websocket is refused" in loss.explanation
    assert set(codes) == set(expected)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [("100 1", "150 30", False), ("1000 0", "1200 1", False), ("1000 0", "1200 2", True), ("9 9", "5 5", False)],
)
def test_a_share_of_few_segments_is_no_finding(before: str, after: str, found: bool) -> None:
    recorded, _ = samples()["direct-and-proxy-good"]

    def counted(capture: Capture) -> Capture:
        words = {"counters-before": before, "counters-after": after}.get(capture.step)
        if words is None:
            return capture
        sent, again = words.split()
        text = f"#kernel\nTcpOutSegs {sent} 0.0\nTcpRetransSegs {again} 0.0\n"
        return replace(capture, stdout=text.encode())

    run = judged(tuple(counted(capture) for capture in recorded.captures), "direct-and-proxy-good")
    assert ("retransmissions" in {finding.code for finding in run.findings}) == found


WHO = {
    "backend-down": "The page is HAProxy's own: no server was asked.",
    "denied": "The page looks like HAProxy's own, so the proxy itself answered.",
    "redirected": "nginx answered.",
    "ordinary-page": "The answer names itself: Server: Apache/2.4.66 (Debian).",
}


@pytest.mark.parametrize("name", WHO)
def test_who_most_likely_answered_is_said(name: str) -> None:
    run = judged(samples()[name][0].captures, name)
    assert any(WHO[name] in finding.explanation for finding in run.findings)
