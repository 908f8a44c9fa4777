"""What tests of several rooms share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.base import Base, Witness
from tests.executors.driving import marked

if TYPE_CHECKING:
    from tests.server.serving import Served


@pytest.fixture(scope="session", autouse=True)
def decisions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests trust is forgotten with them, and is not the person's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """An empty knowledge base."""
    return Base(tmp_path)


@pytest.fixture(scope="module")
def served(base: Base) -> Iterator[Served]:
    """A server for all tests of a module, over the knowledge base that the module's own `base` makes."""
    # Only here, because most tests ask no server.
    from tests.server.serving import serving

    with serving(base) as server:
        yield server


@pytest.fixture
def witness() -> Iterator[Witness]:
    """Hears that a step ran."""
    witness = Witness()
    yield witness
    witness.close()


@pytest.fixture
def mark() -> Iterator[str]:
    """For what a test starts: when it is over, nothing that bears this mark is left."""
    mark = f"mark-{uuid.uuid4().hex}"
    yield mark
    assert marked(mark) == set()
