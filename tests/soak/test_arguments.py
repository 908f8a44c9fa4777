"""Whatever the value of a parameter is, the command sees exactly one argument, equal to it, or it is refused."""

from __future__ import annotations

import random

import pytest

from runbook.errors import ParameterError
from runbook.executors.executor import finish
from runbook.executors.process import ProcessExecutor
from runbook.pipeline import prepare
from tests.base import Base, load, rounds

#: What a person cannot see or would break the line; a value with one of them is refused.
HIDDEN = ("\t", "\n", "\r", "\x1b[31m", "\x07", "\x7f", "\u202e", "\ufeff")
#: What a shell, an option parser, a placeholder or an encoding could trip over.
PARTS = [
    *" \\'\"`$;|&><*?~{}%=#!a/0-é",
    *("$(id)", "${HOME}", "[a]", "{value}", "%s", "--", "--help", "-oProxyCommand=id", "日本", "../", "\\0", "\\n"),
]


def test_a_value_is_exactly_one_argument(base: Base) -> None:
    parameter = {"name": "value", "type": "string", "required": True}
    runbook = load(str(base.runbook("tested", [{"argv": ["printf", "%s\\0", "{value}"]}], parameters=[parameter])))
    chance = random.Random(4)
    with ProcessExecutor() as executor:
        for number in range(rounds(300, 10_000)):
            value = "".join(chance.choices([*PARTS, HIDDEN[number % len(HIDDEN)]], k=chance.randrange(6)))
            if value.startswith("-") or any(hidden in value for hidden in HIDDEN):
                with pytest.raises(ParameterError):
                    prepare(runbook, {"value": value})
                continue
            capture = finish(executor.execute(prepare(runbook, {"value": value}).commands[0]))
            assert (capture.exit_code, capture.stderr) == (0, b""), value
            assert capture.stdout == value.encode() + b"\0"
