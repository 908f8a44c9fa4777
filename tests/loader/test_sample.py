"""A sample file says what was recorded: the same bytes in and out, whatever they are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.errors import DefinitionError
from runbook.helpers.conclusions import conclude
from runbook.loader.sample import dump_sample, load_sample
from runbook.model import Capture, Ending, Parameter, Plan, Runbook, Sample, Step, Value, Verdict
from runbook.values import ENGINE_CODES

STEPS = (Step("lvs", "", ("lvs", "-a")), Step("findmnt", "", ("findmnt",)))
PARAMETERS = (
    Parameter("limit", "number"),
    Parameter("mode", "choice", choices=("fast", "slow")),
    Parameter("since", "duration"),
    Parameter("where", "path"),
    Parameter("all", "boolean"),
    Parameter("room", "size"),
)
RUNBOOK = Runbook("x", "", "", "", "", "", PARAMETERS, STEPS, findings=(("pool-full", "A pool is full."),))


def sample(*captures: Capture, parameters: dict[str, Value] | None = None, facts: object = None) -> Sample:
    source = {"kind": "host", "kernel": "6.1.176", "tools": {"lvm2": "2.03.16"}}
    return Sample("case", "A case", source, parameters or {}, captures, {"pool-full": Verdict.CRITICAL}, facts)


def again(folder: Path, written: Sample) -> Sample:
    path = folder / "case.yaml"
    path.write_bytes(dump_sample(written).encode())
    return load_sample(str(path), RUNBOOK)


def loaded(folder: Path, text: str) -> Sample:
    path = folder / "case.yaml"
    path.write_text(text)
    return load_sample(str(path), RUNBOOK)


HEAD = "title: A\nsource: {kind: host}\nfindings: {}\n"


def test_a_sample_written_by_hand_has_its_defaults(tmp_path: Path) -> None:
    found = loaded(tmp_path, HEAD + "captures:\n- {step: lvs, stdout: abc}\n- {step: findmnt, ending: not-found}")
    assert found.captures == (
        Capture("lvs", ("lvs", "-a"), Ending.EXITED, 0, b"abc"),
        Capture("findmnt", ("findmnt",), Ending.NOT_FOUND),
    )
    assert (found.name, found.parameters, found.facts) == ("case", {}, None)


STDOUT = [
    ("|\n      a\n\n      b\n", b"a\n\nb\n"),
    ("|-\n      a\n", b"a"),
    ("|2+\n        a\n\n", b"  a\n\n"),
    ("|\n      a\\x00\\xff\\x1b[0m\n", b"a\0\xff\x1b[0m\n"),
    ("|\n      \\x5cx41 \\n\n", b"\\x41 \\n\n"),
    ('"a\\tb\\r\\n\\0"', b"a\tb\r\n\0"),
    ("'größe\u00a0'", "größe\u00a0".encode()),
    ("''", b""),
    ("no", b"no"),
    ("010", b"010"),
]


@pytest.mark.parametrize(("text", "data"), STDOUT)
def test_what_a_person_writes_stands_for_its_bytes(tmp_path: Path, text: str, data: bytes) -> None:
    assert loaded(tmp_path, f"{HEAD}captures:\n  - step: lvs\n    stdout: {text}").captures[0].stdout == data


TOLD = [
    ("captures: []", "`title` is missing in a sample\n    What the case is."),
    ("title: A\nsource: {name: x}\nfindings: {}\ncaptures: []", "2:9: `kind` is missing in `source`\n    write kind:"),
    ("title: A\nsource: {kind: hots}\nfindings: {}\ncaptures: []", "2:16: `kind` cannot be `hots`\n    did you"),
    ("title: A\nsource: host\nfindings: {}\ncaptures: []", "`source` must be a mapping, not `host`"),
    (HEAD + "captures: [{stdout: x}]", "4:12: `step` is missing in a capture"),
    (HEAD + "captures: [{step: lsv}]", "4:19: the runbook has no step `lsv`\n    did you mean `lvs`?"),
    (HEAD + "captures: [{step: zzz}]", "the runbook has no step `zzz`\n    it has lvs, findmnt"),
    (HEAD + "captures: [{step: lvs}, {step: lvs}]", "4:32: step `lvs` is here a second time\n    keep one"),
    (HEAD + "captures: [{step: lvs, stdot: x}]", "unknown key `stdot` in a capture\n    did you mean `stdout`?"),
    (HEAD + "captures: [{step: lvs, stdout: }]", "`stdout` must be text, not empty\n    for no bytes at all"),
    (HEAD + "captures: [{step: lvs, exit_code: -1}]", "`exit_code` must be a whole number from 0 on"),
    (HEAD + "captures: [{step: lvs, ending: exitd}]", "`ending` cannot be `exitd`\n    did you mean `exited`?"),
    (HEAD + "captures: [{step: lvs, ending: not-found, exit_code: 1}]", "only a command that exited has an exit code"),
    (HEAD + "captures: [{step: lvs, seconds: .inf}]", "`seconds` must be a number from 0 on"),
    (HEAD + "parameters: {limti: 1}\ncaptures: []", "4:14: the runbook has no parameter `limti`\n    did you"),
    (HEAD + "parameters: {limit: many}\ncaptures: []", "4:21: `limit` must be a number such as 80 or 2.5\n    "),
    (HEAD + "parameters: {mode: quick}\ncaptures: []", "`mode` must be one of fast, slow"),
    ("title: A\nsource: {kind: host}\nfindings: {pool-ful: ok}\ncaptures: []", "no finding `pool-ful`\n    did you"),
    ("title: A\nsource: {kind: host}\nfindings: {pool-full: bad}\ncaptures: []", "`pool-full` cannot be `bad`"),
    (HEAD + 'captures: [{step: "a\\e[2J"}]', "the runbook has no step `a?[2J`"),
    (HEAD + "captures: [{step: lvs, stdout: a\x1b[0m}]", "(U+001B)\n    delete it; in output, write it as \\x"),
    (HEAD + "captures: *x", "aliases are not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), TOLD)
def test_what_is_wrong_is_told_with_its_place_and_cure(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        loaded(tmp_path, text)
    problems = [str(problem).removeprefix(f"{problem.path}:") for problem in raised.value.problems]
    assert any(said in problem for problem in problems), problems
    assert all(problem.count("\n    ") == 1 for problem in problems), problems


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = "titel: A\nsource: {kind: x}\nparameters: {y: 1}\ncaptures: [{step: z, exit_code: a}]\nfindings: {w: v}"
    with pytest.raises(DefinitionError) as raised:
        loaded(tmp_path, text)
    places = [(problem.line, problem.column) for problem in raised.value.problems]
    assert places == [(1, 1), (1, 1), (2, 16), (3, 14), (4, 19), (4, 33), (5, 12), (5, 15)]


@pytest.mark.parametrize("ending", Ending)
def test_a_sample_may_expect_what_the_engine_finds(tmp_path: Path, ending: Ending) -> None:
    capture = Capture("lvs", ("lvs",), ending, 1 if ending is Ending.EXITED else None, dropped=1)
    codes = {finding.code for finding in conclude(Plan(RUNBOOK, {}, ()), (capture,), None).findings}
    assert codes
    assert codes <= set(ENGINE_CODES)
    expected = ", ".join(f"{code}: unknown" for code in codes)
    found = loaded(tmp_path, f"title: A\nsource: {{kind: host}}\nfindings: {{{expected}}}\ncaptures: []")
    assert set(found.findings) == codes


#: What breaks files, quotes, blocks of YAML and escapes, alone and next to each other.
PIECES = [
    *(b"\0", b"\r", b"\r\n", b"\n", b"\n\n\n", b" ", b"   ", b"\t", b"\x1b[0m", b"\x7f", b"\xff", b"\x85", b"\x9b"),
    *(b"\xc2\x85", b"\xc2\x9b", b"\xc2\xa0", b"\xed\xa0\x80", b"\xed\xb2\x80", b"\xe2\x80\xa8", b"\xe2\x80\xae"),
    *(b"\xef\xbb\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf", b"\xf0\x9f\x98\x80", b"\xe3\x85\xa4", b"\xef\xb8\x8f"),
    *(b"\xc3", b"\xa9", b"\xc3\xa9", b"\\", b"\\x", b"\\x41", b"\\x5c", b"\\x5cx41", b"5c", b"\\n", b'"', b"'"),
    *(b"#", b" #", b": ", b"- ", b"? ", b"---\n", b"...\n", b"|", b">", b"%", b"@", b"&a", b"*a", b"!t", b"{", b"["),
    *(b"null", b"~", b"010", b"abc def"),
]


def noise(chance: random.Random) -> bytes:
    return b"".join(chance.choice(PIECES) for _ in range(chance.randrange(9))) + chance.randbytes(chance.randrange(3))


def word(chance: random.Random) -> str:
    return noise(chance).replace(b"\0", b"").decode("utf-8", "surrogateescape")


def recorded(chance: random.Random) -> Iterator[Capture]:
    for step in STEPS[: chance.randrange(3)]:
        ending = chance.choice(list(Ending))
        yield Capture(
            step=step.id,
            argv=tuple(word(chance) for _ in range(chance.randrange(4))),
            ending=ending,
            exit_code=chance.randrange(256) if ending is Ending.EXITED else None,
            stdout=noise(chance),
            stderr=noise(chance),
            seconds=chance.choice([0.0, 1e-7, 0.1, 86400.5]),
            dropped=chance.choice([0, 7]),
            detail=word(chance),
        )


def test_captures_come_back_to_the_byte(tmp_path: Path) -> None:
    for seed in range(400):
        written = sample(*recorded(random.Random(seed)))
        assert again(tmp_path, written) == written, f"seed {seed}"


SCALARS = [
    None,
    True,
    False,
    0,
    -1,
    10**30,
    0.5,
    -1.5e17,
    1e-5,
    float("inf"),
    "",
    "null",
    "1",
    "~",
    "yes",
    "0x1",
    ".inf",
]


def facts(chance: random.Random, depth: int = 0) -> object:
    def text() -> str:
        return noise(chance).decode("utf-8", "replace")

    kind = chance.randrange(8 if depth < 5 else 6)
    if kind == 6:
        return [facts(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 7:
        return {text(): facts(chance, depth + 1) for _ in range(chance.randrange(4))}
    return chance.choice([*SCALARS, text()])


def test_facts_come_back_with_their_types(tmp_path: Path) -> None:
    for seed in range(300):
        written = sample(facts=facts(random.Random(seed)))
        assert repr(again(tmp_path, written).facts) == repr(written.facts), f"seed {seed}"


VALUES: list[tuple[str, Value]] = [
    *(("limit", 80), ("limit", 2.5), ("limit", 1e-05), ("limit", 1e22), ("limit", -3), ("limit", 10**60)),
    *(("since", 90.0), ("since", 0.3), ("since", 1e-06), ("since", 3153600000.0), ("room", 2**63 - 1), ("room", 0)),
    *(("all", True), ("all", False), ("mode", "slow"), ("where", "/tmp/a b"), ("where", "- x: {y}"), ("where", "null")),
    *(("where", "010"), ("where", "größe"), ("where", "'\""), ("where", " ")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_parameters_come_back(tmp_path: Path, name: str, value: Value) -> None:
    assert again(tmp_path, sample(parameters={name: value})).parameters == {name: value}


def test_source_and_findings_come_back(tmp_path: Path) -> None:
    found = again(tmp_path, sample())
    assert found.source == {"kind": "host", "kernel": "6.1.176", "tools": {"lvm2": "2.03.16"}}
    assert found.findings == {"pool-full": Verdict.CRITICAL}


def test_output_can_be_read_in_the_file(tmp_path: Path) -> None:
    text = dump_sample(sample(Capture("lvs", ("lvs", "-a"), Ending.EXITED, 5, b"LV  VG\nroot vg\n\n", b"gone\r\n")))
    output = "    stdout: |+\n      LV  VG\n      root vg\n\n    stderr: |\n      gone\\x0d\n"
    assert "    argv: [lvs, -a]\n    exit_code: 5\n" + output in text


def test_a_large_output_comes_back(tmp_path: Path) -> None:
    capture = Capture("lvs", (), Ending.EXITED, 0, bytes(range(256)) * 4096)
    assert again(tmp_path, sample(capture)).captures == (capture,)
