"""Save real output as a sample: run, redact, show what was redacted, and write the file when you agree."""

from __future__ import annotations

import argparse
import os
import re
import sys

from runbook.archive import sample_of, sample_text, save
from runbook.catalog import Entry, find
from runbook.cli.drive import drive
from runbook.cli.options import ask, current_folder, given_values, lab_argument, name_argument, set_argument
from runbook.cli.signals import Terminated, interrupts
from runbook.cli.trust import demand
from runbook.errors import ExecutionError, UsageError
from runbook.escaping import safe
from runbook.executors.executor import finish
from runbook.executors.process import ProcessExecutor
from runbook.loader.sample import SAMPLE_BYTES
from runbook.model import Command, Ending, Run, Runbook
from runbook.pipeline import chosen_lab, prepare, prepare_for_lab
from runbook.planner import environment
from runbook.values import NAME

EXAMPLES = """examples:
  runbook record lvm-inspect --as thin-pool-full --lab thin-pool-full
  sudo runbook record lvm-inspect --as my-server

The sample goes to the runbook's folder, samples/CASE.yaml; from an installed package, whose folder is not yours, to
the current folder. Read it before you hand it on: redaction knows shapes, not your secrets."""


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    parser.add_argument("--as", metavar="CASE", dest="case", required=True, help="the sample's name, in kebab-case")
    set_argument(parser)
    lab_argument(parser)
    parser.add_argument("--yes", action="store_true", help="write without asking, and replace a sample of this name")
    parser.set_defaults(timeout=None)
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def run(arguments: argparse.Namespace) -> int:
    if not re.fullmatch(NAME, arguments.case):
        raise UsageError(f"--as {arguments.case}: not a name\n    use kebab-case, such as thin-pool-full")
    entry = find(arguments.name, current_folder())
    runbook = entry.load()
    path = _path(entry, arguments.case)
    if os.path.exists(path) and not arguments.yes and not ask(f"{path} exists. Replace it?"):
        raise UsageError(f"{path} exists\n    choose another name, or say --yes to replace it")
    scenario = chosen_lab(runbook, arguments.lab) if arguments.lab else None
    (runbook,) = demand([runbook])
    given = given_values(arguments.given)
    plan = prepare_for_lab(runbook, scenario, given) if scenario is not None else prepare(runbook, given)
    try:
        with interrupts() as pressed:
            recorded = drive(arguments, plan, pressed)
    except Terminated as stop:
        return stop.exit_code
    return _write(arguments, recorded, path)


def _path(entry: Entry, case: str) -> str:
    """In the runbook's own folder; but what is written into an installed package is lost with its next version."""
    parts = entry.folder.split(os.sep)
    if "site-packages" in parts or "dist-packages" in parts:
        return os.path.join(current_folder(), f"{entry.name}-{case}.yaml")
    folder = os.path.join(entry.folder, "samples")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise ExecutionError(f"{folder}: {error.strerror}; record into a knowledge base of your own") from error
    return os.path.join(folder, f"{case}.yaml")


def _write(arguments: argparse.Namespace, run: Run, path: str) -> int:
    if any(capture.ending is Ending.INTERRUPTED for capture in run.captures):
        print("interrupted, so nothing was written", file=sys.stderr)
        return 130
    sample, replaced = sample_of(run, arguments.case, _title(run), installed_versions(run.plan.runbook))
    for before, after in replaced:
        print(safe(f"  {before}  →  {after}"), file=sys.stderr)
    print(safe(f"{len(replaced)} names and numbers replaced; {_summary(run)}"), file=sys.stderr)
    # What a lab printed is nobody's.
    if not (arguments.yes or arguments.lab or ask(f"Write {path}?")):
        raise UsageError("nothing was written\n    say --yes to write without being asked")
    text = sample_text(sample)
    if len(text.encode()) > SAMPLE_BYTES:
        raise ExecutionError(f"the sample would be larger than {SAMPLE_BYTES >> 20} MiB, and could not be read again")
    save(path, [text])
    print(path)
    return 0


def _title(run: Run) -> str:
    for scenario in run.plan.runbook.labs:
        if run.source.kind == "lab" and scenario.id == run.source.name:
            return scenario.title
    # A summary quotes what was found, which may be private; what the definition says of the code is not.
    return dict(run.plan.runbook.findings).get(run.findings[0].code, run.plan.runbook.title)


def _summary(run: Run) -> str:
    return "findings: " + ", ".join(f"{finding.code} {finding.verdict}" for finding in run.findings)


def installed_versions(runbook: Runbook) -> dict[str, str]:
    """The versions of the packages that brought the commands, where dpkg knows them."""
    names = {dict(packages).get("debian", "") for _, packages in runbook.packages} - {""}
    if not names:
        return {}
    argv = ("dpkg-query", "-W", "-f", "${Package}=${Version}\\n", *sorted(names))
    with ProcessExecutor() as executor:
        capture = finish(executor.execute(Command("tools", "tools", argv, environment(False, {}))))
    lines = capture.stdout.decode("utf-8", "replace").splitlines()
    return {name: version for name, _, version in (line.partition("=") for line in lines) if version}
