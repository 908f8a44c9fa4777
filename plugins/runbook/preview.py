"""A plan for people and for programs: exactly what a run would do, before anything runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from runbook.escaping import safe
from runbook.executors.sandbox import profile
from runbook.model import Command, Plan
from runbook.renderers.json import plain
from runbook.renderers.plain import requirements


def text(plans: Sequence[Plan]) -> str:
    return safe("\n\n".join("\n".join(_lines(plan)) for plan in plans))


def document(plans: Sequence[Plan]) -> str:
    """One JSON document for one plan, a list for several."""
    documents = [as_json(plan) for plan in plans]
    return json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, ensure_ascii=False)


def as_json(plan: Plan) -> dict[str, object]:
    """A plan as `runbook.plan/1`, without any secret."""
    return {
        "schema": "runbook.plan/1",
        "runbook": {"name": plan.runbook.name, "title": plan.runbook.title, "digest": plan.runbook.digest},
        "parameters": {name: plain(value) for name, value in shown_parameters(plan).items()},
        "commands": [_command(plan, command) for command in plan.commands],
    }


def shown_parameters(plan: Plan) -> dict[str, object]:
    secret = {parameter.name for parameter in plan.runbook.parameters if parameter.secret}
    return {name: "***" if name in secret else value for name, value in plan.parameters.items()}


def _command(plan: Plan, command: Command) -> dict[str, object]:
    document = plain(command)
    assert isinstance(document, dict)
    answers = [{"prompt": prompt, "reply": _reply(plan, reply)} for prompt, reply in command.answers]
    environment = dict(command.environment)
    return {**document, "environment": environment, "answers": answers, "sandbox": profile(command) or None}


def _confined(command: Command) -> list[str]:
    name = profile(command)
    return [f"confined as {name}"] if name else []


def _reply(plan: Plan, reply: str) -> str:
    return "***" if reply in plan.secrets else reply


def _lines(plan: Plan) -> Iterator[str]:
    yield f"plan of {plan.runbook.name}: nothing has run"
    for name, value in shown_parameters(plan).items():
        yield f"  {name} = {value}"
    common = set.intersection(*(set(command.environment) for command in plan.commands))
    yield from ("", "environment of every step (and nothing else is in it)")
    yield from (
        f"  {name}={shlex.quote(value)}" for name, value in plan.commands[0].environment if (name, value) in common
    )
    for command in plan.commands:
        yield ""
        yield f"{command.step}: {command.title}"
        yield f"  {shlex.join(command.argv)}"
        yield f"  {'; '.join([*requirements(command), *_confined(command)])}"
        own = [f"{name}={shlex.quote(value)}" for name, value in command.environment if (name, value) not in common]
        yield from [f"  environment: {' '.join(own)}"] * bool(own)
        yield from (f"  answers {shlex.quote(prompt)} with {_reply(plan, reply)}" for prompt, reply in command.answers)
        yield from [f"  undo: {shlex.join(command.undo)}"] * bool(command.undo)
