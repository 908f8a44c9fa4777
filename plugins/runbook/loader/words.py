"""Where a parameter may stand in a command: as a whole word or after `prefix=`, never where it would be a program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from runbook.loader.documents import Node, Report, Scalar
from runbook.values import PLACEHOLDER, shorten

_ALLOWED = re.compile(r"(?:[A-Za-z0-9_.,-]+=)?" + PLACEHOLDER.pattern)

#: Commands that take a program as an option, and what that option looks like.
_INTERPRETERS = frozenset(
    (
        *("sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "busybox", "python", "pypy", "perl", "ruby"),
        *("node", "php", "lua", "tclsh", "awk", "gawk", "mawk", "nawk", "sed", "su", "runuser", "script"),
        *("psql", "mysql", "mariadb", "sqlite"),
    )
)
_PROGRAM_OPTION = re.compile(r"-[A-Za-z]*[ceEr]|--(?:command|eval|execute|expression|source|run)")

#: Commands whose first operand is a program, unless an option brings it; and their options that take a word.
_OPERAND_PROGRAMS = frozenset(["awk", "gawk", "mawk", "nawk", "sed"])
_BRINGS_PROGRAM = re.compile(r"-[A-Za-z]*[ef]|--(?:file|exec|expression|source)(?:=.*)?")
_TAKES_WORD = frozenset(("-F", "-v", "-l"))


def check_words(words: Sequence[Node], declared: Mapping[str, bool], report: Report, *, shell: bool = False) -> None:
    """Report every placeholder that stands where a value could do harm; `declared` says which names are secret."""
    texts = [word.text if isinstance(word, Scalar) else "" for word in words]
    for index, word in enumerate(words):
        names = [name for name in PLACEHOLDER.findall(texts[index]) if name in declared]
        if not names:
            continue
        for message, cure in _refusals(texts, index, names, declared, shell):
            report.add(word, message, cure)
            break


def check_reply(reply: Scalar, declared: Mapping[str, bool], report: Report) -> None:
    """A reply is a fixed text or one whole parameter."""
    if not PLACEHOLDER.fullmatch(reply.text) and any(name in declared for name in PLACEHOLDER.findall(reply.text)):
        report.add(reply, f"`{shorten(reply.text)}`: a parameter must be the whole reply", "write only `{NAME}`")


def _refusals(
    texts: list[str], index: int, names: list[str], declared: Mapping[str, bool], shell: bool
) -> Iterator[tuple[str, str]]:
    text, holder = shorten(texts[index]), f"{{{names[0]}}}"
    secrets = [name for name in names if declared[name]]
    if secrets:
        cure = "give it in `answers`, or let the command read it from a file"
        yield f"`{{{secrets[0]}}}` is secret, and everyone can see the words of a command", cure
    if shell:
        yield f"`{holder}` would become part of a shell program", "write argv as a list of words, without `shell`"
    if index == 0:
        yield "the command itself cannot be a parameter", "write the command's name"
    if not _ALLOWED.fullmatch(texts[index]):
        yield f"`{text}`: a parameter must be a whole word, or all that follows `prefix=`", f"make `{holder}` a word"
    if _is_program(texts, index):
        cure = "pass it as an argument behind the program, such as [sh, -c, 'cat \"$1\"', sh, '{file}']"
        yield f"`{text}` would become a program that `{texts[0]}` runs", cure


def _is_program(texts: list[str], index: int) -> bool:
    # Looked for in every word before, because of `sudo sh -c` and `ip netns exec blue sh -c`.
    for position, word in enumerate(texts[:index]):
        name = word.rpartition("/")[2].rstrip("0123456789.-")
        option = texts[index].partition("=")[0] if "=" in texts[index] else texts[index - 1]
        if name in _INTERPRETERS and index - 1 >= position and _PROGRAM_OPTION.fullmatch(option):
            return True
        if name in _OPERAND_PROGRAMS and _program_operand(texts, position + 1) == index:
            return True
    return False


def _program_operand(texts: list[str], position: int) -> int | None:
    """Where the program of awk or sed stands among its words, unless an option brings it."""
    while position < len(texts):
        word = texts[position]
        if word == "--":
            return position + 1
        if not word.startswith("-"):
            return position
        if _BRINGS_PROGRAM.fullmatch(word):
            return None
        position += 2 if word in _TAKES_WORD else 1
    return None
