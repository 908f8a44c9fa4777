"""Fences in notes: found where they are, read strictly, held to what a runbook has; and symptoms of definitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import DefinitionError
from runbook.loader.definition import load
from runbook.loader.note import fences, read_fence
from runbook.model import Effect, Parameter, Runbook, Step, Symptom
from tests.base import Base


def in_note(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    path = tmp_path / "note.md"
    path.write_text(text)
    return [(fence.line, fence.name) for fence in fences(str(path))]


def test_fences_are_found_with_the_line_where_their_yaml_begins(tmp_path: Path) -> None:
    assert in_note(tmp_path, "# A\n\n```runbook\nname: a\n```\n\n- x\n\n    ```runbook\n    name: b\n    ```\n") == [
        (4, "a"),
        (10, "b"),
    ]


@pytest.mark.parametrize(
    "text", ["````\n```runbook\nname: a\n```\n````\n", "```yaml\nname: a\n```\n", "    text ```runbook\n"]
)
def test_what_only_shows_a_fence_is_none(tmp_path: Path, text: str) -> None:
    assert in_note(tmp_path, text) == []


def test_a_fence_says_what_it_wants() -> None:
    fence = read_fence("name: a\nsamples: [b, c]\nexecute: live\nparameters: {d: 3, e: x}", "note.md", 4)
    assert (fence.name, fence.samples, fence.execute) == ("a", ("b", "c"), "live")
    assert fence.parameters == (("d", "3"), ("e", "x"))
    assert not fence.report.problems


def test_a_problem_is_told_with_the_line_of_the_note() -> None:
    (problem,) = read_fence("name: a\nsample: [b]", "note.md", 4).report.problems
    assert (problem.path, problem.line) == ("note.md", 5)


def runbook(**fields: object) -> Runbook:
    return Runbook("talk", "Talk", "Talks.", "testing", "/x", "0", **fields)  # type: ignore[arg-type]


def problems(body: str, made: Runbook) -> list[str]:
    fence = read_fence(f"name: talk\n{body}", "note.md", 1)
    fence.check_content(made, ["good", "bad"])
    return [f"{problem.message} / {problem.cure}" for problem in fence.report.problems]


LIMIT = Parameter("limit", "integer")
CHOICE = Parameter("kind", "choice", choices=("plain", "fancy"))


@pytest.mark.parametrize(
    ("body", "made", "said"),
    [
        ("samples: [good]", runbook(), []),
        ("samples: [goood]", runbook(), ["talk has no sample `goood` / did you mean `good`?"]),
        (
            "parameters: {limt: 3}",
            runbook(parameters=(LIMIT,)),
            ["talk has no parameter `limt` / did you mean `limit`?"],
        ),
        ("parameters: {x: 3}", runbook(), ["talk has no parameter `x` / it takes none"]),
        ("parameters: {limit: 3}", runbook(parameters=(LIMIT,)), []),
        ("parameters: {kind: fancy}", runbook(parameters=(CHOICE,)), []),
        ("execute: live", runbook(steps=(Step("a", "A", ("a",)),)), []),
    ],
)
def test_a_fence_is_held_to_what_the_runbook_has(body: str, made: Runbook, said: list[str]) -> None:
    assert problems(body, made) == said


def test_a_value_that_cannot_be_is_told() -> None:
    (said,) = problems("parameters: {limit: many}", runbook(parameters=(LIMIT,)))
    assert "`limit`" in said
    assert "`many`" in said


def test_a_secret_cannot_stand_in_a_note() -> None:
    (said,) = problems("parameters: {key: x}", runbook(parameters=(Parameter("key", "string", secret=True),)))
    assert "secret" in said
    assert "x`" not in said


def test_what_changes_the_host_cannot_be_live() -> None:
    step = Step("a", "A", ("a",), effect=Effect.CHANGE)
    assert problems("execute: live", runbook(steps=(step,)))[0].startswith("talk changes the host, so no build runs it")


def test_a_note_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="there is no such file"):
        list(fences(str(tmp_path / "none.md")))


def test_symptoms_lead_to_findings(base: Base) -> None:
    symptoms = [{"says": "Nobody   answers", "means": ["gone", "timed-out"]}]
    folder = base.runbook("peer", [{"argv": ["true"]}], findings={"gone": "It is gone."}, symptoms=symptoms)
    assert load(str(folder)).symptoms == (Symptom("Nobody answers", ("gone", "timed-out")),)


def test_a_symptom_of_no_finding_is_told(base: Base) -> None:
    symptoms = [{"says": "Nobody answers", "means": ["gon"]}]
    folder = base.runbook("peer", [{"argv": ["true"]}], findings={"gone": "It is gone."}, symptoms=symptoms)
    with pytest.raises(DefinitionError, match="there is no finding `gon`\n    did you mean `gone`"):
        load(str(folder))
