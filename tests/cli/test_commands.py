"""The small sub-commands, and the command line as a whole."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from runbook.cli import COMMANDS
from runbook.loader.definition import schema
from tests.base import COMMAND, HELPER, Base


@pytest.fixture
def talk(base: Base) -> Base:
    base.runbook(
        "talk",
        [{"argv": ["echo", "{word}"], "needs": {"root": True}}, {"argv": ["no-such-tool"], "effect": "change"}],
        HELPER,
        parameters=[{"name": "word", "type": "choice", "choices": ["a", "b"], "default": "a", "help": "What to say."}],
        findings={"all-well": "All is well."},
        packages={"no-such-tool": {"debian": "such-tools", "fedora": "such"}},
    )
    return base


def test_list_shows_where_each_runbook_comes_from(talk: Base) -> None:
    # In columns, as wide as the longest name.
    lines = [" ".join(line.split()) for line in talk.call("list").stdout.splitlines()]
    assert f"talk talk ({talk.path})" in lines
    assert "lvm-inspect Inspect LVM and what lies under it (bundled)" in lines


def test_list_finds_the_knowledge_base_from_below(talk: Base) -> None:
    (talk.path / "docs/deep").mkdir(parents=True)
    inside = Base(talk.path / "docs/deep")
    assert "talk" in inside.call("list").stdout


def test_list_of_a_section(talk: Base) -> None:
    rows = json.loads(talk.call("list", "--section", "testing", "--format", "json").stdout)
    assert [row["name"] for row in rows] == ["talk"]


def test_one_broken_definition_does_not_hide_the_others(talk: Base) -> None:
    (talk.runbook("poor", []) / "runbook.yaml").write_text("title: [\n")
    done = talk.call("list")
    assert "talk" in done.stdout
    assert "poor/runbook.yaml" in done.stderr
    assert done.returncode == 64


@pytest.mark.parametrize("said", ["echo '{word}'", "needs root", "CHANGES THIS HOST", "What to say.", "All is well."])
def test_show_says_what_a_runbook_does(talk: Base, said: str) -> None:
    assert said in talk.call("show", "talk").stdout


def test_show_takes_both_spellings(base: Base) -> None:
    assert json.loads(base.call("show", "lvm_inspect", "--format", "json").stdout)["name"] == "lvm-inspect"


@pytest.mark.parametrize("said", ["echo b", "no-such-tool", "LC_ALL=C.UTF-8", "needs root", "at most 60 s"])
def test_a_plan_is_exact(talk: Base, said: str) -> None:
    assert said in talk.call("run", "talk", "--plan", "--set", "word=b").stdout


def test_a_plan_runs_nothing(base: Base) -> None:
    base.runbook("touch", [{"argv": ["touch", str(base.path / "trace")]}])
    assert base.call("run", "touch", "--plan").returncode == 0
    assert not (base.path / "trace").exists()


def test_a_plan_as_json_has_argv_environment_and_rights(talk: Base) -> None:
    command = json.loads(talk.call("run", "talk", "--plan", "--format", "json").stdout)["commands"][0]
    assert (command["argv"], command["needs"]["root"]) == (["echo", "a"], True)
    assert command["environment"]["TZ"] == "UTC"


def test_doctor_names_the_package_that_is_missing(talk: Base) -> None:
    done = talk.call("doctor", "talk")
    assert "no-such-tool is not installed (step b)\n      Debian: apt install such-tools" in done.stdout
    assert done.returncode == 1


def test_doctor_is_content_with_what_is_there(base: Base) -> None:
    base.runbook("talk", [{"argv": ["true"]}])
    done = base.call("doctor", "talk")
    *boxes, last = done.stdout.splitlines()
    assert last == "talk: everything is here"
    # Of the sandbox what this host has, tried a moment ago.
    assert boxes
    assert all(re.fullmatch(r"sandbox: (inspect|root|user)/\d+: [a-z0-9, ]+ \(proven\)", line) for line in boxes)
    assert done.returncode == 0


def test_the_schema_is_the_loaders(base: Base) -> None:
    assert json.loads(base.call("schema").stdout) == schema()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(base: Base, shell: str) -> None:
    assert "runbook" in base.call("completion", shell).stdout


def complete(base: Base, line: str) -> set[str]:
    """What argcomplete answers to this line, as its shell script asks: on descriptor 8."""
    answers = base.path / "answers"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    script = f'"$@" 8>{answers} 9>/dev/null'
    subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND], cwd=base.path, env=base.environment(**asked), timeout=30, check=False
    )
    return {word.strip() for word in answers.read_text().split("\n")}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("runbook ", "doctor"),
        ("runbook run lvm", "lvm-inspect"),
        ("runbook run lvm-inspect --lab thin", "thin-pool-full"),
        ("runbook lab lvm-inspect lap", "laptop"),
        ("runbook run --for", "--format"),
    ],
)
def test_words_are_completed(base: Base, line: str, word: str) -> None:
    assert word in complete(base, line)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(base: Base, command: str) -> None:
    done = base.call(command, "--help")
    assert "examples:" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "there is no command `frobnicate`"),
        (["rn"], "did you mean `run`?"),
        (["run"], "required: NAME"),
        (["run", "x", "--colour"], "unrecognized"),
    ],
)
def test_wrong_usage_is_64(base: Base, words: list[str], said: str) -> None:
    done = base.call(*words)
    assert said in done.stderr
    assert done.returncode == 64


def test_without_a_command_the_help_is_shown(base: Base) -> None:
    done = base.call()
    assert "examples:" in done.stdout
    assert done.returncode == 64


def test_the_version_is_told(base: Base) -> None:
    done = base.call("--version")
    assert done.stdout.startswith("runbook ")


def test_a_runbooks_name_alone_is_answered_with_the_command_that_runs_it(talk: Base) -> None:
    assert "did you mean `runbook run talk`?" in talk.call("talk").stderr


def test_a_section_without_runbooks_is_told_with_those_there_are(talk: Base) -> None:
    said = talk.call("list", "--section", "storge").stderr
    assert "no runbooks in section storge; there is network, security, storage, testing" in said
