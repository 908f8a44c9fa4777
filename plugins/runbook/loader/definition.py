"""The keys of runbook.yaml, and the Runbook they make."""

from __future__ import annotations

import os
import re
from typing import Any

from runbook.errors import DefinitionError
from runbook.loader.documents import DEFINITION_BYTES, Report, parse, read
from runbook.loader.folder import digest, read_folder
from runbook.loader.heading import FILE
from runbook.loader.rules import check
from runbook.loader.shapes import Boolean, Choice, Duration, Field, ListOf, MapOf, OneOf, Record, Size, Text, Word
from runbook.model import Effect, Needs, Parameter, Reference, Runbook, Scenario, Step, Symptom, Value, Verdict, When
from runbook.values import CAPABILITIES, NAME, TYPES, parse_value

DISTRIBUTIONS = ("debian", "fedora", "arch")
VERDICTS = tuple(str(verdict) for verdict in Verdict)

KEBAB = (NAME, "a name in kebab-case, such as thin-pool", "use small letters and digits, joined by single hyphens")
_ID = Text(*KEBAB)
_PROSE = Text(prose=True)
_WORDS = ListOf(Word(), at_least=1)
_COMMANDS = ListOf(Text())

PARAMETER = Record(
    "a parameter",
    {
        "name": Field(_ID, "What it is called in --set NAME=VALUE and in `{NAME}`.", required=True),
        "type": Field(Choice(TYPES), "What kind of value it takes.", required=True),
        "help": Field(_PROSE, "One sentence for the person who sets it."),
        "default": Field(Word(), "Its value when none is given."),
        "required": Field(Boolean(), "Whether a value must be given."),
        "choices": Field(ListOf(Word(), at_least=1), "The values it may have."),
        "pattern": Field(Text(says="a regular expression"), "A regular expression that the whole value must match."),
        "secret": Field(Boolean(), "Whether its value is never shown; it is used in `answers` only, has no default."),
    },
)

NEEDS = Record(
    "`needs`",
    {
        "commands": Field(_COMMANDS, "Commands it uses besides its first word."),
        "root": Field(Boolean(), "Whether only root can run it."),
        "capabilities": Field(ListOf(Choice(CAPABILITIES)), "Capabilities it needs, as in net_admin."),
        "network": Field(Boolean(), "Whether it talks to other hosts."),
    },
)

WHEN = Record(
    "`when`",
    {
        "parameter": Field(Text(), "Only when this parameter has a value."),
        "step": Field(Text(), "Only when this earlier step failed, or, with `failed: false`, exited 0."),
        "failed": Field(Boolean(), "Whether the step must have failed (true) or exited 0 (false)."),
    },
)

STEP = Record(
    "a step",
    {
        "id": Field(_ID, "What other steps, samples and findings call it.", required=True),
        "title": Field(_PROSE, "What it looks at, in a few words."),
        "argv": Field(
            OneOf((_WORDS, Text())),
            "The command, word by word; `{NAME}` stands for a parameter. With `shell: true` one text for /bin/sh.",
            required=True,
        ),
        "shell": Field(Boolean(), "Whether argv is one text for /bin/sh; it cannot contain parameters."),
        "effect": Field(
            Choice(tuple(str(effect) for effect in Effect)), "Whether it changes the host; if so, it asks."
        ),
        "needs": Field(NEEDS, "What it needs from the host."),
        "timeout": Field(Duration(), "How long it may take, such as 20s; 60s unless told."),
        "terminal": Field(Boolean(), "Whether it needs a terminal."),
        "answers": Field(MapOf(Word()), "Replies to prompts, each prompt a regular expression."),
        "after": Field(ListOf(Text()), "Earlier steps that must have ended first."),
        "when": Field(WHEN, "Run it only under this condition."),
        "undo": Field(_WORDS, "The command that takes back what it changed."),
    },
)

LAB = Record(
    "a lab",
    {
        "id": Field(_ID, "What it is called in --lab.", required=True),
        "title": Field(_PROSE, "What is broken in it.", required=True),
        "kind": Field(Choice(("namespace", "kernel")), "How it is set apart from this host.", required=True),
        "script": Field(Text(), "The shell script that builds it, in the runbook's folder.", required=True),
        "commands": Field(_COMMANDS, "Commands that its script uses, so that a missing one is told first."),
        "parameters": Field(MapOf(Word()), "Values that the runbook is run with in it, unless told otherwise."),
        "answers": Field(MapOf(Word()), "What a person would type in it at which prompt, for when nobody is there."),
        "disks": Field(ListOf(Size()), "The sizes of a kernel lab's empty disks."),
        "memory": Field(Size(), "How much memory a kernel lab has; 512M unless told."),
        "expect": Field(MapOf(Choice(VERDICTS), *KEBAB), "The findings it must give, with their verdicts."),
    },
)

PACKAGES = Record("the names of a package", {name: Field(Text(), f"Its name in {name}.") for name in DISTRIBUTIONS})

REFERENCE = Record(
    "a reference",
    {
        "title": Field(_PROSE, "What it is called.", required=True),
        "url": Field(Text(r"https?://\S+", "an address that begins with https://", "write all of it"), "Where it is."),
    },
)

SYMPTOM = Record(
    "a symptom",
    {
        "says": Field(_PROSE, "What a person in trouble would say.", required=True),
        "means": Field(ListOf(_ID, at_least=1), "The codes of the findings it may turn out to be.", required=True),
    },
)

RUNBOOK = Record(
    "a runbook",
    {
        "title": Field(_PROSE, "What it does, as a heading.", required=True),
        "summary": Field(_PROSE, "What it looks at and finds out, in a sentence.", required=True),
        "section": Field(_ID, "The section of the notes that it belongs to.", required=True),
        "parameters": Field(ListOf(PARAMETER), "What it can be told."),
        "steps": Field(ListOf(STEP, at_least=1), "The commands it runs.", required=True),
        "labs": Field(ListOf(LAB), "Systems, healthy or broken on purpose, that it can be tried on."),
        "findings": Field(MapOf(_PROSE, *KEBAB), "Every code its helper can give, with one sentence."),
        "symptoms": Field(ListOf(SYMPTOM), "What people say who need this runbook, for the index by symptom."),
        "packages": Field(MapOf(OneOf((Text(), PACKAGES))), "The package that brings a command."),
        "references": Field(ListOf(REFERENCE), "Where its statements can be looked up."),
        "sandbox": Field(
            Choice(("preferred", "required")),
            "Whether it runs where part of the sandbox is missing; preferred: it does.",
        ),
    },
)


def load(folder: str) -> Runbook:
    """The runbook in this folder; raises DefinitionError with every problem of its runbook.yaml."""
    path = os.path.join(folder, FILE)
    report = Report(path)
    # For what it says when there is no such file, or it is too large; what counts is what is read next.
    read(path, DEFINITION_BYTES)
    files = read_folder(folder)
    name = os.path.basename(os.path.abspath(folder)).replace("_", "-")
    if not re.fullmatch(NAME, name):
        report.at(1, 1, f"the folder's name `{name}` is not a name", "rename it to small letters, digits and `_`")
    root = parse(files[FILE], report)
    if root is None:
        raise DefinitionError(report.problems)
    found = RUNBOOK.read(root, "the file", report)
    check(root, folder, report)
    if found is None or report.problems:
        raise DefinitionError(report.problems)
    return _runbook(name, folder, files, found)


def schema() -> dict[str, Any]:
    """The JSON Schema of runbook.yaml, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FILE,
        "description": "A runbook: real commands, and what they are looked at for.",
        **RUNBOOK.schema(),
    }


def _runbook(name: str, folder: str, files: dict[str, bytes], found: dict[str, Any]) -> Runbook:
    return Runbook(
        name=name,
        title=found["title"],
        summary=found["summary"],
        section=found["section"],
        folder=folder,
        digest=digest(files),
        files=files,
        parameters=tuple(_parameter(parameter) for parameter in found.get("parameters", ())),
        steps=tuple(_step(step) for step in found["steps"]),
        labs=tuple(_lab(lab) for lab in found.get("labs", ())),
        findings=tuple(found.get("findings", {}).items()),
        symptoms=tuple(Symptom(**symptom) for symptom in found.get("symptoms", ())),
        packages=tuple((command, _packages(names)) for command, names in found.get("packages", {}).items()),
        references=tuple(Reference(**reference) for reference in found.get("references", ())),
        sandbox_required=found.get("sandbox") == "required",
    )


def _parameter(found: dict[str, Any]) -> Parameter:
    default: Value | None = None
    if "default" in found:
        default = parse_value(found["type"], found["default"])
    return Parameter(**{**found, "default": default, "choices": found.get("choices", ())})


def _step(found: dict[str, Any]) -> Step:
    argv = found["argv"]
    given = {
        "title": found["id"],
        **found,
        "argv": ("/bin/sh", "-c", argv) if isinstance(argv, str) else argv,
        "effect": Effect(found.get("effect", "read")),
        "needs": Needs(**found.get("needs", {})),
        "answers": tuple(found.get("answers", {}).items()),
        "when": When(**found["when"]) if "when" in found else None,
    }
    return Step(**given)


def _lab(found: dict[str, Any]) -> Scenario:
    expect = tuple((code, Verdict.named(verdict)) for code, verdict in found.get("expect", {}).items())
    pairs = {name: tuple(found.get(name, {}).items()) for name in ("parameters", "answers")}
    return Scenario(**{**found, **pairs, "expect": expect})


def _packages(names: str | dict[str, str]) -> tuple[tuple[str, str], ...]:
    if isinstance(names, str):
        return tuple((distribution, names) for distribution in DISTRIBUTIONS)
    return tuple(names.items())
