"""Reads the strict subset of YAML: one document of nodes that know their place, or every problem that is in the way."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from runbook.errors import DefinitionError, Problem
from runbook.values import HIDDEN, shorten

#: How large a definition may be, in bytes.
DEFINITION_BYTES = 256 * 1024
#: How deep lists and mappings may be nested.
DEPTH = 20
#: How many values a file may hold: a list of a few million is small on disk, and not in memory.
NODES = 100_000
#: After so many problems there is no use in more.
PROBLEMS = 100

#: PyYAML's parser in C when it was built, else the one in Python: the same events, ten times slower.
_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

#: Plain scalars of YAML 1.2's core schema. No leading zero: 010 is ten to some and eight to others, so it stays text.
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})")
_RADIX = re.compile(r"0x[0-9a-fA-F]{1,64}|0o[0-7]{1,64}")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]{0,99})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, float | bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}

#: What both parsers say, in part, and what to do about it.
_CURES = {
    "cannot start any token": "indent with spaces, never tabs; put text that begins with @, ` or % in quotes",
    "mapping values are not allowed": "put text that contains `: ` in quotes, or check the indentation",
    "could not find expected ':'": "write `key: value`, and put text that goes over several lines in quotes",
    "expected ',' or ']'": "close the list with `]`, and put a word that contains [ ] { } or a comma in quotes",
    "expected ',' or '}'": "close the mapping with `}`, and put text that contains [ ] { } or a comma in quotes",
    "unexpected end of stream": "close the quotes",
    "sequence entries are not allowed": "begin the list on a line of its own",
    "unknown escape character": "use single quotes, or write the backslash twice",
    "alphabetic or numeric character": "put text that begins with *, & or % in quotes",
}
_ANY_CURE = "check the indentation, and that quotes and brackets are closed"


class Scalar(NamedTuple):
    """A single value; `text` is how it is written, without its quotes."""

    value: str | int | float | bool | None
    text: str
    line: int
    column: int


class Sequence(NamedTuple):
    """A list."""

    items: tuple[Node, ...]
    line: int
    column: int


class Mapping(NamedTuple):
    """Keys, all of them different, and what they stand for."""

    entries: tuple[tuple[Scalar, Node], ...]
    line: int
    column: int


Node = Scalar | Sequence | Mapping


class Report:
    """Collects what is wrong with one file, or with a document that begins in its line `first_line`."""

    def __init__(self, path: str, first_line: int = 1) -> None:
        self.path = path
        self._before = first_line - 1
        self._problems: list[Problem] = []

    def add(self, place: Node, message: str, cure: str = "") -> None:
        self.at(place.line, place.column, message, cure)

    def at(self, line: int, column: int, message: str, cure: str = "") -> None:
        """Raises DefinitionError when there are so many problems that reading on would tell nothing more."""
        problem = Problem(self.path, self._before + line, column, _one_line(message), _one_line(cure))
        if problem not in self._problems:
            self._problems.append(problem)
        if len(self._problems) >= PROBLEMS:
            raise DefinitionError(self.problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """In the order of their lines."""
        return tuple(sorted(self._problems, key=lambda problem: (problem.line, problem.column)))


def _one_line(text: str) -> str:
    """A sentence quotes what the file says: nothing in it may break the line or command the terminal."""
    return HIDDEN.sub("?", " ".join(text.split()))


def read(path: str, limit: int) -> bytes:
    """The bytes of a file; raises DefinitionError when there is no such file or it is larger than the limit."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DefinitionError((Problem(path, 1, 1, "is not a file", "give the name of a YAML file"),))
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise DefinitionError((Problem(path, 1, 1, "there is no such file", "check its name"),)) from error
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise DefinitionError((Problem(path, 1, 1, message, "check its permissions and its name"),)) from error
    if len(data) > limit:
        message = f"is larger than {limit // 1024} KiB"
        raise DefinitionError((Problem(path, 1, 1, message, "split it, or shorten what it quotes"),))
    return data


def parse(data: bytes, report: Report, until: frozenset[str] = frozenset()) -> Node | None:
    """The document in these bytes; None, and a reason in the report, when it cannot be told what it says.

    With `until`, reading stops as soon as the outermost mapping has these keys, and gives what it has by then. Works on
    the stream of events and never recurses, so neither nesting nor aliases can make it explode.
    """
    text = _decode(data, report)
    if text is None:
        return None
    builder = _Builder(report)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
            if until and builder.has(until):
                return builder.so_far()
    except _Stop:
        return None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The parser in Python gives its escapes to `chr`, and lets it raise.
        _explain(error, report)
        return None
    if builder.root is None:
        report.at(1, 1, "the file is empty", "write at least the required keys")
    return builder.root if builder.whole else None


def _decode(data: bytes, report: Report) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode(), error.start)
        report.at(line, column, "is not UTF-8", "save the file as UTF-8, and write single bytes as \\xNN")
        return None
    if HIDDEN.search(text) is None:
        return text
    for match in HIDDEN.finditer(text):
        line, column = _place(text, match.start())
        what = "a byte-order mark" if match.start() == 0 and match[0] == "\ufeff" else "an invisible character"
        report.at(line, column, f"contains {what} (U+{ord(match[0]):04X})", "delete it; in output, write it as \\xNN")
    # Something visible of the same length instead, so that the rest is read too and keeps its place.
    return HIDDEN.sub("_", text.removeprefix("\ufeff"))


def _place(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _explain(error: Exception, report: Report) -> None:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "an escape stands for no character"
    cure = next((cure for words, cure in _CURES.items() if words in problem), _ANY_CURE)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    report.at(line, column, f"not YAML: {problem}", cure)


class _Stop(Exception):
    """Reading on would tell nothing more."""


class _Open:
    """A list or mapping whose end has not come yet."""

    __slots__ = ("children", "column", "is_mapping", "keys", "line")

    def __init__(self, is_mapping: bool, line: int, column: int) -> None:
        self.is_mapping = is_mapping
        self.line = line
        self.column = column
        self.children: list[Node] = []
        self.keys: dict[str, Scalar] = {}

    def node(self) -> Node:
        if self.is_mapping:
            return Mapping(tuple(self._entries()), self.line, self.column)
        return Sequence(tuple(self.children), self.line, self.column)

    def _entries(self) -> Iterator[tuple[Scalar, Node]]:
        """The first entry of each key; the others are in the report."""
        for key, value in zip(self.children[::2], self.children[1::2], strict=True):
            if isinstance(key, Scalar) and self.keys.get(key.text) is key:
                yield key, value


class _Builder:
    """Makes nodes from events; `whole` says whether every node is what the file meant."""

    def __init__(self, report: Report) -> None:
        self.root: Node | None = None
        self.whole = True
        self._report = report
        self._open: list[_Open] = []
        self._count = 0

    def has(self, keys: frozenset[str]) -> bool:
        """Whether the outermost mapping is open and has these keys, each with its value."""
        outermost = self._open[0] if len(self._open) == 1 else None
        return outermost is not None and keys <= outermost.keys.keys() and len(outermost.children) % 2 == 0

    def so_far(self) -> Node:
        """The outermost mapping as it is now."""
        return self._open[0].node()

    def take(self, event: Any) -> None:
        if getattr(event, "tag", None) is not None or getattr(event, "anchor", None) is not None:
            self._refuse(event)
        kind = type(event)
        if kind is yaml.ScalarEvent:
            mark = event.start_mark
            text = event.value
            value = _resolve(text) if event.implicit[0] else text
            self._add(Scalar(value, text, mark.line + 1, mark.column + 1))
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._begin(event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._add(self._open.pop().node())
        elif kind is yaml.AliasEvent:
            self.whole = False
            self._add(Scalar(None, "", event.start_mark.line + 1, event.start_mark.column + 1))
        elif kind is yaml.DocumentStartEvent:
            self._begin_document(event)

    def _refuse(self, event: Any) -> None:
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        if type(event) is yaml.AliasEvent:
            name, cure = shorten(str(event.anchor)), "write it out, or put text that begins with * in quotes"
            self._report.at(line, column, f"alias `*{name}`: aliases are not allowed", cure)
        elif event.anchor is not None:
            name, cure = shorten(event.anchor), "delete it, or put text that begins with & in quotes"
            self._report.at(line, column, f"anchor `&{name}`: anchors are not allowed", cure)
        if getattr(event, "tag", None) is not None:
            name, cure = shorten(event.tag.replace("tag:yaml.org,2002:", "!!")), "delete it; use quotes to make text"
            self._report.at(line, column, f"tag `{name}`: tags are not allowed", cure)

    def _begin_document(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if self.root is not None:
            self._report.at(line, column, "a second document begins here", "keep one document in a file")
            raise _Stop
        if event.version or event.tags:
            self._report.at(line, column, "directives are not allowed", "delete the lines that begin with %")

    def _begin(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if len(self._open) >= DEPTH:
            self._report.at(line, column, f"nested more than {DEPTH} deep", "close a bracket, or write it flatter")
            raise _Stop
        self._open.append(_Open(type(event) is yaml.MappingStartEvent, line, column))

    def _add(self, node: Node) -> None:
        self._count += 1
        if self._count > NODES:
            self._report.add(node, f"more than {NODES} values", "split the file, or shorten what it quotes")
            raise _Stop
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if parent.is_mapping and len(parent.children) % 2 == 0:
            self._check_key(parent, node)
        parent.children.append(node)

    def _check_key(self, parent: _Open, key: Node) -> None:
        if not isinstance(key, Scalar):
            self._report.add(key, "a key cannot be a list or a mapping", "put a key that begins with [ or { in quotes")
        elif key.text in parent.keys:
            first = parent.keys[key.text].line
            message = f"key `{shorten(key.text)}` stands here a second time"
            self._report.add(key, message, f"the first is in line {first}; keep one of them")
        elif key.value is None:
            self._report.add(key, "a key is missing", "write `key: value`")
        else:
            if key.text == "<<":
                self._report.add(key, "merge keys (`<<`) are not allowed", "write the entries out")
            parent.keys[key.text] = key


def _resolve(text: str) -> str | int | float | bool | None:
    """What a plain scalar means in YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    # Nearly every scalar begins with a letter, and then it is text.
    if text[0] not in "-+.0123456789":
        return text
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _RADIX.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text
