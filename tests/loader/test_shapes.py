"""What each shape takes and refuses; its JSON Schema takes the same."""

from __future__ import annotations

import pytest

from runbook.loader.shapes import (
    Anything,
    Boolean,
    Bytes,
    Choice,
    Duration,
    Field,
    Integer,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Record,
    Shape,
    Size,
    Text,
    Word,
    plain,
)
from runbook.values import NAME
from tests.loader.writing import fits, node, read

KEBAB = Text(NAME, "a name", "use hyphens")
COUNTED = Record(
    "a thing", {"id": Field(KEBAB, "What it is called.", required=True), "count": Field(Integer(), "How many.")}
)

TAKEN: list[tuple[Shape, str, object]] = [
    (Text(), "abc", "abc"),
    (Text(), "'10'", "10"),
    (Text(), "no", "no"),
    (Text(), "010", "010"),
    (Text(prose=True), "|\n  one\n  two\n", "one two"),
    (Text(prose=True), "☠️", "☠️"),
    (KEBAB, "thin-pool", "thin-pool"),
    (Word(), "10", "10"),
    (Word(), "1.10", "1.10"),
    (Word(), "0x1F", "0x1F"),
    (Word(), "TRUE", "TRUE"),
    (Word(), "''", ""),
    (Word(), "'null'", "null"),
    (Bytes(), '"\\0\\e"', "\0\x1b"),
    (Bytes(), "''", ""),
    (Integer(), "0", 0),
    (Integer(), "0x10", 16),
    (Number(), "3", 3.0),
    (Number(), ".5", 0.5),
    (Boolean(), "true", True),
    (Boolean(), "FALSE", False),
    (Choice(("read", "change")), "'read'", "read"),
    (Duration(), "20s", 20.0),
    (Duration(), "1m30s", 90.0),
    (Duration(), "5", 5.0),
    (Duration(), "0.5", 0.5),
    (Size(), "256M", 256 << 20),
    (Size(), "1.5GiB", 3 << 29),
    (Size(), "4096", 4096),
    (ListOf(Word()), "[]", ()),
    (ListOf(Word(), at_least=1), "[1, a]", ("1", "a")),
    (MapOf(Word()), "{a: 1, B: x}", {"a": "1", "B": "x"}),
    (MapOf(Word(), NAME), "{a-b: 1}", {"a-b": "1"}),
    (COUNTED, "{id: a, count: 2}", {"id": "a", "count": 2}),
    (OneOf((ListOf(Word()), Text())), "[a]", ("a",)),
    (OneOf((ListOf(Word()), Text())), "a b", "a b"),
    (Anything(), "{a: [1, null, .5]}", {"a": [1, None, 0.5]}),
]


@pytest.mark.parametrize(("shape", "text", "value"), TAKEN)
def test_what_is_taken(shape: Shape, text: str, value: object) -> None:
    assert read(shape, text) == (value, [])


@pytest.mark.parametrize(("shape", "text", "value"), TAKEN)
def test_the_schema_takes_all_that_the_loader_takes(shape: Shape, text: str, value: object) -> None:
    assert fits(shape.schema(), plain(node(text)))


REFUSED: list[tuple[Shape, str, str]] = [
    (Text(), "10", '1:1: `it` must be text, not `10`\n    put it in quotes: "10"'),
    (Text(), "true", "`it` must be text, not `true`"),
    (Text(), "~", "`it` must be text, not empty"),
    (Text(), "''", "`it` is empty\n    write something"),
    (Text(), "[a]", "`it` must be text, not a list\n    put text that begins with { or [ in quotes"),
    (Text(), "{a: 1}", "`it` must be text, not a mapping"),
    (Text(prose=True), '" \\n "', "`it` is empty"),
    (KEBAB, "Thin_Pool", "`it` must be a name, not `Thin_Pool`\n    use hyphens"),
    (KEBAB, '"a\\n"', "`it` must be a name"),
    (KEBAB, "a--b", "`it` must be a name"),
    (KEBAB, "1a", "`it` must be a name"),
    (Word(), "~", "`it` must be a single value, not empty"),
    (Word(), "null", '`it` must be a single value, not empty\n    put it in quotes: "null"'),
    (Word(), "{file}", "`it` must be a single value, not a mapping\n    put text that begins with { or [ in quotes"),
    (Bytes(), "~", "`it` must be text, not empty\n    for no bytes at all, leave it out"),
    (Bytes(), "[a]", "`it` must be text, not a list"),
    (Integer(), "-1", "`it` must be a whole number from 0 on, not `-1`"),
    (Integer(), "1.0", "`it` must be a whole number"),
    (Integer(), "true", "`it` must be a whole number"),
    (Integer(), "'1'", "`it` must be a whole number"),
    (Integer(), "010", "`it` must be a whole number"),
    (Number(), "-0.5", "`it` must be a number from 0 on"),
    (Number(), "x", "`it` must be a number"),
    (Boolean(), "yes", "`it` must be true or false, not `yes`\n    write true or false, without quotes"),
    (Boolean(), "on", "`it` must be true or false, not `on`"),
    (Boolean(), "1", "`it` must be true or false, not `1`"),
    (Boolean(), "'true'", "`it` must be true or false"),
    (Boolean(), "~", "`it` must be true or false, not empty"),
    (Choice(("read", "change")), "chnage", "`it` cannot be `chnage`\n    did you mean `change`?"),
    (Choice(("read", "change")), "[read]", "`it` cannot be a list\n    use one of read, change"),
    (Choice(("read", "change")), "~", "`it` cannot be empty\n    use one of read, change"),
    (Duration(), "20 s", "`it` must be a duration such as 20s"),
    (Duration(), "-1", "`it` must be a duration"),
    (Duration(), "0s", "`it` must be more than 0"),
    (Duration(), "[1s]", "`it` must be a duration such as 20s, 1m30s or 500ms, not a list"),
    (Size(), "256m", "`it` must be a size such as 256M"),
    (Size(), "0", "`it` must be more than 0"),
    (ListOf(Word()), "a", "`it` must be a list, not `a`\n    write [a, b]"),
    (ListOf(Word()), "{a: b}", "`it` must be a list, not a mapping"),
    (ListOf(Word(), at_least=1), "[]", "`it` is empty\n    it needs 1 or more"),
    (ListOf(Word()), "[a, [b]]", "1:5: an item of `it` must be a single value, not a list"),
    (MapOf(Word()), "[a]", "`it` must be a mapping, not a list\n    write one `key: value` a line"),
    (MapOf(Word(), NAME, "a name", "use hyphens"), "{A: b}", "a key of `it` must be a name, not `A`\n    use hyphens"),
    (MapOf(Word()), "{a: [b]}", "1:5: `a` must be a single value, not a list"),
    (COUNTED, "{id: a, cuont: 2}", "1:9: unknown key `cuont` in a thing\n    did you mean `count`?"),
    (COUNTED, "{id: a, x: 2}", "unknown key `x` in a thing\n    its keys are id, count"),
    (COUNTED, "{count: 2}", "1:1: `id` is missing in a thing\n    What it is called."),
    (COUNTED, "[a]", "a thing must be a mapping, not a list\n    its keys are id, count"),
    (OneOf((ListOf(Word()), Text())), "{a: b}", "`it` must be a list, not a mapping"),
]


@pytest.mark.parametrize(("shape", "text", "said"), REFUSED)
def test_what_is_refused_names_the_place_and_the_cure(shape: Shape, text: str, said: str) -> None:
    _, problems = read(shape, text)
    assert len(problems) == 1
    assert said in problems[0]
    assert problems[0].count("\n    ") == 1


#: What the schema cannot say: amounts of nothing that are written with a unit, and that "a\n" is two lines.
LOADER_ALONE = {"0s", '"a\\n"'}


@pytest.mark.parametrize(("shape", "text", "said"), [case for case in REFUSED if case[1] not in LOADER_ALONE])
def test_the_schema_refuses_it_too(shape: Shape, text: str, said: str) -> None:
    assert not fits(shape.schema(), plain(node(text)))


def test_a_record_tells_every_problem() -> None:
    _, problems = read(COUNTED, "cuont: 2\nid: A\ncount: x")
    assert [problem.split(": ")[0] for problem in problems] == ["1:1", "2:5", "3:8"]


@pytest.mark.parametrize(
    "text", ['"a\\u202eb"', '"a\\0b"', '"a\\u200bb"', '"a\\rb"', '"\\e[2J"', "a\u3164b", "a\ufe0fb"]
)
@pytest.mark.parametrize("shape", [Text(), Word(), MapOf(Word())])
def test_a_word_of_a_command_shows_all_its_characters(shape: Shape, text: str) -> None:
    _, problems = read(shape, f"{{{text}: b}}" if isinstance(shape, MapOf) else text)
    assert len(problems) == 1
    assert "contains an invisible character (U+" in problems[0]


def test_a_word_may_have_lines_and_tabs() -> None:
    assert read(Word(), '"BEGIN {\\n\\tx = 1\\r\\n}"') == ("BEGIN {\n\tx = 1\r\n}", [])


def test_what_is_quoted_is_cut_short() -> None:
    _, problems = read(Boolean(), "x" * 10_000)
    assert len(problems[0]) < 200
