"""Say which tools, rights and parts of the sandbox are missing on this host, and what brings them; runs no runbook."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import closing

from runbook.catalog import entries, find
from runbook.cli.options import current_folder, name_argument
from runbook.errors import ExecutionError
from runbook.executors import here
from runbook.executors.launch import Launcher
from runbook.executors.sandbox import Sandbox
from runbook.helpers.conclusions import DISTRIBUTIONS, INSTALL
from runbook.labs import kernel, namespace
from runbook.model import Command, Needs, Runbook
from runbook.planner import environment

EXAMPLES = """examples:
  runbook doctor
  runbook doctor lvm-inspect

exit status: 0 nothing is missing, 1 something is"""

#: What a kind of lab itself needs: the program, and its package in Debian.
LAB_PROGRAMS = {"kernel": (kernel.PROGRAM, "user-mode-linux"), "namespace": (namespace.PROGRAM, "util-linux")}


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, "*")


def run(arguments: argparse.Namespace) -> int:
    where = current_folder()
    chosen = [find(name, where) for name in arguments.names] or entries(where)
    missing = not _tell_sandbox()
    for entry in chosen:
        lacks = list(_lacks(entry.load()))
        missing = missing or bool(lacks)
        print(f"{entry.name}: " + ("something is missing" if lacks else "everything is here"))
        for line in lacks:
            print(f"  {line}")
    return int(missing)


def _tell_sandbox() -> bool:
    """Try to break out of what a reading step is confined to, and say what it is made of here; whether it is whole."""
    whole = True
    with closing(Launcher()) as launcher:
        box = Sandbox(launcher)
        # As root there are two: for a step that needs root itself, and for all others.
        needs = [Needs(), Needs(root=True)] if os.geteuid() == 0 else [Needs()]
        for need in needs:
            try:
                proof = box.prove(Command("doctor", "", ("true",), (), needs=need))
            except (ExecutionError, OSError) as error:
                print(f"sandbox: {error}")
                whole = False
                continue
            print(f"sandbox: {proof} (proven)" if proof.layers else f"sandbox: {proof}")
            for layer in proof.missing:
                print(f"  {layer}: {proof.refused.get(layer, 'cannot be had')}")
            whole = whole and not proof.missing
    return whole


def _lacks(runbook: Runbook) -> Iterator[str]:
    path = dict(environment(False, {}))["PATH"]
    wanted = [(f"step {step.id}", name) for step in runbook.steps for name in (step.argv[0], *step.needs.commands)]
    wanted += [(f"lab {lab.id}", name) for lab in runbook.labs for name in lab.commands]
    for name in dict.fromkeys(name for _, name in wanted):
        if here.find(name, path) is None:
            users = ", ".join(dict.fromkeys(user for user, used in wanted if used == name))
            yield f"{name} is not installed ({users}){_packages(runbook, name)}"
    for kind in dict.fromkeys(lab.kind for lab in runbook.labs):
        program, package = LAB_PROGRAMS[kind]
        if here.find(program, path) is None:
            yield f"{program} is not installed ({kind} labs)\n      Debian: apt install {package}"
    lacking = {step.id: right for step in runbook.steps if (right := here.missing_right(step.needs))}
    for right in dict.fromkeys(lacking.values()):
        steps = ", ".join(step for step, lacks in lacking.items() if lacks == right)
        yield f"{right} is needed ({steps})\n      sudo runbook run {runbook.name}"


def _packages(runbook: Runbook, command: str) -> str:
    names = dict(dict(runbook.packages).get(command, ()))
    return "".join(f"\n      {DISTRIBUTIONS[key]}: {INSTALL[key]} {name}" for key, name in names.items())
