"""Lint definitions, helpers, samples and notes: everything that is wrong, with its place and the cure; runs nothing."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

from runbook.archive import case_name, sample_paths
from runbook.catalog import Entry, entries, roots
from runbook.cli.options import chosen_entries, current_folder, name_argument
from runbook.errors import DefinitionError, Problem
from runbook.escaping import safe
from runbook.helpers.lint import lint
from runbook.loader.note import Fence, fences
from runbook.loader.sample import load_sample
from runbook.model import Runbook, Sample, Verdict

EXAMPLES = """examples:
  runbook check
  runbook check lvm-inspect

exit status: 0 nothing is wrong, 64 something is"""

#: What the first line of a definition says, so that an editor knows what may stand in it.
SCHEMA_LINE = "# yaml-language-server: $schema="


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, "*")


def run(arguments: argparse.Namespace) -> int:
    here = current_folder()
    known = entries(here)
    chosen = chosen_entries(arguments.names)
    problems = [problem for entry in chosen for problem in _runbook(entry)]
    # Notes belong to no single runbook.
    notes = [] if arguments.names else list(_note_files(here))
    problems += [problem for path in notes for problem in _note(path, known)]
    for problem in problems:
        print(safe(str(problem)))
    checked = f"{_count(len(chosen), 'runbook')} and {_count(len(notes), 'note')} checked"
    print(f"{checked}: {_count(len(problems), 'problem') if problems else 'nothing is wrong'}")
    return DefinitionError.exit_code if problems else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _runbook(entry: Entry) -> Iterator[Problem]:
    path = os.path.join(entry.folder, "runbook.yaml")
    with open(path, "rb") as file:
        if not file.readline().startswith(SCHEMA_LINE.encode()):
            cure = f"write as the first line: {SCHEMA_LINE}../schema.json (made by `runbook schema`)"
            yield Problem(path, 1, 1, "does not name its JSON Schema", cure)
    try:
        runbook = entry.load()
    except DefinitionError as error:
        yield from error.problems
        return
    yield from lint(entry.folder, dict(runbook.findings), [step.id for step in runbook.steps])
    samples: list[Sample] = []
    for sample_path in sample_paths(entry.folder):
        try:
            samples.append(load_sample(sample_path, runbook))
        except DefinitionError as error:
            yield from error.problems
    yield from _uncovered(path, runbook, samples)


def _uncovered(path: str, runbook: Runbook, samples: list[Sample]) -> Iterator[Problem]:
    """Every code needs a sample that raises it, and a runbook with a helper one where nothing is wrong."""
    raised = {code for sample in samples for code in sample.findings}
    cure = f"record one: runbook record {runbook.name} --as CASE"
    for code, _ in runbook.findings:
        if code not in raised:
            yield Problem(path, 1, 1, f"no sample raises `{code}`", cure)
    healthy = any(all(verdict is Verdict.OK for verdict in sample.findings.values()) for sample in samples)
    if runbook.findings and not healthy:
        yield Problem(path, 1, 1, "no sample shows a host where nothing is wrong", cure)


def _note_files(start: str) -> Iterator[str]:
    """The notes of the nearest knowledge base: Markdown files below its docs/."""
    root, _ = roots(start)[0]
    for folder, _, names in sorted(os.walk(os.path.join(os.path.dirname(root), "docs"))):
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".md"))


def _note(path: str, known: list[Entry]) -> Iterator[Problem]:
    by_name = {entry.name: entry for entry in known}
    try:
        for fence in fences(path):
            if fence.check_name(by_name):
                yield from _content(fence, by_name[fence.name.replace("_", "-")])
            yield from fence.report.problems
    except DefinitionError as error:
        yield from error.problems


def _content(fence: Fence, entry: Entry) -> Iterator[Problem]:
    try:
        fence.check_content(entry.load(), [case_name(path) for path in sample_paths(entry.folder)])
    except DefinitionError as error:
        # A runbook that is not of this knowledge base is not told otherwise.
        yield from error.problems
