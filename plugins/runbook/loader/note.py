"""Finds the runbook fences in a note, and says what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runbook.errors import DefinitionError
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
    """A fence in a note; its report knows what is wrong with it. `root` is None when it cannot be read."""

    name: str
    samples: tuple[str, ...]
    root: Mapping | None
    report: Report


def fences(path: str) -> Iterator[Fence]:
    """The runbook fences of the note at `path`; raises DefinitionError when the note itself cannot be read."""
    for line, body in _bodies(documents.read(path, NOTE_BYTES).decode("utf-8", "replace")):
        report = Report(path, line)
        yield _fence(body, report)


def _fence(body: str, report: Report) -> Fence:
    try:
        root = documents.parse(body.encode(), report)
        found = FENCE.read(root, "the fence", report) if root is not None else None
    except DefinitionError:
        # More problems than are worth telling; those so far are in the report.
        return Fence("", (), None, report)
    if not isinstance(root, Mapping) or not found or not found.get("name"):
        return Fence("", (), None, report)
    return Fence(found["name"], tuple(found.get("samples") or ()), root, report)


def _bodies(text: str) -> Iterator[tuple[int, str]]:
    """The line (1-based) where the body of each runbook fence begins, and the body, indented as it is."""
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
            yield start + 1, "\n".join(lines[start:at])
        at += 1
