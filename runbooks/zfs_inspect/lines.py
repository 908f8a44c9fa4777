"""The lines of what a command printed, fit to be quoted."""

from __future__ import annotations

import re

from runbook.formats import Unread
from runbook.formats.records import text_of
from runbook.model import Capture, Evidence

#: Names of pools have none, names of files may.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def lines_of(capture: Capture, unread: list[Unread]) -> list[str]:
    """Every whole line; one that was cut goes to `unread`, for half of a number is a number too.

    Control characters become U+FFFD. Raises Unreadable where more was printed than is kept.
    """
    text = text_of(capture).encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\r\n", "\n")
    lines = _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text).split("\n")
    if lines[-1]:
        at = len(lines)
        unread.append(Unread(f"it stops in the middle of line {at}", Evidence(capture.step, "stdout", at, at)))
    return lines[:-1]
