"""Finds runbooks on disk: those of the knowledge base around a folder, and those that come with the package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from runbook.errors import ExecutionError, UsageError
from runbook.values import nearest, shorten

if TYPE_CHECKING:
    from runbook.loader.heading import Heading
    from runbook.model import Runbook

#: Who may put runbooks anywhere.
ROOT_ID = 0
#: The origin of what comes with the package, and is trusted as it is.
BUNDLED = "bundled"
#: The folder in a knowledge base that holds its runbooks.
FOLDER = "runbooks"


class Entry(NamedTuple):
    """A runbook by its place: its name, its folder, and the knowledge base (or `bundled`) that it comes from."""

    name: str
    folder: str
    origin: str

    def load(self) -> Runbook:
        """Read it, and see whether it is trusted (where that cannot be told, it is not); raises DefinitionError."""
        from dataclasses import replace

        from runbook.loader.definition import load

        runbook = load(self.folder)
        if self.origin == BUNDLED:
            return replace(runbook, trusted=True)
        # Only here: who runs what comes with the package need not wait for it.
        from runbook.trust import holds

        try:
            return replace(runbook, trusted=holds(runbook))
        except ExecutionError:
            # Why is told when something of it is to be executed; until then it is in nobody's way.
            return runbook

    def heading(self) -> Heading:
        """Read only what the definition says of itself, for a list; raises DefinitionError."""
        # Only here: a run starts its launcher before it waits for the YAML parser to be imported.
        from runbook.loader.heading import read_heading

        return read_heading(self.folder)


def entries(start: str) -> list[Entry]:
    """Every runbook that can be named from this folder, by name; of two with one name the nearer one."""
    found: dict[str, Entry] = {}
    for root, origin in roots(start):
        for folder in _folders(root):
            name = os.path.basename(folder).replace("_", "-")
            found.setdefault(name, Entry(name, folder, origin))
    return [found[name] for name in sorted(found)]


def find(name: str, start: str) -> Entry:
    """The runbook of this name in either spelling; raises UsageError with the nearest name."""
    known = {entry.name: entry for entry in entries(start)}
    wanted = name.replace("_", "-")
    if wanted in known:
        return known[wanted]
    hint = nearest(wanted, known) or "`runbook list` shows the runbooks that can be found from here"
    raise UsageError(f"there is no runbook called `{shorten(name)}`\n    {hint}")


def strangers(start: str) -> list[str]:
    """The folders around here that hold runbooks and are left out, because they belong to somebody else.

    Runbooks are code, and whoever may write into a folder above this one could have it run by the next who passes.
    """
    return [root for root, _ in _around(start) if not _is_ours(root)]


def _around(start: str) -> list[tuple[str, str]]:
    """Every folder here or above that holds runbooks, whose they may be, and where it is; not the package's own."""
    found = [(os.path.join(folder, FOLDER), folder) for folder in upwards(start)]
    return [(root, folder) for root, folder in found if _folders(root) and os.path.realpath(root) != _bundled()]


def _is_ours(root: str) -> bool:
    """Whether it belongs to this user, to root, or to whoever became root by sudo(8)."""
    owners = {ROOT_ID, os.geteuid(), int(os.environ.get("SUDO_UID", ROOT_ID))}
    try:
        return {os.stat(root).st_uid, *(os.stat(folder).st_uid for folder in _folders(root))} <= owners
    except OSError:
        return False


def upwards(start: str) -> Iterator[str]:
    """This folder and those above it, nearest first."""
    folder = os.path.realpath(start)
    while True:
        yield folder
        if folder == os.path.dirname(folder):
            return
        folder = os.path.dirname(folder)


def roots(start: str) -> list[tuple[str, str]]:
    """The folders that hold runbooks of ours, nearest first, each with the words for where it is."""
    ours = [(root, folder) for root, folder in _around(start) if _is_ours(root)]
    return [*ours, (_bundled(), BUNDLED)]


def _bundled() -> str:
    """In an installed package beside the engine; in a checkout at its top."""
    here = os.path.dirname(os.path.realpath(__file__))
    installed = os.path.join(here, FOLDER)
    checkout = os.path.join(os.path.dirname(os.path.dirname(here)), FOLDER)
    return os.path.realpath(installed if os.path.isdir(installed) else checkout)


def comes_with_package(configuration: str) -> bool:
    """Whether this mkdocs.yml is the one beside the package's own runbooks, in a checkout of the project."""
    return os.path.dirname(os.path.realpath(configuration)) == os.path.dirname(_bundled())


def _folders(root: str) -> list[str]:
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return []
    folders = (os.path.join(root, name) for name in names)
    return [folder for folder in folders if os.path.isfile(os.path.join(folder, "runbook.yaml"))]
