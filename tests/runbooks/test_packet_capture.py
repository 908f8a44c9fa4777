"""Broken output never becomes a wrong verdict, and each recorded capture is read as an expert reads it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from runbook.archive import Recording
from runbook.catalog import find
from runbook.model import Finding, Run, Runbook, Source, Verdict
from runbook.pipeline import replay
from tests.base import rounds
from tests.recordings import broken, samples_of
from tests.wire import ACCEPT, ACCEPTED, GET, KEY, REFUSED, Wire

ROUNDS = rounds(1_000, 10_000)


@cache
def the_runbook() -> Runbook:
    return find("packet-capture", "/").load()


@cache
def samples() -> dict[str, tuple[Recording, dict[str, Verdict]]]:
    return samples_of(the_runbook())


def judged(name: str, stdout: bytes | None = None) -> Run:
    recorded, _ = samples()[name]
    captures = tuple(capture if stdout is None else replace(capture, stdout=stdout) for capture in recorded.captures)
    return replay(the_runbook(), captures, recorded.parameters, recorded.host, Source("sample", name))


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
    assert set(samples()) - {"accepted", "loss-and-refused", "foreign-reset", "cut-file", "no-such-file"} == set(
        READINGS
    )


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


def said(lines: list[dict[str, object]], **parameters: float) -> dict[str, Finding]:
    """The findings by code for what the probe told."""
    recorded, _ = samples()["accepted"]
    stdout = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    captures = (replace(recorded.captures[0], stdout=stdout),)
    values = {**recorded.parameters, **parameters}
    run = replay(the_runbook(), captures, values, recorded.host, Source("sample", "wire"))
    assert "unreadable" not in {finding.code for finding in run.findings}, run.findings
    return {finding.code: finding for finding in run.findings}


def verdicts(found: dict[str, Finding]) -> dict[str, str]:
    return {code: finding.verdict.name.lower() for code, finding in found.items()}


def test_what_comes_after_two_thousand_accepted_is_not_lost(tmp_path: Path) -> None:
    wire = Wire()
    for _ in range(2_000):
        wire.asked()
    for _ in range(300):
        wire.asked(REFUSED)
    found = said(wire.told(tmp_path))
    assert verdicts(found) == {"handshake-rejected": "critical", "handshake-accepted": "ok"}
    assert found["handshake-rejected"].summary.startswith("300 requests for a websocket answered with 403 No")
    assert found["handshake-accepted"].summary.startswith("2000 websockets opened")


def test_more_kinds_of_answers_than_are_kept_are_unknown(tmp_path: Path) -> None:
    lines = Wire().asked().told(tmp_path)
    lines[0]["left_out"], lines[0]["handshakes"] = 2, 3
    assert verdicts(said(lines)) == {"truncated-capture": "unknown", "handshake-accepted": "ok"}


@pytest.mark.parametrize(
    ("get", "answer", "words"),
    [
        (GET, ACCEPTED.replace(b"Connection: Upgrade\r\n", b""), "101 without `Connection: Upgrade`"),
        (GET, ACCEPTED[:-2] + b"Sec-WebSocket-Protocol: chat\r\n\r\n", "101 with a protocol that nobody asked for"),
        (
            GET,
            ACCEPTED[:-2] + b"Sec-WebSocket-Extensions: x; y=1\r\n\r\n",
            "101 with an extension that nobody asked for",
        ),
        (
            GET.replace(b"Sec-WebSocket-Key: " + KEY, b"Sec-WebSocket-Version: 13"),
            ACCEPTED.replace(ACCEPT, b"Kfh9QIsMVZcl6xEPYxPHzW8SZ8w="),
            "101 to a GET without a key",
        ),
        (GET, ACCEPTED.replace(ACCEPT, b"x" + ACCEPT[1:]), "101 with a wrong accept"),
        (
            GET,
            ACCEPTED.replace(b"Upgrade: websocket\r\n", b"Upgrade: websocket, h2c\r\n"),
            "without `Upgrade: websocket`",
        ),
        (GET.replace(b"Upgrade: websocket", b"Upgrade: h2c, WebSocket"), REFUSED, "answered with 403 No: GET"),
        (GET.replace(b"Upgrade: websocket\r\n", b""), REFUSED, "403 to a GET without its Upgrade"),
    ],
)
def test_an_answer_that_a_client_must_refuse(get: bytes, answer: bytes, words: str, tmp_path: Path) -> None:
    found = said(Wire().asked().asked(answer, get).told(tmp_path))
    assert verdicts(found) == {"handshake-rejected": "critical", "handshake-accepted": "ok"}
    assert words in found["handshake-rejected"].summary


def test_a_protocol_and_extensions_that_were_asked_for_are_accepted(tmp_path: Path) -> None:
    get = (
        GET[:-2] + b"Sec-WebSocket-Protocol: soap, chat\r\nSec-WebSocket-Extensions: permessage-deflate; a, foo\r\n\r\n"
    )
    answer = (
        ACCEPTED[:-2] + b"Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate; b=1\r\n\r\n"
    )
    answer = answer.replace(b"Connection: Upgrade", b"Connection: keep-alive, upgrade")
    assert verdicts(said(Wire().asked(answer, get).told(tmp_path))) == {"handshake-accepted": "ok"}


def test_what_may_hide_a_handshake_is_unknown_beside_one_that_opened(tmp_path: Path) -> None:
    wire = Wire().asked()
    wire.snap = 100
    assert verdicts(said(wire.asked(REFUSED).told(tmp_path))) == {
        "truncated-capture": "unknown",
        "handshake-accepted": "ok",
    }
    for key, value in (
        ("other", {"fragment": 2}),
        ("other", {"unknown": 2}),
        ("holes", 1),
        ("one_way", 1),
        ("given_up", 1),
        ("broken", "ends within a packet, at byte 7"),
    ):
        lines = Wire().asked().told(tmp_path)
        lines[0][key] = value
        assert verdicts(said(lines)) == {"truncated-capture": "unknown", "handshake-accepted": "ok"}, key


def test_packets_that_were_cut_elsewhere_are_a_remark(tmp_path: Path) -> None:
    wire = Wire().asked()
    wire.snap = 100
    wire.put(True, 1000 + len(GET), 5000 + len(ACCEPTED), b"x" * 500)
    found = said(wire.told(tmp_path))
    assert verdicts(found) == {"truncated-capture": "ok", "handshake-accepted": "ok"}
    assert "may be there" not in found["truncated-capture"].explanation


def test_tls_and_http2_and_tunnels_are_said_beside_what_opened(tmp_path: Path) -> None:
    wire = Wire().asked()
    for hello in (b"\x16\x03\x01\0\xa5", b"\x17\x03\x03\0\xa5", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        wire.port += 1
        wire.opened().put(True, 1000, 5000, hello)
    wire.raw(b"\x02" * 12 + b"\x88\x64" + bytes(30))
    found = said(wire.told(tmp_path))
    assert verdicts(found) == {"handshake-accepted": "ok"}
    for words in ("2 flows of TLS", "1 flow of HTTP/2", "1 packet of a tunnel"):
        assert words in found["handshake-accepted"].explanation


def test_an_answer_to_what_was_asked_before_the_capture_is_a_remark(tmp_path: Path) -> None:
    wire = Wire().put(False, 5000, 1000, REFUSED).put(True, 1000, 5000 + len(REFUSED), flags=16).asked()
    found = said(wire.told(tmp_path))
    assert verdicts(found) == {"handshake-accepted": "ok"}
    assert "1 answer in it can be to a GET" in found["handshake-accepted"].explanation


def test_an_answer_that_may_be_there_is_unknown_and_one_that_is_not_is_critical(tmp_path: Path) -> None:
    wire = Wire().opened().put(True, 1000, 5000, GET)
    assert verdicts(said(wire.told(tmp_path))) == {"handshake-unanswered": "critical"}
    wire = Wire().put(True, 999, 0, flags=2).put(True, 1000, 5000, flags=16).put(True, 1000, 5000, GET)
    found = said(wire.told(tmp_path))
    assert verdicts(found) == {"answer-unknown": "unknown", "truncated-capture": "unknown"}
    assert "one side" in found["answer-unknown"].explanation
    found = said(Wire().asked(b"ICY 200 OK\r\n\r\n").told(tmp_path))
    assert verdicts(found) == {"answer-unknown": "unknown"}


def test_resets_beyond_the_first_fifty_are_judged(tmp_path: Path) -> None:
    wire = Wire()
    for number in range(70):
        wire.asked()
        wire.ttl = 64 if number < 60 else 200
        wire.put(False, 5000 + len(ACCEPTED), 1000, flags=4)
        wire.ttl = 64
    found = said(wire.told(tmp_path))
    assert found["reset-foreign"].summary.startswith("10 of 70 resets do not fit their flow")
    assert "Its TTL is 200" in found["reset-foreign"].explanation


@pytest.mark.parametrize(
    ("again", "warning", "critical", "verdict", "words"),
    [
        (200, 1, 5, "critical", "(100 %)"),
        (19, 1, 5, "critical", "(9.5 %)"),
        (4, 5, 1, "critical", "(2 %) were sent again (limit: critical from 1 %)"),
        (4, 1, 5, "warning", "(2 %)"),
        (1, 1, 5, "ok", "(0.5 %)"),
    ],
)
def test_limits_of_what_was_sent_again(
    again: int, warning: float, critical: float, verdict: str, words: str, tmp_path: Path
) -> None:
    lines = Wire().asked().told(tmp_path)
    lines[1].update(segments=200, again=again)
    finding = said(lines, warning=warning, critical=critical)["retransmissions"]
    assert finding.verdict.name.lower() == verdict
    assert words in finding.summary


@pytest.mark.parametrize(
    ("detail", "words", "cure"),
    [
        ("No such file or directory", "could not be read: No such file", "ls -l /tmp"),
        ("Permission denied", "could not be read: Permission denied", "sudo"),
        ("Is not a regular file", "could not be read: Is not", "head -c"),
        ("is empty", "is empty", "tcpdump -i any"),
        ("begins like neither pcap nor pcapng", "begins like neither", "tcpdump -i any"),
    ],
)
def test_a_file_that_is_no_capture_is_said_in_words(detail: str, words: str, cure: str) -> None:
    found = said([{"kind": "error", "file": "/tmp/$(x).pcap", "detail": detail}])
    assert verdicts(found) == {"no-capture": "unknown"}
    finding = found["no-capture"]
    assert finding.summary.startswith("'/tmp/$(x).pcap' ")
    assert words in finding.summary
    assert cure in finding.advice


def test_a_link_that_is_not_read_is_named(tmp_path: Path) -> None:
    finding = said(Wire(link=147).asked().told(tmp_path))["truncated-capture"]
    assert "Link type 147" in finding.advice
    assert "Capture whole packets" not in finding.advice


def test_a_back_tick_of_the_server_ends_no_code_span(tmp_path: Path) -> None:
    found = said(Wire().asked(b"HTTP/1.1 403 No\r\nServer: `x`<script>\r\n\r\n").told(tmp_path))
    assert "`Server: 'x'<script>`." in found["handshake-rejected"].explanation
