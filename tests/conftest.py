"""What tests of several rooms share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.base import Base


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """An empty knowledge base."""
    return Base(tmp_path)
