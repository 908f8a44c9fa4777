"""Hostile definitions: none is accepted, none takes long, and each is refused with the place and a sentence."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook.errors import DefinitionError
from runbook.loader.definition import load
from tests.base import rounds

GOOD = """\
# yaml-language-server: $schema=../schema.json
title: A runbook
summary: It looks at something.
section: testing
steps:
  - id: look
    title: Look
    argv: [echo, "hello"]
"""

Hostile = Callable[[random.Random], bytes]


def inserted(line: str) -> bytes:
    return (GOOD + line + "\n").encode()


def instead(old: str, new: str) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new).encode()


def invisible(chance: random.Random) -> str:
    return chance.choice("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200b\u200c\u2060\ufeff\u00ad\x85\u2028")


def bomb(chance: random.Random) -> bytes:
    width = chance.randrange(5, 12)
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, 9)]
    return inserted("\n".join(lines))


HOSTILE: dict[str, Hostile] = {
    "duplicate key": lambda chance: inserted(chance.choice(["title: B", "section: other", "steps: []"])),
    "duplicate key in a step": lambda chance: inserted(
        chance.choice(["    argv: [rm, x]", "    id: other", "    title: B"])
    ),
    "alias bomb": bomb,
    "anchor": lambda chance: instead("[echo,", f"&a{chance.randrange(99)} [echo,"),
    "merge key": lambda chance: inserted(f"<<: {{note{chance.randrange(99)}: b}}"),
    "python tag": lambda chance: instead(
        "A runbook", chance.choice(["!!python/object/apply:os.system [id]", "!!python/name:os.x a"])
    ),
    "tag": lambda chance: instead("A runbook", f"!{chance.choice(['!str', '!binary', 'x', '<tag:x,1:y>'])} aGk="),
    "invisible in a command": lambda chance: instead("hello", f"he{invisible(chance)}llo"),
    "control in a command": lambda chance: instead('"hello"', f'"\\x{chance.randrange(1, 9):02x}"'),
    "raw control": lambda chance: instead("hello", f"he{chr(chance.randrange(1, 9))}llo"),
    "deep": lambda chance: inserted("deep: " + "[" * (depth := chance.randrange(30, 3000)) + "]" * depth),
    "deep and open": lambda chance: inserted("deep: " + "{a: [" * chance.randrange(30, 3000)),
    "large": lambda chance: inserted("# " + "x" * (chance.randrange(2, 9) * 256 * 1024)),
    "unknown key": lambda chance: inserted(f"key{chance.randrange(999)}: 1"),
    "not UTF-8": lambda chance: instead("hello", "hello").replace(b"hello", bytes([chance.randrange(0x80, 0xC0)])),
    "UTF-16": lambda chance: GOOD.encode("utf-16-le" if chance.random() < 0.5 else "utf-16"),
    "cut": lambda chance: GOOD.encode()[: chance.randrange(0, GOOD.index("argv"))],
    "two documents": lambda chance: inserted("---\n" + GOOD),
    "a shell in argv": lambda chance: instead(
        '[echo, "hello"]', chance.choice(["echo; id", "{a: b}", "[]", "[1, [2]]", "null"])
    ),
    "undeclared parameter type": lambda chance: inserted(f"parameters: [{{name: a, type: t{chance.randrange(99)}}}]"),
    "path as id": lambda chance: instead(
        "id: look", f"id: {chance.choice(['../x', '/etc/passwd', 'a/b', 'A B', '.'])}"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_definition_is_refused_at_once_and_with_its_place(tmp_path: Path, kind: str) -> None:
    chance = random.Random(kind)
    file = tmp_path / "runbook.yaml"
    for _ in range(rounds(4, 50)):
        data = HOSTILE[kind](chance)
        file.write_bytes(data)
        started = time.process_time()
        with pytest.raises(DefinitionError) as refused:
            load(str(tmp_path))
        assert time.process_time() - started < 0.1
        assert re.match(rf"{re.escape(str(file))}:\d+:\d+: \S", str(refused.value))


def test_the_definition_that_they_are_made_from_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "runbook.yaml").write_text(GOOD)
    assert load(str(tmp_path)).title == "A runbook"


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "true", "1", "0o7", "010", "1:30", "2026-01-01", "1e3"])
def test_a_word_of_a_command_is_what_is_written(tmp_path: Path, word: str) -> None:
    (tmp_path / "runbook.yaml").write_bytes(instead('"hello"', word))
    assert load(str(tmp_path)).steps[0].argv == ("echo", word)
