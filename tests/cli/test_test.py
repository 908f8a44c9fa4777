"""`runbook test`: what is found must be what is expected, no more and no less."""

from __future__ import annotations

import pytest

from tests.base import HELPER, Base

SAMPLE = 'title: T\nsource: {kind: document}\ncaptures: [{step: a, stdout: "ill"}]\n'


def sampled(base: Base, rest: str) -> None:
    folder = base.runbook("talk", [{"argv": ["echo", "well"]}], HELPER, findings={"all-well": "W.", "broken": "N."})
    (folder / "samples").mkdir(exist_ok=True)
    (folder / "samples/one.yaml").write_text(SAMPLE + rest)


EXPECTED = [
    ("findings: {broken: critical}\n", "1 passed, 0 failed", 0),
    ("findings: {broken: warning}\n", "broken is critical, not warning", 2),
    ("findings: {all-well: ok}\n", "all-well ok was not found", 2),
    ("findings: {}\n", "broken critical was not expected: ill", 2),
    ('findings: {broken: critical}\nfacts: "ill"\n', "1 passed, 0 failed", 0),
    ('findings: {broken: critical}\nfacts: "well"\n', "facts is 'ill', not 'well'", 2),
]


@pytest.mark.parametrize(("rest", "said", "status"), EXPECTED)
def test_a_sample_is_compared_with_what_it_says(base: Base, rest: str, said: str, status: int) -> None:
    sampled(base, rest)
    done = base.call("test", "talk")
    assert said in done.stdout
    assert done.returncode == status


@pytest.mark.parametrize(("verdict", "status"), [("ok", 0), ("critical", 2)])
def test_a_lab_is_run_and_compared(base: Base, verdict: str, status: int) -> None:
    base.runbook("talk", [{"argv": ["cat", "/run/state"]}], HELPER, findings={"all-well": "W.", "broken": "N."})
    base.lab("talk", "echo well >/run/state\n", expect={"all-well": verdict})
    done = base.call("test", "talk", "--labs")
    assert "talk lab lab-0" in done.stdout
    assert done.returncode == status


def test_a_lab_that_cannot_be_run_is_no_success(base: Base) -> None:
    base.runbook("talk", [{"argv": ["true"]}])
    base.lab("talk", "exit 1\n")
    done = base.call("test", "talk", "--labs")
    assert "0 passed, 0 failed, 1 could not be run" in done.stdout
    assert done.returncode == 3


def test_labs_are_not_run_unasked(base: Base) -> None:
    base.runbook("talk", [{"argv": ["true"]}])
    base.lab("talk", "exit 1\n")
    assert base.call("test", "talk").returncode == 0
