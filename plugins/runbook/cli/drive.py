"""Drives runs for the command line: prepares them, shows what happens, and puts the results where they should go."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Generator
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from runbook.catalog import find
from runbook.cli.options import ask, current_folder, given_values, keyboard, wants_colour
from runbook.cli.progress import Progress
from runbook.cli.signals import Interrupts, Terminated, interrupts
from runbook.cli.trust import demand
from runbook.errors import ExecutionError
from runbook.escaping import safe
from runbook.executors.here import lab_around
from runbook.executors.launch import Launcher
from runbook.executors.process import ProcessExecutor
from runbook.model import Command, Effect, Ending, Plan, Run, Runbook, Source, Verdict
from runbook.pipeline import Event, Started, chosen_lab, perform, perform_in_lab, prepare, prepare_for_lab, replay
from runbook.renderers.renderer import WIDTH, renderer

if TYPE_CHECKING:
    from runbook.journal import Record

Result = TypeVar("Result")


def run_all(arguments: argparse.Namespace, launcher: Launcher) -> int:
    """Do what the arguments of `runbook run` say; gives the exit status."""
    runbooks = [find(name, current_folder()).load() for name in dict.fromkeys(arguments.names)]
    given = given_values(arguments.given)
    if arguments.resume or arguments.undo:
        from runbook.cli import changing

        (runbook,) = demand(changing.only_one(runbooks))
        return (changing.resume if arguments.resume else changing.undo)(arguments, runbook, given, launcher)
    if not arguments.plan:
        runbooks = demand(runbooks)
    if arguments.replay:
        return finish(arguments, [_replayed(arguments, runbook, given) for runbook in runbooks])
    if arguments.plan:
        from runbook import preview

        plans = [prepare(runbook, given) for runbook in runbooks]
        print(preview.document(plans) if arguments.format == "json" else preview.text(plans))
        return 0
    plans = [
        prepare_for_lab(runbook, chosen_lab(runbook, arguments.lab), given)
        if arguments.lab
        else prepare(runbook, given)
        for runbook in runbooks
    ]
    return _perform(arguments, plans, launcher)


def _replayed(arguments: argparse.Namespace, runbook: Runbook, given: dict[str, str]) -> Run:
    from runbook.archive import recording

    recorded = recording(arguments.replay, runbook)
    return replay(
        *(runbook, recorded.captures, recorded.parameters, recorded.host, recorded.source, recorded.started), given
    )


def _perform(arguments: argparse.Namespace, plans: list[Plan], launcher: Launcher) -> int:
    """Run one after the other; whatever stops the last one, the results of those before it are shown."""
    runs: list[Run] = []
    finishing = False
    try:
        with interrupts() as pressed:
            for plan in plans:
                runs.append(drive(arguments, plan, pressed, launcher))
                if pressed.brake.stopped:
                    break
            finishing = True
            return finish(arguments, runs)
    except (ExecutionError, KeyboardInterrupt, Terminated) as stop:
        if runs and not finishing:
            finish(arguments, runs)
        if isinstance(stop, Terminated):
            return stop.exit_code
        raise


def drive(
    arguments: argparse.Namespace,
    plan: Plan,
    pressed: Interrupts,
    launcher: Launcher | None = None,
    record: Record | None = None,
    attended: bool = True,
) -> Run:
    """Run one plan on this host, or in the lab that was asked for, and show what happens; `record` is gone on with.

    Unless it is `attended`, nobody is asked for what a step wants to be typed.
    """
    progress = Progress(plan.commands, arguments.quiet, attended=attended)
    typed = keyboard() if attended else None

    def approve(command: Command) -> bool:
        if record is not None and command.step in record.done:
            return True
        again = record is not None and command.step in record.begun
        return arguments.yes or asked(command, progress, pressed, again)

    if arguments.lab:
        scenario = chosen_lab(plan.runbook, arguments.lab)
        steps = perform_in_lab(
            plan, scenario, keyboard=typed, brake=pressed.brake, timeout=arguments.timeout, note=progress.note
        )
        return follow(steps, progress, pressed)
    # In the shell of a lab in namespaces it is as if the runbook had been run with --lab: see labs/namespace.py.
    around = lab_around()
    with ProcessExecutor(typed, launcher=launcher, confined=not around) as executor:
        source = Source("lab", around) if around else Source("live")
        limits: dict[str, Any] = {"approve": approve, "brake": pressed.brake, "timeout": arguments.timeout}
        if not any(command.effect is Effect.CHANGE for command in plan.commands):
            # Who only looks does not wait for the import of what follows.
            return follow(perform(plan, executor, source, **limits), progress, pressed)
        from runbook.cli import changing
        from runbook.journal import Resumed, kept, settle

        with changing.written_down(plan, record) as journal:
            done = record.done if record is not None else {}
            run = follow(
                kept(perform(plan, Resumed(executor, done), source, **limits), journal, done), progress, pressed
            )
            if (rest := settle(plan, journal)) is not None:
                changing.tell_rest(plan, rest)
        return run


def follow(steps: Generator[Event, None, Result], progress: Progress, pressed: Interrupts) -> Result:
    """Show what happens until it has ended, and give what comes of it."""
    try:
        while True:
            event = next(steps)
            pressed.stepping = pressed.stepping or isinstance(event, Started)
            progress.event(event)
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        pressed.stepping = False
        try:
            steps.close()
        finally:
            progress.close()


def asked(command: Command, progress: Progress, pressed: Interrupts, again: bool = False) -> bool:
    """Ask the person about one change, showing exactly what it is; Ctrl-C is a no, and ends the run.

    `again`: it was begun before, and nobody knows whether it ended.
    """
    undo = f"\n  it can be undone by: {shlex.join(command.undo)}" if command.undo else ""
    progress.release()
    pressed.stepping = False
    try:
        known = "\n  it was begun before, and it is not known whether it ended" if again else ""
        question = f"{command.title} CHANGES THIS HOST:\n  {shlex.join(command.argv)}{undo}{known}\nRun it?"
        return ask(safe(question))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        pressed.brake.stop()
        return False
    finally:
        pressed.stepping = True


def finish(arguments: argparse.Namespace, runs: list[Run]) -> int:
    """Show the results, or save them; gives the exit status."""
    if arguments.output:
        from runbook.archive import save

        try:
            save(arguments.output, chain(renderer(arguments.format).render(runs), ["\n"]))
        except ExecutionError:
            # A result that took minutes must not be lost because a disk is full.
            _show(arguments, runs)
            raise
        for run in runs:
            print(f"{run.plan.runbook.name}: {run.verdict}, saved in {arguments.output}", file=sys.stderr)
    else:
        _show(arguments, runs)
    _hint(runs)
    return exit_code(runs, arguments.strict)


def _hint(runs: list[Run]) -> None:
    """How to see what this user may not: sudo does not look for commands where the person's own shell does."""
    refused = any(c.ending is Ending.NOT_PERMITTED for run in runs if run.source.kind == "live" for c in run.captures)
    if refused and os.geteuid() != 0 and sys.stderr.isatty():
        program = os.path.abspath(sys.argv[0])
        command = [sys.executable, "-m", "runbook"] if program.endswith("__main__.py") else [program]
        print(f"with all rights: sudo {shlex.join([*command, *sys.argv[1:]])}", file=sys.stderr)


def _show(arguments: argparse.Namespace, runs: list[Run]) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    for piece in renderer(arguments.format).render(runs, colour=wants_colour(sys.stdout), width=width):
        sys.stdout.write(piece)
    sys.stdout.write("\n")


def exit_code(runs: list[Run], strict: bool) -> int:
    """The worst run's; 130 when the person ended one."""
    now = [run for run in runs if run.source.kind in ("live", "lab")]
    if any(capture.ending is Ending.INTERRUPTED for run in now for capture in run.captures):
        return 130
    worst = max((run.verdict for run in runs), default=Verdict.UNKNOWN)
    return Verdict.CRITICAL.exit_code if strict and worst is Verdict.UNKNOWN else worst.exit_code
