"""The JSON document: its keys, and that it is JSON whatever was printed."""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest

from runbook.escaping import escape, unescape
from runbook.model import Evidence, Finding, Reference, Verdict
from runbook.renderers import json as renderer
from runbook.renderers.json import plain, timestamp
from tests.renderers.making import CAPTURE, LINE_2, a_run, joined, nasty_bytes, nasty_run

render = joined(renderer.render)


def rendered(**fields: Any) -> Any:
    return json.loads(render([a_run(**fields)]))


def refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def test_the_document_key_by_key() -> None:
    finding = Finding("found", Verdict.WARNING, "s", "e", "a", (LINE_2,), (Reference("t", "https://example.org/"),))
    assert json.loads(render([a_run(finding, facts={"disks": 2}, drawing="sda")])) == {
        "schema": "runbook.run/1",
        "runbook": {"name": "list-disks", "title": "List the disks", "digest": "0a1b"},
        "host": {
            "name": "db1",
            "kernel": "6.1.0-13-amd64",
            "os": "Debian GNU/Linux 12 (bookworm)",
            "arch": "x86_64",
        },
        "source": {"kind": "live", "name": ""},
        "parameters": {"limit": 3, "password": "***"},
        "started": "2026-09-21T14:13:20.000Z",
        "seconds": 0.75,
        "verdict": "warning",
        "captures": [
            {
                "step": "lister",
                "argv": ["lister", "-a"],
                "ending": "exited",
                "exit_code": 0,
                "stdout": "one\ntwo\nthree\n",
                "stderr": "oops\n",
                "started": "2026-09-21T14:13:20.250Z",
                "seconds": 0.5,
                "truncated": False,
                "dropped": 0,
                "detail": "",
                "sandbox": "",
            }
        ],
        "facts": {"disks": 2},
        "findings": [
            {
                "code": "found",
                "verdict": "warning",
                "summary": "s",
                "explanation": "e",
                "advice": "a",
                "evidence": [{"step": "lister", "stream": "stdout", "first_line": 2, "last_line": 2}],
                "references": [{"title": "t", "url": "https://example.org/"}],
            }
        ],
        "drawing": "sda",
    }


def test_several_runs_are_one_list() -> None:
    assert len(json.loads(render([a_run(), a_run()]))) == 2
    assert json.loads(render([])) == []


def test_a_run_without_facts_has_empty_facts() -> None:
    assert rendered(facts=None)["facts"] == {}


def test_what_is_not_known_when_is_null() -> None:
    document = rendered(started=0.0, captures=(replace(CAPTURE, started=0.0),))
    assert (document["started"], document["captures"][0]["started"]) == (None, None)


def test_times_are_rfc_3339_in_utc() -> None:
    assert timestamp(1790000000.1239) == "2026-09-21T14:13:20.123Z"


def test_every_byte_comes_back() -> None:
    chance = random.Random(2026)
    for _ in range(1000):
        run = nasty_run(chance)
        (capture,) = run.captures
        text = render([run])
        document = json.loads(text, parse_constant=refuse)["captures"][0]
        assert unescape(document["stdout"]) == capture.stdout
        assert unescape(document["stderr"]) == capture.stderr
        assert [unescape(word) for word in document["argv"]] == [
            word.encode("utf-8", "surrogateescape") for word in capture.argv
        ]
        assert {character for character in text if not character.isprintable()} <= {"\n"}


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Word(StrEnum):
    YES = "yes"


@dataclass(frozen=True)
class Disk:
    name: str
    evidence: Evidence = LINE_2
    lines: tuple[Evidence, ...] = (LINE_2,)
    mounts: dict[str, int] = field(default_factory=dict)


FACTS: list[tuple[object, object]] = [
    (float("nan"), None),
    (float("inf"), None),
    ([1.5, -float("inf")], [1.5, None]),
    ({"b", "a"}, ["a", "b"]),
    (frozenset({10, 9, 2.5, "a", None, True}), [True, 2.5, 9, 10, "a", None]),
    ({(1, "a"), (1, "b")}, [[1, "a"], [1, "b"]]),
    (Disk("\x1b", mounts={"/": 5}), {"name": "\\x1b", "mounts": {"/": 5}}),
    ({"at": LINE_2, "x": 1}, {"x": 1}),
    (b"\xff\x00a", "\\xff\\x00a"),
    (bytearray(b"ab"), "ab"),
    (memoryview(b"ab"), "ab"),
    ("\ud800", "\\xed\\xa0\\x80"),
    (Verdict.CRITICAL, "critical"),
    ((Colour.RED, Level.HIGH, Word.YES), ["red", 3, "yes"]),
    ({1: "a", None: "b", Colour.RED: "c", b"\xff": "d"}, {"1": "a", "None": "b", "red": "c", "\\xff": "d"}),
    (OrderedDict(a=(1, 2)), {"a": [1, 2]}),
    (Path("/dev/sda"), "/dev/sda"),
    (range(3), [0, 1, 2]),
    (2**70, 2**70),
    ([], []),
    (True, True),
    (int, "<class 'int'>"),
]


@pytest.mark.parametrize(("facts", "expected"), FACTS, ids=[repr(facts)[:30] for facts, _ in FACTS])
def test_any_fact_has_a_form(facts: object, expected: object) -> None:
    assert plain(facts) == expected
    assert json.loads(render([a_run(facts=facts)]), parse_constant=refuse)["facts"] == expected


def test_a_set_is_written_in_one_order() -> None:
    words = [f"w{number:02d}" for number in range(50)]
    assert plain(set(words)) == words


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def circle() -> list[object]:
    facts: list[object] = []
    facts.append({"self": facts, "again": facts})
    return facts


@pytest.mark.parametrize(
    ("facts", "reason"), [(circle(), "nested more than 100 deep"), ([Broken()], "RuntimeError: no words")]
)
def test_facts_that_have_no_form_cost_only_themselves(facts: object, reason: str) -> None:
    document = rendered(facts=facts)
    assert reason in document["facts"]["unrepresentable"]
    assert document["captures"][0]["stdout"] == "one\ntwo\nthree\n"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_null(seconds: float) -> None:
    document = rendered(seconds=seconds, captures=(replace(CAPTURE, seconds=seconds),))
    assert (document["seconds"], document["captures"][0]["seconds"]) == (None, None)


def test_text_that_is_safe_already_is_not_escaped_again() -> None:
    document = json.loads(render([a_run(Finding("found", Verdict.OK, "LV \\x1b[2m"), facts=["LV \\x1b[2m"])]))
    assert (document["findings"][0]["summary"], document["facts"]) == ("LV \\x1b[2m", ["LV \\x1b[2m"])


REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"


def block(language: str) -> str:
    """The first block of the reference in this language."""
    return REFERENCE.read_text().partition(f"```{language}\n")[2].partition("\n```")[0]


def shape(value: object) -> object:
    """The keys of a document, with those of the first entry of each list."""
    if isinstance(value, list):
        return [shape(part) for part in value[:1]]
    return {key: shape(part) for key, part in value.items()} if isinstance(value, dict) else None


def test_the_reference_shows_a_document_as_it_is() -> None:
    finding = Finding("found", Verdict.CRITICAL, "", evidence=(LINE_2,), references=(Reference("t"),))
    shown, real = json.loads(block("json")), json.loads(render([a_run(finding)]))
    for document in (shown, real):
        del document["parameters"], document["facts"]
    assert shape(shown) == shape(real)


def test_the_reference_explains_every_key() -> None:
    document = json.loads(block("json"))
    keys = {*document, *document["captures"][0], *document["findings"][0]}
    assert [key for key in sorted(keys) if f"`{key}`" not in REFERENCE.read_text()] == []


def test_the_reference_gives_back_every_byte() -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)
    chance = random.Random(7)
    for _ in range(1000):
        data = nasty_bytes(chance)
        assert names["unescape"](json.loads(json.dumps(escape(data)))) == data
