"""List the runbooks that can be found from here, and where each comes from."""

from __future__ import annotations

import argparse
import json
import sys

from runbook.catalog import Entry, entries
from runbook.cli.options import current_folder
from runbook.errors import DefinitionError
from runbook.escaping import safe
from runbook.loader.heading import Heading

EXAMPLES = "examples:\n  runbook list\n  runbook list --section storage --format json"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--section", metavar="S", help="only this section")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    found: list[tuple[Entry, Heading]] = []
    status = 0
    for entry in entries(current_folder()):
        try:
            found.append((entry, entry.heading()))
        except DefinitionError as error:
            # One broken definition must not hide the others.
            print(safe(f"runbook: {error}"), file=sys.stderr)
            status = error.exit_code
    wanted = [(entry, heading) for entry, heading in found if arguments.section in (None, heading.section)]
    if arguments.format == "json":
        print(json.dumps([_row(entry, heading) for entry, heading in wanted], indent=2, ensure_ascii=False))
    else:
        _print_text(wanted)
    if arguments.section and not wanted:
        sections = ", ".join(sorted({heading.section for _, heading in found}))
        print(f"no runbooks in section {arguments.section}; there is {sections or 'none'}", file=sys.stderr)
    elif not found:
        print("no runbooks here; `runbook list` in a folder with runbooks/ shows them", file=sys.stderr)
    return status


def _row(entry: Entry, heading: Heading) -> dict[str, str]:
    return {
        "name": entry.name,
        "title": heading.title,
        "summary": heading.summary,
        "section": heading.section,
        "origin": entry.origin,
        "folder": entry.folder,
    }


def _print_text(found: list[tuple[Entry, Heading]]) -> None:
    width = max((len(entry.name) for entry, _ in found), default=0)
    for section in sorted({heading.section for _, heading in found}):
        print(section)
        for entry, heading in found:
            if heading.section == section:
                print(safe(f"  {entry.name:{width}}  {heading.title}  ({entry.origin})"))
