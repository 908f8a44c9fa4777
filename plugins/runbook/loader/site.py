"""Reads what building a knowledge base's site would execute of it, whatever its runbooks do."""

from __future__ import annotations

import os
from collections.abc import Iterator

from runbook.loader.folder import COMPILED, MOST_BYTES, MOST_FILES, content, digest, refused
from runbook.model import Runbook

CONFIGURATION = "mkdocs.yml"
#: What a note says that has code of its own executed while it is built (markdown-exec), among other things perhaps.
EXECUTED = b"exec="
#: Folders in which nothing of the knowledge base's own is.
NOT_ITS_OWN = {COMPILED, "site", "node_modules"}


def read_site(configuration: str) -> Runbook:
    """The site of this mkdocs.yml, as if it were a runbook without steps: to be hashed, and trusted.

    Its files are the configuration, which names plugins and hooks, every Python module and template beside and below it
    that those could import, and every note that has code executed. Raises DefinitionError as `read_folder` does.
    """
    top = os.path.dirname(os.path.realpath(configuration))
    files: dict[str, bytes] = {}
    room = MOST_BYTES
    for name in (CONFIGURATION, *_candidates(top, "")):
        data = content(os.path.join(top, name), room)
        if name.endswith(".md") and EXECUTED not in data:
            continue
        if len(files) == MOST_FILES:
            raise refused(top, f"has more than {MOST_FILES} files with code", "build a folder that has only the site")
        files[name] = data
        room -= len(data)
    title = "what is executed to build the site"
    return Runbook("site", title, "", "", os.path.join(top, CONFIGURATION), digest(files), files=files)


def _candidates(top: str, below: str) -> Iterator[str]:
    """Modules, templates and notes, in order; not those of runbooks, which are trusted one by one."""
    for entry in sorted(os.scandir(os.path.join(top, below)), key=lambda entry: entry.name):
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.name.startswith(".") or entry.name in NOT_ITS_OWN or name == "runbooks":
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _candidates(top, name)
        elif entry.name.endswith((".py", ".md", ".html", ".j2", ".jinja")):
            yield name
