"""Show what a runbook does, asks for and needs, and its exact commands; runs nothing."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator

from runbook.catalog import find
from runbook.cli.options import current_folder, name_argument
from runbook.escaping import safe
from runbook.model import Runbook, Step
from runbook.renderers.json import plain
from runbook.renderers.plain import requirements
from runbook.renderers.text import wrap

EXAMPLES = "examples:\n  runbook show lvm-inspect\n  runbook show lvm-inspect --format json"


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    entry = find(arguments.name, current_folder())
    runbook = entry.load()
    if arguments.format == "json":
        document = plain(runbook)
        assert isinstance(document, dict)
        document["findings"] = dict(runbook.findings)
        document["packages"] = {command: dict(names) for command, names in runbook.packages}
        print(json.dumps({**document, "origin": entry.origin}, indent=2, ensure_ascii=False))
    else:
        print(safe("\n".join([*_lines(runbook), "", f"from {entry.folder} ({entry.origin})"])))
    return 0


def _lines(runbook: Runbook) -> Iterator[str]:
    yield f"{runbook.name}: {runbook.title}"
    yield from wrap(runbook.summary, "  ")
    if runbook.parameters:
        yield from ("", "parameters (--set NAME=VALUE)")
        for parameter in runbook.parameters:
            default = "" if parameter.default is None else f", default {parameter.default}"
            choices = f" of {', '.join(parameter.choices)}" if parameter.choices else ""
            yield from wrap(f"{parameter.name} ({parameter.type}{choices}{default}): {parameter.help}", "      ", "  ")
    yield from ("", "steps")
    for step in runbook.steps:
        yield from _step(step)
    if runbook.packages:
        yield from ("", "packages (Debian)")
        for package in dict.fromkeys(dict(names).get("debian", "") for _, names in runbook.packages):
            brings = [command for command, names in runbook.packages if dict(names).get("debian", "") == package]
            yield from wrap(f"{package or 'unknown'}: {', '.join(brings)}", "      ", "  ")
    if runbook.findings:
        yield from ("", "findings")
        for code, text in runbook.findings:
            yield from wrap(f"{code}: {text}", "      ", "  ")
    if runbook.symptoms:
        yield from ("", "for whoever says")
        for symptom in runbook.symptoms:
            yield from wrap(f"{symptom.says} ({', '.join(symptom.means)})", "      ", "  ")
    if runbook.labs:
        yield from ("", "labs (--lab NAME)")
        yield from (f"  {lab.id} ({lab.kind}): {lab.title}" for lab in runbook.labs)
    if runbook.references:
        yield from ("", "references")
        yield from (f"  {reference.title} {reference.url}".rstrip() for reference in runbook.references)


def _step(step: Step) -> Iterator[str]:
    yield f"  {step.id}: {step.title}"
    yield f"      {shlex.join(step.argv)}"
    yield f"      {'; '.join(requirements(step))}"
    if step.undo:
        yield f"      undo: {shlex.join(step.undo)}"
