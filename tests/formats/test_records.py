"""Fields that know their lines, and the numbers and sizes in them."""

from __future__ import annotations

import pytest

from runbook.errors import Unreadable
from runbook.formats.records import Record, text_of
from runbook.model import Evidence
from tests.formats.printing import printed


def record(value: object) -> Record:
    return Record({"field": value}, "list", 3, 4)


def test_a_record_points_at_its_lines() -> None:
    assert record("x").evidence == Evidence("list", "stdout", 3, 4)


@pytest.mark.parametrize(
    ("value", "text"), [("a ", "a"), (7, "7"), (None, ""), ([1], ""), ({"a": 1}, ""), (True, "True"), (2.5, "2.5")]
)
def test_a_field_as_text(value: object, text: str) -> None:
    assert record(value).text("field") == text


def test_an_absent_field_is_empty_text_and_no_number() -> None:
    assert record("x").text("other") == ""
    assert record("x").number("other") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("82.50", 82.5), ("82,50", 82.5), ("43%", 43), ("<5", 5), ("-1", -1), ("", None), ("-", None), ("unknown", None)],
)
def test_a_field_as_a_number(text: str, number: float | None) -> None:
    assert record(text).number("field") == number


@pytest.mark.parametrize("text", ["full", "1.2.3", "nan", "inf", "1e5", "1" * 41, "٣", "12 GiB"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="should be a number") as refusal:
        record(text).number("field")
    assert refusal.value.evidence == Evidence("list", "stdout", 3, 3)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4194304", 4194304),
        ("4194304B", 4194304),
        ("512M", 512 * 1024**2),
        ("1.5GiB", 3 * 512 * 1024**2),
        ("2,5k", 2560),
        ("<2.00g", 2 * 1024**3),
        ("18446744073709551615", 2**64 - 1),
        ("16e", 2**64),
        ("0", 0),
        ("", None),
        ("-", None),
    ],
)
def test_a_field_as_a_size_in_bytes(text: str, size: int | None) -> None:
    assert record(text).size("field") == size


@pytest.mark.parametrize("text", ["big", "-1", "1 2", "5x", "9" * 41, "inf", "1..5"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="should be a size"):
        record(text).size("field")


def test_records_in_a_field_that_is_no_list_are_none() -> None:
    assert list(record("x").records("field")) == []
    assert list(record(None).records("field")) == []
    assert list(record([record("y"), "z"]).records("field")) == [record("y")]


def test_truncated_output_is_refused_at_its_end() -> None:
    with pytest.raises(Unreadable, match="the rest is missing") as refusal:
        text_of(printed("a\nb\nc", dropped=1))
    assert refusal.value.evidence.first_line == 3
