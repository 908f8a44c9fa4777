"""Why a file that a probe was to read could not be read, and what cures it: the reader mistyped it, or may not."""

from __future__ import annotations

import posixpath
import shlex


def why_not_read(name: str, detail: str, command: str) -> tuple[str, str]:
    """(explanation, advice) for what the kernel said of this file; `command` is what was to read it."""
    place, quoted = shlex.quote(posixpath.dirname(name) or "."), shlex.quote(name)
    if detail == "No such file or directory":
        return (
            "Nothing has that name: it is mistyped, or lies elsewhere. A path that does not begin with `/` is looked "
            "for where the command was started.",
            f"See what there is:\n    ls -l {place}",
        )
    if detail == "Permission denied":
        return (
            "This user may not read it, or not enter a folder on the way to it. Nothing is said here about what is in "
            "it.",
            f"Ask as somebody who may:\n    sudo {command}\nOr see who that is:\n    ls -l {quoted}",
        )
    if detail == "Is a directory":
        return "That is a folder; one file is read.", f"Name one that is in it:\n    ls -l {quoted}"
    if detail == "Is not a regular file":
        return (
            "It is a pipe, a socket or a device, which may never end.",
            f"Write what comes out of it to a file first:\n    head -c 100M {quoted} > FILE",
        )
    return "That is what the system said when it was to be opened.", f"See what it is:\n    ls -l {quoted}"
