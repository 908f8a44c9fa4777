"""Finds the runbook fences in a note, and says what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runbook.loader import documents
from runbook.loader.documents import Mapping, Report
from runbook.loader.shapes import Choice, Field, ListOf, MapOf, Record, Text, Word

#: How large a note may be, in bytes.
NOTE_BYTES = 4 * 1024 * 1024

_OPENING = re.compile(r" *(?P<fence>`{3,}|~{3,})[ \t]*(?P<header>[^`\n]*)")

FENCE = Record(
    "a runbook fence",
    {
        "name": Field(Text(), "The runbook that is shown.", required=True),
        "samples": Field(ListOf(Text()), "Recorded cases to show beside, or instead of, a live run."),
        "execute": Field(Choice(("recorded", "live", "auto")), "When it runs; as the site says unless told."),
        "parameters": Field(MapOf(Word()), "Values of the runbook's parameters."),
    },
)


@dataclass(frozen=True, slots=True)
class Fence:
    """A fence in a note, and the nodes of its body, which know their places in the note."""

    name: str
    samples: tuple[str, ...]
    root: Mapping


def fences(path: str, report: Report) -> Iterator[Fence]:
    """The runbook fences of the note at `path`; what is wrong with one goes to the report."""
    for body in _bodies(documents.read(path, NOTE_BYTES).decode("utf-8", "replace")):
        root = documents.parse(body.encode(), report)
        found = FENCE.read(root, "the fence", report) if root is not None else None
        if isinstance(root, Mapping) and found and found.get("name"):
            yield Fence(found["name"], tuple(found.get("samples") or ()), root)


def _bodies(text: str) -> Iterator[str]:
    """The body of each runbook fence, moved down to its own lines by empty ones: so every place is the note's."""
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        opening = _OPENING.fullmatch(lines[at])
        at += 1
        if opening is None:
            continue
        start = at
        closing = re.compile(rf" *{opening['fence'][0]}{{{len(opening['fence'])},}}\s*")
        while at < len(lines) and not closing.fullmatch(lines[at]):
            at += 1
        if opening["header"].split()[:1] == ["runbook"]:
            yield "\n" * start + "\n".join(lines[start:at])
        at += 1
