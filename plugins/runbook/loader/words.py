"""Where a parameter may stand in a command: as a whole word or after `prefix=`, never where it would be a program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runbook.loader.documents import Node, Report, Scalar
from runbook.values import PLACEHOLDER, shorten

_ALLOWED = re.compile(r"(?:[A-Za-z0-9_.,-]+=)?" + PLACEHOLDER.pattern)

#: Commands that take a program as an option, and what that option looks like.
_INTERPRETERS = frozenset(
    (
        *("sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "busybox", "python", "pypy", "perl", "ruby"),
        *("node", "php", "lua", "tclsh", "awk", "gawk", "mawk", "nawk", "sed", "su", "runuser", "script"),
        *("psql", "mysql", "mariadb", "sqlite", "flock"),
    )
)
_PROGRAM_OPTION = re.compile(r"-[A-Za-z]*[ceEr]|--(?:command|eval|execute|expression|source|run|print)")

#: Commands whose first operand is a program, unless an option brings it; and their options that take a word.
_OPERAND_PROGRAMS = frozenset(["awk", "gawk", "mawk", "nawk", "sed"])
_BRINGS_PROGRAM = re.compile(r"-[A-Za-z]*[ef]|--(?:file|exec|expression|source)(?:=.*)?")
_TAKES_WORD = frozenset(("-F", "-v", "-l"))


def check_words(words: Sequence[Node], declared: Mapping[str, bool], report: Report, *, shell: bool = False) -> None:
    """Report every placeholder that stands where a value could do harm; `declared` says which names are secret."""
    texts = [word.text if isinstance(word, Scalar) else "" for word in words]
    programs = _programs(texts)
    for index, word in enumerate(words):
        names = [name for name in PLACEHOLDER.findall(texts[index]) if name in declared]
        secrets = [name for name in names if declared[name]]
        holder, text = f"{{{names[0]}}}" if names else "", shorten(texts[index])
        if secrets:
            cure = "give it in `answers`, or let the command read it from a file"
            report.add(word, f"`{{{secrets[0]}}}` is secret, and everyone can see the words of a command", cure)
        elif names and shell:
            cure = "write argv as a list of words, without `shell`"
            report.add(word, f"`{holder}` would become part of a shell program", cure)
        elif names and index == 0:
            report.add(word, "the command itself cannot be a parameter", "write the command's name")
        elif names and not _ALLOWED.fullmatch(texts[index]):
            message = f"`{text}`: a parameter must be a whole word, or all that follows `prefix=`"
            report.add(word, message, f"make `{holder}` a word")
        elif names and index in programs:
            cure = "pass it as an argument behind the program, such as [sh, -c, 'cat \"$1\"', sh, '{file}']"
            report.add(word, f"`{text}` would become a program that `{programs[index]}` runs", cure)


def check_reply(reply: Scalar, declared: Mapping[str, bool], report: Report) -> None:
    """A reply is a fixed text or one whole parameter."""
    if not PLACEHOLDER.fullmatch(reply.text) and any(name in declared for name in PLACEHOLDER.findall(reply.text)):
        report.add(reply, f"`{shorten(reply.text)}`: a parameter must be the whole reply", "write only `{NAME}`")


def _programs(texts: list[str]) -> dict[int, str]:
    """Which words are programs in some language, and what would run them."""
    found: dict[int, str] = {}
    interpreter, awaiting = "", False
    operands = _operands(texts)
    for index, word in enumerate(texts):
        option, equals, _ = word.partition("=")
        if awaiting and not word.startswith("-"):
            # Not always the next word: `sh -c -x PROGRAM`.
            found[index], awaiting = interpreter, False
        elif interpreter and _PROGRAM_OPTION.fullmatch(option):
            awaiting = not equals
            if equals:
                found[index] = interpreter
        # Looked for in every word, because of `sudo sh -c` and `ip netns exec blue sh -c`.
        name = word.rpartition("/")[2].rstrip("0123456789.-")
        if name in _INTERPRETERS:
            interpreter = name
        if name in _OPERAND_PROGRAMS:
            found.setdefault(operands[index + 1], name)
    return found


def _operands(texts: list[str]) -> list[int]:
    """For every place: where the program of an awk or sed whose words begin there would stand; -1 for nowhere."""
    found = [-1] * (len(texts) + 2)
    # From the end, so that each place only looks at the next: a long list of words must not take its square.
    for index in reversed(range(len(texts))):
        word = texts[index]
        if word == "--":
            found[index] = index + 1
        elif not word.startswith("-"):
            found[index] = index
        elif not _BRINGS_PROGRAM.fullmatch(word):
            found[index] = found[index + (2 if word in _TAKES_WORD else 1)]
    return found
