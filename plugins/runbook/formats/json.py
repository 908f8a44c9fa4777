"""Reads JSON so that every object knows its lines; the standard library's reader does not tell."""

from __future__ import annotations

import json
import re
from bisect import bisect_left

from runbook.errors import Unreadable
from runbook.escaping import safe
from runbook.formats.records import Record, text_of
from runbook.model import Capture

#: JSON nested deeper than this is not the answer of a tool; lsblk reaches about a dozen.
DEEPEST = 100


class JsonObject(Record):
    """A JSON object that knows its lines. Of a repeated key the last value counts, as in `json`."""


def json_document(capture: Capture) -> object:
    """The JSON document on standard output, every object a `JsonObject`.

    Whole lines of noise before the document are skipped, for in a colleague's paste standard error often comes first;
    text after it is refused, for that may be a second answer.
    """
    text = text_of(capture)
    # `[sudo] password for …` is noise and no list, and so is the kernel's `[ 12.345678] …`.
    start = re.search(r"^[ \t]*(?:\{|\[(?=\s*(?:[\"{\[\]]|-?\d+\s*[,\]]|\Z)))", text, re.MULTILINE)
    if start is None:
        raise Unreadable(f"`{capture.step}` should have printed JSON and printed none", capture.step)
    reader = _JsonReader(text, capture.step)
    value, end = reader.value(start.end() - 1, 0)
    if reader.blank(end) < len(text):
        raise reader.refusal(reader.blank(end), "there is text after the end of the JSON document")
    return value


def json_line(line: str, step: str, number: int) -> JsonObject:
    """The one object on a line of JSON lines, as probes print them; raises Unreadable, with its number, otherwise."""
    reader = _JsonReader(line, step)
    try:
        value, end = reader.value(reader.blank(0), 0)
    except Unreadable:
        raise Unreadable(f"line {number} is not JSON", step, number) from None
    if not isinstance(value, JsonObject) or reader.blank(end) < len(line):
        raise Unreadable(f"line {number} is not one JSON object", step, number)
    return JsonObject(value, step, number, number)


class _JsonReader:
    """A recursive reader that keeps count of lines; strings, numbers and words are left to `json`."""

    _BLANK = re.compile(r"[ \t\r\n]*")
    _SCALARS = json.JSONDecoder(strict=False)

    def __init__(self, text: str, step: str) -> None:
        self._text, self._step = text, step
        self._newlines = [match.start() for match in re.finditer("\n", text)]

    def line(self, at: int) -> int:
        """The line, from 1, that this offset stands on."""
        return bisect_left(self._newlines, at) + 1

    def blank(self, at: int) -> int:
        """The offset of the next character that is not white space."""
        match = self._BLANK.match(self._text, at)
        return match.end() if match else at

    def value(self, at: int, depth: int) -> tuple[object, int]:
        """The value at this offset and the offset behind it."""
        if depth > DEEPEST:
            raise self.refusal(at, f"the JSON is nested more than {DEEPEST} deep")
        opening = self._text[at : at + 1]
        if opening == "{":
            return self._object(at, depth)
        if opening == "[":
            return self._list(at, depth)
        try:
            value, end = self._SCALARS.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            at = len(self._text) if error.msg.startswith("Unterminated string") else at
            raise self.refusal(at, "this is not a JSON value") from None
        except ValueError:  # a number of thousands of digits
            raise self.refusal(at, "this is not a JSON value") from None
        return (safe(value) if isinstance(value, str) else value), end

    def _object(self, start: int, depth: int) -> tuple[JsonObject, int]:
        fields: dict[str, object] = {}
        at = self.blank(start + 1)
        while self._text[at : at + 1] != "}":
            if fields:
                at = self.blank(self._after(",", at))
            key, end = self.value(at, depth + 1)
            if not isinstance(key, str):
                raise self.refusal(at, "there should be a key in quotes here")
            at = self.blank(self._after(":", self.blank(end)))
            fields[key], at = self.value(at, depth + 1)
            at = self.blank(at)
        return JsonObject(fields, self._step, self.line(start), self.line(at)), at + 1

    def _list(self, start: int, depth: int) -> tuple[list[object], int]:
        entries: list[object] = []
        at = self.blank(start + 1)
        while self._text[at : at + 1] != "]":
            if entries:
                at = self.blank(self._after(",", at))
            entry, at = self.value(at, depth + 1)
            entries.append(entry)
            at = self.blank(at)
        return entries, at + 1

    def _after(self, mark: str, at: int) -> int:
        if self._text[at : at + 1] != mark:
            raise self.refusal(at, f"there should be a `{mark}` here")
        return at + 1

    def refusal(self, at: int, reason: str) -> Unreadable:
        """What to raise for this offset; an offset at the end means that the rest is missing."""
        if self.blank(at) >= len(self._text):
            at, reason = len(self._text.rstrip()), "the JSON stops in the middle: its end is missing"
        return Unreadable(f"line {self.line(at)} of `{self._step}`: {reason}", self._step, self.line(at))


def json_records(capture: Capture, name: str) -> tuple[Record, ...]:
    """The objects in the list that the document's outermost object has under this name."""
    document = json_document(capture)
    if not isinstance(document, Record) or name not in document:
        raise Unreadable(f"`{capture.step}` printed JSON without `{name}`", capture.step)
    entries = document[name]
    if not isinstance(entries, list) or not all(isinstance(entry, Record) for entry in entries):
        raise Unreadable(f"`{name}` of `{capture.step}` is not a list of objects", capture.step, document.first_line)
    return tuple(entries)
