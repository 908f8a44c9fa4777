"""Reads a runbook's folder once: all that can influence what a run executes, as it stands at this moment."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping

from runbook.errors import DefinitionError, Problem

#: What is never executed: recordings, what Python compiled, and when the labs passed.
NEVER_EXECUTED = ("samples", "labs/passed.json")
COMPILED = "__pycache__"
#: How many files a runbook may have, and how large they may be together.
MOST_FILES, MOST_BYTES = 500, 16 * 1024 * 1024
_TOO_LARGE = (f"makes the runbook larger than {MOST_BYTES >> 20} MiB", "recordings belong in samples/")


def read_folder(folder: str) -> dict[str, bytes]:
    """Every file by its path from the folder. Raises DefinitionError for what is none, and for too much.

    A link is refused, because tomorrow it may lead to something else.
    """
    files: dict[str, bytes] = {}
    room = MOST_BYTES
    for name in names(folder, lambda name, _: name in NEVER_EXECUTED or os.path.basename(name) == COMPILED):
        if len(files) == MOST_FILES:
            raise refused(folder, f"holds more than {MOST_FILES} files", "move what is not the runbook's elsewhere")
        files[name] = content(os.path.join(folder, name), room, _TOO_LARGE)
        room -= len(files[name])
    return files


def names(folder: str, left_out: Callable[[str, bool], bool], below: str = "") -> Iterator[str]:
    """The paths of all that is no folder, in order; `left_out` is asked of each path, and whether it is a folder."""
    try:
        entries = sorted(os.scandir(os.path.join(folder, below)), key=lambda entry: entry.name)
    except OSError as error:
        raise refused(os.path.join(folder, below), f"cannot be read: {error.strerror}", "check its rights") from error
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if not left_out(name, is_folder):
            yield from names(folder, left_out, name) if is_folder else (name,)


def content(path: str, room: int, too_large: tuple[str, str]) -> bytes:
    """The bytes of a file that is one; raises DefinitionError, `too_large` when there are more than `room`."""
    try:
        # Not to wait for whoever writes into a pipe, should it be one.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        link = os.path.islink(path)
        message = "is a link, which tomorrow may lead elsewhere" if link else f"cannot be read: {error.strerror}"
        raise refused(path, message, "put the file itself here" if link else "check its rights") from error
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise refused(path, "is neither a file nor a folder", "delete it")
        data = file.read(room + 1)
    if len(data) > room:
        raise refused(path, *too_large)
    return data


def refused(path: str, message: str, cure: str) -> DefinitionError:
    """What is wrong with a folder that cannot be used."""
    return DefinitionError((Problem(path, 1, 1, message, cure),))


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over these files in hexadecimal; with names and lengths, so that no byte can move to another file."""
    whole = hashlib.sha256()
    for name in sorted(files):
        path = os.fsencode(name)
        whole.update(b"%d %d\n" % (len(path), len(files[name])) + path + files[name])
    return whole.hexdigest()
