"""What tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.base import Base, Witness


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """An empty knowledge base."""
    return Base(tmp_path)


@pytest.fixture
def witness() -> Iterator[Witness]:
    """Hears that a step ran."""
    witness = Witness()
    yield witness
    witness.close()
