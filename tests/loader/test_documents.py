"""The strict subset of YAML: what is refused, where and with which cure, and what plain words mean."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import pytest
import yaml

from runbook.errors import DefinitionError
from runbook.loader import documents
from runbook.loader.documents import (
    DEFINITION_BYTES,
    DEPTH,
    PROBLEMS,
    Mapping,
    Node,
    Report,
    Scalar,
    parse,
    read,
)
from runbook.loader.shapes import plain

PARSERS = {"C": getattr(yaml, "CSafeLoader", yaml.SafeLoader), "Python": yaml.SafeLoader}


@pytest.fixture(autouse=True, params=PARSERS)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers that PyYAML may have must refuse the same."""
    monkeypatch.setattr(documents, "_LOADER", PARSERS[request.param])


def parsed(data: bytes) -> tuple[Node | None, list[str]]:
    report = Report("f")
    try:
        root = parse(data, report)
    except DefinitionError as error:
        return None, [str(problem) for problem in error.problems]
    return root, [str(problem) for problem in report.problems]


LAUGHS = b"a0: &a0 [ha, ha]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 30))

REFUSED = [
    # the bytes
    (b"a: 1\nb: \xff\n", "f:2:4: is not UTF-8"),
    (b"a: \xc3\xa9\xed\xa0\x80", "f:1:5: is not UTF-8"),
    ("a: 1\n".encode("utf-16"), "f:1:1: is not UTF-8"),
    (b"a: x\0y", "f:1:5: contains an invisible character (U+0000)"),
    (b"\xef\xbb\xbfa: 1", "f:1:1: contains a byte-order mark (U+FEFF)"),
    (b"a: 1\nb: x\xef\xbb\xbf", "f:2:5: contains an invisible character (U+FEFF)"),
    ("a: rm\u202ecod.exe".encode(), "f:1:6: contains an invisible character (U+202E)"),
    ("# Übung \u2066 in a comment\na: 1".encode(), "f:1:9: contains an invisible character (U+2066)"),
    ("a: l\u200bs".encode(), "f:1:5: contains an invisible character (U+200B)"),
    (b"a: \x1b[31m", "f:1:4: contains an invisible character (U+001B)"),
    ("a: 1\u0085b: 2".encode(), "f:1:5: contains an invisible character (U+0085)"),
    ("a: 1\u2028b: 2".encode(), "f:1:5: contains an invisible character (U+2028)"),
    (b"a: evil\r# harmless", "f:1:8: contains an invisible character (U+000D)"),
    ("a: \U000e0041".encode(), "f:1:4: contains an invisible character (U+E0041)"),
    # keys
    (b"a: 1\nb: 2\na: 3", "f:3:1: key `a` stands here a second time\n    the first is in line 1"),
    (b'a: 1\n"a": 3', "f:2:1: key `a` stands here a second time"),
    (b"x: {1: a, '1': b}", "f:1:11: key `1` stands here a second time"),
    (b"a: 1\n<<: {b: 2}", "f:2:1: merge keys (`<<`) are not allowed"),
    (b"? [a, b]\n: 1", "f:1:3: a key cannot be a list or a mapping"),
    (b"{a: 1}: 1", "f:1:1: a key cannot be a list or a mapping"),
    (b"?\n: 1", "a key is missing"),
    (b"~: 1", "f:1:1: a key is missing"),
    # what makes YAML more than data
    (b"a: !!python/object/apply:os.system [id]", "f:1:4: tag `!!python/object/apply:os.system`: tags are not allowed"),
    (b"a: !!str 1", "f:1:4: tag `!!str`: tags are not allowed"),
    (b"a: ! 1", "f:1:4: tag `!`: tags are not allowed"),
    (b"a: !x {b: 1}", "f:1:4: tag `!x`: tags are not allowed"),
    (b"a: &x [1]", "f:1:4: anchor `&x`: anchors are not allowed"),
    (b"&x a: 1", "f:1:1: anchor `&x`: anchors are not allowed"),
    (b"a: &x 1\nb: *x", "f:2:4: alias `*x`: aliases are not allowed"),
    (b"a: &x [*x]", "f:1:8: alias `*x`: aliases are not allowed"),
    (LAUGHS, "f:2:10: alias `*a0`: aliases are not allowed"),
    (b"%YAML 1.1\n---\na: 1", "f:1:1: directives are not allowed"),
    (b"%TAG ! tag:example.org,2000:\n---\na: 1", "f:1:1: directives are not allowed"),
    (b"a: 1\n---\nb: 2", "f:2:1: a second document begins here"),
    (b"a: 1\n...\n---\nb: 2", "f:3:1: a second document begins here"),
    # what is no YAML
    (b"a:\n\tb: 1", "f:2:1: not YAML: "),
    (b"a: b: c", "f:1:5: not YAML: mapping values are not allowed"),
    (b"a: [b, c\nd: e", "f:2:2: not YAML: "),
    (b"a: {b: c", "not YAML: "),
    (b'a: "b', "not YAML: found unexpected end of stream"),
    (b"a: 1\nb\nc: 2", "f:3:1: not YAML: could not find expected ':'"),
    (b"a:\n   b: 1\n  c: 2", "f:3:3: not YAML: "),
    (b"a: @b", "f:1:4: not YAML: "),
    (b"a: - b", "f:1:4: not YAML: "),
    (b'a: "\\d"', "not YAML: found unknown escape character"),
    (b'a: "\\U0011ffff"', "not YAML: "),
    (b'a: "\\Uffffffff"', "not YAML: "),
    (b"a: |9\n  x", "f:2:3: not YAML: "),
    (b"- " * 30, f"f:1:41: nested more than {DEPTH} deep"),
    (b"\n".join(b" " * depth + b"a:" for depth in range(30)), f"nested more than {DEPTH} deep"),
    (b"[" * 200_000, ":1:"),
    (b"{" * 200_000, ":1:"),
    # nothing
    (b"", "f:1:1: the file is empty"),
    (b"# only a remark\n", "f:1:1: the file is empty"),
]


@pytest.mark.parametrize(("data", "said"), REFUSED, ids=[said[:60] for _, said in REFUSED])
def test_each_refusal_names_the_place_and_the_cure(data: bytes, said: str) -> None:
    _, problems = parsed(data)
    assert any(said in problem for problem in problems), problems
    assert all("\n    " in problem for problem in problems), problems


CURES = [
    (b"a: [dd, if={file}]", "put a word that contains [ ] { } or a comma in quotes"),
    (b"a: [find, -name, *.conf]", "put text that begins with *, & or % in quotes"),
    (b"a: [test, !, x]", "use quotes to make text"),
    (b"a: `date`", "put text that begins with @, ` or % in quotes"),
    (b"a: error: disk full", "put text that contains `: ` in quotes"),
    (b'a: "\\d+"', "use single quotes, or write the backslash twice"),
]


@pytest.mark.parametrize(("data", "cure"), CURES)
def test_the_usual_mistakes_have_their_own_cure(data: bytes, cure: str) -> None:
    assert cure in "\n".join(parsed(data)[1])


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_lines() -> None:
    _, problems = parsed("a: &x 1\na: !t 2\nb: \u200b\n<<: 1\n".encode())
    assert [problem.split(": ")[0] for problem in problems] == ["f:1:4", "f:2:1", "f:2:4", "f:3:4", "f:4:1"]


def test_what_is_quoted_from_the_file_cannot_command_the_terminal() -> None:
    _, problems = parsed(b'"a\\e[2J\\n": 1\n"a\\e[2J\\n": !x%1b%5b2J%0a 2\n')
    assert len(problems) == 2
    assert all("\x1b" not in problem and problem.count("\n") == 1 for problem in problems)


def test_an_alias_leaves_nothing_to_go_on_with() -> None:
    assert parsed(b"a: &x 1\nb: *x")[0] is None


def test_after_too_many_problems_there_are_no_more() -> None:
    assert len(parsed(b"a: 1\n" * 5000)[1]) == PROBLEMS


def test_the_same_problem_is_told_once() -> None:
    report = Report("f")
    for _ in range(3):
        report.at(1, 1, "a", "b")
    assert len(report.problems) == 1


SLOW = {
    "one list": b"[" + b"a," * 40_000 + b"]",
    "many keys": b"".join(b"key%d: 1\n" % number for number in range(10_000)),
    "question marks": b"? " * 120_000,
    "quotes": b"'" * 250_000,
    "colons": b": " * 120_000,
    "anchors": b"&a " * 80_000,
    "percent signs": b"%a\n" * 80_000,
    "one long number": b"a: " + b"9" * 250_000,
    "one long fraction": b"a: 1." + b"9" * 250_000,
}


@pytest.mark.parametrize("data", SLOW.values(), ids=SLOW)
def test_nothing_of_the_size_of_a_definition_takes_long(data: bytes) -> None:
    started = time.monotonic()
    parsed(data)
    assert time.monotonic() - started < 10


def test_a_file_of_too_many_values_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "NODES", 100)
    _, problems = parsed(b"[" + b"a," * 101 + b"]")
    assert "more than 100 values" in problems[0]


WORDS = [
    *[(word, word) for word in ("no", "No", "yes", "on", "off", "y", "n", "NO", "truE", "nULL")],
    *[
        (word, word)
        for word in ("010", "-010", "0777", "08", "1_000", "1:30", "190:20:30", "0b11", "0x", "0o8", "1e", "+")
    ],
    *[(word, word) for word in ("2026-11-23", "2026-11-23T10:00:00Z", "1.2.3", "=", "0x1g", ".", "-.", "1.e1x", "٣")],
    *[(word, True) for word in ("true", "True", "TRUE")],
    *[(word, False) for word in ("false", "False", "FALSE")],
    *[(word, None) for word in ("~", "null", "Null", "NULL")],
    *[
        ("0", 0),
        ("-1", -1),
        ("+7", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
    ],
    *[(".inf", math.inf), ("-.inf", -math.inf), ("1e999", math.inf)],
    *[("'1'", "1"), ('"true"', "true"), ('""', ""), ("'~'", "~")],
    ("9" * 100, int("9" * 100)),
    ("9" * 101, "9" * 101),
    ("9" * 100_000, "9" * 100_000),
    ("0x" + "f" * 100, "0x" + "f" * 100),
]


@pytest.mark.parametrize(("text", "value"), WORDS, ids=[text[:20] for text, _ in WORDS])
def test_a_word_means_what_it_does_in_yaml_1_2(text: str, value: object) -> None:
    root, problems = parsed(f"[{text}]".encode())
    assert root is not None
    assert problems == []
    assert plain(root) == [value]
    assert [type(item) for item in plain(root)] == [type(value)]  # type: ignore[attr-defined]


def test_a_scalar_keeps_how_it_is_written_and_where() -> None:
    root, _ = parsed("a: é\nbc: [ 0x10 ]".encode())
    assert isinstance(root, Mapping)
    (_, _), (key, value) = root.entries
    assert (key.text, key.line, key.column) == ("bc", 2, 1)
    assert value.items == (Scalar(16, "0x10", 2, 7),)  # type: ignore[union-attr]


def test_line_ends_of_windows_change_nothing() -> None:
    text = "a: |\n  x\n\n  y\nb: 'c\n\n  d'\n"
    assert parsed(text.replace("\n", "\r\n").encode()) == parsed(text.encode())


def test_a_file_over_the_limit_is_refused_whatever_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"a: 1\n" * 2_000_000)
    with pytest.raises(DefinitionError, match=r"f:1:1: is larger than 256 KiB\n    split it"):
        read(str(path), DEFINITION_BYTES)


def test_a_file_of_just_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"#" * DEFINITION_BYTES)
    assert len(read(str(path), DEFINITION_BYTES)) == DEFINITION_BYTES


@pytest.mark.parametrize(
    ("kind", "said"), [("pipe", "is not a file"), ("folder", "is not a file"), ("none", "no such")]
)
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str, said: str) -> None:
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(DefinitionError, match=rf":1:1: .*{said}.*\n    "):
        read(str(path), DEFINITION_BYTES)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "loop"
    path.symlink_to(path)
    with pytest.raises(DefinitionError, match=":1:1: cannot be read: Too many levels of symbolic links\n    "):
        read(str(path), DEFINITION_BYTES)
