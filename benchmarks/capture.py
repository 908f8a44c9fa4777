"""A capture of 1 GB and 100 000 flows, read by the probe and by tshark, which counts the same: time and memory.

.venv/bin/python -m benchmarks.capture [MEGABYTES]
"""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOWS = 100_000
PAYLOAD = 1400
#: One segment of so many is sent again, and one handshake of so many flows is a websocket's.
LOST, WEBSOCKET = 100, 1000
GET = (
    b"GET /chat HTTP/1.1\r\nHost: app.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def packet(flow: int, up: bool, sequence: int, acknowledged: int, flags: int, payload: bytes = b"") -> bytes:
    """An Ethernet frame; checksums are left 0, as a capture on the sending host has them."""
    client = struct.pack(">BBH", 10, flow >> 16 & 255, flow & 0xFFFF)
    ends = (client, bytes([10, 255, 0, 1]))
    ports = (1024 + flow % 60_000, 80)
    source, target = ends if up else ends[::-1]
    one, other = ports if up else ports[::-1]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0) + source + target
    tcp = struct.pack(
        ">HHIIBBHHH", one, other, sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF, 0x50, flags, 512, 0, 0
    )
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + head + tcp + payload


def write(path: Path, size: int) -> None:
    """A capture of about so many bytes: flows that overlap, each with a handshake, a request and its answer."""
    source = random.Random(2026)
    rounds = max(1, size // (FLOWS * (PAYLOAD + 140)))
    now = 1_700_000_000_000_000
    with open(path, "wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))

        def put(data: bytes, after: int = 20) -> None:
            nonlocal now
            now += after
            file.write(struct.pack("<IIII", now // 1_000_000, now % 1_000_000, len(data), len(data)) + data)

        body = bytes(PAYLOAD)
        for first in range(0, FLOWS, 100):
            flows = range(first, first + 100)
            for flow in flows:
                put(packet(flow, True, 0, 0, 2))
                put(packet(flow, False, 0, 1, 18))
                put(packet(flow, True, 1, 1, 16))
            for flow in flows:
                websocket = not flow % WEBSOCKET
                put(packet(flow, True, 1, 1, 24, GET if websocket else b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
                if websocket:
                    put(packet(flow, False, 1, 1 + len(GET), 24, ACCEPTED))
            for number in range(rounds):
                for flow in flows:
                    if not flow % WEBSOCKET:
                        continue
                    sequence = 1 + number * PAYLOAD
                    data = packet(flow, False, sequence, 27, 24, body)
                    put(data)
                    if not source.randrange(LOST):
                        put(data, 300_000)
                    put(packet(flow, True, 27, sequence + PAYLOAD, 16))


def measured(words: list[str]) -> tuple[float, int, str]:
    """Seconds, MiB at most, and what it said."""
    start = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return time.monotonic() - start, usage.ru_maxrss // 1024, said


def main() -> None:
    size = int(sys.argv[1]) * 1_000_000 if len(sys.argv) > 1 else 1_000_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.pcap"
        write(path, size)
        print(f"{path.stat().st_size:,} bytes, {FLOWS:,} flows")
        probe = [str(Path(sys.executable).parent / "runbook-probe"), "packet-capture", str(path)]
        seconds, memory, said = measured(probe)
        told = [json.loads(line) for line in said.splitlines()]
        shakes = told[0]["handshakes"]
        print(f"probe   {seconds:6.1f} s {memory:6} MiB  again {told[1]['again']:,}  handshakes {shakes}")
        filters = ["tcp.analysis.retransmission", "http.upgrade"]
        tshark = ["tshark", "-n", "-q", "-r", str(path), "-z", f"io,stat,0,{','.join(filters)}"]
        seconds, memory, said = measured(tshark)
        rows = [line for line in said.splitlines() if "<>" in line]
        print(f"tshark  {seconds:6.1f} s {memory:6} MiB  {rows[-1].strip() if rows else said}")


if __name__ == "__main__":
    main()
