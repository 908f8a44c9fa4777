"""List the runbooks that can be found from here, and where each comes from."""

from __future__ import annotations

import argparse
import json
import os
import sys

from runbook.catalog import Entry, entries
from runbook.errors import DefinitionError
from runbook.model import Runbook

EXAMPLES = "examples:\n  runbook list\n  runbook list --section storage --format json"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--section", metavar="S", help="only this section")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    found: list[tuple[Entry, Runbook]] = []
    status = 0
    for entry in entries(os.getcwd()):
        try:
            found.append((entry, entry.load()))
        except DefinitionError as error:
            # One broken definition must not hide the others.
            print(f"runbook: {error}", file=sys.stderr)
            status = error.exit_code
    wanted = [(e, r) for e, r in found if arguments.section in (None, r.section)]
    if arguments.format == "json":
        print(json.dumps([_row(entry, runbook) for entry, runbook in wanted], indent=2, ensure_ascii=False))
    else:
        _print_text(wanted)
    return status


def _row(entry: Entry, runbook: Runbook) -> dict[str, str]:
    return {
        "name": runbook.name,
        "title": runbook.title,
        "summary": runbook.summary,
        "section": runbook.section,
        "origin": entry.origin,
        "folder": entry.folder,
    }


def _print_text(found: list[tuple[Entry, Runbook]]) -> None:
    width = max((len(runbook.name) for _, runbook in found), default=0)
    for section in sorted({runbook.section for _, runbook in found}):
        print(section)
        for entry, runbook in found:
            if runbook.section == section:
                print(f"  {runbook.name:{width}}  {runbook.title}  ({entry.origin})")
    if not found:
        print("no runbooks here; `runbook list` in a folder with runbooks/ shows them", file=sys.stderr)
