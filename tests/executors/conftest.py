"""The executors that have to fulfil the contract, and a mark: when a test is over, nothing that bears it is left."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from runbook.executors.executor import Executor
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import marked

#: How much of each stream the executors under contract keep, in bytes.
CAP = 64 * 1024

FACTORIES: dict[str, Callable[[], Executor]] = {
    "process": lambda: ProcessExecutor(cap=CAP),
}


@pytest.fixture(scope="module", params=FACTORIES)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """One of each kind, used again and again, as a run uses it."""
    executor = FACTORIES[request.param]()
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def here() -> Iterator[ProcessExecutor]:
    """The executor of this host, with the cap it has by default: for tests of what only it does."""
    with ProcessExecutor() as executor:
        yield executor


@pytest.fixture
def mark() -> Iterator[str]:
    mark = f"mark-{uuid.uuid4().hex}"
    yield mark
    assert marked(mark) == set()
