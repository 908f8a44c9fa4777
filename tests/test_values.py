"""Each type of value: what it takes, what it refuses, and what a command then gets."""

from __future__ import annotations

import re
import sys

import pytest

from runbook.model import Value
from runbook.values import (
    BLANK,
    ENGINE_CODES,
    HIDDEN,
    NAME,
    PLACEHOLDER,
    TYPES,
    duration,
    nearest,
    parse_value,
    shorten,
    size,
    written,
)

TAKEN: list[tuple[str, str, Value, str]] = [
    # type, text, value, word
    ("string", "", "", ""),
    ("string", " a b ", " a b ", " a b "),
    ("string", "-rf", "-rf", "-rf"),
    ("string", "$(id); {x} \\x41 'größe' ☠️", "$(id); {x} \\x41 'größe' ☠️", "$(id); {x} \\x41 'größe' ☠️"),
    ("integer", "10", 10, "10"),
    ("integer", "-5", -5, "-5"),
    ("integer", "+5", 5, "5"),
    ("integer", "010", 10, "10"),
    ("integer", "9" * 100, int("9" * 100), "9" * 100),
    ("number", "80", 80, "80"),
    ("number", "80.0", 80.0, "80"),
    ("number", ".5", 0.5, "0.5"),
    ("number", "-2.5", -2.5, "-2.5"),
    ("number", "1e3", 1000.0, "1000"),
    ("number", "0.00001", 0.00001, "0.00001"),
    ("number", "1.5e-9", 1.5e-9, "0.0000000015"),
    ("number", "1e20", 1e20, "1" + "0" * 20),
    ("boolean", "true", True, "true"),
    ("boolean", "FALSE", False, "false"),
    ("choice", "a", "a", "a"),
    ("path", "/etc/fstab", "/etc/fstab", "/etc/fstab"),
    ("path", "~/a b", "~/a b", "~/a b"),
    ("path", "-", "-", "-"),
    ("host", "localhost", "localhost", "localhost"),
    ("host", "db1.example.org.", "db1.example.org.", "db1.example.org."),
    ("host", "1and1.com", "1and1.com", "1and1.com"),
    ("host", "192.0.2.7", "192.0.2.7", "192.0.2.7"),
    ("host", "2001:DB8::7", "2001:DB8::7", "2001:DB8::7"),
    ("host", "fe80::1%eth0", "fe80::1%eth0", "fe80::1%eth0"),
    ("url", "https://example.org", "https://example.org", "https://example.org"),
    ("url", "ws://[::1]:8080/a?b=c#d", "ws://[::1]:8080/a?b=c#d", "ws://[::1]:8080/a?b=c#d"),
    ("device", "/dev/sda1", "/dev/sda1", "/dev/sda1"),
    ("device", "/dev/mapper/vg-home", "/dev/mapper/vg-home", "/dev/mapper/vg-home"),
    ("interface", "eth0.100", "eth0.100", "eth0.100"),
    ("interface", "wlp2s0f0u1u2u3", "wlp2s0f0u1u2u3", "wlp2s0f0u1u2u3"),
    ("interface", "größe", "größe", "größe"),
    ("namespace", "ns-INET", "ns-INET", "ns-INET"),
    ("namespace", "a b", "a b", "a b"),
    ("duration", "20s", 20.0, "20"),
    ("duration", "1m30s", 90.0, "90"),
    ("duration", "300ms", 0.3, "0.3"),
    ("duration", "1d2h", 93600.0, "93600"),
    ("duration", "1.5h", 5400.0, "5400"),
    ("duration", "0", 0.0, "0"),
    ("duration", "2.5", 2.5, "2.5"),
    ("duration", "0.01ms", 0.00001, "0.00001"),
    ("duration", "36500d", 3153600000.0, "3153600000"),
    ("size", "1048576", 1048576, "1048576"),
    ("size", "1K", 1024, "1024"),
    ("size", "1KB", 1024, "1024"),
    ("size", "1.5GiB", 1610612736, "1610612736"),
    ("size", "512B", 512, "512"),
    ("size", "8388607T", 8388607 << 40, str(8388607 << 40)),
    ("size", "0", 0, "0"),
]


@pytest.mark.parametrize(("type", "text", "value", "word"), TAKEN)
def test_a_value_that_is_taken(type: str, text: str, value: Value, word: str) -> None:
    found = parse_value(type, text)
    assert (found, found.__class__) == (value, value.__class__)
    assert written(found) == word


@pytest.mark.parametrize(("type", "text", "value", "word"), TAKEN)
def test_a_word_stands_for_the_same_value(type: str, text: str, value: Value, word: str) -> None:
    assert parse_value(type, word) == value


def test_every_type_is_in_the_table() -> None:
    assert {type for type, *_ in TAKEN} == set(TYPES)


LONG = "9" * 101
REFUSED_BY_TYPE = {
    "integer": ["", "x", "1.0", "1e3", "0x10", "0o17", "1_000", "--5", "- 5", " 5", "5 ", "٣", LONG],
    "number": ["", ".", "x", "1,5", "nan", "inf", "-inf", "1e999", "1e100", "0x10", "1_0", "1e", LONG],
    "boolean": ["", "yes", "no", "on", "off", "1", "0", "y", "tru\u0435"],
    "path": ["", "a\0b", "a\nb", "a\tb", "a\rb", "a\u202eb"],
    "host": [
        *("", "-a", "a-", "a_b", "a..b", ".a", "a b", "a/b", "a;id", "$(id)", "größe.de", "a" * 64, "a." * 127 + "a"),
        *("192.0.2", "192.0.2.256", "010.0.0.1", "1", "::g", ":::", "[::1]", "a:80"),
    ],
    "url": [
        *("", "example.com", "/a", "http://", "http:///a", "file:///etc/passwd", "javascript:alert(1)", "http://a b/"),
        *("http://a:99999/", "http://a:0/", "http://[::1/", "-http://a/", "http://:80/"),
    ],
    "device": ["", "sda", "/dev", "/dev/", "/dev//sda", "/dev/../etc/passwd", "/dev/./sda", "/etc/passwd", "/dev/a b"],
    "interface": ["", "a/b", ".", "..", "a b", "a:b", "a" * 16, "größegrößegröße"],
    "namespace": ["", "a/b", ".", "..", "a" * 256],
    "duration": ["", "s", "-1s", "1 s", "1m 30s", "30s1m", "1s1s", "1y", "1e3", "inf", "1,5s", "36501d", LONG],
    "size": ["", "G", "-1G", "1 G", "1g", "1kB", "1P", "1GiBB", "1e3", "0x10", "8388609T", LONG],
}
REFUSED = [(type, text) for type, texts in REFUSED_BY_TYPE.items() for text in texts]


@pytest.mark.parametrize(("type", "text"), REFUSED)
def test_a_value_that_is_refused(type: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        parse_value(type, text)


UNSEEN = [
    "\0",
    "\x07",
    "\x1b[31m",
    "\x7f",
    "\x9b",
    "\n",
    "\r",
    "\t",
    "\u200b",
    "\u202e",
    "\u2066",
    "\ufeff",
    "\udcff",
    "\U000e0041",
]


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("text", UNSEEN, ids=ascii)
def test_no_value_has_what_cannot_be_seen(type: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"^must not contain control characters"):
        parse_value(type, f"1{text}")


@pytest.mark.parametrize(("type", "text"), [case for case in REFUSED if len(case[1]) > 7])
def test_an_error_never_repeats_the_value(type: str, text: str) -> None:
    with pytest.raises(ValueError, match="must") as raised:
        parse_value(type, text)
    assert text not in str(raised.value)


def test_a_value_is_one_of_the_choices() -> None:
    assert parse_value("integer", "2", ["1", "2"]) == 2
    with pytest.raises(ValueError, match=r"^must be one of 1, 2$"):
        parse_value("integer", "3", ["1", "2"])


@pytest.mark.parametrize("text", ["abc", "ab\n", "xab", "AB"])
def test_a_pattern_must_match_the_whole_value(text: str) -> None:
    assert parse_value("string", "ab", pattern="ab|a") == "ab"
    with pytest.raises(ValueError, match=r"^must "):
        parse_value("string", text, pattern="ab|a")


def test_amounts_are_exact() -> None:
    assert duration("0.1s") + duration("0.2s") != duration("0.3s") == duration("300ms")
    assert size("8388607T") == 8388607 * 1024**4


NAMES = ["a", "thin-pool", "a1-2b"]
NO_NAMES = ["", "A", "1a", "-a", "a-", "a--b", "a_b", "a b", "é", "a\n"]


@pytest.mark.parametrize("text", [*NAMES, *NO_NAMES])
def test_names_are_kebab_case(text: str) -> None:
    assert bool(re.fullmatch(NAME, text)) == (text in NAMES)


def test_engine_codes_are_names() -> None:
    assert all(re.fullmatch(NAME, code) for code in ENGINE_CODES)


def test_a_placeholder_is_a_name_in_braces() -> None:
    assert PLACEHOLDER.findall("{a} {b-c} {} {A} {a b} {_} ${d} {{e}} {1} { f }") == ["a", "b-c", "d", "e"]


CHARACTERS = "".join(map(chr, range(sys.maxunicode + 1)))


def test_nothing_hidden_is_printable() -> None:
    assert [character for character in HIDDEN.findall(CHARACTERS) if character.isprintable()] == []


def test_what_turns_the_direction_of_text_is_hidden() -> None:
    import unicodedata

    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    marks = [character for character in CHARACTERS if unicodedata.bidirectional(character) in turning]
    assert len(marks) == 9
    assert set(marks) | set("\u200e\u200f\u061c") <= set(HIDDEN.findall(CHARACTERS))


def test_tabs_and_line_ends_are_not_hidden_but_a_lone_carriage_return_is() -> None:
    assert HIDDEN.search("a\tb\nc\r\nd") is None
    assert [match.start() for match in HIDDEN.finditer("a\rb\r\r\nc\r")] == [1, 3, 7]


def test_letters_do_not_count_as_blank() -> None:
    assert BLANK.search("größe 日本 한국어 ไทย हिन्दी") is None
    assert BLANK.search("a\u3164") is not None


NEAREST = [
    ("lvm-inpsect", "did you mean `lvm-inspect`?"),
    ("zzz", ""),
    ("", ""),
    ("lvm-inspect" * 10_000, ""),
]


@pytest.mark.parametrize(("name", "said"), NEAREST, ids=["near", "far", "empty", "long"])
def test_the_nearest_name_is_asked_for(name: str, said: str) -> None:
    assert nearest(name, ["ssh-keys", "lvm-inspect"]) == said


SHORT = [
    ("a\n  b\tc", "a b c"),
    ("\x1b[2Ja\u202e", "?[2Ja?"),
    ("x" * 60, "x" * 60),
    ("x" * 61, "x" * 57 + "…"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "said"), SHORT)
def test_text_is_made_fit_for_a_sentence(text: str, said: str) -> None:
    assert shorten(text) == said
