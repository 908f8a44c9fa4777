"""Finds runbooks on disk: those of the knowledge base around a folder, and those that come with the package."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from runbook.errors import UsageError
from runbook.loader.heading import Heading, read_heading
from runbook.values import nearest, shorten

if TYPE_CHECKING:
    from runbook.model import Runbook

#: The folder in a knowledge base that holds its runbooks.
FOLDER = "runbooks"


class Entry(NamedTuple):
    """A runbook by its place: its name, its folder, and the knowledge base (or `bundled`) that it comes from."""

    name: str
    folder: str
    origin: str

    def load(self) -> Runbook:
        """Read the definition; raises DefinitionError."""
        from runbook.loader.definition import load

        return load(self.folder)

    def heading(self) -> Heading:
        """Read only what the definition says of itself, for a list; raises DefinitionError."""
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


def roots(start: str) -> list[tuple[str, str]]:
    """The folders that hold runbooks, nearest first, each with the words for where it is."""
    found: list[tuple[str, str]] = []
    bundled = _bundled()
    folder = os.path.realpath(start)
    while True:
        root = os.path.join(folder, FOLDER)
        if _folders(root) and os.path.realpath(root) != bundled:
            found.append((root, folder))
        parent = os.path.dirname(folder)
        if parent == folder:
            return [*found, (bundled, "bundled")]
        folder = parent


def _bundled() -> str:
    """In an installed package beside the engine; in a checkout at its top."""
    here = os.path.dirname(os.path.realpath(__file__))
    installed = os.path.join(here, FOLDER)
    checkout = os.path.join(os.path.dirname(os.path.dirname(here)), FOLDER)
    return os.path.realpath(installed if os.path.isdir(installed) else checkout)


def _folders(root: str) -> list[str]:
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return []
    folders = (os.path.join(root, name) for name in names)
    return [folder for folder in folders if os.path.isfile(os.path.join(folder, "runbook.yaml"))]
