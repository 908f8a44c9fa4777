"""What a document may look like, said once: each shape can read a node, naming what is wrong, and be a JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from runbook.loader.documents import Mapping, Node, Report, Scalar, Sequence
from runbook.values import BLANK, DURATION, HIDDEN, SIZE, duration, nearest, shorten, size

Schema = dict[str, Any]
Amount = TypeVar("Amount", int, float)


class Shape(Protocol):
    """Reads a node into plain data, or reports why not and gives None; `name` is what the node is called."""

    @property
    def kind(self) -> type[Node]: ...

    def read(self, node: Node, name: str, report: Report) -> Any: ...

    def schema(self) -> Schema: ...


@dataclass(frozen=True, slots=True)
class Text:
    """A string; `says` and `cure` are the pattern in words. Prose may go over several lines, which are joined."""

    pattern: str = ""
    says: str = "text"
    cure: str = ""
    prose: bool = False
    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> str | None:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            report.add(node, f"{name} must be {self.says}, not {describe(node)}", _quotes(node))
            return None
        text = " ".join(node.value.split()) if self.prose else node.value
        if self.pattern and not re.fullmatch(self.pattern, text):
            report.add(node, f"{name} must be {self.says}, not `{shorten(text)}`", self.cure)
        elif not text:
            report.add(node, f"{name} is empty", "write something, or leave the key out")
        check_visible(node, name, report, self.prose)
        return text

    def schema(self) -> Schema:
        if self.prose:
            return {"type": "string", "pattern": r"\S"}
        return {"type": "string", "minLength": 1, **_whole(self.pattern)}


@dataclass(frozen=True, slots=True)
class Word:
    """Any scalar, as it is written: `10` is the text "10". It may be empty only in quotes."""

    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> str | None:
        if not isinstance(node, Scalar) or node.value is None:
            report.add(node, f"{name} must be a single value, not {describe(node)}", _quotes(node))
            return None
        check_visible(node, name, report)
        return node.text

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True, slots=True)
class Bytes:
    """Text that stands for bytes; control characters may be written as escapes."""

    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> str | None:
        if not isinstance(node, Scalar) or node.value is None:
            report.add(node, f"{name} must be text, not {describe(node)}", "for no bytes at all, leave it out")
            return None
        if re.search("[\ud800-\udfff]", node.text):
            report.add(node, f"{name} contains half a character", "write its bytes as \\xNN")
        return node.text

    def schema(self) -> Schema:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number that is not negative."""

    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> int | None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        report.add(node, f"{name} must be a whole number from 0 on, not {describe(node)}", "write it as 12")
        return None

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": 0}


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is not negative."""

    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> float | None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
            return float(value)
        report.add(node, f"{name} must be a number from 0 on, not {describe(node)}", "write it as 12 or 0.5")
        return None

    def schema(self) -> Schema:
        return {"type": "number", "minimum": 0}


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`, and nothing else: `yes` and `on` are text."""

    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> bool | None:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        report.add(node, f"{name} must be true or false, not {describe(node)}", "write true or false, without quotes")
        return None

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]
    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> str | None:
        text = node.text if isinstance(node, Scalar) else ""
        if text in self.words:
            return text
        cure = nearest(text, self.words) or f"use one of {', '.join(self.words)}"
        report.add(node, f"{name} cannot be {describe(node)}", cure)
        return None

    def schema(self) -> Schema:
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Duration:
    """A time that is longer than nothing, in seconds."""

    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> float | None:
        return _positive(duration, node, name, report)

    def schema(self) -> Schema:
        return {
            "type": ["string", "number"],
            **_whole(DURATION.pattern),
            "exclusiveMinimum": 0,
            "examples": ["20s", "1m30s", "500ms"],
        }


@dataclass(frozen=True, slots=True)
class Size:
    """An amount of memory that is more than nothing, in bytes."""

    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> int | None:
        return _positive(size, node, name, report)

    def schema(self) -> Schema:
        return {
            "type": ["string", "number"],
            **_whole(SIZE.pattern),
            "exclusiveMinimum": 0,
            "examples": ["256M", "1.5GiB"],
        }


def _positive(parser: Callable[[str], Amount], node: Node, name: str, report: Report) -> Amount | None:
    try:
        value = parser(node.text if isinstance(node, Scalar) else "")
    except ValueError as error:
        report.add(node, f"{name} {error}, not {describe(node)}", "write a number and its unit as one word")
        return None
    if value <= 0:
        report.add(node, f"{name} must be more than 0, not {describe(node)}", "leave it out for the usual amount")
    return value


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of things of one shape."""

    item: Shape
    at_least: int = 0
    kind: ClassVar[type[Node]] = Sequence

    def read(self, node: Node, name: str, report: Report) -> tuple[Any, ...] | None:
        if not isinstance(node, Sequence):
            report.add(node, f"{name} must be a list, not {describe(node)}", "write [a, b], or one `- item` a line")
            return None
        if len(node.items) < self.at_least:
            report.add(node, f"{name} is empty", f"it needs {self.at_least} or more")
        return tuple(self.item.read(item, f"an item of {name}", report) for item in node.items)

    def schema(self) -> Schema:
        least = {"minItems": self.at_least} if self.at_least else {}
        return {"type": "array", "items": self.item.schema(), **least}


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping whose keys are the author's own."""

    value: Shape
    pattern: str = ""
    says: str = ""
    cure: str = ""
    kind: ClassVar[type[Node]] = Mapping

    def read(self, node: Node, name: str, report: Report) -> dict[str, Any] | None:
        if not isinstance(node, Mapping):
            report.add(node, f"{name} must be a mapping, not {describe(node)}", "write one `key: value` a line")
            return None
        for key, _ in node.entries:
            if self.pattern and not re.fullmatch(self.pattern, key.text):
                report.add(key, f"a key of {name} must be {self.says}, not `{shorten(key.text)}`", self.cure)
            check_visible(key, f"a key of {name}", report)
        return {key.text: self.value.read(value, f"`{shorten(key.text)}`", report) for key, value in node.entries}

    def schema(self) -> Schema:
        names = {"propertyNames": _whole(self.pattern)} if self.pattern else {}
        return {"type": "object", "additionalProperties": self.value.schema(), **names}


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a record: what it holds, what it is for, and whether it must be there."""

    shape: Shape
    help: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys; `noun` is what it is called, with its article."""

    noun: str
    fields: Map[str, Field]
    kind: ClassVar[type[Node]] = Mapping

    def read(self, node: Node, name: str, report: Report) -> dict[str, Any] | None:
        if not isinstance(node, Mapping):
            report.add(node, f"{self.noun} must be a mapping, not {describe(node)}", self._keys())
            return None
        found: dict[str, Any] = {}
        for key, value in node.entries:
            field = self.fields.get(key.text)
            if field is None:
                cure = nearest(key.text, self.fields) or self._keys()
                report.add(key, f"unknown key `{shorten(key.text)}` in {self.noun}", cure)
            else:
                found[key.text] = field.shape.read(value, f"`{key.text}`", report)
        for key_name, field in self.fields.items():
            if field.required and key_name not in found:
                report.add(node, f"`{key_name}` is missing in {self.noun}", field.help)
        return found

    def _keys(self) -> str:
        return f"its keys are {', '.join(self.fields)}"

    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {key: {**f.shape.schema(), "description": f.help} for key, f in self.fields.items()},
            "required": [key for key, field in self.fields.items() if field.required],
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True)
class OneOf:
    """The first of several shapes that is meant for this kind of node."""

    shapes: tuple[Shape, ...]
    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> Any:
        meant = next((shape for shape in self.shapes if isinstance(node, shape.kind)), self.shapes[0])
        return meant.read(node, name, report)

    def schema(self) -> Schema:
        return {"anyOf": [shape.schema() for shape in self.shapes]}


@dataclass(frozen=True, slots=True)
class Anything:
    """Free data, given back as it is."""

    kind: ClassVar[type[Node]] = Scalar

    def read(self, node: Node, name: str, report: Report) -> object:
        return plain(node)

    def schema(self) -> Schema:
        return {}


def plain(node: Node) -> object:
    """The node as plain data."""
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def describe(node: Node) -> str:
    """What a node is, for the end of a sentence."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return "empty" if node.value is None else f"`{shorten(node.text)}`"


def check_visible(node: Scalar, name: str, report: Report, prose: bool = False) -> None:
    """Escapes in quotes can bring in what the file itself must not contain."""
    found = HIDDEN.search(node.text) or (None if prose else BLANK.search(node.text))
    if found:
        report.add(node, f"{name} contains an invisible character (U+{ord(found[0]):04X})", "delete it, or its escape")


def _quotes(node: Node) -> str:
    """What to do about a value that YAML does not read as text."""
    if isinstance(node, Scalar):
        return f'put it in quotes: "{shorten(node.text)}"'
    return "put text that begins with { or [ in quotes"


def _whole(pattern: str) -> Schema:
    """The pattern as JSON Schema has it, for which it is enough to match somewhere."""
    return {"pattern": f"^(?:{pattern})$"} if pattern else {}
