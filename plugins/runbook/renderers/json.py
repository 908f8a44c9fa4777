"""A run as one JSON document, `runbook.run/1`: always valid, whatever the commands printed.

Command output is text by `runbook.escaping`: what is not printable UTF-8 is written `\\xNN`, reversibly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum

from runbook.escaping import escape
from runbook.model import Capture, Evidence, Finding, Run, Verdict

SCHEMA = "runbook.run/1"


def render(runs: Sequence[Run], *, colour: bool = False) -> str:
    """One document for one run, a list for several."""
    documents = [document(run) for run in runs]
    # JSON has no NaN; a number that is none would make the whole document invalid.
    return json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, ensure_ascii=False, allow_nan=False)


def document(run: Run) -> dict[str, object]:
    """The run in the shape that `docs/reference/json.md` describes."""
    runbook = run.plan.runbook
    return {
        "schema": SCHEMA,
        "runbook": {"name": runbook.name, "title": runbook.title, "digest": runbook.digest},
        "host": plain(run.host),
        "source": {"kind": run.source.kind, "name": run.source.name},
        "parameters": {
            name: "***" if name in secret_names(run) else value for name, value in run.plan.parameters.items()
        },
        "started": timestamp(run.started),
        "seconds": run.seconds,
        "verdict": str(run.verdict),
        "captures": [_capture(capture) for capture in run.captures],
        "facts": plain(run.facts) if run.facts is not None else {},
        "findings": [_finding(finding) for finding in run.findings],
        "drawing": run.drawing,
    }


def secret_names(run: Run) -> set[str]:
    return {parameter.name for parameter in run.plan.runbook.parameters if parameter.secret}


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _capture(capture: Capture) -> dict[str, object]:
    return {
        "step": capture.step,
        "argv": [plain(word) for word in capture.argv],
        "ending": str(capture.ending),
        "exit_code": capture.exit_code,
        "stdout": escape(capture.stdout),
        "stderr": escape(capture.stderr),
        "started": timestamp(capture.started) if capture.started else None,
        "seconds": capture.seconds,
        "truncated": capture.truncated,
        "dropped": capture.dropped,
        "detail": capture.detail,
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "verdict": str(finding.verdict),
        "summary": plain(finding.summary),
        "explanation": plain(finding.explanation),
        "advice": plain(finding.advice),
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
        "references": [{"title": reference.title, "url": reference.url} for reference in finding.references],
    }


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {field.name: getattr(evidence, field.name) for field in fields(evidence)}


def plain(value: object) -> object:
    """Any fact as JSON types: dataclasses by their fields (Evidence left out), sets sorted, bytes escaped."""
    if isinstance(value, Verdict) or value is None or isinstance(value, bool | int):
        return str(value) if isinstance(value, Verdict) else value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, str):
        return escape(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, bytes):
        return escape(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(part) for field in fields(value) if not _is_evidence(part := getattr(value, field.name))
        }
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(part) for key, part in value.items() if not _is_evidence(part)}
    if isinstance(value, set | frozenset):
        return [plain(part) for part in sorted(value)]
    if isinstance(value, Sequence):
        return [plain(part) for part in value]
    return plain(str(value))


def _is_evidence(value: object) -> bool:
    if isinstance(value, tuple) and value:
        return isinstance(value[0], Evidence)
    return isinstance(value, Evidence)
