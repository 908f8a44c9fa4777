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
from pathlib import Path
from typing import Any

import pytest

from runbook.probes.packet_capture import Reader
from runbook.probes.pcap import Broken, CaptureFile
from tests.base import rounds

#: Recorded by tcpdump and dumpcap around HAProxy; which is which, the name says.
CAPTURES = sorted((Path(__file__).parent / "captures").glob("*.gz"))
PROBE = [sys.executable, "-c", "import sys; from runbook.probes import main; sys.exit(main())", "packet-capture"]
ANALYSIS = ("retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "keep_alive")
KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GET = b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
ACCEPTED = b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"


def read(path: Path) -> list[dict[str, Any]]:
    reader = Reader()
    file = CaptureFile(str(path))
    reader.read(file)
    file.close()
    return list(reader.told({"kind": "capture"}))


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


class Wire:
    """Writes a capture packet by packet."""

    def __init__(self, link: int = 1, wrap: bytes = b"\x02" * 12 + b"\x08\x00", six: bool = False) -> None:
        self.data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 16, link)
        self.wrap, self.six, self.now = wrap, six, 0

    def put(
        self, up: bool, sequence: int, acknowledged: int, payload: bytes = b"", flags: int = 24, ms: int = 1
    ) -> Wire:
        ports = (40_000, 80) if up else (80, 40_000)
        numbers = sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF
        tcp = struct.pack(">HHIIBBHHH", *ports, *numbers, 0x50, flags, 512, 0, 0) + payload
        ends = [bytes(15) + b"\x01", bytes(15) + b"\x02"] if self.six else [b"\x0a\0\0\x01", b"\x0a\0\0\x02"]
        source, target = ends if up else ends[::-1]
        if self.six:
            head = struct.pack(">IHBB", 0x60000000, len(tcp) + 8, 60, 64) + source + target + b"\x06\0\x01\x04\0\0\0\0"
        else:
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + source + target
        packet = self.wrap + head + tcp
        self.now += ms * 1000
        times = 1_700_000_000 + self.now // 1_000_000, self.now % 1_000_000
        self.data += struct.pack("<IIII", *times, len(packet), len(packet)) + packet
        return self

    def opened(self, base: int = 1000) -> Wire:
        """A connection; what the client says begins at `base`, the server's at 5000."""
        return self.put(True, base - 1, 0, flags=2).put(False, 4999, base, flags=18).put(True, base, 5000, flags=16)

    def told(self, folder: Path) -> list[dict[str, Any]]:
        (folder / "wire.pcap").write_bytes(self.data)
        return read(folder / "wire.pcap")


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
    fragment = bytearray(wire.data[24 + 16 : 24 + 16 + 54])
    fragment[20] |= 0x20
    for packet in (
        bytes(fragment),
        b"",
        b"\x02" * 12 + b"\x08\x00",
        b"\x02" * 12 + b"\x08\x00\x45" + bytes(8) + b"\x06",
    ):
        wire.data += struct.pack("<IIII", 1_700_000_001, 0, len(packet), len(packet)) + packet
    assert wire.told(tmp_path)[0]["other"] == {"fragment": 1, "unknown": 3}


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
