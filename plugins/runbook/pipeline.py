"""All stages in order, from given values to a Run: the only module that knows them all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace

from runbook.executors.executor import Executor
from runbook.executors.replay import ReplayExecutor
from runbook.executors.schedule import Brake, Ended, Event, Started, run_commands
from runbook.helpers.conclusions import conclude
from runbook.helpers.loading import Helper, load_helper
from runbook.model import Capture, Command, Host, Plan, Run, Runbook, Source, Value
from runbook.planner import plan as make_plan
from runbook.resolver import resolve

__all__ = ["Brake", "Ended", "Event", "Started", "perform", "prepare", "replay"]


def prepare(runbook: Runbook, given: Mapping[str, str]) -> Plan:
    """What would run: values resolved and every command exact. Raises ParameterError; runs nothing."""
    return make_plan(runbook, resolve(runbook, given), os.environ)


def perform(
    plan: Plan,
    executor: Executor,
    source: Source,
    *,
    approve: Callable[[Command], bool] = lambda command: False,
    brake: Brake | None = None,
    timeout: float | None = None,
) -> Generator[Event, None, Run]:
    """Run a plan, yield what happens, and give back the Run.

    `approve` is asked for each command that changes the host. Raises DefinitionError for a broken helper before
    anything runs, and ExecutionError when the machinery breaks.
    """
    helper = load_helper(plan.runbook.folder)
    started, clock = time.time(), time.monotonic()
    captures = yield from run_commands(
        plan.commands,
        executor,
        given=plan.parameters,
        approve=approve,
        brake=brake or Brake(),
        timeout=timeout,
    )
    masked = tuple(mask(capture, plan.secrets) for capture in captures)
    return _judge(plan, masked, helper, executor.host(), source, started, time.monotonic() - clock)


def replay(
    runbook: Runbook,
    captures: Iterable[Capture],
    parameters: Mapping[str, Value],
    host: Host,
    source: Source,
    started: float = 0.0,
) -> Run:
    """Judge recorded captures with the runbook as it is now; nothing runs."""
    values = {**resolve(runbook, {}), **parameters}
    plan = Plan(runbook, values, make_plan(runbook, values, {}).commands)
    executor = ReplayExecutor(captures, host)
    answered = tuple(_answer(executor, command) for command in plan.commands)
    seconds = sum(capture.seconds for capture in answered)
    return _judge(plan, answered, load_helper(runbook.folder), host, source, started, seconds)


def _answer(executor: Executor, command: Command) -> Capture:
    steps = executor.execute(command)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            capture: Capture = end.value
            return capture


def _judge(
    plan: Plan,
    captures: tuple[Capture, ...],
    helper: Helper | None,
    host: Host,
    source: Source,
    started: float,
    seconds: float,
) -> Run:
    conclusion = conclude(plan, captures, helper)
    return Run(
        plan=plan,
        host=host,
        source=source,
        started=started,
        seconds=round(seconds, 6),
        captures=captures,
        facts=conclusion.facts,
        findings=conclusion.findings,
        drawing=conclusion.drawing,
    )


def mask(capture: Capture, secrets: frozenset[str]) -> Capture:
    """The capture without any secret value that the command may have printed."""
    if not secrets:
        return capture
    stdout, stderr = capture.stdout, capture.stderr
    for secret in sorted(secrets, key=len, reverse=True):
        stdout = stdout.replace(secret.encode(), b"***")
        stderr = stderr.replace(secret.encode(), b"***")
    return replace(capture, stdout=stdout, stderr=stderr)
