"""The nouns: which verdict is worse, and what a run with these findings comes to."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from runbook.model import Capture, Ending, Finding, Host, Plan, Run, Runbook, Source, Verdict

OK, UNKNOWN, WARNING, CRITICAL = Verdict


def run_with(*verdicts: Verdict) -> Run:
    runbook = Runbook("tested", "Tested", "", "testing", "", "")
    findings = tuple(Finding("found", verdict, "") for verdict in verdicts)
    return Run(Plan(runbook, {}, ()), Host("", "", "", ""), Source("live"), 0.0, 0.0, (), findings=findings)


def test_concern_grows_from_ok_over_unknown_and_warning_to_critical() -> None:
    assert OK < UNKNOWN < WARNING < CRITICAL


def test_no_findings_is_unknown() -> None:
    assert run_with().verdict is UNKNOWN


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ((OK,), OK),
        ((OK, OK), OK),
        ((OK, UNKNOWN), UNKNOWN),
        ((UNKNOWN, OK), UNKNOWN),
        ((UNKNOWN, WARNING), WARNING),
        ((WARNING, UNKNOWN, OK), WARNING),
        ((UNKNOWN, CRITICAL), CRITICAL),
        ((CRITICAL, UNKNOWN, WARNING, OK), CRITICAL),
    ],
)
def test_a_run_is_as_bad_as_its_worst_finding(verdicts: tuple[Verdict, ...], worst: Verdict) -> None:
    assert run_with(*verdicts).verdict is worst


@pytest.mark.parametrize(("verdict", "code"), [(OK, 0), (WARNING, 1), (CRITICAL, 2), (UNKNOWN, 3)])
def test_exit_codes_are_those_of_monitoring_plugins(verdict: Verdict, code: int) -> None:
    assert verdict.exit_code == code


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_is_found_again_by_its_word(verdict: Verdict) -> None:
    assert Verdict.named(str(verdict)) is verdict


@pytest.mark.parametrize("word", ["", "OK", "bad", "1"])
def test_another_word_is_no_verdict(word: str) -> None:
    with pytest.raises(ValueError, match="use ok, unknown, warning or critical"):
        Verdict.named(word)


@pytest.mark.parametrize("ending", Ending)
def test_only_a_command_that_exited_with_0_succeeded(ending: Ending) -> None:
    assert Capture("a", ("true",), ending, 0).succeeded is (ending is Ending.EXITED)
    assert not Capture("a", ("false",), ending, 1).succeeded


def test_a_capture_is_truncated_when_bytes_were_dropped() -> None:
    assert Capture("a", ("yes",), Ending.EXITED, 0, dropped=1).truncated
    assert not Capture("a", ("yes",), Ending.EXITED, 0).truncated


def test_what_was_captured_cannot_be_changed() -> None:
    capture = Capture("a", ("true",), Ending.EXITED, 0)
    with pytest.raises(FrozenInstanceError):
        capture.exit_code = 1  # type: ignore[misc]
