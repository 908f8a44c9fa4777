"""Reads only what a definition says of itself: enough for a list, and several times quicker than all of it."""

from __future__ import annotations

import os
from typing import NamedTuple

from runbook.errors import DefinitionError
from runbook.loader.documents import DEFINITION_BYTES, Mapping, Node, Report, Scalar, parse, read

#: What a runbook is called on disk.
FILE = "runbook.yaml"


class Heading(NamedTuple):
    """What a runbook does, in a heading and a sentence, and the section it belongs to."""

    title: str
    summary: str
    section: str


def read_heading(folder: str) -> Heading:
    """The heading of the runbook in this folder, the rest unjudged; raises DefinitionError where it cannot be told."""
    report = Report(os.path.join(folder, FILE))
    root = parse(read(report.path, DEFINITION_BYTES), report, until=frozenset(Heading._fields))
    if root is None:
        raise DefinitionError(report.problems)
    words = {name.text: value for name, value in root.entries} if isinstance(root, Mapping) else {}
    heading = Heading(*(_text(words.get(key), key, report) for key in Heading._fields))
    if report.problems:
        raise DefinitionError(report.problems)
    return heading


def _text(node: Node | None, key: str, report: Report) -> str:
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip():
        return " ".join(node.value.split())
    place = (node.line, node.column) if node is not None else (1, 1)
    report.at(*place, f"`{key}` is missing in a runbook, or is not text", "`runbook check` says all that is wrong")
    return ""
