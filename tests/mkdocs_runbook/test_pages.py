"""Pieces of the made pages: which samples stand for which findings, and that no definition breaks a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import markdown
import pytest

from mkdocs_runbook.freshness import freshness
from mkdocs_runbook.pages import cover, index_page, labs_page, runbook_page, section_title, symptoms_page
from mkdocs_runbook.shelf import Shelf, label, usual_cases
from mkdocs_runbook.tables import finding_table, parameter_table
from runbook.archive import Passed, save_passed
from runbook.errors import UsageError
from runbook.model import Runbook, Sample, Scenario, Verdict
from tests.base import Base, load


def sample(name: str, *codes: str) -> Sample:
    return Sample(name, name, {}, {}, (), dict.fromkeys(codes, Verdict.WARNING))


def with_labs(*labs: str) -> Runbook:
    scenarios = tuple(Scenario(name, name, "namespace", "x.sh") for name in labs)
    return Runbook("x", "X", "X.", "cpu", "/x", "0", labs=scenarios, findings=(("a", "A."), ("b", "B."), ("c", "C.")))


def test_a_finding_is_shown_by_a_lab_and_by_a_sample_with_few_others() -> None:
    samples = {one.name: one for one in (sample("many", "a", "b"), sample("one", "a"), sample("lab", "b", "a"))}
    assert cover(with_labs("lab"), samples) == {"a": "lab", "b": "lab"}
    assert cover(with_labs(), samples) == {"a": "one", "b": "many"} or cover(with_labs(), samples)["b"] == "lab"


def test_what_is_shown_where_nothing_is_named_are_the_labs() -> None:
    assert usual_cases(with_labs("b", "a", "gone"), ["a", "b", "c"]) == ["b", "a"]
    assert usual_cases(with_labs(), ["a", "b", "c", "d", "e"]) == ["a", "b", "c", "d"]


def test_names_for_people() -> None:
    assert (label("thin-pool-full"), section_title("cpu"), section_title("network")) == (
        "Thin pool full",
        "CPU",
        "Network",
    )


HOSTILE = "a | b <script>x</script> `c` [d](javascript:e) **f**"


def test_no_word_of_a_definition_breaks_a_page(base: Base) -> None:
    parameters = [{"name": "limit", "type": "string", "default": HOSTILE, "help": HOSTILE}]
    keys: dict[str, Any] = {"findings": {"gone": HOSTILE}, "symptoms": [{"says": HOSTILE, "means": ["gone"]}]}
    steps = [{"argv": ["echo", HOSTILE], "title": HOSTILE}]
    folder = base.runbook("odd", steps, parameters=parameters, references=[{"title": HOSTILE}], **keys)
    runbook, shelf = load(str(folder)), Shelf(str(base.path), "recorded")
    for text in (
        runbook_page(shelf, runbook, []),
        index_page([runbook]),
        symptoms_page([runbook]),
        labs_page([runbook]),
    ):
        html = markdown.markdown(text, extensions=["tables", "pymdownx.superfences"])
        assert "<script>x" not in html
        assert 'javascript:e"' not in html
        assert "<strong>f" not in html


def test_the_tables_of_notes_are_made_from_the_runbook(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = [{"name": "limit", "type": "integer", "default": 5, "help": "How many."}]
    base.runbook("odd", [{"argv": ["true"]}], parameters=parameters, findings={"gone": "It is gone."})
    monkeypatch.setenv("MKDOCS_CONFIG_DIR", str(base.path))
    assert "| `limit` | How many. | 5 |" in parameter_table("odd")
    assert "| `gone` | It is gone\\. |" in finding_table("odd").replace("gone.", "gone\\.")
    with pytest.raises(UsageError, match="no runbook called"):
        parameter_table("none")


def passed(folder: Path, digest: str) -> Runbook:
    runbook = Runbook("x", "X", "X.", "cpu", str(folder), "new", labs=(Scenario("a", "A", "kernel", "a.sh"),))
    (folder / "labs").mkdir()
    save_passed(runbook, Passed("2026-11-26", digest, "Debian 12", "6.1.0", {"lvm2": "2.03"}))
    return runbook


def test_how_fresh_a_runbook_is(tmp_path: Path) -> None:
    words = freshness(passed(tmp_path, "new"))
    assert words == "All 1 labs last passed on 2026-11-26: Debian 12, Linux 6.1.0, lvm2 2.03."


def test_a_runbook_that_was_changed_since_says_so(tmp_path: Path) -> None:
    assert freshness(passed(tmp_path, "old")).endswith("It has been changed since.")


def test_what_cannot_be_read_of_it_is_told_with_the_cure(tmp_path: Path) -> None:
    runbook = passed(tmp_path, "new")
    (tmp_path / "labs/passed.json").write_text("{")
    with pytest.raises(UsageError, match="write it again: runbook test x --labs --keep"):
        freshness(runbook)
