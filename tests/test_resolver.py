"""What a person gives becomes values, or everything that is wrong with it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import ParameterError
from runbook.model import Parameter, Runbook, Value
from runbook.resolver import defaults, resolve

LIMIT = Parameter("limit", "number", default=80)
MODE = Parameter("mode", "choice", choices=("fast", "slow"))
HOST = Parameter("host", "host", required=True)
WHERE = Parameter("where", "path", default="~/log")
PASSWORD = Parameter("password", "string", pattern="[a-z]+[0-9]", secret=True)


def runbook(*parameters: Parameter) -> Runbook:
    return Runbook("disk-usage", "", "", "", "", "", parameters)


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")


def refused(given: dict[str, str], *parameters: Parameter) -> str:
    with pytest.raises(ParameterError) as raised:
        resolve(runbook(*parameters), given)
    return str(raised.value)


def test_what_is_given_comes_before_the_default() -> None:
    assert resolve(runbook(LIMIT), {"limit": "2.5"}) == {"limit": 2.5}
    assert resolve(runbook(LIMIT), {}) == {"limit": 80}


def test_what_was_recorded_comes_between_the_two() -> None:
    assert resolve(runbook(LIMIT, HOST), {}, {"limit": 5, "host": "a"}) == {"limit": 5, "host": "a"}
    assert resolve(runbook(LIMIT), {"limit": "6"}, {"limit": 5}) == {"limit": 6}


def test_what_was_recorded_of_a_parameter_that_is_gone_is_left_out() -> None:
    assert resolve(runbook(LIMIT), {}, {"old": 1}) == {"limit": 80}


def test_a_parameter_without_a_value_is_left_out() -> None:
    assert resolve(runbook(MODE, LIMIT), {}) == {"limit": 80}


def test_values_stand_in_the_order_of_the_definition() -> None:
    assert list(resolve(runbook(HOST, LIMIT, MODE), {"mode": "slow", "host": "a"})) == ["host", "limit", "mode"]


def test_an_empty_value_is_a_value() -> None:
    assert resolve(runbook(Parameter("text", "string", default="x")), {"text": ""}) == {"text": ""}


@pytest.mark.parametrize(
    ("given", "value"), [({}, "/home/me/log"), ({"where": "~/x"}, "/home/me/x"), ({"where": "/a~"}, "/a~")]
)
def test_a_path_begins_at_the_home_of_who_runs_it(given: dict[str, str], value: Value) -> None:
    assert resolve(runbook(WHERE), given) == {"where": value}


def test_a_path_that_is_given_begins_in_the_folder_of_who_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve(runbook(WHERE), {"where": "logs/a"}) == {"where": str(tmp_path / "logs" / "a")}


def test_only_a_path_has_a_home() -> None:
    assert resolve(runbook(Parameter("text", "string")), {"text": "~/x"}) == {"text": "~/x"}


def test_defaults_need_nothing_that_is_given() -> None:
    assert defaults(runbook(HOST, LIMIT, WHERE)) == {"limit": 80, "where": "/home/me/log"}


def test_a_required_parameter_must_be_given() -> None:
    assert refused({}, HOST) == "parameter `host` has no value\n    give it: --set host=VALUE"


REFUSED = [
    ({"limti": "1"}, "disk-usage has no parameter `limti`\n    did you mean `limit`?"),
    ({"zzz": "1"}, "disk-usage has no parameter `zzz`\n    its parameters are limit, mode"),
    ({"a\x1b[2J": "1"}, "disk-usage has no parameter `a?[2J`"),
    ({"limit": "many"}, "parameter `limit` cannot be `many`: it must be a number such as 80 or 2.5"),
    ({"limit": ""}, "parameter `limit` cannot be ``: it must be a number"),
    ({"limit": "\x1b[2J"}, "parameter `limit` cannot be `?[2J`: it must not contain control characters"),
    ({"limit": "x" * 1000}, f"parameter `limit` cannot be `{'x' * 57}…`: it must be"),
    ({"mode": "fats"}, "parameter `mode` cannot be `fats`: it must be one of fast, slow\n    did you mean `fast`?"),
    ({"mode": "FAST"}, "parameter `mode` cannot be `FAST`: it must be one of fast, slow"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_what_cannot_be_meant_is_told_with_a_cure(given: dict[str, str], said: str) -> None:
    assert refused(given, LIMIT, MODE).startswith(said)


def test_a_runbook_without_parameters_says_so() -> None:
    assert refused({"x": "1"}) == "disk-usage has no parameter `x`\n    it takes no parameters"


def test_everything_that_is_wrong_is_told_at_once() -> None:
    said = refused({"zzz": "1", "limit": "x", "mode": "y"}, LIMIT, MODE, HOST)
    assert [line.split("`")[1] for line in said.split("\n") if not line.startswith(" ")] == [
        "zzz",
        "limit",
        "mode",
        "host",
    ]


@pytest.mark.parametrize("secret", ["Hunter2", "hunter", "hunter2\n", "hunt\u202eer2", "fasd"])
def test_a_secret_is_never_repeated(secret: str) -> None:
    choice = Parameter("word", "choice", choices=("fast",), secret=True)
    said = refused({"password": secret, "word": secret}, PASSWORD, choice)
    assert said.count("cannot be this value (it is secret)") == 2
    assert secret.strip() not in said
    assert "did you mean" not in said
