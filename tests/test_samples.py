"""Every sample of every runbook is a test: its captures give exactly its findings, and the facts that it names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from runbook.archive import load_samples, of_sample
from runbook.loader.sample import load_sample
from runbook.model import Run, Sample, Verdict
from runbook.pipeline import replay
from runbook.renderers.json import plain
from tests.base import load

FOLDERS = sorted(path.parent for path in (Path(__file__).resolve().parent.parent / "runbooks").glob("*/runbook.yaml"))
PATHS = [path for folder in FOLDERS for path in sorted(folder.glob("samples/*.yaml"))]

each_runbook = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
each_sample = pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")


def samples(folder: Path) -> list[Sample]:
    return list(load_samples(load(str(folder))))


@cache
def replayed(path: Path) -> tuple[Sample, Run]:
    runbook = load(str(path.parent.parent))
    sample = load_sample(str(path), runbook)
    said = of_sample(sample)
    return sample, replay(runbook, said.captures, said.parameters, said.host, said.source, said.started)


def holds(expected: object, found: object) -> bool:
    """Whether the facts are as expected; of a mapping a sample may name only some keys, of a list it names all."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return all(key in found and holds(value, found[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(holds, expected, found))
    return expected == found


@each_sample
def test_a_sample_gives_its_findings_no_more_and_no_less(path: Path) -> None:
    sample, run = replayed(path)
    found: dict[str, Verdict] = {}
    for finding in run.findings:
        found[finding.code] = max(finding.verdict, found.get(finding.code, Verdict.OK))
    assert found == sample.findings


@each_sample
def test_a_sample_gives_the_facts_that_it_names(path: Path) -> None:
    sample, run = replayed(path)
    assert sample.facts is None or holds(sample.facts, plain(run.facts))


@each_sample
def test_the_evidence_of_a_sample_stands_where_it_says(path: Path) -> None:
    _, run = replayed(path)
    captures = {capture.step: capture for capture in run.captures}
    for evidence in (evidence for finding in run.findings for evidence in finding.evidence):
        capture = captures[evidence.step]
        lines = (capture.stderr if evidence.stream == "stderr" else capture.stdout).split(b"\n")
        assert 1 <= evidence.first_line <= evidence.last_line <= len(lines)


@each_runbook
def test_every_finding_has_a_sample_that_raises_it(folder: Path) -> None:
    raised = {code for sample in samples(folder) for code in sample.findings}
    assert {code for code, _ in load(str(folder)).findings} <= raised


@each_runbook
def test_a_runbook_has_a_healthy_sample(folder: Path) -> None:
    assert any(set(sample.findings.values()) == {Verdict.OK} for sample in samples(folder))


def test_lvm_inspect_has_ten_samples_and_five_of_them_name_facts() -> None:
    kept = samples(next(folder for folder in FOLDERS if folder.name == "lvm_inspect"))
    assert len(kept) >= 10
    assert sum(sample.facts is not None for sample in kept) >= 5


@pytest.mark.parametrize(
    ("expected", "found", "held"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 2}, False),
        ({"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 1, "d": 2}]}}, True),
        ([1], [1, 2], False),
        ([], None, False),
        (None, 0, False),
    ],
)
def test_facts_hold_when_what_is_named_is_so(expected: object, found: object, held: bool) -> None:
    assert holds(expected, found) is held
