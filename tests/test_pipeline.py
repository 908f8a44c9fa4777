"""All stages in order: what a run is made of, live and over a recording."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from runbook.errors import DefinitionError, ParameterError
from runbook.executors.process import ProcessExecutor
from runbook.executors.replay import ReplayExecutor
from runbook.model import Capture, Command, Ending, Host, Output, Run, Runbook, Scenario, Source, Verdict
from runbook.pipeline import Ended, Event, Started, mask, perform, prepare, prepare_for_lab, replay
from tests.base import HELPER, Base, load

HOST = Host("db1", "6.1.0", "Debian GNU/Linux 12", "x86_64")
REPLAY = Source("replay", "run.json")
LIMIT = {"name": "limit", "type": "integer", "default": 3}
SECRET = {"name": "password", "type": "string", "secret": True, "required": True}
FACTS = """
from runbook.model import Finding, Verdict
def parse(captures): return dict(captures.parameters)
def judge(facts): yield Finding("well", Verdict.OK, "")
"""


def a_runbook(base: Base, *steps: dict[str, Any], helper: str = "", **keys: Any) -> Runbook:
    return load(str(base.runbook("tested", steps or ({"argv": ["true"]},), helper, **keys)))


def followed(steps: Generator[Event, None, Run]) -> tuple[list[Event], Run]:
    events: list[Event] = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return events, end.value


def printing(text: str, step: str = "a") -> Capture:
    return Capture(step, ("echo", text), Ending.EXITED, 0, text.encode(), seconds=0.25)


def test_a_live_run_is_whole(base: Base) -> None:
    plan = prepare(a_runbook(base, {"argv": ["echo", "all is well"]}, helper=HELPER), {})
    with ProcessExecutor() as executor:
        events, run = followed(perform(plan, executor, Source("live")))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    assert (run.verdict, run.facts, run.source.kind) == (Verdict.OK, "all is well\n", "live")
    assert run.started > 0
    assert 0 < run.seconds < 30


def test_a_broken_helper_is_told_before_anything_runs(base: Base) -> None:
    plan = prepare(a_runbook(base, {"argv": ["touch", str(base.path / "ran")]}, helper="def parse("), {})
    with ProcessExecutor() as executor, pytest.raises(DefinitionError, match="not Python"):
        followed(perform(plan, executor, Source("live")))
    assert not (base.path / "ran").exists()


def test_a_change_is_not_made_unless_it_is_approved(base: Base) -> None:
    step = {"argv": ["touch", str(base.path / "ran")], "effect": "change"}
    plan = prepare(a_runbook(base, step), {})
    with ProcessExecutor() as executor:
        _, run = followed(perform(plan, executor, Source("live")))
        assert (run.captures[0].ending, run.verdict) == (Ending.DECLINED, Verdict.UNKNOWN)
        assert not (base.path / "ran").exists()
        _, run = followed(perform(plan, executor, Source("live"), approve=lambda command: True))
    assert (base.path / "ran").exists()


def test_a_secret_that_a_command_repeats_is_masked(base: Base) -> None:
    step = {"argv": ["true"], "terminal": True, "answers": {"Password:": "{password}"}}
    plan = prepare(a_runbook(base, step, parameters=[SECRET]), {"password": "hunter2"})
    said = Capture("a", ("true",), Ending.SIGNALLED, None, b"it is hunter2", b"hunter2!", detail="sent hunter2")
    _, run = followed(perform(plan, ReplayExecutor([said], HOST), Source("live")))
    (capture,) = run.captures
    assert (capture.stdout, capture.stderr, capture.detail) == (b"it is ***", b"***!", "sent ***")


class Chatter(ReplayExecutor):
    """Says what was recorded in pieces of a few bytes."""

    def __init__(self, capture: Capture, size: int) -> None:
        super().__init__([capture], HOST)
        self._size = size

    def execute(self, command: Command) -> Generator[Output, None, Capture]:
        steps = super().execute(command)
        while True:
            try:
                output = next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            for at in range(0, len(output.data), self._size):
                yield Output(output.step, output.stream, output.data[at : at + self._size])
                yield Output(output.step, output.stream, b"")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
@pytest.mark.parametrize(
    "said", [b"it is hunter2!", b"hunter2", b"hunthunter2hunter", b"hunt", b"\xff\x00huntehunter2"]
)
def test_a_secret_is_masked_in_what_is_said_live_too(base: Base, size: int, said: bytes) -> None:
    step = {"argv": ["true"], "terminal": True, "answers": {"Password:": "{password}"}}
    plan = prepare(a_runbook(base, step, parameters=[SECRET]), {"password": "hunter2"})
    executor = Chatter(Capture("a", ("true",), Ending.EXITED, 0, said), size)
    events, run = followed(perform(plan, executor, Source("live")))
    live = b"".join(event.data for event in events if isinstance(event, Output))
    assert live == run.captures[0].stdout == said.replace(b"hunter2", b"***")
    assert [event.capture for event in events if isinstance(event, Ended)] == list(run.captures)


def test_output_without_the_beginning_of_a_secret_does_not_wait(base: Base) -> None:
    step = {"argv": ["true"], "terminal": True, "answers": {"Password:": "{password}"}}
    plan = prepare(a_runbook(base, step, parameters=[SECRET]), {"password": "hunter2"})
    steps = perform(plan, Chatter(Capture("a", ("true",), Ending.EXITED, 0, b"Password: "), 100), Source("live"))
    assert isinstance(next(steps), Started)
    assert next(steps) == Output("a", "stdout", b"Password: ")
    steps.close()


def test_of_secrets_that_contain_each_other_the_longer_is_masked_first() -> None:
    assert mask(printing("abcdef abc"), frozenset({"abc", "abcdef"})).stdout == b"*** ***"


def test_without_secrets_a_capture_stays_the_same() -> None:
    assert mask(printing("abc"), frozenset()) == printing("abc")


def test_masking_moves_no_line() -> None:
    assert mask(printing("a\nhunter2\nb\n"), frozenset({"hunter2"})).stdout.count(b"\n") == 3


def test_a_lab_has_a_user_of_its_own(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    runbook = a_runbook(base)
    assert ("HOME", "/home/somebody") in prepare(runbook, {}).commands[0].environment
    scenario = Scenario("full", "A full disk", "kernel", "labs/full.sh")
    assert ("HOME", "/root") in prepare_for_lab(runbook, scenario, {}).commands[0].environment


def test_a_recording_is_judged_by_the_runbook_as_it_is_now(base: Base) -> None:
    runbook = a_runbook(base, helper=HELPER)
    run = replay(runbook, [printing("all is well")], {}, HOST, REPLAY, 1790000000.0)
    assert (run.verdict, run.host, run.source, run.started) == (Verdict.OK, HOST, REPLAY, 1790000000.0)
    assert run.seconds == 0.25


def test_a_replay_runs_nothing(base: Base) -> None:
    runbook = a_runbook(base, {"argv": ["touch", str(base.path / "ran")], "effect": "change"})
    replay(runbook, [printing("")], {}, HOST, REPLAY)
    assert not (base.path / "ran").exists()


def test_a_step_that_was_not_recorded_was_skipped_and_one_that_is_gone_is_left_out(base: Base) -> None:
    runbook = a_runbook(base, {"argv": ["true"]}, {"argv": ["true"]})
    run = replay(runbook, [printing(""), printing("", "gone")], {}, HOST, REPLAY)
    assert [(capture.step, capture.ending) for capture in run.captures] == [("a", Ending.EXITED), ("b", Ending.SKIPPED)]


def test_an_empty_recording_could_not_tell(base: Base) -> None:
    assert replay(a_runbook(base), [], {}, HOST, REPLAY).verdict is Verdict.UNKNOWN


def test_a_replay_has_the_recorded_values_and_those_given_over_them(base: Base) -> None:
    runbook = a_runbook(base, helper=FACTS, parameters=[LIMIT])
    assert replay(runbook, [printing("")], {}, HOST, REPLAY).facts == {"limit": 3}
    assert replay(runbook, [printing("")], {"limit": 5}, HOST, REPLAY).facts == {"limit": 5}
    assert replay(runbook, [printing("")], {"limit": 5}, HOST, REPLAY, given={"limit": "7"}).facts == {"limit": 7}


def test_a_recorded_value_that_the_runbook_no_longer_takes_is_left_out(base: Base) -> None:
    runbook = a_runbook(base, helper=FACTS, parameters=[LIMIT])
    assert replay(runbook, [printing("")], {"gone": 1}, HOST, REPLAY).facts == {"limit": 3}


def test_a_required_value_may_be_the_recorded_one(base: Base) -> None:
    host = {"name": "host", "type": "host", "required": True}
    runbook = a_runbook(base, {"argv": ["ping", "{host}"]}, helper=FACTS, parameters=[host])
    assert replay(runbook, [printing("")], {"host": "db1"}, HOST, REPLAY).facts == {"host": "db1"}
    with pytest.raises(ParameterError, match="`host` has no value"):
        replay(runbook, [printing("")], {}, HOST, REPLAY)


def test_a_secret_is_not_needed_to_replay(base: Base) -> None:
    step = {"argv": ["true"], "terminal": True, "answers": {"Password:": "{password}"}}
    runbook = a_runbook(base, step, helper=FACTS, parameters=[SECRET])
    run = replay(runbook, [printing("")], {}, HOST, REPLAY)
    assert (run.verdict, run.facts) == (Verdict.OK, {})
