"""Arguments and answers that several sub-commands share."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, TextIO

from runbook.catalog import BUNDLED, Entry, entries, find
from runbook.errors import UsageError

if TYPE_CHECKING:
    from runbook.executors.keyboard import Keyboard


def current_folder() -> str:
    """Where the person stands; raises UsageError when that folder is gone."""
    try:
        return os.getcwd()
    except OSError as error:
        raise UsageError(f"the current folder is gone or closed ({error.strerror})\n    go to another one") from error


def name_argument(parser: argparse.ArgumentParser, count: str | None = None) -> None:
    """NAME, one or (by argparse's nargs) several runbooks, completed from the catalog."""
    action = parser.add_argument("names" if count else "name", metavar="NAME", nargs=count, help="a runbook's name")
    action.completer = lambda **_: [entry.name for entry in entries(current_folder())]  # type: ignore[attr-defined]


def scenario_completer(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """The labs of the runbook named before."""
    wanted = [getattr(parsed_args, "name", None), *(getattr(parsed_args, "names", None) or [])]
    return [lab.id for entry in entries(current_folder()) if entry.name in wanted for lab in entry.load().labs]


def set_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="given", help="a parameter's value; repeatable"
    )


def given_values(pairs: list[str]) -> dict[str, str]:
    """The values of all --set; raises UsageError for a word that is no pair."""
    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {pair}: not KEY=VALUE\n    for example --set thin-warning=70")
        values[key] = value
    return values


def chosen_entries(names: list[str]) -> list[Entry]:
    """The runbooks of these names; of none, those of the knowledge base around here, else those of the package."""
    here = current_folder()
    known = entries(here)
    return [find(name, here) for name in names] or [entry for entry in known if entry.origin != BUNDLED] or known


def lab_argument(parser: argparse._ActionsContainer) -> None:
    action = parser.add_argument("--lab", metavar="SCENARIO", help="in this lab instead of on this host")
    action.completer = scenario_completer  # type: ignore[attr-defined]


def keyboard() -> Keyboard | None:
    """The person's terminal, when there is one to type on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    from runbook.executors.keyboard import TerminalKeyboard

    return TerminalKeyboard(sys.stdin.fileno())


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour: a terminal that can, and nobody who said NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def ask(question: str) -> bool:
    """Ask the person at the terminal; False when there is none. What was typed before the question is no answer."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    import termios

    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
