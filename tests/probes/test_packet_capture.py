"""Captures are read as tshark reads them, in every format and on every link; no file that is none brings it down."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runbook.probes import handshakes as probe
from runbook.probes import packet_capture
from runbook.probes.pcap import Broken, CaptureFile
from tests.base import rounds
from tests.wire import ACCEPTED, GET, REFUSED, Wire, read

#: Recorded by tcpdump and dumpcap around HAProxy; which is which, the name says.
CAPTURES = sorted((Path(__file__).parent / "captures").glob("*.gz"))
PROBE = [sys.executable, "-c", "import sys; from runbook.probes import main; sys.exit(main())", "packet-capture"]
ANALYSIS = ("retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "keep_alive")


def tshark(path: Path, *fields: str) -> list[list[str]]:
    words = ["tshark", "-n", "-r", str(path), "-T", "fields", *(word for field in fields for word in ("-e", field))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.skipif(not shutil.which("tshark") and "CI" not in os.environ, reason="needs tshark")
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_counts_are_those_of_tshark(path: Path) -> None:
    told = read(path)
    fields = [f"tcp.analysis.{name}" for name in ANALYSIS]
    rows = tshark(path, *fields, "tcp.flags.reset", "http.request.method", "http.upgrade")
    counts = [sum(row[place] not in ("", "0", "False") for row in rows) for place in range(6)]
    transport = told[1]
    ours = [transport[name] for name in ("again", "fast", "spurious", "out_of_order", "keep_alive", "resets")]
    assert ours == counts
    # tshark names a GET whose Upgrade was taken out on the way no handshake; we do, by its other headers.
    asked = [line for line in told if line["kind"] == "handshake" and "upgrade" in line["headers"]]
    assert len(asked) == sum(row[6] == "GET" and "websocket" in row[7] for row in rows)


def test_the_same_handshake_in_five_formats() -> None:
    found = [read(path) for path in CAPTURES if path.name.startswith("pcap-formats.")]
    assert len(found) == 5
    shakes = [[line for line in told if line["kind"] == "handshake"] for told in found]
    assert {(len(one), one[0]["status"], one[0]["accept"], one[0]["target"]) for one in shakes} == {
        (1, 101, "right", "/chat")
    }
    assert {name for told in found for name in told[0]["links"]} == {"Ethernet", "Linux cooked v1", "Linux cooked v2"}


def handshakes(told: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(line["frame"], line["status"], line["accept"]) for line in told if line["kind"] == "handshake"]


@pytest.mark.parametrize(
    ("link", "wrap", "six"),
    [
        (1, b"\x02" * 12 + b"\x08\x00", False),
        (1, b"\x02" * 12 + b"\x81\x00\x00\x05\x08\x00", False),
        (1, b"\x02" * 12 + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x86\xdd", True),
        (101, b"", False),
        (101, b"", True),
        (228, b"", False),
        (229, b"", True),
        (113, bytes(14) + b"\x08\x00", False),
        (276, b"\x86\xdd" + bytes(18), True),
        (0, b"\x02\0\0\0", False),
        (108, b"\0\0\0\x18", True),
    ],
)
def test_every_link_with_vlan_and_ipv6(link: int, wrap: bytes, six: bool, tmp_path: Path) -> None:
    wire = Wire(link, wrap, six).opened().put(True, 1000, 5000, GET).put(False, 5000, 1000 + len(GET), ACCEPTED)
    assert handshakes(wire.told(tmp_path)) == [(4, 101, "right")]


def test_a_get_split_over_segments_one_byte_each(tmp_path: Path) -> None:
    wire = Wire().opened()
    for place in range(len(GET)):
        wire.put(True, 1000 + place, 5000, GET[place : place + 1])
    wire.put(False, 5000, 1000 + len(GET), ACCEPTED)
    assert handshakes(wire.told(tmp_path)) == [(4, 101, "right")]


def test_a_get_whose_parts_come_in_the_wrong_order_and_twice(tmp_path: Path) -> None:
    wire = Wire().opened()
    wire.put(True, 1000 + 40, 5000, GET[40:]).put(True, 1000, 5000, GET[:20], ms=300)
    wire.put(True, 1000, 5000, GET[:40], ms=300).put(True, 1000, 5000, GET[:40], ms=300)
    wire.put(False, 5000, 1000 + len(GET), ACCEPTED).put(False, 5000, 1000 + len(GET), ACCEPTED, ms=300)
    told = wire.told(tmp_path)
    assert [status for _, status, _ in handshakes(told)] == [101]
    assert told[1]["again"] == 4


def test_sequence_numbers_that_begin_again(tmp_path: Path) -> None:
    base = (1 << 32) - 30
    wire = Wire().opened(base)
    wire.put(True, base, 5000, GET[:50]).put(True, base + 50, 5000, GET[50:])
    wire.put(False, 5000, base + len(GET), ACCEPTED)
    assert handshakes(wire.told(tmp_path)) == [(4, 101, "right")]


def test_a_websocket_after_other_requests_on_one_connection(tmp_path: Path) -> None:
    page, answer = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    wire = Wire().opened().put(True, 1000, 5000, page).put(False, 5000, 1000 + len(page), answer)
    wire.put(True, 1000 + len(page), 5000 + len(answer), GET)
    wire.put(False, 5000 + len(answer), 1000 + len(page) + len(GET), b"HTTP/1.1 403 No\r\n\r\n")
    assert handshakes(wire.told(tmp_path)) == [(6, 403, "")]


def test_a_capture_that_began_in_the_middle_and_missed_a_part(tmp_path: Path) -> None:
    wire = Wire().put(True, 500, 5000, b"x" * 100).put(True, 1000, 5000, GET)
    # The server has acknowledged what the capture missed, so it was sent.
    wire.put(False, 5000, 1000 + len(GET), ACCEPTED)
    told = wire.told(tmp_path)
    assert told[0]["flows"] == 1


def test_the_same_ports_again_are_another_flow(tmp_path: Path) -> None:
    wire = Wire().opened().put(True, 1000, 5000, GET).put(False, 5000, 1000 + len(GET), ACCEPTED)
    wire.put(False, 5000 + len(ACCEPTED), 1000, flags=4)
    wire.opened(90_000).put(True, 90_000, 5000, GET).put(False, 5000, 90_000 + len(GET), b"HTTP/1.1 404 No\r\n\r\n")
    told = wire.told(tmp_path)
    assert [status for _, status, _ in handshakes(told)] == [101, 404]
    assert told[0]["flows"] == 2


def test_a_reset_with_another_ttl_or_number_does_not_fit(tmp_path: Path) -> None:
    wire = Wire().opened().put(True, 1000, 5000, GET)
    wire.put(False, 5000 + (1 << 20), 1000, flags=4)
    (reset,) = [line for line in wire.told(tmp_path) if line["kind"] == "reset"]
    assert not reset["fits"]


def test_tls_and_http2_are_counted(tmp_path: Path) -> None:
    assert Wire().opened().put(True, 1000, 5000, b"\x16\x03\x01\0\xa5").told(tmp_path)[0]["tls"] == 1
    assert Wire().opened().put(True, 1000, 5000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").told(tmp_path)[0]["http2"] == 1


def test_fragments_and_packets_of_no_sense_are_counted(tmp_path: Path) -> None:
    wire = Wire().opened()
    fragment = bytearray(wire.parts[1][16:])
    fragment[20] |= 0x20
    for packet in (
        bytes(fragment),
        b"",
        b"\x02" * 12 + b"\x08\x00",
        b"\x02" * 12 + b"\x08\x00\x45" + bytes(8) + b"\x06",
    ):
        wire.raw(packet)
    assert wire.told(tmp_path)[0]["other"] == {"fragment": 1, "unknown": 3}


def counted(told: list[dict[str, Any]]) -> dict[int, int]:
    """How many handshakes had each status."""
    number = {line["answers"]: line["status"] for line in told if line["kind"] == "handshake"}
    counts: dict[int, int] = {}
    for line in told:
        if line["kind"] == "answers":
            counts[number[line["number"]]] = counts.get(number[line["number"]], 0) + line["count"]
    return counts


def unseen(told: list[dict[str, Any]]) -> list[str]:
    return [line["unseen"] for line in told if line["kind"] == "handshake"]


def test_all_handshakes_are_counted_and_the_rare_ones_are_told(tmp_path: Path) -> None:
    wire = Wire()
    for _ in range(probe.TOLD):
        wire.asked()
    for _ in range(60):
        wire.asked(REFUSED)
    told = wire.told(tmp_path)
    assert told[0]["handshakes"] == probe.TOLD + 60
    assert counted(told) == {101: probe.TOLD, 403: 60}
    assert sum(line["kind"] == "handshake" for line in told) == 2 * probe.TOLD_OF_KIND


def test_more_kinds_of_answers_than_are_kept_are_left_out_and_told(tmp_path: Path) -> None:
    wire = Wire()
    for status in range(200, 200 + probe.MOST_KINDS + 3):
        wire.asked(b"HTTP/1.1 %d x\r\n\r\n" % status)
    told = wire.told(tmp_path)
    assert (told[0]["handshakes"], told[0]["left_out"]) == (probe.MOST_KINDS + 3, 3)


@pytest.mark.parametrize("closed", [False, True])
def test_a_syn_with_another_number_is_another_connection(closed: bool, tmp_path: Path) -> None:
    wire = Wire().opened().put(True, 1000, 5000, GET).put(False, 5000, 1000 + len(GET), ACCEPTED)
    if closed:
        wire.put(False, 5000 + len(ACCEPTED), 1000, flags=4)
    # And once more the same SYN, which is no other connection.
    wire.put(True, 899_999, 0, flags=2).opened(900_000).put(True, 900_000, 5000, GET)
    told = wire.put(False, 5000, 900_000 + len(GET), REFUSED).told(tmp_path)
    assert told[0]["flows"] == 2
    assert counted(told) == {101: 1, 403: 1}


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 304 Not Modified\r\n\r\n", b"x" * 100])
def test_who_asks_is_the_client_where_the_syn_is_not_in_the_capture(first: bytes, tmp_path: Path) -> None:
    wire = Wire().put(False, 5000 - len(first), 1000, first).put(True, 1000, 5000, GET)
    told = wire.put(False, 5000, 1000 + len(GET), REFUSED).told(tmp_path)
    assert counted(told) == {403: 1}
    (shake,) = [line for line in told if line["kind"] == "handshake"]
    assert shake["server"] == "10.0.0.2:80"


def test_http_that_was_cut_is_told_and_what_follows_in_a_body_is_not(tmp_path: Path) -> None:
    wire = Wire()
    wire.snap = 100
    assert wire.asked(REFUSED).told(tmp_path)[0]["cut_http"] == 1
    wire = Wire().asked(ACCEPTED)
    wire.snap = 100
    wire.put(True, 1000 + len(GET), 5000 + len(ACCEPTED), b"x" * 500)
    head = wire.told(tmp_path)[0]
    assert (head["cut"], head["cut_http"]) == (1, 0)
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"
    wire = Wire()
    wire.asked(page, b"GET / HTTP/1.1\r\n\r\n")
    wire.snap = 100
    wire.put(False, 5000 + len(page), 1018, b"x" * 9000)
    head = wire.told(tmp_path)[0]
    assert (head["cut"], head["cut_http"], head["holes"]) == (1, 0, 0)


def test_a_part_of_a_request_that_was_not_captured_is_a_hole(tmp_path: Path) -> None:
    wire = Wire().opened().put(True, 1000, 5000, GET[:30]).put(True, 1060, 5000, GET[60:])
    assert wire.put(False, 5000, 1000 + len(GET), REFUSED).told(tmp_path)[0]["holes"] == 1
    # And one of which nothing was captured, but its answer.
    assert Wire().opened().put(False, 5000, 1200, REFUSED).told(tmp_path)[0]["holes"] == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\r\n", b""),
        (b"GET /a HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (b"HEAD /a HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"),
        (
            b"POST /login HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET ",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nHTTP/\r\n0\r\nA: b\r\n\r\n",
        ),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        (b"PROXY TCP4 10.0.0.9 10.0.0.2 4000 80\r\n", b""),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12), b""),
    ],
)
@pytest.mark.parametrize("size", [10_000, 7, 1])
def test_a_get_and_its_answer_behind_others_in_one_segment(
    before: bytes, after: bytes, size: int, tmp_path: Path
) -> None:
    if b"PROXY" in before or b"QUIT" in before:
        # HAProxy says that in one segment.
        size = 10_000
    wire = Wire().opened()
    for up, start, other, data in ((True, 1000, 5000, before + GET), (False, 5000, 9000, after + REFUSED)):
        for place in range(0, len(data), size):
            wire.put(up, start + place, other if up else 1000 + len(before + GET), data[place : place + size])
    assert counted(wire.told(tmp_path)) == {403: 1}


def conversation(source: random.Random) -> tuple[bytes, bytes, list[int]]:
    """What both sides say on one connection, and what each handshake in it is answered."""
    asked = said = b""
    expected = []
    for _ in range(source.randint(1, 6)):
        if source.random() < 0.5:
            asked += GET
            status = source.choice([401, 403, 404])
            expected.append(status)
            said += source.choice([b"", b"HTTP/1.1 103 x\r\n\r\n"])
        else:
            status = 200
            body = source.choice([b"", b"GET / HTTP/1.1\r\n\r\n", source.randbytes(200)])
            length = b"\r\nContent-Length: %d" % len(body) if body else b""
            asked += b"POST /x HTTP/1.1" + length + b"\r\n\r\n" + body
        body = source.choice([b"", b"HTTP/1.1 101 x\r\n\r\n" * 3, source.randbytes(700)])
        said += b"HTTP/1.1 %d x\r\n" % status
        if source.random() < 0.5:
            said += b"Content-Length: %d\r\n\r\n" % len(body) + body
        else:
            said += b"Transfer-Encoding: chunked\r\n\r\n"
            while body:
                size = source.randint(1, len(body))
                said += b"%x\r\n" % size + body[:size] + b"\r\n"
                body = body[size:]
            said += b"0\r\n" + source.choice([b"", b"A: b\r\n"]) + b"\r\n"
    return asked, said, expected


def test_conversations_cut_anywhere_reordered_and_sent_again(tmp_path: Path) -> None:
    source = random.Random(2026)
    for _ in range(rounds(150, 3_000)):
        asked, said, expected = conversation(source)
        wire = Wire().opened()
        for up, data in ((True, asked), (False, said)):
            cuts = sorted({0, len(data), *(source.randint(0, len(data)) for _ in range(source.randint(0, 12)))})
            pieces = list(pairwise(cuts))
            source.shuffle(pieces)
            pieces += source.sample(pieces, min(2, len(pieces)))
            for start, end in pieces:
                wire.put(up, (1000 if up else 5000) + start, 5000 if up else 1000 + len(asked), data[start:end])
        told = wire.told(tmp_path)
        # Told in the order of frames, which is not that of what was said.
        assert sorted(status for _, status, _ in handshakes(told)) == sorted(expected)
        assert (told[0]["holes"], told[0]["cut_http"], told[0]["one_way"]) == (0, 0, 0)


def test_a_get_in_the_syn(tmp_path: Path) -> None:
    wire = Wire().put(True, 999, 0, GET, flags=2).put(False, 4999, 1000 + len(GET), flags=18)
    told = wire.put(False, 5000, 1000 + len(GET), REFUSED).told(tmp_path)
    assert counted(told) == {403: 1}


@pytest.mark.parametrize("status", ["²²²", "¹¹", "20", "2000", "000", "abc", ""])
def test_a_status_that_is_none(status: str, tmp_path: Path) -> None:
    told = Wire().asked(f"HTTP/1.1 {status} x\r\n\r\n".encode("latin-1")).asked().told(tmp_path)
    assert counted(told) == {0: 1, 101: 1}
    assert unseen(told) == ["no HTTP", ""]


def test_an_answer_that_may_be_there_and_was_not_seen(tmp_path: Path) -> None:
    get = Wire().opened().put(True, 1000, 5000, GET)
    assert unseen(get.told(tmp_path)) == [""]
    size = 1000 + len(GET)
    wire = Wire().opened().put(True, 1000, 5000, GET).put(False, 5000 + len(ACCEPTED), size, b"\x81\x02hi")
    assert unseen(wire.put(True, size, 5004 + len(ACCEPTED), b"\x81\x82abcd").told(tmp_path)) == ["hole"]
    wire = Wire().opened().put(True, 1000, 5000, GET).put(True, size, 5000 + len(ACCEPTED), flags=16)
    assert unseen(wire.told(tmp_path)) == ["hole"]
    one_way = Wire().put(True, 999, 0, flags=2).put(True, 1000, 5000, flags=16).put(True, 1000, 5000, GET)
    told = one_way.told(tmp_path)
    assert unseen(told) == ["one way"]
    assert told[0]["one_way"] == 1
    wire = Wire().opened().put(True, 1000, 5000, GET).opened(9_000)
    assert unseen(wire.told(tmp_path)) == ["ports again"]


def test_a_handshake_that_waits_outlives_a_flood_of_syns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_capture, "MOST_FLOWS", 50)
    wire = Wire().opened().put(True, 1000, 5000, GET)
    for port in range(1, 300):
        wire.port = port
        wire.put(True, 1, 0, flags=2)
    wire.port = 40_000
    told = wire.put(False, 5000, 1000 + len(GET), ACCEPTED).told(tmp_path)
    assert counted(told) == {101: 1}
    assert told[0]["given_up"] == 0


def test_flows_that_were_given_up_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_capture, "MOST_FLOWS", 20)
    wire = Wire()
    for _ in range(40):
        wire.port += 1
        wire.opened().put(True, 1000, 5000, GET)
    told = wire.told(tmp_path)
    assert told[0]["given_up"] == 20
    assert counted(told) == {0: 40}
    assert sorted({line["unseen"] for line in told if line["kind"] == "handshake"}) == ["", "given up"]


def test_all_flows_together_keep_no_more_than_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_capture, "MOST_KEPT", 100_000)
    wire = Wire()
    for _ in range(10):
        wire.port += 1
        wire.opened().put(True, 1000, 5000, b"GET / HTTP/1.1\r\nA: " + b"x" * 30_000)
    assert wire.told(tmp_path)[0]["holes"] == 10
    reader = packet_capture.Reader()
    file = CaptureFile(str(tmp_path / "wire.pcap"))
    reader.read(file)
    file.close()
    assert reader.budget.left >= 0
    list(reader.told({}))
    assert reader.budget.left == 100_000


def test_every_reset_is_looked_at_and_those_that_do_not_fit_are_told_first(tmp_path: Path) -> None:
    wire = Wire()
    for number in range(100):
        wire.asked()
        wire.ttl = 64 if number < 60 else 200
        wire.put(False, 5000 + len(ACCEPTED), 1000, flags=4)
        wire.ttl = 64
    told = wire.told(tmp_path)
    resets = [line for line in told if line["kind"] == "reset"]
    assert (told[1]["resets"], told[1]["strange_resets"], len(resets)) == (100, 40, 50)
    assert [line["ttl"] for line in resets] == [200] * 40 + [64] * 10


def test_reordered_segments_captured_at_the_server_are_no_retransmissions(tmp_path: Path) -> None:
    # There the SYN's answer follows at once, and the client's ACK after the round trip.
    wire = Wire().put(True, 999, 0, flags=2).put(False, 4999, 1000, flags=18, ms=0.02)
    wire.put(True, 1000, 5000, flags=16, ms=20)
    for number in range(0, 40, 2):
        wire.put(True, 1000 + 100 * (number + 1), 5000, b"b" * 100).put(True, 1000 + 100 * number, 5000, b"a" * 100)
    transport = wire.told(tmp_path)[1]
    assert (transport["again"], transport["out_of_order"]) == (0, 20)


def test_ipv6_that_was_captured_twice_is_not_sent_again(tmp_path: Path) -> None:
    wire = Wire(wrap=b"\x02" * 12 + b"\x86\xdd", six=True)
    for up, sequence, acknowledged, payload, flags in (
        (True, 999, 0, b"", 2), (False, 4999, 1000, b"", 18), (True, 1000, 5000, GET, 24),
        (False, 5000, 1000 + len(GET), ACCEPTED, 24),
    ):  # fmt: skip
        wire.put(up, sequence, acknowledged, payload, flags, ms=5).put(up, sequence, acknowledged, payload, flags, 0.01)
    # Half a second later it is.
    wire.put(True, 1000, 5000, GET, ms=500)
    told = wire.told(tmp_path)
    assert (told[1]["twice"], told[1]["again"]) == (4, 1)
    assert counted(told) == {101: 1}


def test_a_broken_gzip_gives_what_stands_before_the_damage(tmp_path: Path) -> None:
    wire = Wire()
    source = random.Random(1)
    for _ in range(100):
        wire.asked(ACCEPTED + source.randbytes(300))
    whole = gzip.compress(wire.data)
    path = tmp_path / "a.pcap.gz"
    for data, words in (
        (whole[: len(whole) // 2], "ends within its gzip"),
        # What zlib makes of the damage at first may be a packet of no sense.
        (whole[: len(whole) // 2] + bytes(2000), ""),
        (whole[:-8] + bytes(8), "is damaged as gzip"),
    ):
        path.write_bytes(data)
        head = read(path)[0]
        assert head["broken"]
        assert words in head["broken"]
        assert head["packets"] > 200
    # Several members and a tape's zeros are no fault.
    half = len(wire.data) // 2
    path.write_bytes(gzip.compress(wire.data[:half]) + bytes(600) + gzip.compress(wire.data[half:]) + bytes(100_000))
    assert (read(path)[0]["broken"], read(path)[0]["packets"]) == ("", 500)
    for data in (whole[:10] + b"\xff" * 50, whole[:5], b"\x1f\x8b"):
        path.write_bytes(data)
        done = subprocess.run([*PROBE, str(path)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (1, "")
        assert "gzip" in done.stdout


def test_packets_of_tunnels_are_counted(tmp_path: Path) -> None:
    ethernet, ip = b"\x02" * 12, b"\x45" + bytes(8)
    wire = Wire().asked()
    wire.raw(ethernet + b"\x08\x00" + ip + b"\x2f" + bytes(30)).raw(ethernet + b"\x88\x64" + bytes(30))
    wire.raw(ethernet + b"\x08\x00" + ip + b"\x11" + bytes(10) + b"\x12\x34\x12\xb5" + bytes(30))
    wire.raw(ethernet + b"\x08\x00" + ip + b"\x11" + bytes(10) + b"\x12\x34\x00\x35" + bytes(30))
    assert wire.told(tmp_path)[0]["other"] == {"tunnel": 3, "no TCP": 1}


def broken(data: bytes, source: random.Random) -> bytes:
    if source.random() < 0.4:
        return data[: source.randrange(len(data) + 1)]
    found = bytearray(data)
    for _ in range(source.randint(1, 30)):
        found[source.randrange(len(found))] = source.randrange(256)
    return bytes(found)


def small() -> Iterator[bytes]:
    for path in CAPTURES:
        data = gzip.decompress(path.read_bytes())
        if len(data) < 20_000:
            yield data


def test_broken_files_end_in_words(tmp_path: Path) -> None:
    source = random.Random(2026)
    originals = list(small())
    path = tmp_path / "broken"
    for _ in range(rounds(1_000, 10_000)):
        path.write_bytes(broken(source.choice(originals), source))
        try:
            told = read(path)
        except (Broken, EOFError):
            continue
        for line in told:
            json.dumps(line)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"#!/bin/sh\n", "neither"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1, 1)[:20], "ends within its header"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1, 1) + b"\0" * 7, "ends within a packet"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1, 1) + b"\0" * 8 + b"\xff" * 8, "says at byte 24"),
        (b"\x0a\x0d\x0d\x0a\xff\xff\xff\xff\x4d\x3c\x2b\x1a", "a block has"),
    ],
)
def test_what_is_no_capture_is_told_with_the_place(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    done = subprocess.run([*PROBE, str(tmp_path / "file")], capture_output=True, text=True)
    assert done.returncode == 1
    assert words in done.stdout
    assert not done.stderr


def test_a_pipe_and_a_missing_file_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("pipe", "is not a file"), ("none", "No such file"), (".", "")):
        done = subprocess.run([*PROBE, str(tmp_path / name)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1, done
        assert words in done.stdout
        assert not done.stderr
