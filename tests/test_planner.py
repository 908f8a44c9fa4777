"""Every command of a run is exact before anything runs: its words, its environment, its rights."""

from __future__ import annotations

import pytest

from runbook.errors import ParameterError
from runbook.model import Command, Effect, Needs, Parameter, Plan, Runbook, Step, Value, When
from runbook.planner import environment, plan

PARAMETERS = (
    Parameter("file", "path"),
    Parameter("size", "size"),
    Parameter("since", "duration"),
    Parameter("all", "boolean"),
    Parameter("text", "string"),
    Parameter("password", "string", secret=True),
)


def planned(*steps: Step, **values: Value) -> Plan:
    return plan(Runbook("x", "", "", "", "", "", PARAMETERS, steps), values, {})


def words(*argv: str, **values: Value) -> tuple[str, ...]:
    """What becomes of this argv."""
    return planned(Step("look", "", argv), **values).commands[0].argv


def refused(*argv: str, **values: Value) -> str:
    with pytest.raises(ParameterError) as raised:
        words(*argv, **values)
    return str(raised.value)


def test_a_step_becomes_a_command() -> None:
    needs, when = Needs(("a",), True, ("net_admin",), True), When(step="a", failed=False)
    step = Step("b", "B", ("ls",), False, Effect.CHANGE, needs, 5.0, True, (("p", "r"),), ("a",), when, ("rm", "x"))
    rest = (5.0, True, (("p", "r"),), ("a",), when, ("rm", "x"))
    assert planned(step).commands == (Command("b", "B", ("ls",), environment(True, {}), Effect.CHANGE, needs, *rest),)


FILLED: list[tuple[str, dict[str, Value], str]] = [
    ("{file}", {"file": "/etc/fstab"}, "/etc/fstab"),
    ("if={file}", {"file": "/dev/null"}, "if=/dev/null"),
    ("{size}", {"size": 1 << 20}, "1048576"),
    ("{since}", {"since": 90.0}, "90"),
    ("{since}", {"since": 0.3}, "0.3"),
    ("{all}", {"all": True}, "true"),
    ("--all={all}", {"all": False}, "--all=false"),
    ("{text}", {"text": ""}, ""),
    ("{text}", {"text": "a b; $(id) `id` 'x' \"y\" \\"}, "a b; $(id) `id` 'x' \"y\" \\"),
    # a value is not looked into again
    ("{text}", {"text": "{file}", "file": "/x"}, "{file}"),
    # braces around anything but a declared name are the command's own
    ("{print $1}", {"text": "x"}, "{print $1}"),
    ("{}", {"text": "x"}, "{}"),
    ('{"a": {"b": {}}}', {"text": "x"}, '{"a": {"b": {}}}'),
    ("{other}", {"text": "x"}, "{other}"),
    ("{TEXT}", {"text": "x"}, "{TEXT}"),
    ("{ text }", {"text": "x"}, "{ text }"),
    ("%{version} ${HOME}", {"text": "x"}, "%{version} ${HOME}"),
]


@pytest.mark.parametrize(("word", "values", "filled"), FILLED)
def test_a_placeholder_is_filled_only_where_its_name_is_declared(
    word: str, values: dict[str, Value], filled: str
) -> None:
    assert words("cmd", word, **values) == ("cmd", filled)


def test_a_value_is_one_word_whatever_it_holds() -> None:
    assert words("cmd", "{file}", "{text}", file="a b", text="c d") == ("cmd", "a b", "c d")


def test_a_parameter_without_a_value_is_asked_for_once() -> None:
    said = refused("cmd", "{file}", "a={file}", "{text}")
    assert said == (
        "step `look` needs parameter `file`\n    give it: --set file=VALUE\n"
        "step `look` needs parameter `text`\n    give it: --set text=VALUE"
    )


DASHED = [
    (("cat", "{file}"), {"file": "-rf"}, "step `look` would take it for an option\n    write ./ before it"),
    (("cat", "{file}"), {"file": "-"}, "parameter `file` begins with `-`"),
    (("cat", "{text}"), {"text": "--version"}, "parameter `text` begins with `-`"),
    (("cat", "{text}"), {"text": "--"}, "would take it for an option\n    give one that begins otherwise"),
    (("head", "-n", "{size}"), {"size": -5}, "parameter `size` begins with `-`"),
    # the dashes end the options of sudo, not those of cat
    (("sudo", "--", "cat", "{file}"), {"file": "-rf"}, "parameter `file` begins with `-`"),
    (("cat", "{file}", "--"), {"file": "-rf"}, "parameter `file` begins with `-`"),
]


@pytest.mark.parametrize(("argv", "values", "said"), DASHED)
def test_a_value_that_would_be_an_option_is_refused(argv: tuple[str, ...], values: dict[str, Value], said: str) -> None:
    assert said in refused(*argv, **values)


UNDASHED = [
    (("cat", "--", "{file}"), {"file": "-rf"}, ("cat", "--", "-rf")),
    (("grep", "--", "{text}", "{file}"), {"text": "-a", "file": "-b"}, ("grep", "--", "-a", "-b")),
    (("dd", "if={file}"), {"file": "-x"}, ("dd", "if=-x")),
    (("grep", "--file={file}"), {"file": "-x"}, ("grep", "--file=-x")),
    (("cat", "-n", "{text}"), {"text": "a-b"}, ("cat", "-n", "a-b")),
]


@pytest.mark.parametrize(("argv", "values", "filled"), UNDASHED)
def test_a_value_that_cannot_be_an_option_may_begin_with_a_dash(
    argv: tuple[str, ...], values: dict[str, Value], filled: tuple[str, ...]
) -> None:
    assert words(*argv, **values) == filled


def test_every_step_is_looked_at_before_anything_is_told() -> None:
    with pytest.raises(ParameterError) as raised:
        planned(Step("a", "", ("cat", "{file}"), undo=("rm", "{text}")), Step("b", "", ("ls", "{size}")), file="-x")
    assert [line.split("`")[1] for line in str(raised.value).split("\n")[::2]] == ["file", "a", "b"]


def test_a_shell_program_is_left_alone() -> None:
    step = Step("a", "", ("/bin/sh", "-c", "echo {text}"), shell=True)
    assert planned(step, text="$(id)").commands[0].argv == ("/bin/sh", "-c", "echo {text}")


def test_a_step_that_will_be_skipped_needs_no_value() -> None:
    step = Step("a", "", ("cat", "{file}"), when=When(parameter="file"), undo=("rm", "{file}"))
    assert planned(step).commands[0].argv == ("cat", "{file}")
    assert planned(step, file="/x").commands[0].undo == ("rm", "/x")


def test_a_step_that_depends_on_another_needs_its_values() -> None:
    with pytest.raises(ParameterError, match="step `b` needs parameter `file`"):
        planned(Step("a", "", ("ls",)), Step("b", "", ("cat", "{file}"), when=When(step="a")))


@pytest.mark.parametrize(("reply", "values", "answers"), [
    ("{password}", {"password": "hunter2"}, (("Password:", "hunter2"),)),
    ("{password}", {}, ()),
    ("yes", {}, (("Password:", "yes"),)),
    ("{other}", {}, (("Password:", "{other}"),)),
    ("{text}", {"text": "-x"}, (("Password:", "-x"),)),
])  # fmt: skip
def test_a_prompt_is_answered_or_left_to_the_keyboard(
    reply: str, values: dict[str, Value], answers: tuple[tuple[str, str], ...]
) -> None:
    step = Step("a", "", ("login",), terminal=True, answers=(("Password:", reply),))
    assert planned(step, **values).commands[0].answers == answers


def test_a_secret_is_known_so_that_it_can_be_masked() -> None:
    step = Step("a", "", ("login",), terminal=True, answers=(("Password:", "{password}"),))
    found = planned(step, password="hunter2", text="x")
    assert found.secrets == {"hunter2"}
    assert all("hunter2" not in word for command in found.commands for word in (*command.argv, *command.undo))
    assert "hunter2" not in str(found.commands[0].environment)


def test_an_empty_secret_masks_nothing() -> None:
    assert planned(password="").secrets == frozenset()


def test_the_plan_keeps_the_values() -> None:
    assert planned(text="x", size=5).parameters == {"text": "x", "size": 5}


def test_the_environment_is_the_same_on_every_host() -> None:
    inherited = {"HOME": "/root", "USER": "me", "PATH": "/evil", "LD_PRELOAD": "x.so", "LANG": "de_DE", "TZ": "CET"}
    found = dict(environment(False, {**inherited, "LESSOPEN": "|x", "COLUMNS": "40", "PAGER": "less"}))
    assert (found["LC_ALL"], found["TZ"], found["COLUMNS"], found["PAGER"], found["TERM"]) == (
        "C.UTF-8",
        "UTC",
        "200",
        "cat",
        "dumb",
    )
    assert {"LD_PRELOAD", "LANG", "LESSOPEN", "LOGNAME"}.isdisjoint(found)
    assert {"/usr/sbin", "/sbin", "/usr/bin"} <= set(found["PATH"].split(":")) - {"/evil"}


def test_a_terminal_has_its_own_size() -> None:
    found = dict(environment(True, {}))
    assert found["TERM"] == "xterm-256color"
    assert "COLUMNS" not in found


def test_only_a_step_that_changes_something_has_the_agent() -> None:
    steps = (Step("a", "a", ("true",)), Step("b", "b", ("true",), effect=Effect.CHANGE))
    found = plan(Runbook("x", "", "", "", "", "", (), steps), {}, {"SSH_AUTH_SOCK": "/run/agent", "HOME": "/root"})
    assert [dict(command.environment).get("SSH_AUTH_SOCK") for command in found.commands] == [None, "/run/agent"]
