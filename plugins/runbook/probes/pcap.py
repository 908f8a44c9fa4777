"""Packets of a capture file as they stand in it: pcap and pcapng, plain or gzip, of either byte order.

Formats: draft-ietf-opsawg-pcap (the magic says byte order and unit of time) and draft-ietf-opsawg-pcapng (sections,
each of its own byte order, interfaces with their own unit of time). Only what a reader of packets needs is read.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Protocol

#: (time in ns, link type, the packet as far as it was kept, its length on the wire)
Packet = tuple[int, int, bytes, int]

#: How much is read at once, in bytes; and the largest packet or block that is believed.
CHUNK_BYTES, MOST_BYTES = 1 << 20, 1 << 26
#: How much of a gzip file is read at once, in bytes.
ZIPPED_BYTES = 1 << 16
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_SECTION = b"\x0a\x0d\x0d\x0a"


class Broken(Exception):
    """The file ends, or goes on, in a way that its format does not know; says where and how."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Gzip:
    """Reads a gzip file of any number of members. What stands before a cut or a damage is given first, and only then is
    Broken raised; the gzip module throws away all of the piece in which that is."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._inflate = zlib.decompressobj(wbits=31)
        self._rest = b""
        self._broken = ""

    def read(self, size: int) -> bytes:
        while not self._broken:
            if self._inflate.eof and not self._next_member():
                return b""
            data = self._rest or self._raw.read(ZIPPED_BYTES)
            before = self._inflate.copy()
            try:
                found = self._inflate.decompress(data, size)
                self._rest = self._inflate.unconsumed_tail
                if not data and not found and not self._inflate.eof:
                    self._broken = "ends within its gzip"
            except zlib.error as error:
                found = _until_damage(before, data, size)
                self._broken = f"is damaged as gzip, before byte {self._raw.tell()} of it ({error})"
            if found:
                return found
        raise Broken(self._broken)

    def _next_member(self) -> bool:
        """Zeros may follow a member, which is how a tape fills its blocks, and another member."""
        data = self._inflate.unused_data
        while not (data := data.lstrip(b"\0")):
            data = self._raw.read(ZIPPED_BYTES)
            if not data:
                return False
        self._rest, self._inflate = data, zlib.decompressobj(wbits=31)
        return True


def _until_damage(inflate: zlib._Decompress, data: bytes, most: int) -> bytes:
    """What zlib gave before it found the damage is lost with its error; byte by byte it can be had."""
    found = bytearray()
    try:
        for place in range(len(data)):
            found += inflate.decompress(data[place : place + 1], most)
            if len(found) >= most:
                break
    except zlib.error:
        pass
    return bytes(found)


class CaptureFile:
    """One file; `packets` gives what is in it, in order, and raises Broken where it cannot go on."""

    def __init__(self, path: str) -> None:
        # A pipe or a device might never end, and would hang already here.
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(22, "is not a file")
        self.size = os.fstat(file.fileno()).st_size
        self._raw = file
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        self._file: _Readable = _Gzip(file) if zipped else file
        self._data, self._at = b"", 0
        self._taken = 0
        try:
            magic = self._peek(4)
        except Broken:
            file.close()
            raise
        if not magic:
            file.close()
            raise Broken("is empty")
        if magic in _MAGIC:
            self.format = "pcap"
        elif magic == _SECTION:
            self.format = "pcapng"
        else:
            file.close()
            raise Broken("begins like neither pcap nor pcapng")
        self.zipped = zipped

    def close(self) -> None:
        self._raw.close()

    @property
    def share(self) -> float:
        """How much of the file was read, from 0 to 1."""
        return self._raw.tell() / self.size if self.size else 1.0

    def packets(self) -> Iterator[Packet]:
        return self._pcap() if self.format == "pcap" else self._pcapng()

    def _more(self) -> bool:
        """Read on, keeping what has not been taken; False at the end."""
        data = self._file.read(CHUNK_BYTES)
        self._taken += self._at
        self._data, self._at = self._data[self._at :] + data, 0
        return bool(data)

    def _peek(self, count: int) -> bytes:
        while len(self._data) - self._at < count and self._more():
            pass
        return self._data[self._at : self._at + count]

    def _take(self, count: int, what: str) -> bytes:
        found = self._peek(count)
        if len(found) < count:
            raise Broken(f"ends within {what}, at byte {self._taken + self._at + len(found)}")
        self._at += count
        return found

    def _pcap(self) -> Iterator[Packet]:
        head = self._take(24, "its header")
        order, unit = _MAGIC[head[:4]]
        # The upper bits say whether a checksum follows each packet, and how long that is.
        link = struct.unpack(order + "I", head[20:24])[0] & 0x03FFFFFF
        record = struct.Struct(order + "IIII")
        size, unpack = record.size, record.unpack_from
        while True:
            # Straight from what was read, for this is done a million times.
            data, at, end = self._data, self._at, len(self._data)
            while at + size <= end:
                seconds, part, kept, length = unpack(data, at)
                if kept > MOST_BYTES:
                    self._at = at
                    raise Broken(f"says at byte {self._taken + at} that a packet has {kept} bytes")
                after = at + size + kept
                if after > end:
                    break
                yield seconds * 1_000_000_000 + part * unit, link, data[at + size : after], length
                at = after
            self._at = at
            if not self._more():
                if len(self._data) > self._at:
                    raise Broken(f"ends within a packet, at byte {self._taken + len(self._data)}")
                return

    def _pcapng(self) -> Iterator[Packet]:
        order = "<"
        interfaces: list[tuple[int, int, int, int]] = []
        while head := self._peek(12):
            if head[:4] == _SECTION:
                order = "<" if head[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
                interfaces = []
            if len(head) < 12:
                raise Broken(f"ends within a block, at byte {self._taken + self._at + len(head)}")
            kind, length = struct.unpack(order + "II", head[:8])
            if not 12 <= length <= MOST_BYTES or length % 4:
                raise Broken(f"says at byte {self._taken + self._at} that a block has {length} bytes")
            block = self._take(length, "a block")
            if kind == 1:
                interfaces.append(_interface(block, order))
            elif kind in (6, 2) and len(block) >= 32:
                if kind == 6:
                    number, high, low, kept, wire = struct.unpack_from(order + "IIIII", block, 8)
                else:
                    number, _, high, low, kept, wire = struct.unpack_from(order + "HHIIII", block, 8)
                if number >= len(interfaces) or 28 + kept > length:
                    raise Broken(
                        f"has a packet of no interface, or larger than its block, before byte {self._taken + self._at}"
                    )
                link, up, down, offset = interfaces[number]
                yield ((high << 32 | low) * up // down) + offset, link, block[28 : 28 + kept], wire
            elif kind == 3 and interfaces and len(block) >= 16:
                wire = struct.unpack_from(order + "I", block, 8)[0]
                yield 0, interfaces[0][0], block[12 : min(12 + wire, length - 4)], wire


def _interface(block: bytes, order: str) -> tuple[int, int, int, int]:
    """Its link type, and how its time becomes ns: times, divided by, plus."""
    if len(block) < 20:
        raise Broken("has an interface without a link type")
    link, up, down, offset, at = struct.unpack_from(order + "H", block, 8)[0], 1000, 1, 0, 16
    while at + 4 <= len(block) - 4:
        code, length = struct.unpack_from(order + "HH", block, at)
        value = block[at + 4 : at + 4 + length]
        if code == 9 and length == 1:
            base = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            up, down = 1_000_000_000, base
        elif code == 14 and length == 8:
            seconds = struct.unpack(order + "q", value)[0]
            # No clock is off by three thousand years; with that, no time could be told.
            offset = seconds * 1_000_000_000 if abs(seconds) < 10**11 else 0
        elif code == 0:
            break
        at += 4 + (length + 3) // 4 * 4
    return link, up, down, offset
