"""Files are read in whole pieces, and out of a damaged gzip comes all that was before the damage."""

from __future__ import annotations

import gzip
import io
import os
import random
from pathlib import Path

import pytest

from runbook.probes.files import Pieces, Unzipped, opened
from tests.base import rounds


def unzipped(data: bytes, most: int = 1000) -> tuple[bytes, str]:
    source = Unzipped(io.BytesIO(data))
    parts = []
    while part := source.read(most):
        assert len(part) <= most
        parts.append(part)
    return b"".join(parts), source.broken


def plain(source: random.Random, size: int) -> bytes:
    return b"".join(source.choice((b"a line\n", b"another\n", source.randbytes(9))) for _ in range(size))


def test_what_is_whole_is_what_the_library_reads() -> None:
    source = random.Random(2026)
    for _ in range(rounds(100, 1_000)):
        parts = [plain(source, source.randrange(3_000)) for _ in range(source.randint(1, 3))]
        data = b"".join(gzip.compress(part) + bytes(source.choice((0, 0, 512))) for part in parts)
        assert unzipped(data, source.choice((1, 7, 1_000, 1 << 22))) == (gzip.decompress(data), "")


def test_of_what_is_damaged_the_beginning_is_kept() -> None:
    source = random.Random(2026)
    for _ in range(rounds(200, 2_000)):
        text = plain(source, 3_000)
        data = bytearray(gzip.compress(text))
        at = source.randrange(len(data))
        found, broken = unzipped(bytes(data[:at]))
        assert text.startswith(found)
        assert broken or not at
        data[at] ^= 1 << source.randrange(8)
        found, broken = unzipped(bytes(data))
        # What a flipped bit makes of the header may be another good header.
        assert broken or found == text


def test_a_bomb_gives_no_more_than_was_asked_for() -> None:
    source = Unzipped(io.BytesIO(gzip.compress(bytes(50_000_000))))
    assert len(source.read(1_000_000)) == 1_000_000


@pytest.mark.parametrize("end", [b"\n", b"</flow>"])
@pytest.mark.parametrize("most", [8, 13, 64])
def test_pieces_are_all_of_it_and_end_where_they_should(end: bytes, most: int) -> None:
    source = random.Random(most)
    for _ in range(rounds(200, 2_000)):
        words = [source.randbytes(source.randrange(most)).replace(b"<", b"(").replace(b"\n", b" ") for _ in range(20)]
        words = [word for word in words if len(word) + len(end) <= most]
        pieces = Pieces(io.BytesIO(b"".join(word + end for word in words)), most)
        pieces.end_with(end)
        found = list(pieces)
        assert b"".join(found) == b"".join(word + end for word in words)
        assert all(piece.endswith(end) for piece in found)
        assert pieces.overlong == 0


@pytest.mark.parametrize("end", [b"\n", b"</flow>"])
def test_what_is_too_long_is_left_out_to_its_end(end: bytes) -> None:
    for size in range(65, 400):
        pieces = Pieces(io.BytesIO(b"one" + end + b"x" * size * 2 + end + b"two" + end), 64)
        pieces.end_with(end)
        found = b"".join(pieces)
        assert found == b"one" + end + b"two" + end
        assert pieces.overlong == 1


def test_only_a_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "none"):
        with pytest.raises(OSError, match=r"regular|directory"), opened(str(path)):
            pass
