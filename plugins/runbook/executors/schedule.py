"""Runs the commands of a plan on one executor: independent ones at once, dependent ones in turn."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace

from runbook.executors.executor import Executor, Interrupted
from runbook.model import Capture, Command, Effect, Ending, Output, Value, When

#: How many commands run at once; more would mostly wait for the same disks.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Started:
    """A command has begun."""

    command: Command


@dataclass(frozen=True, slots=True)
class Ended:
    """A command has ended, or it was decided not to run it."""

    capture: Capture


Event = Started | Output | Ended


class Brake:
    """How a person ends things, from a signal handler or another thread: once the running steps, twice the run."""

    def __init__(self) -> None:
        self.pressed = 0

    def press(self) -> None:
        self.pressed += 1

    def stop(self) -> None:
        """End the run at once, as pressing twice does."""
        self.pressed = max(self.pressed, 2)

    @property
    def stopped(self) -> bool:
        return self.pressed > 1


def run_commands(
    commands: tuple[Command, ...],
    executor: Executor,
    *,
    given: Mapping[str, Value],
    approve: Callable[[Command], bool],
    brake: Brake,
    timeout: float | None = None,
) -> Generator[Event, None, tuple[Capture, ...]]:
    """Run the commands and yield what happens; gives back their captures in the order of the plan.

    A command that changes the host, or owns the terminal, runs alone: after all before it and before all after it.
    `timeout` is for all together, in seconds; a command that has not ended by then is timed out. Closing the generator
    ends everything that runs.
    """
    schedule = _Schedule(commands, executor, given, approve, brake, timeout)
    try:
        while schedule.unfinished():
            yield from schedule.begin()
            yield from schedule.wait()
    finally:
        schedule.abandon()
    return tuple(schedule.captures[command.step] for command in commands)


class _Schedule:
    """What is waiting, what is running (a thread each) and what has ended."""

    def __init__(
        self,
        commands: tuple[Command, ...],
        executor: Executor,
        given: Mapping[str, Value],
        approve: Callable[[Command], bool],
        brake: Brake,
        timeout: float | None,
    ) -> None:
        self.captures: dict[str, Capture] = {}
        self._waiting = list(commands)
        self._before = _predecessors(commands)
        self._executor = executor
        self._given = given
        self._approve = approve
        self._brake = brake
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._running: dict[str, threading.Thread] = {}
        # Bounded, so that a command that talks faster than anyone listens waits instead of filling memory.
        self._events: queue.Queue[Output | Ended | BaseException] = queue.Queue(64)
        self._abandoned = False

    def unfinished(self) -> bool:
        return bool(self._waiting or self._running)

    def begin(self) -> Generator[Event, None, None]:
        """Start, or decide not to run, every command whose predecessors have ended."""
        for command in list(self._waiting):
            if len(self._running) >= AT_ONCE or not self._before[command.step] <= self.captures.keys():
                continue
            self._waiting.remove(command)
            capture = self._instead(command)
            if capture is not None:
                self.captures[command.step] = capture
                yield Ended(capture)
                continue
            # Before anybody is told that it begins: from then on, a press is meant for it.
            pressed = self._brake.pressed
            yield Started(command)
            thread = threading.Thread(target=self._work, args=(command, pressed), daemon=True)
            self._running[command.step] = thread
            thread.start()

    def _instead(self, command: Command) -> Capture | None:
        """The capture of a command that is not to run, or None."""
        # Once more at the end: a person may have thought about their approval for long, or ended the run instead.
        return self._too_late(command) or self._unwanted(command) or self._too_late(command)

    def _too_late(self, command: Command) -> Capture | None:
        if self._brake.stopped:
            return Capture(command.step, command.argv, Ending.INTERRUPTED, detail="the run was ended before it")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            detail = "was not started: the time for the whole run was up"
            return Capture(command.step, command.argv, Ending.TIMED_OUT, detail=detail)
        return None

    def _unwanted(self, command: Command) -> Capture | None:
        if command.effect is Effect.CHANGE and self._brake.pressed:
            # Who ends a step does not want the host changed on what is left of its answer.
            detail = "a step before it was interrupted, and it changes the host"
            return Capture(command.step, command.argv, Ending.INTERRUPTED, detail=detail)
        if command.when is not None and not self._holds(command.when):
            return Capture(command.step, command.argv, Ending.SKIPPED, detail="its condition does not hold")
        if command.effect is Effect.CHANGE and not self._approve(command):
            return Capture(command.step, command.argv, Ending.DECLINED, detail="it was not approved")
        return None

    def _holds(self, when: When) -> bool:
        if when.parameter is not None:
            return when.parameter in self._given
        return when.step is not None and self.captures[when.step].succeeded is not when.failed

    def _limited(self, command: Command) -> Command:
        if self._deadline is None:
            return command
        return replace(command, timeout=min(command.timeout, max(0.0, self._deadline - time.monotonic())))

    def _work(self, command: Command, pressed: int) -> None:
        """In a thread of its own: drive one command and pass on what it says."""
        limited = self._limited(command)
        try:
            steps = self._executor.execute(limited)
            output = next(steps)
            while True:
                self._events.put(output)
                if self._abandoned:
                    steps.close()
                    return
                if self._brake.pressed > pressed:
                    pressed = self._brake.pressed
                    output = steps.throw(Interrupted())
                else:
                    output = next(steps)
        except StopIteration as end:
            capture: Capture = end.value
            if capture.ending is Ending.TIMED_OUT and limited.timeout < command.timeout:
                capture = replace(capture, detail="ended because the time for the whole run was up")
            self._events.put(Ended(capture))
        except BaseException as error:
            self._events.put(error)

    def wait(self) -> Generator[Event, None, None]:
        """Pass on one thing that a running command says."""
        if not self._running:
            return
        event = self._events.get()
        if isinstance(event, BaseException):
            raise event
        if isinstance(event, Ended):
            self._running.pop(event.capture.step).join()
            self.captures[event.capture.step] = event.capture
        yield event

    def abandon(self) -> None:
        """End what still runs; every thread is gone afterwards."""
        self._abandoned = True
        while any(thread.is_alive() for thread in self._running.values()):
            try:
                self._events.get(timeout=0.05)
            except queue.Empty:
                continue


def _predecessors(commands: tuple[Command, ...]) -> dict[str, set[str]]:
    """For each step, the steps that must have ended before it begins."""
    before: dict[str, set[str]] = {}
    barrier: str | None = None
    for index, command in enumerate(commands):
        waits = set(command.after)
        if command.when is not None and command.when.step is not None:
            waits.add(command.when.step)
        if command.effect is Effect.CHANGE or command.terminal:
            waits |= {earlier.step for earlier in commands[:index]}
            barrier = command.step
        elif barrier is not None:
            waits.add(barrier)
        before[command.step] = waits
    return before
