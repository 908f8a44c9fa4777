"""Turns what the person gave into the values of a runbook's parameters."""

from __future__ import annotations

import os
from collections.abc import Mapping

from runbook.errors import ParameterError
from runbook.model import Parameter, Runbook, Value
from runbook.values import nearest, parse_value, shorten


def resolve(
    runbook: Runbook, given: Mapping[str, str], recorded: Mapping[str, Value] | None = None
) -> dict[str, Value]:
    """The value of every parameter that has one, in the order of the definition: given, else recorded, else by default.

    Raises ParameterError with everything that is wrong. A secret is never repeated in it.
    """
    values = {**defaults(runbook), **(recorded or {})}
    problems = [_unknown(runbook, name) for name in given if name not in {p.name for p in runbook.parameters}]
    for parameter in runbook.parameters:
        if parameter.name in given:
            try:
                values[parameter.name] = _value(parameter, given[parameter.name])
            except ValueError as error:
                problems.append(_wrong(parameter, given[parameter.name], error))
        elif parameter.required and parameter.name not in values:
            problems.append(f"parameter `{parameter.name}` has no value\n    give it: --set {parameter.name}=VALUE")
    if problems:
        raise ParameterError("\n".join(problems))
    return {parameter.name: values[parameter.name] for parameter in runbook.parameters if parameter.name in values}


def defaults(runbook: Runbook) -> dict[str, Value]:
    """The values that parameters have when nothing is given; of those without a default, none."""
    return {
        parameter.name: _expand(parameter, parameter.default)
        for parameter in runbook.parameters
        if parameter.default is not None
    }


def _value(parameter: Parameter, text: str) -> Value:
    value = _expand(parameter, parse_value(parameter.type, text, parameter.choices, parameter.pattern))
    # A person means the folder they are in; a step has a folder of its own.
    return os.path.abspath(value) if parameter.type == "path" and isinstance(value, str) else value


def _expand(parameter: Parameter, value: Value) -> Value:
    return os.path.expanduser(value) if parameter.type == "path" and isinstance(value, str) else value


def _unknown(runbook: Runbook, name: str) -> str:
    names = ", ".join(parameter.name for parameter in runbook.parameters)
    listed = f"its parameters are {names}" if names else "it takes no parameters"
    cure = nearest(name, [parameter.name for parameter in runbook.parameters]) or listed
    return f"{runbook.name} has no parameter `{shorten(name)}`\n    {cure}"


def _wrong(parameter: Parameter, text: str, error: ValueError) -> str:
    shown = "this value (it is secret)" if parameter.secret else f"`{shorten(text)}`"
    near = nearest(text, parameter.choices) if parameter.choices and not parameter.secret else ""
    return f"parameter `{parameter.name}` cannot be {shown}: it {error}" + (f"\n    {near}" if near else "")
