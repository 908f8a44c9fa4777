"""Serve the site on this host, where a page can run its runbook, and build it again as notes change."""

from __future__ import annotations

import argparse

from runbook.cli.options import current_folder
from runbook.errors import UsageError
from runbook.loader.note import MODES

EXAMPLES = """examples:
  runbook serve
  runbook serve --open
  runbook serve --port 8400 --no-run

The printed address holds a key; whoever has it can run these runbooks as you. It listens on 127.0.0.1 and ::1 only. To
reach it from another machine: ssh -L 8400:127.0.0.1:8400 HOST, with the same port at both ends.

Ctrl-C ends the server and every run. Exit status: 0 ended so, 64 the site has faults or the port is taken"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=0, help="where to listen; usually one that is free")
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument("--no-run", action="store_true", help="only show and build; no page can run anything")
    parser.add_argument(
        "--execute", choices=MODES, default="", help="when runbooks run for the pages themselves, as in `runbook build`"
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not `{text}`")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    try:
        from mkdocs_runbook.rebuild import Rebuilder
        from runbook.server.serving import serve
    except ImportError as error:
        cure = "install it: pip install 'runbook-notes[serve]'"
        raise UsageError(f"serving a site needs {error.name}, which is not installed\n    {cure}") from error
    serve(
        current_folder(),
        Rebuilder,
        port=arguments.port,
        open_it=arguments.open,
        may_run=not arguments.no_run,
        execute=arguments.execute,
    )
    return 0
