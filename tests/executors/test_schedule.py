"""Independent commands at once, dependent ones in turn; asked, braked, out of time, closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

import pytest

from runbook.errors import ExecutionError
from runbook.executors.executor import Executor
from runbook.executors.process import ProcessExecutor
from runbook.executors.schedule import AT_ONCE, Brake, Ended, Event, Started, run_commands
from runbook.model import Capture, Command, Effect, Ending, Host, Output, Value, When
from tests.executors.driving import PROMPTLY, marked, sh

Run = Generator[Event, None, tuple[Capture, ...]]


def never(command: Command) -> bool:
    raise AssertionError(f"nobody should be asked about {command.step}")


def schedule(
    executor: Executor,
    *commands: Command,
    given: dict[str, Value] | None = None,
    approve: Callable[[Command], bool] = never,
    brake: Brake | None = None,
    timeout: float | None = None,
) -> Run:
    return run_commands(commands, executor, given=given or {}, approve=approve, brake=brake or Brake(), timeout=timeout)


def finish(run: Run) -> tuple[list[Event], tuple[Capture, ...]]:
    events = []
    while True:
        try:
            events.append(next(run))
        except StopIteration as end:
            return events, end.value


def until(run: Run, word: bytes, times: int = 1) -> Run:
    """The same run, driven until commands have said this word so often."""
    said = b""
    while said.count(word) < times:
        event = next(run)
        said += event.data if isinstance(event, Output) else b""
    return run


def order(events: list[Event]) -> list[str]:
    """What began (+) and ended (-) in which order."""
    return [
        f"+{event.command.step}" if isinstance(event, Started) else f"-{event.capture.step}"
        for event in events
        if not isinstance(event, Output)
    ]


def endings(captures: tuple[Capture, ...]) -> list[str]:
    return [str(capture.ending) for capture in captures]


def test_independent_commands_run_at_once(here: ProcessExecutor, mark: str) -> None:
    began = time.monotonic()
    commands = [sh(mark, "sleep 0.5", step=f"s{number}") for number in range(AT_ONCE)]
    _, captures = finish(schedule(here, *commands))
    assert all(capture.succeeded for capture in captures)
    assert time.monotonic() - began < 0.5 * AT_ONCE / 2


def test_not_more_run_at_once_than_a_host_can_bear(here: ProcessExecutor, mark: str) -> None:
    commands = [sh(mark, "sleep 0.1", step=f"s{number}") for number in range(3 * AT_ONCE)]
    running = most = 0
    for event in finish(schedule(here, *commands))[0]:
        running += isinstance(event, Started) - isinstance(event, Ended)
        most = max(most, running)
    assert (running, most) == (0, AT_ONCE)


def test_captures_come_in_the_order_of_the_plan(here: ProcessExecutor, mark: str) -> None:
    commands = [sh(mark, "sleep 0.3", step="slow"), sh(mark, "true", step="fast")]
    events, captures = finish(schedule(here, *commands))
    assert order(events) == ["+slow", "+fast", "-fast", "-slow"]
    assert [capture.step for capture in captures] == ["slow", "fast"]


def test_the_output_of_a_command_comes_between_its_start_and_its_end(here: ProcessExecutor, mark: str) -> None:
    events, _ = finish(schedule(here, sh(mark, "seq 3000")))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    said = b"".join(event.data for event in events if isinstance(event, Output))
    assert said == events[-1].capture.stdout


def test_nothing_to_run_gives_nothing(here: ProcessExecutor) -> None:
    assert finish(schedule(here)) == ([], ())


def test_after_waits_for_the_end_of_what_it_names(here: ProcessExecutor, mark: str) -> None:
    commands = [sh(mark, "sleep 0.2", step="a"), sh(mark, "true", step="b", after=("a",)), sh(mark, "true", step="c")]
    events, _ = finish(schedule(here, *commands))
    assert order(events).index("+b") > order(events).index("-a")
    assert order(events).index("+c") < order(events).index("-a")


def test_after_may_name_a_later_step(here: ProcessExecutor, mark: str) -> None:
    commands = [sh(mark, "true", step="a", after=("b",)), sh(mark, "true", step="b")]
    events, captures = finish(schedule(here, *commands))
    assert order(events) == ["+b", "-b", "+a", "-a"]
    assert [capture.step for capture in captures] == ["a", "b"]


@pytest.mark.parametrize(
    ("script", "when", "runs"),
    [
        ("exit 1", When(step="a"), True),
        ("exit 0", When(step="a"), False),
        ("exit 0", When(step="a", failed=False), True),
        ("exit 1", When(step="a", failed=False), False),
        ("kill -KILL $$", When(step="a"), True),
        ("exit 0", When(parameter="device"), True),
        ("exit 0", When(parameter="other"), False),
    ],
)
def test_a_condition_decides(here: ProcessExecutor, mark: str, script: str, when: When, runs: bool) -> None:
    commands = [sh(mark, script, step="a"), sh(mark, "true", step="b", when=when)]
    _, captures = finish(schedule(here, *commands, given={"device": "sda"}))
    assert (captures[1].ending is Ending.EXITED) is runs
    assert (captures[1].ending is Ending.SKIPPED) is not runs


def test_a_command_that_was_not_found_has_failed(here: ProcessExecutor, mark: str) -> None:
    absent = Command("a", "", ("no-such-command",), ())
    _, captures = finish(schedule(here, absent, sh(mark, "true", step="b", when=When(step="a"))))
    assert endings(captures) == ["not-found", "exited"]


def test_a_change_is_asked_for_and_runs_alone(here: ProcessExecutor, mark: str) -> None:
    asked = []

    def approve(command: Command) -> bool:
        asked.append(command.step)
        return True

    steps = {"a": Effect.READ, "b": Effect.READ, "c": Effect.CHANGE, "d": Effect.READ, "e": Effect.READ}
    commands = [sh(mark, "sleep 0.05", step=step, effect=effect) for step, effect in steps.items()]
    happened = order(finish(schedule(here, *commands, approve=approve))[0])
    assert asked == ["c"]
    assert set(happened[:4]) == {"+a", "+b", "-a", "-b"}
    assert happened[4:8] == ["+c", "-c", "+d", "+e"]


def test_a_change_that_is_not_approved_does_not_run_and_the_rest_does(here: ProcessExecutor, mark: str) -> None:
    commands = [sh(mark, "true", step="a", effect=Effect.CHANGE), sh(mark, "true", step="b")]
    events, captures = finish(schedule(here, *commands, approve=lambda command: False))
    assert order(events) == ["-a", "+b", "-b"]
    assert endings(captures) == ["declined", "exited"]


def test_nobody_is_asked_about_a_change_whose_condition_does_not_hold(here: ProcessExecutor, mark: str) -> None:
    change = sh(mark, "true", effect=Effect.CHANGE, when=When(parameter="device"))
    assert endings(finish(schedule(here, change))[1]) == ["skipped"]


def test_an_interactive_command_runs_alone_too(here: ProcessExecutor, mark: str) -> None:
    commands = [sh(mark, "sleep 0.1", step="a"), sh(mark, "true", step="b", terminal=True), sh(mark, "true", step="c")]
    assert order(finish(schedule(here, *commands))[0]) == ["+a", "-a", "+b", "-b", "+c", "-c"]


def test_when_the_time_is_up_what_runs_is_ended_and_the_rest_not_started(here: ProcessExecutor, mark: str) -> None:
    commands = [sh(mark, "echo hi; sleep 60", step="a"), sh(mark, "true", step="b", after=("a",))]
    _, captures = finish(schedule(here, *commands, timeout=0.4))
    assert endings(captures) == ["timed-out", "timed-out"]
    assert captures[0].stdout == b"hi\n"
    assert captures[0].detail == "ended because the time for the whole run was up"
    assert captures[1].detail == "was not started: the time for the whole run was up"


def test_a_step_that_runs_out_of_its_own_time_says_so(here: ProcessExecutor, mark: str) -> None:
    _, captures = finish(schedule(here, sh(mark, "sleep 60", timeout=0.25), timeout=60))
    assert captures[0].detail == "ended after its time-out of 0.25 s"


def test_a_change_that_is_approved_too_late_is_not_started(here: ProcessExecutor, mark: str) -> None:
    def think(command: Command) -> bool:
        time.sleep(0.3)
        return True

    change = sh(mark, "echo ran", effect=Effect.CHANGE)
    events, captures = finish(schedule(here, change, approve=think, timeout=0.2))
    assert order(events) == ["-step"]
    assert captures[0].detail == "was not started: the time for the whole run was up"


def test_braking_twice_while_being_asked_ends_the_run(here: ProcessExecutor, mark: str) -> None:
    brake = Brake()

    def brake_hard(command: Command) -> bool:
        brake.press()
        brake.press()
        return True

    _, captures = finish(schedule(here, sh(mark, "true", effect=Effect.CHANGE), approve=brake_hard, brake=brake))
    assert endings(captures) == ["interrupted"]


def test_braking_once_ends_what_runs_and_the_rest_goes_on(here: ProcessExecutor, mark: str) -> None:
    brake = Brake()
    commands = [sh(mark, "echo up; sleep 60", step=step) for step in "ab"]
    run = schedule(here, *commands, sh(mark, "echo ran", step="c", after=("a", "b")), brake=brake)
    until(run, b"up", 2)
    brake.press()
    _, captures = finish(run)
    assert endings(captures) == ["interrupted", "interrupted", "exited"]
    assert [capture.stdout for capture in captures] == [b"up\n", b"up\n", b"ran\n"]


def test_braking_twice_ends_the_run(here: ProcessExecutor, mark: str) -> None:
    brake = Brake()
    commands = [sh(mark, "echo up; sleep 60", step="a"), sh(mark, "true", step="b", after=("a",))]
    run = until(schedule(here, *commands, brake=brake), b"up")
    brake.press()
    brake.press()
    _, captures = finish(run)
    assert endings(captures) == ["interrupted", "interrupted"]
    assert captures[1].detail == "the run was ended before it"


def test_the_brake_may_be_pressed_from_another_thread(here: ProcessExecutor, mark: str) -> None:
    brake = Brake()
    timer = threading.Timer(0.3, brake.press)
    timer.start()
    _, captures = finish(schedule(here, sh(mark, "sleep 60"), brake=brake))
    timer.join()
    assert endings(captures) == ["interrupted"]


@pytest.mark.parametrize(
    "script", ["echo up; sleep 60", "trap '' TERM; echo up; sleep 60; :", "while echo up; do :; done"]
)
def test_closing_the_run_ends_all_that_runs(here: ProcessExecutor, mark: str, script: str) -> None:
    threads = threading.active_count()
    run = until(schedule(here, *(sh(mark, script, step=step) for step in "abc")), b"up", 3)
    began = time.monotonic()
    run.close()
    assert (marked(mark), threading.active_count()) == (set(), threads)
    assert time.monotonic() - began < PROMPTLY


def test_an_error_while_asking_ends_the_run(here: ProcessExecutor, mark: str) -> None:
    def interrupted(command: Command) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(schedule(here, sh(mark, "true", effect=Effect.CHANGE), approve=interrupted))


def test_a_slow_listener_slows_the_commands_and_loses_nothing(mark: str) -> None:
    with ProcessExecutor() as executor:
        run = until(schedule(executor, sh(mark, "seq 500000; sleep 0.1; seq 500000")), b"1")
        time.sleep(0.5)
        _, captures = finish(run)
    assert captures[0].stdout.count(b"\n") == 1_000_000


class Broken:
    """An executor whose machinery breaks, for the step `bad`; others tick until they are closed."""

    def __init__(self, at_once: bool) -> None:
        self._at_once = at_once
        self.closed: list[str] = []

    def execute(self, command: Command) -> Generator[Output, None, Capture]:
        if command.step == "bad" and self._at_once:
            raise ExecutionError("it broke")
        return self._tick(command)

    def _tick(self, command: Command) -> Generator[Output, None, Capture]:
        try:
            while True:
                yield Output(command.step, "stdout", b"")
                time.sleep(0.02)
                if command.step == "bad":
                    raise ExecutionError("it broke")
        finally:
            self.closed.append(command.step)

    def host(self) -> Host:
        return Host("", "", "", "")

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("at_once", [True, False])
def test_an_executor_that_breaks_ends_the_run_and_all_that_runs(at_once: bool) -> None:
    threads = threading.active_count()
    executor = Broken(at_once)
    commands = [Command(step, "", ("true",), ()) for step in ("good", "bad", "fine")]
    with pytest.raises(ExecutionError, match="it broke"):
        finish(schedule(executor, *commands))
    assert {"good", "fine"} <= set(executor.closed)
    assert threading.active_count() == threads
