"""What tests of several rooms share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.base import Base
from tests.executors.driving import marked


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """An empty knowledge base."""
    return Base(tmp_path)


@pytest.fixture
def mark() -> Iterator[str]:
    """For what a test starts: when it is over, nothing that bears this mark is left."""
    mark = f"mark-{uuid.uuid4().hex}"
    yield mark
    assert marked(mark) == set()
