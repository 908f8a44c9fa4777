"""Reads what building a knowledge base's site may execute of it, whatever its runbooks do."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from typing import Any

from runbook.loader.folder import COMPILED, content, digest, names, refused
from runbook.model import Runbook

CONFIGURATION = "mkdocs.yml"
#: How much a file may hold, and the configuration; and how many files there may be.
FILE_BYTES, CONFIGURATION_BYTES, MOST_FILES = 64 * 1024 * 1024, 1024 * 1024, 20_000
#: How the names of notes end.
NOTES = (".md", ".markdown", ".mdown", ".mkd", ".mkdn")
#: What in a note is more than words: code that is executed (markdown-exec), a template, a file put in its place.
_MORE_THAN_WORDS = re.compile(rb"\bexec\b|\{[{%]|--8<--|!!python")
#: The folder of the runbooks, which are trusted one by one.
RUNBOOKS = "runbooks"
#: Folders of a knowledge base that no build reads, unless something names them.
_UNREAD = {COMPILED, "node_modules", "venv"}


def read_site(configuration: str) -> Runbook:
    """The site of this mkdocs.yml, as if it were a runbook without steps: to be hashed, and trusted.

    Plugins and hooks may execute any file, so the hash is over all of them; left out are notes of nothing but words,
    and folders that the configuration may not name: runbooks, the built site, those with a dot, caches. `files` holds
    SHA-256s. Raises DefinitionError where something would lead out of what is hashed: a configuration that inherits or
    names such a place, a link into one.
    """
    top = os.path.dirname(os.path.realpath(configuration))
    path = os.path.join(top, CONFIGURATION)
    output = _check_configuration(path)
    files: dict[str, bytes] = {}
    for name in names(top, lambda name, is_folder: is_folder and _unread(name, output)):
        whole = os.path.join(top, name)
        if os.path.islink(whole):
            files[name] = _target(top, whole, output)
            continue
        data = content(
            whole, FILE_BYTES, (f"is larger than {FILE_BYTES >> 20} MiB", "keep it out of the site's folder")
        )
        if name.endswith(NOTES) and not _MORE_THAN_WORDS.search(data):
            continue
        if len(files) == MOST_FILES:
            raise refused(top, f"has more than {MOST_FILES} files", "build a folder that has only the site")
        files[name] = hashlib.sha256(data).hexdigest().encode()
    return Runbook("site", "what is executed to build the site", "", "", path, digest(files), files=files)


def _unread(name: str, output: str) -> bool:
    """Whether this path, from the top, is in a folder of which nothing is hashed."""
    parts = os.path.normpath(name).split("/")
    return parts[0] in (output, RUNBOOKS) or any(
        part in _UNREAD or (part.startswith(".") and part != ".") for part in parts
    )


def _target(top: str, link: str, output: str) -> bytes:
    """Where a link leads, which is hashed by itself."""
    target = os.path.relpath(os.path.realpath(link), top)
    if _unread(target, output):
        raise refused(link, "is a link out of what is trusted, where a change is not seen", "put the file itself here")
    return b"link to " + os.fsencode(target)


def _check_configuration(path: str) -> str:
    """Refuse one that leads out of what is hashed; returns the name of the folder that it builds into."""
    import yaml

    data = content(path, CONFIGURATION_BYTES, (f"is larger than {CONFIGURATION_BYTES >> 20} MiB", "write less into it"))
    try:
        # Not built into values, since tags of MkDocs would import what they name.
        root = yaml.compose(data, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        raise refused(path, "is not YAML", "run mkdocs build, which says where") from error
    top = os.path.dirname(path)
    scalars = list(_scalars(root))
    built = next((value for key, value in scalars if key == "site_dir"), "site")
    output = os.path.normpath(built).split("/")[0]
    for key, value in scalars:
        if key == "INHERIT":
            raise refused(path, f"inherits from {value}, which is not hashed", "write what it inherits into this file")
        if ".." in value.split("/"):
            raise refused(path, f"names {value}, above its folder, which is not hashed", "move it into this folder")
        name = os.path.relpath(os.path.join(top, value), top)
        if _unread(name, output) and not key.startswith("site_") and os.path.lexists(os.path.join(top, value)):
            raise refused(path, f"names {value}, which is not hashed", "move it to a folder of its own")
    return output


def _scalars(root: Any) -> Iterator[tuple[str, str]]:
    """Every text of this YAML node, with the key of the mapping that it is in; keys themselves with no key."""
    waiting, seen = [("", root)], set()
    while waiting:
        key, node = waiting.pop()
        if node is None or (key, id(node)) in seen:
            continue
        # An alias may stand under several keys, and below itself.
        seen.add((key, id(node)))
        if isinstance(node.value, str):
            yield key, node.value
        elif node.id == "sequence":
            waiting += [(key, child) for child in node.value]
        else:
            waiting += [("", name) for name, _ in node.value]
            waiting += [(str(name.value), child) for name, child in node.value]
