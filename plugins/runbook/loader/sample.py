"""Reads a recorded case from its YAML file, and writes one: the same bytes, whatever they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from runbook.errors import DefinitionError
from runbook.escaping import escape, unescape
from runbook.loader import documents
from runbook.loader.definition import KEBAB, VERDICTS
from runbook.loader.documents import Node, Report, Scalar, Sequence
from runbook.loader.shapes import (
    Anything,
    Bytes,
    Choice,
    Field,
    Integer,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Record,
    Text,
    Word,
)
from runbook.model import Capture, Ending, Runbook, Sample, Verdict
from runbook.values import ENGINE_CODES, nearest, parse_value, shorten, written

#: How large a sample may be, in bytes.
SAMPLE_BYTES = 32 * 1024 * 1024
#: What a sample's source may be.
KINDS = ("lab", "host", "document")

_ENDINGS = tuple(str(ending) for ending in Ending)

CAPTURE = Record(
    "a capture",
    {
        "step": Field(Text(), "The step it is the output of.", required=True),
        "argv": Field(ListOf(Bytes()), "The words that were run."),
        "ending": Field(Choice(_ENDINGS), "How it ended; exited unless told."),
        "exit_code": Field(Integer(), "What it exited with; 0 unless told."),
        "seconds": Field(Number(), "How long it took."),
        "detail": Field(Bytes(), "The ending in words."),
        "dropped": Field(Integer(), "How many bytes were not kept."),
        "stdout": Field(Bytes(), "What it printed."),
        "stderr": Field(Bytes(), "What it printed as error output."),
    },
)

SAMPLE = Record(
    "a sample",
    {
        "title": Field(Text(prose=True), "What the case is.", required=True),
        "source": Field(
            MapOf(OneOf((Word(), MapOf(Word())))),
            "Where it was recorded: {kind: lab, host or document, name, date, kernel, tools}.",
            required=True,
        ),
        "parameters": Field(MapOf(Word()), "The parameters that were given."),
        "captures": Field(ListOf(CAPTURE), "What each command left behind.", required=True),
        "facts": Field(Anything(), "What parse must give."),
        "findings": Field(MapOf(Choice(VERDICTS), *KEBAB), "What judge must give.", required=True),
    },
)


def load_sample(path: str, runbook: Runbook) -> Sample:
    """The sample in this file; raises DefinitionError with every problem of it, steps the runbook lacks included."""
    report = Report(path)
    root = documents.parse(documents.read(path, SAMPLE_BYTES), report)
    if root is None:
        raise DefinitionError(report.problems)
    found = SAMPLE.read(root, "the file", report)
    _check(root, runbook, report)
    if found is None or report.problems:
        raise DefinitionError(report.problems)
    argvs = {step.id: step.argv for step in runbook.steps}
    types = {parameter.name: parameter.type for parameter in runbook.parameters}
    return Sample(
        name=os.path.splitext(os.path.basename(path))[0],
        title=found["title"],
        source=found["source"],
        parameters={name: parse_value(types[name], text) for name, text in found.get("parameters", {}).items()},
        captures=tuple(_capture(capture, argvs[capture["step"]]) for capture in found["captures"]),
        findings={code: Verdict.named(verdict) for code, verdict in found["findings"].items()},
        facts=found.get("facts"),
        path=path,
    )


def _capture(found: dict[str, Any], argv: tuple[str, ...]) -> Capture:
    ending = Ending(found.get("ending", "exited"))
    return Capture(
        step=found["step"],
        argv=tuple(_exact(word) for word in found["argv"]) if "argv" in found else argv,
        ending=ending,
        exit_code=found.get("exit_code", 0) if ending is Ending.EXITED else None,
        stdout=unescape(found.get("stdout", "")),
        stderr=unescape(found.get("stderr", "")),
        seconds=found.get("seconds", 0.0),
        dropped=found.get("dropped", 0),
        detail=_exact(found.get("detail", "")),
    )


def _exact(text: str) -> str:
    """Words are bytes to the kernel: what is not UTF-8 in them is escaped as in output."""
    return unescape(text).decode("utf-8", "surrogateescape")


def _check(root: Node, runbook: Runbook, report: Report) -> None:
    """What only the runbook can tell: that steps, parameters and codes exist."""
    if not isinstance(root, documents.Mapping):
        return
    parts = {key.text: value for key, value in root.entries}
    _check_source(parts.get("source"), report)
    _check_captures(parts.get("captures"), runbook, report)
    _check_parameters(parts.get("parameters"), runbook, report)
    codes = [code for code, _ in runbook.findings]
    for code, _ in _entries(parts.get("findings")) if codes else ():
        if code.text not in ENGINE_CODES:
            _check_known(code, "finding", codes, report)


def _entries(node: Node | None) -> tuple[tuple[Scalar, Node], ...]:
    return node.entries if isinstance(node, documents.Mapping) else ()


def _check_known(node: Scalar, noun: str, known: list[str], report: Report) -> bool:
    if node.text in known:
        return True
    cure = nearest(node.text, known) or f"it has {', '.join(known) or 'none'}"
    report.add(node, f"the runbook has no {noun} `{shorten(node.text)}`", cure)
    return False


def _check_source(node: Node | None, report: Report) -> None:
    kinds = [value for key, value in _entries(node) if key.text == "kind"]
    for kind in kinds:
        Choice(KINDS).read(kind, "`kind`", report)
    if isinstance(node, documents.Mapping) and not kinds:
        report.add(node, "`kind` is missing in `source`", f"write kind: and one of {', '.join(KINDS)}")


def _check_captures(node: Node | None, runbook: Runbook, report: Report) -> None:
    known = [step.id for step in runbook.steps]
    seen: set[str] = set()
    for item in node.items if isinstance(node, Sequence) else ():
        fields = {key.text: value for key, value in _entries(item)}
        step, code, ending = fields.get("step"), fields.get("exit_code"), fields.get("ending")
        if isinstance(step, Scalar) and _check_known(step, "step", known, report):
            if step.text in seen:
                report.add(step, f"step `{step.text}` is here a second time", "keep one capture of each step")
            seen.add(step.text)
        if code is not None and isinstance(ending, Scalar) and ending.text != "exited":
            report.add(code, "only a command that exited has an exit code", "leave out `exit_code` or `ending`")


def _check_parameters(node: Node | None, runbook: Runbook, report: Report) -> None:
    parameters = {parameter.name: parameter for parameter in runbook.parameters}
    for name, value in _entries(node):
        if _check_known(name, "parameter", list(parameters), report) and isinstance(value, Scalar):
            parameter = parameters[name.text]
            try:
                parse_value(parameter.type, value.text, parameter.choices, parameter.pattern)
            except ValueError as error:
                report.add(value, f"`{name.text}` {error}", "write a value that the parameter takes")


#: Text that YAML reads as itself without quotes, wherever it stands.
_PLAIN = re.compile(r"(?:[A-Za-z_/]|--?[A-Za-z])[A-Za-z0-9_./@%+=()-]*(?: [A-Za-z0-9_./@%+=()-]+)*")
#: Words that some reader of YAML takes for something else than text.
_RESERVED = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_QUOTED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def dump_sample(sample: Sample) -> str:
    """The sample as a file that `load_sample` reads back exactly; when a command started is not kept."""
    return "\n".join(_lines(sample)) + "\n"


def _lines(sample: Sample) -> Iterator[str]:
    yield f"title: {_quote(sample.title)}"
    yield from _block("source", sample.source, "")
    if sample.parameters:
        yield from _block("parameters", {name: written(value) for name, value in sample.parameters.items()}, "")
    yield "captures:" if sample.captures else "captures: []"
    for capture in sample.captures:
        lines = list(_capture_lines(capture))
        yield f"  - {lines[0]}"
        # An empty line belongs to a literal block, and needs no indentation.
        yield from (f"    {line}" if line else "" for line in lines[1:])
    if sample.facts is not None:
        yield from _block("facts", sample.facts, "")
    yield from _block("findings", {code: str(verdict) for code, verdict in sample.findings.items()}, "")


def _capture_lines(capture: Capture) -> Iterator[str]:
    yield f"step: {_quote(capture.step)}"
    yield f"argv: [{', '.join(_quote(_shown(word)) for word in capture.argv)}]"
    if capture.ending is Ending.EXITED:
        yield f"exit_code: {capture.exit_code or 0}"
    else:
        yield f"ending: {capture.ending}"
    if capture.seconds:
        yield f"seconds: {capture.seconds!r}"
    if capture.detail:
        yield f"detail: {_quote(_shown(capture.detail))}"
    if capture.dropped:
        yield f"dropped: {capture.dropped}"
    yield from _literal("stdout", capture.stdout)
    yield from _literal("stderr", capture.stderr)


def _shown(text: str) -> str:
    return escape(text.encode("utf-8", "surrogateescape"))


def _literal(key: str, data: bytes) -> Iterator[str]:
    """A literal block: the header says what cannot be seen, which blanks are indentation and how it ends."""
    text = escape(data)
    if not text:
        return
    indentation = "2" if text[0] in " \t\n" else ""
    body = text.removesuffix("\n")
    # `-` no line end after the last line, `+` keep the empty lines at the end, nothing: one line end.
    chomping = "-" if not text.endswith("\n") else "+" if body.endswith("\n") or not body else ""
    yield f"{key}: |{indentation}{chomping}"
    yield from (f"  {line}" if line else "" for line in body.split("\n"))


def _block(key: str, value: object, indent: str) -> Iterator[str]:
    yield from _after(f"{indent}{_quote(key)}:", value, indent)


def _after(head: str, value: object, indent: str) -> Iterator[str]:
    """What stands behind a key or the dash of a list, in the same line or deeper."""
    if isinstance(value, Mapping) and value:
        yield head
        for key, item in value.items():
            yield from _block(str(key), item, f"{indent}  ")
    elif isinstance(value, list | tuple) and value:
        yield head
        for item in value:
            yield from _after(f"{indent}  -", item, f"{indent}  ")
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: object) -> str:
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    if value is None:
        return "null"
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), repr(value))
    return _quote(str(value))


def _quote(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return '"' + "".join(_QUOTED.get(character) or _visible(character) for character in text) + '"'


def _visible(character: str) -> str:
    return character if character.isprintable() else f"\\U{ord(character):08x}"
