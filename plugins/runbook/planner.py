"""Makes every command of a runbook exact: its words, its environment, its rights. Runs nothing and asks nobody."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

from runbook.errors import ParameterError
from runbook.model import Command, Effect, Plan, Runbook, Step, Value
from runbook.values import PLACEHOLDER, written

#: The same on every host, so that output is the same too: language, time zone, width; nothing pages, edits or asks.
_ENVIRONMENT = {
    # Last, where this Python's own commands are: `runbook-probe` among them.
    "PATH": f"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{os.path.dirname(sys.executable)}",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "SYSTEMD_COLORS": "0",
    "LESSSECURE": "1",
    "EDITOR": "false",
    "VISUAL": "false",
    "GIT_TERMINAL_PROMPT": "0",
    "DEBIAN_FRONTEND": "noninteractive",
}
_IN_PIPES = {"TERM": "dumb", "COLUMNS": "200", "LINES": "50"}
#: The size of a terminal is the terminal's own to say.
_ON_TERMINAL = {"TERM": "xterm-256color"}
#: What the person's own environment may add: whose configuration a command reads.
_INHERITED = ("HOME", "USER", "LOGNAME")
#: And only for steps that change something, which are approved and not confined: the agent that holds their keys.
_INHERITED_BY_CHANGES = ("SSH_AUTH_SOCK",)


def plan(runbook: Runbook, values: Mapping[str, Value], inherited: Mapping[str, str]) -> Plan:
    """Every command that a run with these values would run.

    A step whose condition is a parameter without a value is planned with its placeholders: it will be skipped. Raises
    ParameterError where another placeholder has no value, and for a value that a command would take for an option.
    """
    secrets = frozenset(
        written(values[parameter.name])
        for parameter in runbook.parameters
        if parameter.secret and parameter.name in values
    )
    filler = _Filler(runbook, values)
    commands = tuple(_command(step, filler, inherited, runbook.sandbox_required) for step in runbook.steps)
    if filler.problems:
        raise ParameterError("\n".join(filler.problems))
    return Plan(runbook, dict(values), commands, secrets - {""})


def environment(terminal: bool, inherited: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The whole environment of a command."""
    kept = {name: inherited[name] for name in _INHERITED if name in inherited}
    return tuple({**_ENVIRONMENT, **(_ON_TERMINAL if terminal else _IN_PIPES), **kept}.items())


def _command(step: Step, filler: _Filler, inherited: Mapping[str, str], sandbox_required: bool) -> Command:
    more = _INHERITED_BY_CHANGES if step.effect is Effect.CHANGE else ()
    return Command(
        step=step.id,
        title=step.title,
        argv=step.argv if step.shell else filler.words(step, step.argv),
        environment=(
            *environment(step.terminal, inherited),
            *((name, inherited[name]) for name in more if name in inherited),
        ),
        effect=step.effect,
        needs=step.needs,
        timeout=step.timeout,
        terminal=step.terminal,
        answers=filler.answers(step),
        after=step.after,
        when=step.when,
        undo=filler.words(step, step.undo),
        sandbox_required=sandbox_required,
    )


class _Filler:
    """Puts values where the placeholders of declared names are; other braces are the command's own."""

    def __init__(self, runbook: Runbook, values: Mapping[str, Value]) -> None:
        self.problems: list[str] = []
        self._declared = {parameter.name: parameter for parameter in runbook.parameters}
        self._values = values

    def words(self, step: Step, words: tuple[str, ...]) -> tuple[str, ...]:
        if step.when is not None and step.when.parameter is not None and step.when.parameter not in self._values:
            return words
        # Only parameters may stand between `--` and a parameter: in [sudo, --, cat, "{file}"] the dashes are sudo's.
        filled, after_dashes = [], False
        for word in words:
            filled.append(self._word(step, word, after_dashes))
            after_dashes = word == "--" or (after_dashes and PLACEHOLDER.fullmatch(word) is not None)
        return tuple(filled)

    def answers(self, step: Step) -> tuple[tuple[str, str], ...]:
        """A prompt whose parameter has no value is left to the person's keyboard."""
        filled = ((prompt, self._reply(reply)) for prompt, reply in step.answers)
        return tuple((prompt, reply) for prompt, reply in filled if reply is not None)

    def _reply(self, reply: str) -> str | None:
        match = PLACEHOLDER.fullmatch(reply)
        if match is None or match[1] not in self._declared:
            return reply
        return written(self._values[match[1]]) if match[1] in self._values else None

    def _word(self, step: Step, word: str, after_dashes: bool) -> str:
        filled = PLACEHOLDER.sub(lambda match: self._fill(step, match), word)
        if filled != word and filled.startswith("-") and not word.startswith("-") and not after_dashes:
            name = PLACEHOLDER.findall(word)[0]
            cure = "write ./ before it" if self._declared[name].type == "path" else "give one that begins otherwise"
            self._tell(
                f"parameter `{name}` begins with `-`, and step `{step.id}` would take it for an option\n    {cure}"
            )
        return filled

    def _fill(self, step: Step, match: re.Match[str]) -> str:
        name = match[1]
        if name not in self._declared:
            return match[0]
        if name not in self._values:
            self._tell(f"step `{step.id}` needs parameter `{name}`\n    give it: --set {name}=VALUE")
            return match[0]
        return written(self._values[name])

    def _tell(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
