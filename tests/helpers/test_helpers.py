"""What a helper's `parse` is given."""

from __future__ import annotations

import pytest

from runbook.helpers import Captures
from runbook.model import Capture, Ending

RAN = Capture("ran", ("true",), Ending.EXITED, 5, b"out")


def captures(*others: Capture) -> Captures:
    return Captures((RAN, *others), {"limit": 80, "name": "x"})


def test_captures_are_found_by_their_step() -> None:
    assert captures()["ran"] is RAN
    assert list(captures()) == ["ran"]
    assert len(captures()) == 1


def test_a_step_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        captures()["gone"]


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.EXITED])
def test_only_a_command_that_ran_to_its_end_has_run(ending: Ending) -> None:
    assert captures(Capture("other", ("x",), ending)).ran("other") is None


def test_a_command_has_run_whatever_it_exited_with() -> None:
    assert captures().ran("ran") is RAN
    assert captures().ran("gone") is None


def test_a_threshold_is_a_float() -> None:
    assert isinstance(captures().number("limit"), float)
    with pytest.raises(KeyError):
        captures().number("gone")
