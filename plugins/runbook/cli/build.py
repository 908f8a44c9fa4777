"""Build the site: every note with its runbook, as `mkdocs build --strict` does."""

from __future__ import annotations

import argparse

from runbook.cli.options import current_folder
from runbook.errors import UsageError
from runbook.loader.note import MODES

EXAMPLES = """examples:
  runbook build
  runbook build --execute recorded --output public

exit status: 0 the site was built, 64 it has faults, 3 it could not be built"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--execute",
        choices=MODES,
        default="",
        help="when runbooks run for it: never, on this host, or where this host can; as mkdocs.yml says unless told",
    )
    parser.add_argument("--output", metavar="FOLDER", default="", help="where the site goes; usually site/")


def run(arguments: argparse.Namespace) -> int:
    try:
        from mkdocs_runbook.build import build
    except ImportError as error:
        cure = "install it: pip install 'runbook-notes[site]'"
        raise UsageError(f"building a site needs {error.name}, which is not installed\n    {cure}") from error
    print(build(current_folder(), execute=arguments.execute, output=arguments.output).site_dir)
    return 0
