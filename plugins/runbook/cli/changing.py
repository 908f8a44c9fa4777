"""Runs that change something: what they did is written down, they can be gone on with, and taken back."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TypeVar

from runbook.cli.drive import asked, drive, finish, follow
from runbook.cli.options import keyboard
from runbook.cli.progress import Progress
from runbook.cli.signals import Terminated, interrupts
from runbook.errors import UsageError
from runbook.escaping import safe
from runbook.executors.launch import Launcher
from runbook.executors.process import ProcessExecutor
from runbook.journal import Journal, Record, last, plan_digest, reread
from runbook.model import Capture, Command, Effect, Plan, Runbook
from runbook.pipeline import Ended, Event, gather, prepare

Result = TypeVar("Result")


def only_one(runbooks: list[Runbook]) -> list[Runbook]:
    if len(runbooks) != 1:
        raise UsageError("one runbook at a time can be gone on with, or taken back\n    name one")
    return runbooks


@contextmanager
def written_down(plan: Plan, record: Record | None) -> Iterator[Journal]:
    """The journal of a run: a new one, or that of the run that is gone on with."""
    before = last(plan.runbook) if record is None else None
    if before is not None and before.running:
        _say(f"a run of {before.when} is going on still; this one does not wait for it")
    elif before is not None and before.touched and not before.finished:
        name = plan.runbook.name
        _say(f"a run of {before.when} stopped before its end: to go on with it, `runbook run {name} --resume`;")
        _say(f"to take back what it changed, `runbook run {name} --undo`. This is a new one.")
    journal = Journal.begin(plan) if record is None else Journal.reopen(record)
    try:
        yield journal
    finally:
        journal.close()


def tell_rest(plan: Plan, record: Record) -> None:
    """What a run left half done, and how to go on."""
    wanted = {command.step: command for command in plan.commands if command.effect is Effect.CHANGE}
    rest = [step for step in wanted if step not in (*record.done, *record.failed, *record.begun)]
    _say(f"{plan.runbook.name} stopped before its end")
    for word, steps in (
        ("done", list(record.done)),
        ("failed", list(record.failed)),
        ("begun, not known whether it ended", record.begun),
        ("not done", rest),
    ):
        if steps:
            _say(f"  {word}: {'; '.join(wanted[step].title for step in steps if step in wanted)}")
    _say(f"  go on:     runbook run {plan.runbook.name} --resume")
    _say(f"  take back: runbook run {plan.runbook.name} --undo")


def resume(arguments: argparse.Namespace, runbook: Runbook, given: dict[str, str], launcher: Launcher) -> int:
    """Go on where the last run stopped: what it did is not done again, what it began is asked about."""
    record = _last(runbook, given)
    if record.finished or not record.touched:
        raise UsageError(f"the last run of {runbook.name}, of {record.when}, has nothing left to do")
    plan = _same(runbook, given, record)
    titles = {command.step: command.title for command in plan.commands}
    # Their conditions held then, and what they did may be why they do not hold now.
    begun = (*record.done, *record.begun, *record.failed)
    commands = (replace(command, when=None) if command.step in begun else command for command in plan.commands)
    plan = replace(plan, commands=tuple(commands))
    _say(f"going on with the run of {record.when}")
    for word, steps in (("done then", list(record.done)), ("begun then", record.begun)):
        if steps:
            _say(f"  {word}: {'; '.join(titles.get(step, step) for step in steps)}")
    try:
        with interrupts() as pressed:
            return finish(arguments, [drive(arguments, plan, pressed, launcher, record)])
    except Terminated as stop:
        return stop.exit_code


def undo(arguments: argparse.Namespace, runbook: Runbook, given: dict[str, str], launcher: Launcher) -> int:
    """Take back what the last run changed, the last step first; each is asked about."""
    record = _last(runbook, given)
    if not record.touched:
        raise UsageError(f"the last run of {runbook.name}, of {record.when}, left nothing to take back")
    taken: list[Capture] = []
    with closing(Journal.reopen(record)) as journal:
        # Once more, now that it is ours alone: somebody may have been quicker.
        record = reread(record)
        if not record.touched:
            raise UsageError("somebody else has just taken it back")
        plan = _same(runbook, given, record)
        steps = list(reversed(record.touched))
        commands = {command.step: command for command in plan.commands}
        back = [_back(commands[step]) for step in steps if commands[step].undo]
        for step in steps:
            if not commands[step].undo:
                _say(f"no command takes this back: {commands[step].title}")
        try:
            with interrupts() as pressed, ProcessExecutor(keyboard(), launcher=launcher) as executor:
                progress = Progress(tuple(back), arguments.quiet)

                def approve(command: Command) -> bool:
                    return arguments.yes or asked(command, progress, pressed)

                events = gather(replace(plan, commands=tuple(back)), executor, approve=approve, brake=pressed.brake)
                taken += follow(_noted(events, journal), progress, pressed)
        except Terminated as stop:
            return stop.exit_code
    for capture in taken:
        title = commands[capture.step].title
        if capture.succeeded:
            _say(f"taken back: {title}")
        else:
            _say(f"NOT taken back: {title} ({capture.detail})")
            _say("\n".join(f"    {line}" for line in capture.stderr.decode("utf-8", "replace").splitlines()[:5]))
    return 0 if all(capture.succeeded for capture in taken) else 2


def _back(command: Command) -> Command:
    """The command that takes a step back; it stands alone, for those after it were taken back before."""
    title = f"Take back “{command.title}”"
    return replace(command, title=title, argv=command.undo, undo=(), answers=(), after=(), when=None)


def _noted(events: Generator[Event, None, Result], journal: Journal) -> Generator[Event, None, Result]:
    """The same events; what was taken back is written down."""
    with closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                result: Result = end.value
                return result
            if isinstance(event, Ended) and event.capture.succeeded:
                journal.undone(event.capture.step)
            yield event


def _last(runbook: Runbook, given: Mapping[str, str]) -> Record:
    """The last run; raises UsageError where there is none, where it runs still, or where values are to be others."""
    record = last(runbook)
    if record is None:
        raise UsageError(f"no run of {runbook.name} has changed anything yet\n    runbook run {runbook.name}")
    if record.running:
        raise UsageError(f"the run of {record.when} is going on\n    wait for it, or end it")
    secret = {parameter.name for parameter in runbook.parameters if parameter.secret}
    other = sorted(set(given) - secret)
    if other:
        raise UsageError(f"--set {other[0]}: a run is gone on with, or taken back, as it began\n    leave it out")
    return record


def _same(runbook: Runbook, given: Mapping[str, str], record: Record) -> Plan:
    """The plan of that run; raises UsageError, with what takes back its steps, when it is another by now."""
    known = {parameter.name for parameter in runbook.parameters}
    plan = prepare(runbook, given, {name: value for name, value in record.values.items() if name in known})
    if plan_digest(plan) == record.plan:
        return plan
    by_hand = [shlex.join(record.undo[step]) for step in reversed(record.touched) if record.undo.get(step)]
    lines = "".join(f"\n    {line}" for line in by_hand) or "\n    none of its steps has a command for that"
    raise UsageError(
        f"{runbook.name} has changed since the run of {record.when}, so its steps are others now; by hand, in this "
        f"order, what it did is taken back by:{lines}"
    )


def _say(text: str) -> None:
    print(safe(text), file=sys.stderr)
