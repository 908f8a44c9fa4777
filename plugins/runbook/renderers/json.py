"""A run as one JSON document, `runbook.run/1`: always valid, whatever the commands printed.

Command output is text by `runbook.escaping`: what is not printable UTF-8 is written `\\xNN`, reversibly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from math import isfinite

from runbook.escaping import escape, escape_blocks, safe
from runbook.model import Capture, Evidence, Finding, Run, Verdict
from runbook.renderers.renderer import WIDTH

SCHEMA = "runbook.run/1"
#: Facts nested deeper than this are an object that holds itself, or as good as one.
DEEPEST = 100


#: Where the output of a capture goes. No other text in a document has a NUL, so a marker cannot be forged.
_MARKER = re.compile(r'"\\u0000(\d+):(stdout|stderr)"')


def render(runs: Sequence[Run], *, colour: bool = False, width: int = WIDTH) -> Iterator[str]:
    """One document for one run, a list for several."""
    if len(runs) == 1:
        yield from _pieces(runs[0])
        return
    yield "["
    for number, run in enumerate(runs):
        yield ",\n" if number else "\n"
        yield from _pieces(run)
    yield "\n]"


def _pieces(run: Run) -> Iterator[str]:
    """The document of one run; output, of which there can be much, a block at a time."""
    marked = document(run, lambda capture, stream: f"\0{run.captures.index(capture)}:{stream}")
    # JSON has no NaN; a number that is none would make the whole document invalid.
    parts = _MARKER.split(json.dumps(marked, indent=2, ensure_ascii=False, allow_nan=False))
    for text, number, stream in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        yield text
        if stream:
            yield '"'
            for block in escape_blocks(getattr(run.captures[int(number)], stream)):
                yield json.dumps(block, ensure_ascii=False)[1:-1]
            yield '"'


def _whole(capture: Capture, stream: str) -> str:
    return escape(capture.stderr if stream == "stderr" else capture.stdout)


def document(run: Run, output: Callable[[Capture, str], str] = _whole) -> dict[str, object]:
    """The run in the shape that `docs/reference/json.md` describes; `output` gives the text of a capture's stream."""
    runbook = run.plan.runbook
    return {
        "schema": SCHEMA,
        "runbook": {"name": runbook.name, "title": runbook.title, "digest": runbook.digest},
        "host": plain(run.host),
        "source": {"kind": run.source.kind, "name": plain(run.source.name)},
        "parameters": {
            name: "***" if name in secret_names(run) else plain(value) for name, value in run.plan.parameters.items()
        },
        "started": timestamp(run.started) if run.started else None,
        "seconds": plain(run.seconds),
        "verdict": str(run.verdict),
        "captures": [_capture(capture, output) for capture in run.captures],
        "facts": _facts(run.facts),
        "findings": [_finding(finding) for finding in run.findings],
        "drawing": plain(run.drawing),
    }


def secret_names(run: Run) -> set[str]:
    return {parameter.name for parameter in run.plan.runbook.parameters if parameter.secret}


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _capture(capture: Capture, output: Callable[[Capture, str], str]) -> dict[str, object]:
    return {
        "step": capture.step,
        "argv": [_exact(word) for word in capture.argv],
        "ending": str(capture.ending),
        "exit_code": capture.exit_code,
        "stdout": output(capture, "stdout"),
        "stderr": output(capture, "stderr"),
        "started": timestamp(capture.started) if capture.started else None,
        "seconds": plain(capture.seconds),
        "truncated": capture.truncated,
        "dropped": capture.dropped,
        "detail": _exact(capture.detail),
        "sandbox": _exact(capture.sandbox),
    }


def _exact(word: str) -> str:
    """A word as the bytes that it is to the kernel, escaped as output is."""
    return escape(word.encode("utf-8", "surrogateescape"))


def _facts(facts: object) -> object:
    """The facts, or why they cannot be written: a helper's mistake must not cost the whole document."""
    try:
        return {} if facts is None else plain(facts)
    except Exception as error:
        return {"unrepresentable": safe(f"{type(error).__name__}: {error}")}


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "verdict": str(finding.verdict),
        "summary": plain(finding.summary),
        "explanation": plain(finding.explanation),
        "advice": plain(finding.advice),
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
        "references": [plain(reference) for reference in finding.references],
    }


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {field.name: plain(getattr(evidence, field.name)) for field in fields(evidence)}


def plain(value: object, room: int = DEEPEST) -> object:
    """Any fact as JSON types: dataclasses by their fields (Evidence left out), sets sorted, text and bytes safe.

    Raises ValueError where the value is nested too deep.
    """
    if room == 0:
        raise ValueError(f"the facts are nested more than {DEEPEST} deep")
    if isinstance(value, Verdict):
        return str(value)
    if isinstance(value, Enum):
        return plain(value.value, room - 1)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return escape(bytes(value))
    return _plain_parts(value, room - 1)


def _plain_parts(value: object, room: int) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key, room)): plain(part, room) for key, part in value.items() if not _is_evidence(part)}
    if isinstance(value, set | frozenset):
        return sorted((plain(part, room) for part in value), key=_order)
    if isinstance(value, Sequence):
        return [plain(part, room) for part in value]
    return safe(str(value))


def _order(value: object) -> tuple[float, str]:
    """Numbers by size, then everything else by how it is written, for a set may hold both."""
    return (value, "") if isinstance(value, int | float) else (float("inf"), json.dumps(value, sort_keys=True))


def _is_evidence(value: object) -> bool:
    if isinstance(value, tuple) and value:
        return isinstance(value[0], Evidence)
    return isinstance(value, Evidence)
