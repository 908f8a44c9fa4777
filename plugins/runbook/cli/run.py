"""Run runbooks on this host, in a lab, or over a recording, and say what they see."""

from __future__ import annotations

import argparse

from runbook.cli.options import lab_argument, name_argument, set_argument
from runbook.executors.launch import Launcher
from runbook.renderers.renderer import FORMATS
from runbook.values import duration

EXAMPLES = """examples:
  runbook run lvm-inspect
  runbook run lvm-inspect --set thin-warning=70 --format json
  runbook run lvm-inspect --plan
  runbook run lvm-inspect --lab thin-pool-full
  runbook run lvm-inspect --replay colleague.yaml
  runbook run ssh-key-create --set host=web1 --resume
  sudo runbook run lvm-inspect --quiet --output lvm.md --format markdown

exit status: 0 ok, 1 warning, 2 critical, 3 unknown or could not run, 64 wrong usage or a broken definition,
130 interrupted; with --strict, unknown is 2"""


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, "+")
    set_argument(parser)
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument("--output", metavar="FILE", help="write the result here; what was there is replaced whole")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--plan", action="store_true", help="print the exact commands, run nothing")
    lab_argument(where)
    where.add_argument("--replay", metavar="PATH", help="judge a sample (.yaml) or a saved run (.json) instead")
    where.add_argument(
        "--resume", action="store_true", help="go on with the last run that changed something and stopped"
    )
    where.add_argument("--undo", action="store_true", help="take back what the last run has changed, step by step")
    parser.add_argument("--yes", action="store_true", help="approve the steps that change the host")
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, help="for each whole run, such as 90 or 2m")
    parser.add_argument("--strict", action="store_true", help="exit with 2 where the verdict is unknown")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _seconds(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, not `{text}`") from None


def run(arguments: argparse.Namespace) -> int:
    live = not (arguments.plan or arguments.lab or arguments.replay)
    launcher = Launcher()
    try:
        if live:
            # It starts up while we import the rest and read definitions: half of what a short run takes.
            launcher.begin()
        from runbook.cli.drive import run_all

        return run_all(arguments, launcher)
    finally:
        launcher.close()
