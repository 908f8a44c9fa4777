"""What cannot be read stands beside what can."""

from __future__ import annotations

import pytest

from runbook.errors import Unreadable
from runbook.formats.partial import Unread, complaint, optional, unread_findings
from runbook.model import Capture, Ending, Evidence, Verdict
from tests.formats.printing import printed


def words(capture: Capture) -> tuple[str, ...]:
    if b"?" in capture.stdout:
        raise Unreadable("a question", capture.step, 2)
    return tuple(capture.stdout.decode().split())


def test_an_answer_is_read() -> None:
    unread: list[Unread] = []
    assert optional(printed("a b"), words, unread) == ("a", "b")
    assert unread == []


def test_a_step_that_did_not_run_is_no_answer_and_no_fault() -> None:
    unread: list[Unread] = []
    assert optional(None, words, unread) == ()
    assert unread == []


@pytest.mark.parametrize("capture", [printed(" \n"), printed("", exit_code=1), printed("", "a warning", exit_code=0)])
def test_nothing_printed_is_an_empty_answer(capture: Capture) -> None:
    unread: list[Unread] = []
    assert optional(capture, words, unread) == ()
    assert unread == []


def test_a_failure_that_says_why_is_told() -> None:
    unread: list[Unread] = []
    assert optional(printed("", "no such device\n", exit_code=1), words, unread) == ()
    assert unread == [Unread("`lister` said: no such device", Evidence("list", "stderr", 1, 1))]


def test_what_cannot_be_read_is_kept_with_its_line() -> None:
    unread: list[Unread] = []
    assert optional(printed("what?"), words, unread) == ()
    assert unread == [Unread("a question", Evidence("list", "stdout", 2, 2))]


def test_noise_on_standard_error_is_no_complaint() -> None:
    noise = "\nFile descriptor 63 (pipe:[1]) leaked on lvs invocation.\n  WARNING: Running as a non-root user.\n"
    assert complaint(printed("", noise)) is None
    found = complaint(printed("", noise + "really wrong\n"))
    assert found is not None
    assert found.evidence == Evidence("list", "stderr", 4, 4)


def test_a_complaint_of_a_command_without_words_names_the_step() -> None:
    assert str(complaint(Capture("list", (), Ending.EXITED, 1, b"", b"no"))) == "`list` said: no"


def test_every_part_that_was_not_read_is_unknown() -> None:
    (finding,) = unread_findings((Unread("why", Evidence("list", "stdout", 2, 2)),))
    assert (finding.code, finding.verdict, finding.evidence[0].first_line) == ("unreadable", Verdict.UNKNOWN, 2)
