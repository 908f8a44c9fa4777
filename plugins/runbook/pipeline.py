"""All stages in order, from given values to a Run: the only module that knows them all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace

from runbook.executors.executor import Executor
from runbook.executors.keyboard import Keyboard
from runbook.executors.replay import ReplayExecutor
from runbook.executors.schedule import Brake, Ended, Event, Started, run_commands
from runbook.helpers.conclusions import conclude
from runbook.helpers.loading import Helper, load_helper
from runbook.model import Capture, Command, Host, Plan, Run, Runbook, Scenario, Source, Value
from runbook.planner import plan as make_plan
from runbook.resolver import resolve

__all__ = ["Brake", "Ended", "Event", "Started", "perform", "perform_in_lab", "prepare", "prepare_for_lab", "replay"]


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


#: Whose configuration commands read in a lab, where everybody is root.
LAB_USER = {"HOME": "/root", "USER": "root", "LOGNAME": "root"}


def prepare_for_lab(runbook: Runbook, given: Mapping[str, str]) -> Plan:
    """What would run in a lab; see `prepare`."""
    return make_plan(runbook, resolve(runbook, given), LAB_USER)


def perform_in_lab(
    plan: Plan,
    scenario: Scenario,
    *,
    keyboard: Keyboard | None = None,
    brake: Brake | None = None,
    timeout: float | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Generator[Event, None, Run]:
    """Build a lab, run a plan in it, and throw the lab away; what changes the lab needs no approval.

    Raises LabError when the lab cannot be had, and as `perform` does.
    """
    # Only here, because whoever runs on this host should not wait for what labs import.
    from runbook.labs.lab import open_lab

    with open_lab(plan.runbook, scenario, keyboard=keyboard, note=note) as executor:
        source = Source("lab", scenario.id)
        return (yield from perform(plan, executor, source, approve=lambda _: True, brake=brake, timeout=timeout))


def replay(
    runbook: Runbook,
    captures: Iterable[Capture],
    parameters: Mapping[str, Value],
    host: Host,
    source: Source,
    started: float = 0.0,
    given: Mapping[str, str] | None = None,
) -> Run:
    """Judge recorded captures with the runbook as it is now, and what is `given` over what was recorded; nothing runs.

    Raises ParameterError, and DefinitionError for a broken helper.
    """
    # A secret is never recorded, and nothing that is replayed needs it.
    unsaid = {parameter.name: "***" for parameter in runbook.parameters if parameter.secret and parameter.required}
    values = resolve(runbook, given or {}, {**unsaid, **parameters})
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
    """The capture without any secret value that the command, or the words on how it ended, may have repeated."""
    stdout, stderr, detail = capture.stdout, capture.stderr, capture.detail
    # The longest first, for one may be a part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        stdout = stdout.replace(secret.encode(), b"***")
        stderr = stderr.replace(secret.encode(), b"***")
        detail = detail.replace(secret, "***")
    return replace(capture, stdout=stdout, stderr=stderr, detail=detail)
