"""The executors that have to fulfil the contract."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from runbook.executors.executor import Executor
from runbook.executors.process import ProcessExecutor
from runbook.labs.lab import open_lab
from runbook.model import Runbook, Scenario

#: How much of each stream the executors under contract keep, in bytes.
CAP = 64 * 1024


@contextmanager
def inside(kind: str) -> Iterator[Executor]:
    """The executor of a lab in which nothing was built."""
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario("contract", "An empty lab", kind, "nothing.sh")
        nothing = {"nothing.sh": b""}
        runbook = Runbook("contract", "", "", "", folder, "", labs=(scenario,), files=nothing, trusted=True)
        with open_lab(runbook, scenario, cap=CAP) as executor:
            yield executor


FACTORIES: dict[str, Callable[[], AbstractContextManager[Executor]]] = {
    "process": lambda: ProcessExecutor(cap=CAP),
    "namespace": lambda: inside("namespace"),
    "kernel": lambda: inside("kernel"),
}


@pytest.fixture(scope="module", params=FACTORIES)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """One of each kind, used again and again, as a run uses it."""
    with FACTORIES[request.param]() as executor:
        yield executor


@pytest.fixture(scope="module")
def here() -> Iterator[ProcessExecutor]:
    """The executor of this host, with the cap it has by default: for tests of what only it does."""
    with ProcessExecutor() as executor:
        yield executor
