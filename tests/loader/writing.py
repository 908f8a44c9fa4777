"""What the loader's tests write and ask: a definition with one thing in it, what is said of it, and a schema's word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from runbook.errors import DefinitionError
from runbook.loader.definition import load
from runbook.loader.documents import Node, Report, parse
from runbook.loader.shapes import Shape
from runbook.model import Runbook

_REQUIRED = {
    "title": "title: Disk usage",
    "summary": "summary: Says how full the disks are.",
    "section": "section: storage",
    "steps": "steps: [{id: look, argv: [df]}]",
}


def definition(text: str) -> str:
    """The text, whose lines are counted from 1, and then the required keys that it lacks."""
    lacking = [line for key, line in _REQUIRED.items() if not re.search(f"^{key}:", text, re.MULTILINE)]
    return "\n".join([text, *lacking, ""])


def loaded(folder: Path, text: str) -> Runbook:
    """The runbook that this definition makes; its folder has one script, labs/full.sh."""
    home = folder / "disk_usage"
    (home / "labs").mkdir(parents=True, exist_ok=True)
    (home / "labs/full.sh").touch()
    (home / "runbook.yaml").write_text(definition(text))
    return load(str(home))


def told(folder: Path, text: str) -> list[str]:
    """What is said of this definition: `line:column: message` and the cure in a line of its own, a problem each."""
    try:
        loaded(folder, text)
    except DefinitionError as error:
        return [str(problem).removeprefix(f"{problem.path}:") for problem in error.problems]
    return []


def node(text: str) -> Node:
    """The node that this YAML stands for."""
    report = Report("f")
    root = parse(text.encode(), report)
    assert root is not None
    assert report.problems == ()
    return root


def read(shape: Shape, text: str) -> tuple[Any, list[str]]:
    """What a shape reads from this YAML, and what it says is wrong."""
    report = Report("f")
    found = shape.read(node(text), "`it`", report)
    return found, [str(problem).removeprefix("f:") for problem in report.problems]


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def fits(schema: dict[str, Any], value: Any) -> bool:
    """Whether a value is valid by JSON Schema, as far as our own schema uses it."""
    return all(_holds(keyword, said, schema, value) for keyword, said in schema.items())


def _holds(keyword: str, said: Any, schema: dict[str, Any], value: Any) -> bool:
    text = value if isinstance(value, str) else None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    keys = value if isinstance(value, dict) else {}
    items = value if isinstance(value, list) else None
    match keyword:
        case "type":
            return any(_is(name, value) for name in ([said] if isinstance(said, str) else said))
        case "enum":
            return value in said
        case "anyOf":
            return any(fits(other, value) for other in said)
        case "minLength":
            return text is None or len(text) >= said
        case "pattern":
            return text is None or re.search(said, text) is not None
        case "minimum":
            return number is None or number >= said
        case "exclusiveMinimum":
            return number is None or number > said
        case "items":
            return items is None or all(fits(said, item) for item in items)
        case "minItems":
            return items is None or len(items) >= said
        case "required":
            return not isinstance(value, dict) or all(key in keys for key in said)
        case "properties":
            return all(fits(said[key], item) for key, item in keys.items() if key in said)
        case "propertyNames":
            return all(fits(said, key) for key in keys)
        case "additionalProperties":
            others = [item for key, item in keys.items() if key not in schema.get("properties", {})]
            return all(said is not False and fits(said, item) for item in others)
        case "$schema" | "title" | "description" | "examples":
            return True
    raise AssertionError(f"the schema has a keyword that this check does not know: {keyword}")


def _is(name: str, value: Any) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
