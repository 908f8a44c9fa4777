"""Capture files, written packet by packet, and read by the probe."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from runbook.probes.packet_capture import Reader
from runbook.probes.pcap import CaptureFile

KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GET = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
    + KEY
    + b"\r\n\r\n"
)
ACCEPTED = (
    b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)
REFUSED = b"HTTP/1.1 403 No\r\n\r\n"


def read(path: Path) -> list[dict[str, Any]]:
    reader = Reader()
    file = CaptureFile(str(path))
    reader.read(file)
    file.close()
    return list(reader.told({"kind": "capture", "file": str(path), "format": file.format, "zipped": file.zipped}))


class Wire:
    """Writes a capture packet by packet."""

    def __init__(self, link: int = 1, wrap: bytes = b"\x02" * 12 + b"\x08\x00", six: bool = False) -> None:
        self.parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 16, link)]
        self.wrap, self.six, self.now = wrap, six, 0
        #: The port of the client, and what the next packets have as TTL and identification.
        self.port, self.ttl, self.identification = 40_000, 64, 0
        #: So many bytes of each packet are kept.
        self.snap = 1 << 16

    @property
    def data(self) -> bytes:
        return b"".join(self.parts)

    def put(
        self, up: bool, sequence: int, acknowledged: int, payload: bytes = b"", flags: int = 24, ms: float = 1
    ) -> Wire:
        ports = (self.port, 80) if up else (80, self.port)
        numbers = sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF
        tcp = struct.pack(">HHIIBBHHH", *ports, *numbers, 0x50, flags, 512, 0, 0) + payload
        ends = [bytes(15) + b"\x01", bytes(15) + b"\x02"] if self.six else [b"\x0a\0\0\x01", b"\x0a\0\0\x02"]
        source, target = ends if up else ends[::-1]
        if self.six:
            head = struct.pack(">IHBB", 0x60000000, len(tcp) + 8, 60, self.ttl) + source + target
            head += b"\x06\0\x01\x04\0\0\0\0"
        else:
            head = (
                struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), self.identification, 0x4000, self.ttl, 6, 0)
                + source
                + target
            )
        return self.raw(self.wrap + head + tcp, ms)

    def raw(self, packet: bytes, ms: float = 1) -> Wire:
        self.now += round(ms * 1000)
        times = 1_700_000_000 + self.now // 1_000_000, self.now % 1_000_000
        kept = packet[: self.snap]
        self.parts.append(struct.pack("<IIII", *times, len(kept), len(packet)) + kept)
        return self

    def opened(self, base: int = 1000) -> Wire:
        """A connection; what the client says begins at `base`, the server's at 5000."""
        return self.put(True, base - 1, 0, flags=2).put(False, 4999, base, flags=18).put(True, base, 5000, flags=16)

    def asked(self, answer: bytes = ACCEPTED, get: bytes = GET) -> Wire:
        """A connection on another port, with a handshake and its answer."""
        self.port += 1
        return self.opened().put(True, 1000, 5000, get).put(False, 5000, 1000 + len(get), answer)

    def told(self, folder: Path) -> list[dict[str, Any]]:
        (folder / "wire.pcap").write_bytes(self.data)
        return read(folder / "wire.pcap")
