"""JSON whose objects know their lines, and JSON that is none."""

from __future__ import annotations

import json
import random

import pytest

from runbook.errors import Unreadable
from runbook.formats.json import DEEPEST, JsonObject, json_document, json_records
from tests.formats.printing import printed

LVS = """{
    "report": [
        {"name": "root"},
        {
            "name": "home"
        }
    ]
}
"""


def test_every_object_knows_its_lines() -> None:
    first, second = json_records(printed(LVS), "report")
    assert (first.first_line, first.last_line) == (3, 3)
    assert (second.first_line, second.last_line) == (4, 6)


def test_noise_before_the_document_is_skipped_and_still_counted() -> None:
    noise = "[sudo] password for somebody: \n[   12.345678] usb 1-1: new device\nFile descriptor 3 leaked\n"
    (record,) = json_records(printed(noise + '{"report": [{"a": 1}]}'), "report")
    assert record.first_line == 4


@pytest.mark.parametrize("text", ["[]", '["a"]', "[\n1,\n2]", "[[]]", "[{}]", "{}", "  {}", "[5]"])
def test_the_document_may_be_any_list_or_object(text: str) -> None:
    assert json_document(printed(text)) == json.loads(text)


BAD = [
    ("", 1, "printed none"),
    ("No such command\n", 1, "printed none"),
    ("\ufeff{}", 1, "printed none"),
    ('{"a": 1', 1, "its end is missing"),
    ('{"a":\n "half a wo', 2, "its end is missing"),
    ('{"a": [1,\n', 1, "its end is missing"),
    ("{", 1, "its end is missing"),
    ("[", 1, "its end is missing"),
    ('{"a": 1}\n{"a": 2}', 2, "after the end"),
    ('{"a": 1} trailing', 1, "after the end"),
    ('{"a": tru}', 1, "not a JSON value"),
    ('{\n"a" 1}', 2, "should be a `:`"),
    ('{"a": 1\n"b": 2}', 2, "should be a `,`"),
    ('{"a": 1,}', 1, "not a JSON value"),
    ("{1: 2}", 1, "a key in quotes"),
    ("{{}: 2}", 1, "a key in quotes"),
    ('{"a": ' + "9" * 5000 + "}", 1, "not a JSON value"),
    ("[" * 200 + "]" * 200, 1, f"more than {DEEPEST} deep"),
    ('{"a":' * 100_000, 1, f"more than {DEEPEST} deep"),
]


@pytest.mark.parametrize(("text", "line", "said"), BAD, ids=[text[:12] + said for text, _, said in BAD])
def test_what_is_no_json_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(Unreadable, match=said) as refusal:
        json_document(printed(text))
    assert refusal.value.evidence.first_line == line


@pytest.mark.parametrize(
    "text", ['{"report": null}', '{"report": {}}', '{"report": "x"}', '{"report": [1]}', "{}", "[]"]
)
def test_an_answer_without_its_list_is_not_an_empty_answer(text: str) -> None:
    with pytest.raises(Unreadable):
        json_records(printed(text), "report")


def test_an_empty_list_is_an_empty_answer() -> None:
    assert json_records(printed('{"report": []}'), "report") == ()


def test_of_a_repeated_key_the_last_value_counts() -> None:
    assert json_document(printed('{"a": 1, "a": 2}')) == {"a": 2}


@pytest.mark.parametrize(
    ("printed_name", "name"),
    [(b"\xff", "\\xff"), (b"\\u001b[2J", "\\x1b[2J"), (b"\x07", "\\x07"), (b"\\ud800", "\\xed\\xa0\\x80")],
)
def test_strings_lose_no_byte_and_hold_no_control_character(printed_name: bytes, name: str) -> None:
    assert json_document(printed(b'{"name": "%s"}' % printed_name)) == {"name": name}


def test_a_truncated_document_is_never_taken_for_a_smaller_one() -> None:
    for end in range(1, len(LVS.rstrip())):
        with pytest.raises(Unreadable):
            json_document(printed(LVS[:end]))


def test_what_is_read_is_what_the_standard_library_reads() -> None:
    chance = random.Random(2026)

    def value(depth: int) -> object:
        scalars = [None, True, chance.randint(-(10**18), 10**18), chance.random(), "text é", ""]
        if depth == 0 or chance.random() < 0.3:
            return chance.choice(scalars)
        parts = [value(depth - 1) for _ in range(chance.randint(0, 4))]
        return parts if chance.random() < 0.5 else {str(number): part for number, part in enumerate(parts)}

    for indent in (None, 2) * 100:
        document = {"top": value(5)}
        assert json_document(printed(json.dumps(document, indent=indent))) == document


def test_an_object_is_a_record() -> None:
    document = json_document(printed('{"size": "4g"}'))
    assert isinstance(document, JsonObject)
    assert document.size("size") == 4 * 1024**3
