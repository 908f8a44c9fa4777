"""Files of any size and any origin, read in pieces of whole lines: plain or gzip, damaged or not, in bounded memory."""

from __future__ import annotations

import os
import stat
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol

#: How much of a zipped file is read at once, in bytes.
ZIPPED_BYTES = 1 << 16
#: Seconds before progress is told for the first time, and between two times.
PROGRESS_SECONDS = 0.5


class Readable(Protocol):
    def read(self, most: int, /) -> bytes: ...


class Unzipped:
    """What is in a gzip file. Where that is damaged or cut, it ends with the last byte that could be had.

    The library's own reader raises there, and throws away what it had already unzipped for that call.
    """

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._zip = zlib.decompressobj(31)
        self._data = b""
        self._started = False
        self._ended = False
        self.broken = ""

    def read(self, most: int, /) -> bytes:
        parts, size = [], 0
        while size < most and not self._ended:
            part = self._some(most - size)
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _some(self, most: int) -> bytes:
        last = not self._data and not self._fill()
        if last and not self._started:
            self._ended = True
            return b""
        before = self._zip.copy()
        try:
            part = self._zip.decompress(self._data, most)
        except zlib.error as error:
            self._ended, self.broken = True, f"it is damaged as a gzip file ({str(error).rpartition(': ')[2]})"
            return _until_damage(before, self._data, most)
        if self._zip.eof:
            # Several may follow each other, and zeros may fill up a block.
            self._data = self._zip.unused_data.lstrip(b"\0")
            self._zip, self._started = zlib.decompressobj(31), bool(self._data)
            return part
        self._started = True
        self._data = self._zip.unconsumed_tail
        if last and not part:
            self._ended, self.broken = True, "as a gzip file it was cut short"
        return part

    def _fill(self) -> bool:
        self._data = self._file.read(ZIPPED_BYTES)
        if not self._started:
            while self._data and not self._data.strip(b"\0"):
                self._data = self._file.read(ZIPPED_BYTES)
            self._data = self._data.lstrip(b"\0")
        return bool(self._data)


def _until_damage(unzip: zlib._Decompress, data: bytes, most: int) -> bytes:
    """Byte by byte, since the library gives nothing of a call in which it meets damage."""
    parts, size = [], 0
    try:
        for at in range(len(data)):
            if size >= most:
                break
            parts.append(unzip.decompress(data[at : at + 1], most - size))
            size += len(parts[-1])
    except zlib.error:
        pass
    return b"".join(parts)


class Opened:
    """A file that was opened: `size` is in bytes, and 0 where nobody knows how much there is to read."""

    def __init__(self, source: Readable, size: int, unzipped: Unzipped | None = None) -> None:
        self.source = source
        self.size = size
        self._unzipped = unzipped

    @property
    def broken(self) -> str:
        """Why it ended before its end; empty where it did not."""
        return self._unzipped.broken if self._unzipped else ""


@contextmanager
def opened(path: str) -> Iterator[Opened]:
    """A regular file; raises OSError, which says why, for everything else."""
    # A pipe would wait here already for somebody who writes to it.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        # A device or a pipe might never end.
        if not stat.S_ISREG(status.st_mode):
            raise OSError(22, "Is a directory" if stat.S_ISDIR(status.st_mode) else "Is not a regular file")
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if zipped:
            unzipped = Unzipped(file)
            yield Opened(unzipped, 0, unzipped)
        else:
            yield Opened(file, status.st_size)


class Pieces:
    """A source in pieces, each ending where something ends, such as a line.

    What is longer than `most` bytes without an end is left out to its end, and counted.
    """

    def __init__(self, source: Readable | IO[bytes], most: int, size: int = 0) -> None:
        self._source, self._most, self._end, self._size = source, most, b"\n", size
        self._begun = b""
        self.read = 0
        self.overlong = 0
        self._told = time.monotonic()

    def begins_with(self, *starts: bytes) -> bool:
        """Whether, but for blanks, it begins with one of these; nothing is lost by asking."""
        self._begun = self._begun or self._source.read(4096)
        return self._begun.lstrip().startswith(starts)

    def end_with(self, end: bytes) -> None:
        """Let pieces end with this instead of a line; to be said before the first one is taken."""
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        rest, skipping = b"", False
        while data := self._next():
            data = rest + data
            if skipping:
                at = data.find(self._end)
                if at < 0:
                    rest = self._tail(data)
                    continue
                data, skipping = data[at + len(self._end) :], False
            cut = data.rfind(self._end)
            cut = cut + len(self._end) if cut >= 0 else 0
            if cut:
                yield data[:cut]
            rest = data[cut:]
            if len(rest) > self._most:
                # A log that was cut to nothing while somebody wrote to it begins with zeros.
                rest = rest.lstrip(b"\0")
            if len(rest) > self._most:
                self.overlong, skipping, rest = self.overlong + 1, True, self._tail(rest)
        if rest and not skipping:
            yield rest

    def _next(self) -> bytes:
        data, self._begun = self._begun or self._source.read(self._most), b""
        self.read += len(data)
        if self._size and time.monotonic() - self._told >= PROGRESS_SECONDS:
            self._told = time.monotonic()
            print(f"\r{min(100, 100 * self.read // self._size)} %", end="", file=sys.stderr, flush=True)
        return data

    def _tail(self, data: bytes) -> bytes:
        """What may be the beginning of an end."""
        return data[len(data) - len(self._end) + 1 :]
