"""Allow a knowledge base's runbooks to be executed here, as they are now; a changed one asks again."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from runbook.catalog import BUNDLED, comes_with_package, entries, find, upwards
from runbook.cli.options import ask, current_folder, name_argument
from runbook.errors import DefinitionError, UntrustedError, UsageError
from runbook.escaping import safe
from runbook.loader.site import CONFIGURATION, NOTES, read_site
from runbook.model import Effect, Runbook
from runbook.trust import changes, grant, holds, remove, trusted

EXAMPLES = """examples:
  runbook trust                   every runbook of the knowledge base around here and its site, after showing them
  runbook trust disk-usage
  runbook trust site              what building the site executes: mkdocs.yml, hooks, code in notes
  runbook trust --list            what is trusted, and whether it is still as it was
  runbook trust --remove disk-usage

Runbooks that come with the package need no trust. The decisions are kept in ~/.local/state/runbook/trust.json
($XDG_STATE_HOME), where no knowledge base can write; another user, root too, decides for themselves."""


#: The name under which the site of a knowledge base is trusted.
SITE = "site"
#: Files of a site that are code, by how their names end: modules, templates, notes with more than words.
EXECUTED = (".py", ".yml", ".yaml", ".html", ".j2", ".jinja", ".js", ".sh", *NOTES)


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, "*")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--yes", action="store_true", help="without being asked: you have looked at them")
    what.add_argument("--list", action="store_true", help="list what is trusted, and run nothing")
    what.add_argument("--remove", action="store_true", help="trust them no longer")


def run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        return _list()
    here = current_folder()
    chosen = [find(name, here) for name in arguments.names if name != SITE]
    if not arguments.names:
        chosen = [entry for entry in entries(here) if entry.origin != BUNDLED]
    site = _site(here) if SITE in arguments.names or not arguments.names else None
    if not chosen and site is None:
        raise UsageError("there is no knowledge base around here\n    what comes with the package is trusted with it")
    if site is not None and arguments.remove:
        print("the site " + ("is trusted no longer" if remove(site.folder) else "was not trusted"))
    elif site is not None:
        _consider(site, arguments.yes)
    for entry in chosen:
        if entry.origin == BUNDLED:
            print(f"{entry.name} comes with the package and needs no trust")
        elif arguments.remove:
            print(f"{entry.name} " + ("is trusted no longer" if remove(entry.folder) else "was not trusted"))
        else:
            _consider(entry.load(), arguments.yes)
    return 0


def _site(here: str) -> Runbook | None:
    """What building the site around here would execute; None where there is no site, or it is the package's."""
    for folder in upwards(here):
        path = os.path.join(folder, CONFIGURATION)
        if os.path.isfile(path):
            if comes_with_package(path):
                return None
            site = read_site(path)
            return replace(site, trusted=holds(site))
    return None


def _consider(runbook: Runbook, yes: bool) -> None:
    if runbook.trusted:
        print(f"{runbook.name} is trusted, and as it was")
        return
    print("\n".join(_described(runbook)))
    if not yes and not ask(f"Trust {runbook.name} as it is now?"):
        raise UsageError(f"{runbook.name} is not trusted\n    say --yes where nobody can be asked")
    grant(runbook)
    print(f"{runbook.name} is trusted from now on")


def demand(runbooks: Sequence[Runbook]) -> list[Runbook]:
    """The same runbooks, all trusted: asks the person about those that are not. Raises UntrustedError."""
    return [runbook if runbook.trusted else _asked(runbook) for runbook in runbooks]


def _asked(runbook: Runbook) -> Runbook:
    # First, because it says where decisions cannot be relied on.
    described = "\n".join(_described(runbook))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UntrustedError(runbook.name)
    print(described, file=sys.stderr)
    if not ask(f"Trust {runbook.name} as it is now, and go on?"):
        raise UntrustedError(runbook.name)
    grant(runbook)
    return replace(runbook, trusted=True)


def _described(runbook: Runbook) -> Iterator[str]:
    """What one would allow, in lines that are safe to show."""
    from runbook.renderers.plain import needed

    yield safe(f"{runbook.name}: {runbook.title} ({runbook.folder})")
    for line in changes(runbook):
        yield safe(f"  since it was trusted, {line}")
    if not runbook.steps:
        yield from _site_described(runbook)
        return
    yield "  commands:"
    for step in runbook.steps:
        effect = "  CHANGES THIS HOST" if step.effect is Effect.CHANGE else ""
        needs = "".join(f"  ({words})" for words in needed(step))
        yield safe(f"    {shlex.join(step.argv)}{needs}{effect}")
        if step.undo:
            yield safe(f"      undone by: {shlex.join(step.undo)}")
    code = [name for name in runbook.files if name.endswith(".py")]
    yield safe("  Python that runs with your rights: " + (", ".join(code) or "none"))
    scripts = sorted({os.path.normpath(lab.script) for lab in runbook.labs})
    yield safe("  scripts of labs: " + (", ".join(scripts) or "none"))
    others = [name for name in runbook.files if name not in {"runbook.yaml", *code, *scripts}]
    yield safe("  other files, which those could run: " + (", ".join(others) or "none"))


def _site_described(site: Runbook) -> Iterator[str]:
    """What is known to be executed by its name or by its words; and of what else there is, how much."""
    code = [name for name in site.files if name.endswith(EXECUTED)]
    yield safe("  executed, or could be: " + ", ".join(code))
    yield f"  other files, which those could run: {len(site.files) - len(code)}"


def _list() -> int:
    decisions = trusted()
    for folder, decision in decisions.items():
        day = time.strftime("%Y-%m-%d", time.gmtime(decision.since))
        print(safe(f"{folder}: {_state(folder)} (trusted on {day})"))
    if not decisions:
        print("nothing but what comes with the package is trusted", file=sys.stderr)
    return 0


def _state(folder: str) -> str:
    from runbook.loader.definition import load

    if not os.path.exists(folder):
        return "gone"
    try:
        now = load(folder) if os.path.isdir(folder) else read_site(folder)
        return "as it was" if holds(now) else "changed, and asks again"
    except DefinitionError:
        return "broken, and not run"
