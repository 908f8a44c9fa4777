"""Finds the runbook fences in a note, and says what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runbook.errors import DefinitionError
from runbook.loader import documents
from runbook.loader.documents import Mapping, Node, Report, Scalar
from runbook.loader.shapes import Choice, Field, ListOf, MapOf, Record, Text, Word
from runbook.model import Runbook
from runbook.values import nearest, parse_value, shorten

#: How large a note may be, in bytes.
NOTE_BYTES = 4 * 1024 * 1024
#: When a runbook runs for a page: never, always, or where the building host can.
MODES = ("recorded", "live", "auto")

_OPENING = re.compile(r" *(?P<fence>`{3,}|~{3,})[ \t]*(?P<header>[^`\n]*)")

FENCE = Record(
    "a runbook fence",
    {
        "name": Field(Text(), "The runbook that is shown.", required=True),
        "samples": Field(ListOf(Text()), "Recorded cases to show beside, or instead of, a live run."),
        "execute": Field(Choice(MODES), "When it runs; as the site says unless told."),
        "parameters": Field(MapOf(Word()), "Values of the runbook's parameters."),
    },
)


@dataclass(frozen=True, slots=True)
class Fence:
    """A fence in a note; its report knows what is wrong with it. `root` is None when it cannot be read.

    `body` is the YAML in it and `line` the one (1-based) where that begins; `execute` is empty when it does not say.
    """

    body: str
    line: int
    report: Report
    name: str = ""
    samples: tuple[str, ...] = ()
    execute: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    root: Mapping | None = None

    def check_name(self, known: Iterable[str]) -> bool:
        """Whether there is a runbook of this name; reports it when there is not."""
        if self.root is None or self.name.replace("_", "-") in known:
            return self.root is not None
        cure = nearest(self.name, known) or "`runbook list` shows the runbooks that there are"
        self._add("name", f"there is no runbook `{shorten(self.name)}`", cure)
        return False

    def check_content(self, runbook: Runbook, cases: Sequence[str]) -> None:
        """Report what this runbook does not have: samples (those there are: `cases`), parameters, values they take."""
        for node, case in zip(_items(self._value("samples")), self.samples, strict=False):
            if case not in cases:
                cure = nearest(case, cases) or f"it has {', '.join(cases) or 'none'}"
                self.report.add(node, f"{runbook.name} has no sample `{shorten(case)}`", cure)
        given = self._value("parameters")
        for key, node in given.entries if isinstance(given, Mapping) else ():
            self._check_parameter(key, node, runbook)
        if self.execute == "live" and runbook.changes:
            self._add("execute", f"{runbook.name} changes the host, so no build runs it", "write: execute: recorded")

    def _check_parameter(self, key: Scalar, node: Node, runbook: Runbook) -> None:
        parameter = next((one for one in runbook.parameters if one.name == key.text), None)
        if parameter is None:
            names = [one.name for one in runbook.parameters]
            cure = nearest(key.text, names) or (f"it has {', '.join(names)}" if names else "it takes none")
            self.report.add(key, f"{runbook.name} has no parameter `{shorten(key.text)}`", cure)
        elif parameter.secret:
            self.report.add(key, f"`{key.text}` is secret and cannot stand in a note", "leave it out")
        elif isinstance(node, Scalar):
            try:
                parse_value(parameter.type, node.text, parameter.choices, parameter.pattern)
            except ValueError as error:
                near = nearest(node.text, parameter.choices) if parameter.choices else ""
                self.report.add(node, f"`{key.text}` {error}, not `{shorten(node.text)}`", near)

    def _value(self, key: str) -> Node | None:
        entries = self.root.entries if self.root is not None else ()
        return next((value for name, value in entries if name.text == key), None)

    def _add(self, key: str, message: str, cure: str) -> None:
        place = self._value(key) or self.root
        if place is not None:
            self.report.add(place, message, cure)


def fences(path: str) -> Iterator[Fence]:
    """The runbook fences of the note at `path`; raises DefinitionError when the note itself cannot be read."""
    for line, body in _bodies(documents.read(path, NOTE_BYTES).decode("utf-8", "replace")):
        yield read_fence(body, path, line)


def read_fence(body: str, path: str, line: int) -> Fence:
    """The fence with this YAML, which begins in this line of this file."""
    report = Report(path, line)
    try:
        root = documents.parse(body.encode(), report)
        found: dict[str, Any] | None = FENCE.read(root, "the fence", report) if root is not None else None
    except DefinitionError:
        # More problems than are worth telling; those so far are in the report.
        return Fence(body, line, report)
    if not isinstance(root, Mapping) or not found or not found.get("name"):
        return Fence(body, line, report)
    # What could not be read is None, and in the report.
    return Fence(
        *(body, line, report),
        name=found["name"],
        samples=tuple(found.get("samples") or ()),
        execute=found.get("execute") or "",
        parameters=tuple((found.get("parameters") or {}).items()),
        root=root,
    )


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, documents.Sequence) else ()


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
