"""Where a parameter may stand in a command, and where its value would do harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loader.writing import told

PARAMETERS = (
    "parameters: [{name: x, type: string}, {name: file, type: path}, {name: key, type: string, secret: true}]\n"
)


def said(folder: Path, argv: str, more: str = "") -> list[str]:
    return told(folder, f"{PARAMETERS}steps:\n- id: a\n  argv: {argv}\n{more}")


WHOLE_WORD = "a parameter must be a whole word, or all that follows `prefix=`"
PROGRAM = "would become a program that"
SECRET = "`{key}` is secret, and everyone can see the words of a command"

REFUSED = [
    ("['{x}']", "4:10: the command itself cannot be a parameter"),
    ("[cat, 'a{file}']", f"4:15: `a{{file}}`: {WHOLE_WORD}\n    make `{{file}}` a word"),
    ("[cat, '{file}.txt']", WHOLE_WORD),
    ("[cat, '{file}{x}']", WHOLE_WORD),
    ("[cat, '{file} {x}']", WHOLE_WORD),
    ("[scp, 'host:{file}']", WHOLE_WORD),
    ("[cat, '-n{x}']", WHOLE_WORD),
    ("[cat, 'a=b={x}']", WHOLE_WORD),
    ("[cat, '{x}={file}']", WHOLE_WORD),
    ("[cat, 'x={file}\n\n']", WHOLE_WORD),
    ("[awk, '{print {x}}']", WHOLE_WORD),
    ("[cat, '{key}']", SECRET + "\n    give it in `answers`"),
    ("[cat, '--password={key}']", SECRET),
    ("[sh, -c, 'echo {key}']", SECRET),
    ("[sh, -c, '{x}']", f"`{{x}}` {PROGRAM} `sh` runs"),
    ("[bash, -euc, '{x}']", PROGRAM),
    ("[/bin/sh, -c, '{x}']", PROGRAM),
    ("[sh, -c, 'x={file}']", PROGRAM),
    ("[sh, -c, -x, '{x}']", PROGRAM),
    ("[sh, -c, --, '{x}']", PROGRAM),
    ("[sudo, sh, -c, '{x}']", f"{PROGRAM} `sh` runs"),
    ("[ip, netns, exec, blue, bash, -c, '{x}']", f"{PROGRAM} `bash` runs"),
    ("[env, A=1, python3.11, -c, '{x}']", PROGRAM),
    ("[perl, -ne, '{x}']", PROGRAM),
    ("[ruby, -e, '{x}']", PROGRAM),
    ("[php, -r, '{x}']", PROGRAM),
    ("[su, -, user, -c, '{x}']", PROGRAM),
    ("[psql, -c, '{x}']", PROGRAM),
    ("[mysql, '--execute={x}']", PROGRAM),
    ("[awk, '{x}', '{file}']", f"4:15: `{{x}}` {PROGRAM} `awk` runs"),
    ("[awk, -F, ':', -v, a=1, '{x}']", PROGRAM),
    ("[awk, --, '{x}']", PROGRAM),
    ("[gawk, '--source={x}']", PROGRAM),
    ("[sed, -n, '{x}']", f"{PROGRAM} `sed` runs"),
    ("[sed, -n, -e, '{x}']", PROGRAM),
]


@pytest.mark.parametrize(("argv", "message"), REFUSED)
def test_a_parameter_where_it_would_do_harm_is_refused(tmp_path: Path, argv: str, message: str) -> None:
    # Where the step only reads, sudo and su are a mistake of their own.
    problems = said(tmp_path, argv, "  effect: change\n")
    assert len(problems) == 1, problems
    assert message in problems[0]


TAKEN = [
    "[cat, '{file}']",
    "[cat, --, '{file}', '{x}']",
    "[dd, 'if={file}', 'bs={x}']",
    "[grep, '--file={file}', '{x}']",
    "[sh, -c, 'cat \"$1\"', sh, '{file}']",
    "[awk, '{print $1}', '{file}']",
    "[awk, -f, prog.awk, '{file}']",
    "[awk, -v, 'a={x}', '{print a}', '{file}']",
    "[sed, -n, -e, p, '{file}']",
    "[sed, -E, 's/a{2}/{b}/', '{file}']",
    "[python3, script.py, '{file}']",
    "[grep, -r, '{x}']",
    # braces around anything but a declared name are the command's own
    "[awk, '{ print {y} }']",
    "[jq, '{name: .x}', a.json]",
    "[curl, -d, '{\"x\": {}}', example.org]",
    "[find, ., -exec, ls, '{}', ;]",
    "[docker, ps, --format, '{{.Names}}']",
    "[rpm, -q, --qf, '%{version}', bash]",
    "[echo, '{X}', '{ x }', '{x', 'x}', '{other}', '{-x}']",
]


@pytest.mark.parametrize("argv", TAKEN)
def test_a_parameter_that_is_a_whole_word_is_taken(tmp_path: Path, argv: str) -> None:
    assert said(tmp_path, argv) == []


def test_a_shell_program_takes_no_parameter(tmp_path: Path) -> None:
    problems = said(tmp_path, "cat {file} | sort", "  shell: true")
    assert problems == [
        "4:9: `{file}` would become part of a shell program\n    write argv as a list of words, without `shell`"
    ]


def test_a_shell_program_keeps_its_own_braces(tmp_path: Path) -> None:
    assert said(tmp_path, "\"awk '{print $1}' ${HOME} {a,b} | sort\"", "  shell: true") == []


def test_a_secret_is_no_part_of_a_shell_program(tmp_path: Path) -> None:
    assert SECRET in said(tmp_path, "\"mysql -p'{key}'\"", "  shell: true")[0]


@pytest.mark.parametrize(
    ("undo", "message"), [("[rm, '{key}']", SECRET), ("[sh, -c, '{x}']", PROGRAM), ("['{x}']", "itself")]
)
def test_what_undoes_is_a_command_too(tmp_path: Path, undo: str, message: str) -> None:
    problems = said(tmp_path, "[touch, '{file}']", f"  effect: change\n  undo: {undo}")
    assert len(problems) == 1
    assert message in problems[0]


@pytest.mark.parametrize(
    ("reply", "taken"), [("{key}", True), ("yes", True), ("{y}!", True), ("x{key}", False), ("{key}{x}", False)]
)
def test_a_reply_is_a_whole_parameter_or_a_fixed_text(tmp_path: Path, reply: str, taken: bool) -> None:
    problems = said(tmp_path, "[login]", f"  terminal: true\n  answers: {{'word: $': '{reply}'}}")
    assert ["a parameter must be the whole reply\n    write only `{NAME}`" in problem for problem in problems] == [
        True
    ] * (not taken)
