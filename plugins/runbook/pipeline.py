"""All stages in order, from given values to a Run: the only module that knows them all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

from runbook.errors import UntrustedError, UsageError
from runbook.executors.executor import Executor, finish
from runbook.executors.keyboard import Keyboard
from runbook.executors.replay import ReplayExecutor
from runbook.executors.schedule import Brake, Ended, Event, Started, run_commands
from runbook.helpers.conclusions import conclude
from runbook.helpers.loading import Helper, load_helper
from runbook.masking import Masker
from runbook.model import Capture, Command, Host, Output, Plan, Run, Runbook, Scenario, Source, Value
from runbook.planner import plan as make_plan
from runbook.resolver import resolve

__all__ = [
    "Brake",
    "Ended",
    "Event",
    "Started",
    "chosen_lab",
    "gather",
    "perform",
    "perform_in_lab",
    "prepare",
    "prepare_for_lab",
    "replay",
]

#: What happens while commands run, and at the end their captures.
Steps = Generator[Event, None, tuple[Capture, ...]]


def prepare(runbook: Runbook, given: Mapping[str, str], recorded: Mapping[str, Value] | None = None) -> Plan:
    """What would run: values resolved and every command exact; `recorded` are those of an earlier run.

    Raises ParameterError; runs nothing.
    """
    return make_plan(runbook, resolve(runbook, given, recorded), os.environ)


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

    `approve` is asked for each command that changes the host. Raises UntrustedError, DefinitionError for a broken
    helper before anything runs, and ExecutionError when the machinery breaks.
    """
    helper = load_helper(plan.runbook)
    started, clock = time.time(), time.monotonic()
    captures = yield from gather(plan, executor, approve=approve, brake=brake, timeout=timeout)
    return _judge(plan, captures, helper, executor.host(), source, started, time.monotonic() - clock)


def gather(
    plan: Plan,
    executor: Executor,
    *,
    approve: Callable[[Command], bool] = lambda command: False,
    brake: Brake | None = None,
    timeout: float | None = None,
) -> Steps:
    """Run the commands of a plan and give back their captures, without any secret; no helper looks at them.

    Raises UntrustedError.
    """
    if not plan.runbook.trusted:
        raise UntrustedError(plan.runbook.name)
    steps = run_commands(
        plan.commands,
        executor,
        given=plan.parameters,
        approve=approve,
        brake=brake or Brake(),
        timeout=timeout,
    )
    return (yield from _masked(steps, plan.secrets) if plan.secrets else steps)


#: Whose configuration commands read in a lab, where everybody is root.
LAB_USER = {"HOME": "/root", "USER": "root", "LOGNAME": "root"}


def chosen_lab(runbook: Runbook, name: str) -> Scenario:
    """The lab of this id; raises UsageError with those there are."""
    for scenario in runbook.labs:
        if scenario.id == name:
            return scenario
    known = ", ".join(scenario.id for scenario in runbook.labs)
    raise UsageError(
        f"{runbook.name} has no lab called `{name}`\n    " + (f"it has: {known}" if known else "it has none")
    )


def prepare_for_lab(runbook: Runbook, scenario: Scenario, given: Mapping[str, str]) -> Plan:
    """What would run in this lab, with its own values but for what is given; see `prepare`."""
    return make_plan(runbook, resolve(runbook, {**dict(scenario.parameters), **given}), LAB_USER)


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

    Without a keyboard the scenario's own answers are given to prompts that the plan has none for. Raises LabError when
    the lab cannot be had, and as `perform` does.
    """
    # Only here, because whoever runs on this host should not wait for what labs import.
    from runbook.labs.lab import open_lab

    # A broken helper is told before a lab is built for it.
    load_helper(plan.runbook)
    if keyboard is None:
        commands = (
            replace(command, answers=(*command.answers, *scenario.answers)) if command.terminal else command
            for command in plan.commands
        )
        plan = replace(plan, commands=tuple(commands))
    with open_lab(plan.runbook, scenario, keyboard=keyboard, note=note, brake=brake) as executor:
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
    answered = tuple(finish(executor.execute(command)) for command in plan.commands)
    seconds = sum(capture.seconds for capture in answered)
    return _judge(plan, answered, load_helper(runbook), host, source, started, seconds)


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


def _masked(steps: Steps, secrets: frozenset[str]) -> Steps:
    """What happens, and its captures, without any secret."""
    masker = Masker(secrets)
    live = _Mask(masker)
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                return tuple(_without(masker, capture) for capture in end.value)
            if isinstance(event, Output):
                yield live.masked(event)
            elif isinstance(event, Ended):
                yield from live.rest(event.capture.step)
                yield Ended(_without(masker, event.capture))
            else:
                yield event


class _Mask:
    """Masks secrets in output as it comes: what may be the first half of one waits until it is known."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._waiting: dict[tuple[str, str], bytes] = {}

    def masked(self, output: Output) -> Output:
        place = (output.step, output.stream)
        data, self._waiting[place] = self._masker.beginning(self._waiting.pop(place, b"") + output.data)
        return replace(output, data=data)

    def rest(self, step: str) -> Iterator[Output]:
        """What still waits when a step has ended."""
        for place, data in list(self._waiting.items()):
            if place[0] == step and data:
                yield Output(*place, self._masker.whole(self._waiting.pop(place)))


def mask(capture: Capture, secrets: frozenset[str]) -> Capture:
    """The capture without any secret value that the command, or the words on how it ended, may have repeated."""
    return _without(Masker(secrets), capture)


def _without(masker: Masker, capture: Capture) -> Capture:
    detail = masker.whole(capture.detail.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    return replace(capture, stdout=masker.whole(capture.stdout), stderr=masker.whole(capture.stderr), detail=detail)
