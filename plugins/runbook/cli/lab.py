"""Open a shell inside a lab: a system that was built, healthy or broken on purpose, and is thrown away afterwards."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Generator

from runbook.catalog import BUNDLED, find
from runbook.cli.options import current_folder, keyboard, name_argument, scenario_completer
from runbook.cli.signals import Terminated, interrupts
from runbook.cli.trust import demand
from runbook.errors import UsageError
from runbook.escaping import safe
from runbook.labs.lab import open_lab
from runbook.model import Capture, Command, Effect, Output, Runbook, Scenario
from runbook.pipeline import LAB_USER, chosen_lab
from runbook.planner import environment
from runbook.sanitiser import SCREEN, Drawn

EXAMPLES = """examples:
  runbook lab lvm-inspect --list
  runbook lab lvm-inspect laptop"""

#: A shell may stay open as long as its person likes.
WEEK_SECONDS = 7 * 86400.0


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    action = parser.add_argument("scenario", metavar="SCENARIO", nargs="?", help="which lab; may be left out of one")
    action.completer = scenario_completer  # type: ignore[attr-defined]
    parser.add_argument("--list", action="store_true", help="list the labs of this runbook and what each must show")


def run(arguments: argparse.Namespace) -> int:
    entry = find(arguments.name, current_folder())
    runbook = entry.load()
    if arguments.list:
        return _list(runbook)
    scenario = _chosen(runbook, arguments.scenario)
    typed = keyboard()
    if typed is None:
        raise UsageError(
            "a shell in a lab needs a terminal\n"
            f"    the runbook runs in it without one: runbook run {runbook.name} --lab {scenario.id}"
        )
    (runbook,) = demand([runbook])
    try:
        with interrupts(), open_lab(runbook, scenario, keyboard=typed, note=_note) as executor:
            _note(f"{scenario.title}\nyou are root in lab {scenario.id}; `exit` throws it away")
            # One of a knowledge base is not found from in there, and in there nobody has trusted it.
            if entry.origin == BUNDLED:
                _note(f"look at it from in here: {_again(runbook, scenario)}")
            return _shell(executor.execute(_command(scenario)))
    except Terminated as stop:
        return stop.exit_code


def _list(runbook: Runbook) -> int:
    width = max((len(lab.id) for lab in runbook.labs), default=0)
    for lab in runbook.labs:
        expect = ", ".join(f"{code} {verdict}" for code, verdict in lab.expect)
        print(f"{lab.id:{width}}  {lab.title} ({lab.kind}; must show {expect})")
    if not runbook.labs:
        print(f"{runbook.name} has no labs", file=sys.stderr)
    return 0


def _chosen(runbook: Runbook, name: str | None) -> Scenario:
    if name is None and len(runbook.labs) == 1:
        return runbook.labs[0]
    if name is None and runbook.labs:
        listed = ", ".join(lab.id for lab in runbook.labs)
        raise UsageError(f"which lab?\n    runbook lab {runbook.name} SCENARIO, with one of: {listed}")
    return chosen_lab(runbook, name or "")


def _again(runbook: Runbook, scenario: Scenario) -> str:
    """What to type in the shell for the same that `--lab` gives; what a lab's files are called nobody can guess."""
    words = [f"--set {shlex.quote(f'{name}={value}')}" for name, value in scenario.parameters]
    return safe(" ".join(["runbook run", runbook.name, *words]))


def _command(scenario: Scenario) -> Command:
    shell = ("/bin/bash", "--norc", "--noprofile", "-i") if os.path.exists("/bin/bash") else ("/bin/sh", "-i")
    wanted = {
        **dict(environment(True, LAB_USER)),
        "TERM": os.environ.get("TERM", "xterm"),
        "PS1": rf"\[\e[1;35m\]lab {scenario.id}\[\e[0m\]:\w# ",
        "PAGER": "more",
    }
    del wanted["EDITOR"], wanted["VISUAL"]
    # It may change the lab: that is what a lab is for. As a step that reads, in a kernel lab it would not even be root.
    settings = tuple(wanted.items())
    return Command("shell", "shell", shell, settings, Effect.CHANGE, timeout=WEEK_SECONDS, terminal=True)


def _shell(steps: Generator[Output, None, Capture]) -> int:
    """Show what the shell says: it is the person's own session, and its programs may draw on the whole screen."""
    drawn = Drawn(SCREEN)
    try:
        while True:
            _show(drawn.feed(next(steps).data))
    except StopIteration as end:
        capture: Capture = end.value
        return capture.exit_code or 0
    finally:
        steps.close()
        _show(drawn.feed(b"", final=True))


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
