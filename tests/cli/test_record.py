"""`runbook record`: real output becomes a sample, redacted, and only when that is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.base import HELPER, Base

UUID = "c64944b7-a07e-4a11-83fc-58f1c276a47d"


@pytest.fixture
def talk(base: Base) -> Path:
    """The folder of a runbook whose step prints an identity."""
    return base.runbook(
        "talk", [{"argv": ["echo", f"well {UUID}"]}], HELPER, findings={"all-well": "Well.", "broken": "Not well."}
    )


def test_a_sample_is_written_when_it_was_agreed_to(base: Base, talk: Path) -> None:
    assert base.call("record", "talk", "--as", "one", "--yes").returncode == 0
    assert "all-well: ok" in (talk / "samples/one.yaml").read_text()


def test_without_a_terminal_nothing_is_written_unasked(base: Base, talk: Path) -> None:
    done = base.call("record", "talk", "--as", "one")
    assert "say --yes" in done.stderr
    assert (done.returncode, (talk / "samples/one.yaml").exists()) == (64, False)


def test_what_was_redacted_is_shown(base: Base, talk: Path) -> None:
    done = base.call("record", "talk", "--as", "one", "--yes")
    assert f"{UUID}  →  00000000-0000-4000-8000-000000000001" in done.stderr
    assert UUID not in (talk / "samples/one.yaml").read_text()


def test_a_sample_is_not_replaced_unasked(base: Base, talk: Path) -> None:
    base.call("record", "talk", "--as", "one", "--yes")
    before = (talk / "samples/one.yaml").read_text()
    assert base.call("record", "talk", "--as", "one").returncode == 64
    assert (talk / "samples/one.yaml").read_text() == before


def test_a_recorded_sample_passes_its_test(base: Base, talk: Path) -> None:
    base.call("record", "talk", "--as", "one", "--yes")
    assert base.call("test").stdout.splitlines()[-1] == "1 passed, 0 failed"


@pytest.mark.parametrize("case", ["../one", "One", "", "a b"])
def test_a_case_has_a_name(base: Base, talk: Path, case: str) -> None:
    assert base.call("record", "talk", "--as", case, "--yes").returncode == 64
    assert not (talk / "samples").exists()


def test_output_that_cannot_be_read_can_be_recorded(base: Base, talk: Path) -> None:
    (talk / "helper.py").write_text(HELPER.replace("return captures", "raise ValueError('odd') or captures"))
    base.call("record", "talk", "--as", "unreadable", "--yes")
    assert "unreadable: unknown" in (talk / "samples/unreadable.yaml").read_text()
