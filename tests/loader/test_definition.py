"""A definition becomes a Runbook, or everything that is wrong with it is said; its JSON Schema agrees."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import DefinitionError
from runbook.loader.definition import load, schema
from runbook.loader.shapes import plain
from runbook.model import Effect, Needs, Parameter, Reference, Scenario, Step, Verdict, When
from tests.loader.writing import definition, fits, loaded, node, told

RUNBOOKS = Path(__file__).resolve().parent.parent.parent / "runbooks"
DEFINITIONS = sorted(RUNBOOKS.glob("*/runbook.yaml"))

WHOLE = """\
title: Disk
  usage
summary: Says how full the disks are.
section: storage
parameters:
  - {name: mount, type: path, help: Where to look., required: true}
  - {name: limit, type: number, default: 80}
  - {name: unit, type: choice, choices: [k, m], default: k, pattern: "[km]"}
  - {name: password, type: string, secret: true}
steps:
  - id: look
    title: Disks
    argv: [df, "--block-size={unit}", --, "{mount}"]
    needs: {commands: [awk], root: true, capabilities: [sys_admin], network: true}
    timeout: 1m30s
  - {id: sum, argv: "df | awk '{print $1}'", shell: true, after: [look]}
  - id: clean
    argv: [fstrim, "{mount}"]
    effect: change
    undo: [echo, no]
    when: {step: look, failed: false}
  - {id: ask, argv: [pinentry], terminal: true, answers: {"(?i)password": "{password}"}, when: {parameter: password}}
labs:
  - {id: full, title: A full disk, kind: kernel, script: labs/full.sh, commands: [sfdisk], disks: [1M, 2M], memory: 1G,
     expect: {disk-full: critical, not-found: unknown}}
  - {id: idle, title: Nothing, kind: namespace, script: labs/full.sh}
findings:
  disk-full: A disk is full.
packages:
  df: coreutils
  fstrim: {debian: util-linux, arch: util-linux}
references:
  - {title: df(1), url: "https://man7.org/linux/man-pages/man1/df.1.html"}
  - title: A book
"""


def test_parameters_are_typed(tmp_path: Path) -> None:
    assert loaded(tmp_path, WHOLE).parameters == (
        Parameter("mount", "path", "Where to look.", required=True),
        Parameter("limit", "number", default=80),
        Parameter("unit", "choice", default="k", choices=("k", "m"), pattern="[km]"),
        Parameter("password", "string", secret=True),
    )


def test_steps_have_their_defaults(tmp_path: Path) -> None:
    look, total, clean, ask = loaded(tmp_path, WHOLE).steps
    needs = Needs(("awk",), True, ("sys_admin",), True)
    assert look == Step("look", "Disks", ("df", "--block-size={unit}", "--", "{mount}"), needs=needs, timeout=90.0)
    assert total == Step("sum", "sum", ("/bin/sh", "-c", "df | awk '{print $1}'"), shell=True, after=("look",))
    assert (clean.effect, clean.undo, clean.when) == (Effect.CHANGE, ("echo", "no"), When(step="look", failed=False))
    assert (ask.terminal, ask.answers) == (True, (("(?i)password", "{password}"),))
    assert ask.when == When(parameter="password")


def test_labs_have_what_a_machine_needs(tmp_path: Path) -> None:
    expect = (("disk-full", Verdict.CRITICAL), ("not-found", Verdict.UNKNOWN))
    assert loaded(tmp_path, WHOLE).labs == (
        Scenario("full", "A full disk", "kernel", "labs/full.sh", (1 << 20, 2 << 20), 1 << 30, ("sfdisk",), expect),
        Scenario("idle", "Nothing", "namespace", "labs/full.sh"),
    )


def test_the_rest_is_kept(tmp_path: Path) -> None:
    runbook = loaded(tmp_path, WHOLE)
    assert (runbook.name, runbook.title, runbook.section) == ("disk-usage", "Disk usage", "storage")
    assert runbook.findings == (("disk-full", "A disk is full."),)
    everywhere = (("debian", "coreutils"), ("fedora", "coreutils"), ("arch", "coreutils"))
    assert runbook.packages == (("df", everywhere), ("fstrim", (("debian", "util-linux"), ("arch", "util-linux"))))
    url = "https://man7.org/linux/man-pages/man1/df.1.html"
    assert runbook.references == (Reference("df(1)", url), Reference("A book"))


def test_every_problem_is_told_at_once_and_in_order(tmp_path: Path) -> None:
    text = """\
titel: x
parameters:
  - {name: A, type: nmuber, default: x}
  - {name: size, type: size, default: big}
steps:
  - {id: a, argv: [cat, "x{size}"], timeout: soon, neds: {root: yes}}
  - {id: a, argv: [cat], after: [b], needs: {root: yes, capabilities: [net_amdin]}}
labs:
  - {id: full, kind: kernle, script: labs/ful.sh, expect: {Bad: worse}}
"""
    places = [problem.split(": ")[0] for problem in told(tmp_path, text)]
    lines = {1: [1], 3: [12, 21], 4: [39], 6: [25, 46, 52], 7: [10, 34, 52, 72], 9: [5, 22, 38, 60, 65]}
    assert places == [f"{line}:{column}" for line, columns in lines.items() for column in columns]


def test_every_problem_has_a_cure(tmp_path: Path) -> None:
    text = "title: 1\nsection: S\nparameters: {}\nsteps: []\nlabs: x\nfindings: [a]\npackages: {a: 1}\nx: 1"
    problems = told(tmp_path, text)
    assert len(problems) == 8
    assert all(problem.count("\n    ") == 1 for problem in problems)


MISSING = [
    ("[]", "1:1: a runbook must be a mapping, not a list"),
    ("~", "1:1: a runbook must be a mapping, not empty"),
    ("x: 1", "1:1: `title` is missing in a runbook"),
    ("x: 1", "1:1: `steps` is missing in a runbook"),
    ("steps: [{}]", "1:9: `argv` is missing in a step"),
    ("parameters: [{name: a}]", "1:14: `type` is missing in a parameter"),
    ("labs: [{}]", "1:8: `script` is missing in a lab"),
    ("references: [{}]", "1:14: `title` is missing in a reference"),
]


@pytest.mark.parametrize(("text", "said"), MISSING)
def test_what_is_missing_is_told_with_what_it_is_for(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "runbook.yaml").write_text(text)
    with pytest.raises(DefinitionError) as raised:
        load(str(tmp_path))
    assert f"{tmp_path}/runbook.yaml:{said}\n    " in str(raised.value)


NEAR = [
    ("sumary: x", "unknown key `sumary` in a runbook\n    did you mean `summary`?"),
    ("steps: [{id: a, agrv: [b]}]", "unknown key `agrv` in a step\n    did you mean `argv`?"),
    ("parameters: [{nmae: a}]", "unknown key `nmae` in a parameter\n    did you mean `name`?"),
    ("parameters: [{name: a, type: integre}]", "`type` cannot be `integre`\n    did you mean `integer`?"),
    ("steps: [{id: a, argv: [b], effect: chnage}]", "did you mean `change`?"),
    ("steps: [{id: a, argv: [b], needs: {rot: true}}]", "unknown key `rot` in `needs`\n    did you mean `root`?"),
    ("steps: [{id: a, argv: [b], needs: {capabilities: [net_amdin]}}]", "did you mean `net_admin`?"),
    ("steps: [{id: a, argv: [b], when: {paramter: c}}]", "did you mean `parameter`?"),
    ("labs: [{id: a, scirpt: b}]", "did you mean `script`?"),
    ("labs: [{id: a, kind: namspace}]", "did you mean `namespace`?"),
    (
        "packages: {ls: {debain: coreutils}}",
        "unknown key `debain` in the names of a package\n    did you mean `debian`?",
    ),
    ("references: [{tilte: a}]", "did you mean `title`?"),
    ("zzz: 1", "unknown key `zzz` in a runbook\n    its keys are title, summary, section"),
]


@pytest.mark.parametrize(("text", "said"), NEAR)
def test_the_nearest_name_is_suggested(tmp_path: Path, text: str, said: str) -> None:
    assert said in "\n".join(told(tmp_path, text))


@pytest.mark.parametrize("name", ["Disk Usage", "disk.usage", "1disk", "disk__usage", "dïsk"])
def test_a_folder_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "runbook.yaml").write_text(definition(""))
    with pytest.raises(
        DefinitionError, match=f":1:1: the folder's name `{name.replace('_', '-')}` is not a name\n    "
    ):
        load(str(tmp_path / name))


def test_a_folder_without_a_definition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"runbook\.yaml:1:1: there is no such file\n    "):
        load(str(tmp_path))


QUADRATIC = {
    "unknown steps": "steps:\n" + "\n".join(f"- {{id: a{n}, argv: [b], after: [b{n}]}}" for n in range(4000)),
    "unknown keys": "\n".join(f"titel{n}: 1" for n in range(15_000)),
    "one circle": "steps:\n" + "\n".join(f"- {{id: a{n}, argv: [b], after: [a{(n + 1) % 4000}]}}" for n in range(4000)),
    "programs": f"parameters: [{{name: x, type: path}}]\nsteps: [{{id: a, argv: [awk, {'-F, sed, ' * 9000}'{{x}}']}}]",
}


@pytest.mark.parametrize("text", QUADRATIC.values(), ids=QUADRATIC)
def test_no_definition_takes_long(tmp_path: Path, text: str) -> None:
    import time

    started = time.monotonic()
    assert told(tmp_path, text)
    assert time.monotonic() - started < 5


def test_the_digest_changes_with_whatever_decides_a_run(tmp_path: Path) -> None:
    digests = [loaded(tmp_path, "").digest, loaded(tmp_path, "# changed").digest]
    home = tmp_path / "disk_usage"
    lab = "labs: [{id: full, title: T, kind: kernel, script: labs/full.sh}]"
    for path, text in (("helper.py", "x = 1"), ("helper.py", "x = 2"), ("facts.py", ""), ("labs/full.sh", "exit")):
        (home / path).write_text(text)
        home.joinpath("runbook.yaml").write_text(definition(lab))
        digests.append(load(str(home)).digest)
    assert len(set(digests)) == len(digests)


def test_the_digest_does_not_change_with_samples_and_places(tmp_path: Path) -> None:
    digest = loaded(tmp_path / "a", "").digest
    (tmp_path / "a/disk_usage/samples").mkdir()
    (tmp_path / "a/disk_usage/samples/full.yaml").touch()
    assert load(str(tmp_path / "a/disk_usage")).digest == digest == loaded(tmp_path / "b", "").digest


def test_a_file_name_that_is_not_utf_8_is_hashed_too(tmp_path: Path) -> None:
    digest = loaded(tmp_path, "").digest
    with open(os.path.join(os.fsencode(tmp_path), b"disk_usage", b"h\xff.py"), "w"):
        pass
    assert loaded(tmp_path, "").digest != digest


def test_the_schema_that_the_files_refer_to_is_current() -> None:
    text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    assert (RUNBOOKS / "schema.json").read_text() == text, "cure: runbook schema > runbooks/schema.json"


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.parent.name)
def test_every_runbook_refers_to_the_schema_and_fits_it(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=../schema.json\n")
    assert fits(schema(), plain(node(text)))
    assert load(str(path.parent)).steps


#: A value of every kind, to be put where it may not belong.
STRANGERS: list[object] = [
    None,
    True,
    0,
    -1,
    1.5,
    "",
    " ",
    "x",
    "A b",
    "1h",
    "5M",
    [],
    ["x"],
    [[]],
    {},
    {"x": "y"},
    {"x": None},
]


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in this document."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from spots(value[key], (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(document)
    target = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return document


def test_the_loader_takes_nothing_that_the_schema_refuses(tmp_path: Path) -> None:
    document = plain(node(WHOLE))
    paths = [path for path in spots(document) if path]
    random.seed(2)
    for path in paths:
        for stranger in random.sample(STRANGERS, 6):
            text = json.dumps(other := changed(document, path, stranger))
            assert fits(schema(), other) or told(tmp_path, text), (path, stranger)


def test_the_schema_refuses_every_wrong_kind_that_the_loader_refuses(tmp_path: Path) -> None:
    document = plain(node(WHOLE))
    for path in [path for path in spots(document) if path]:
        stranger: object = {"x": ["y"]} if path[-1] not in ("findings", "answers", "packages", "expect") else ["y"]
        other = changed(document, path, stranger)
        assert told(tmp_path, json.dumps(other)), path
        assert not fits(schema(), other), path
