"""No secret gets through, however it is encoded, coloured, wrapped or cut; and nothing else is lost."""

from __future__ import annotations

import base64
import json
import random
import re
import shlex
import urllib.parse
from collections.abc import Callable
from html import escape

import pytest

from runbook.masking import LONGEST_WAIT, Masker

#: Planted secrets: plain words, signs that each encoding changes, letters beyond ASCII, several lines, colour codes.
SECRETS = [
    *("hunter2", "correct horse battery", "p&ss<w>rd\"'1", "tr0ub4dor/&+3=", "пароль-42", "a\\b\\c\\d", "100%sure%21"),
    *("line one!\nline two?\nthe third", "ends with\n", "[31mnot-a-colour", "x" * 200, "aaaaaaa", "ababababab"),
    *(f"token-{number:016x}" for number in random.Random(1).choices(range(2**50), k=17)),
]


def offset_base64(secret: bytes) -> list[bytes]:
    return [base64.b64encode(b"user:"[:length] + secret + b"@host") for length in range(3, 6)]


FORMS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "base64": lambda secret: base64.b64encode(secret.encode()),
    "base64 of a URL": lambda secret: base64.urlsafe_b64encode(secret.encode()),
    "hexadecimal": lambda secret: secret.encode().hex().encode(),
    "HEXADECIMAL": lambda secret: secret.encode().hex().upper().encode(),
    "percent": lambda secret: urllib.parse.quote(secret, safe="").encode(),
    "form": lambda secret: urllib.parse.quote_plus(secret).encode(),
    "JSON": lambda secret: json.dumps(secret).encode(),
    "JSON in UTF-8": lambda secret: json.dumps(secret, ensure_ascii=False).encode(),
    "HTML": lambda secret: escape(secret).encode(),
    "shell": lambda secret: shlex.quote(secret).encode(),
    "coloured": lambda secret: b"\x1b[1;31m".join(re.findall(rb"(?s).", secret.encode())),
    "wrapped": lambda secret: b"\r\n".join(re.findall(rb"(?s).{1,5}", secret.encode())),
}


def by_pieces(masker: Masker, data: bytes, size: int) -> bytes:
    said, waiting = b"", b""
    for at in range(0, len(data), size):
        some, waiting = masker.beginning(waiting + data[at : at + size])
        said += some
    return said + masker.whole(waiting)


def core(form: str, secret: str) -> bytes:
    """The bytes that must not be seen: of base64 without its last group, which belongs to what stands beside it."""
    encoded = FORMS[form](secret)
    return encoded.rstrip(b"=")[:-1] if form.startswith("base64") else encoded


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_secret_gets_through_however_it_is_cut(form: str) -> None:
    for secret in SECRETS:
        masker = Masker([secret])
        data = b"before " + FORMS[form](secret) + b" after\n"
        said = masker.whole(data)
        assert core(form, secret) not in said, secret
        assert b"***" in said, secret
        assert said.startswith(b"before ")
        assert said.endswith(b" after\n")
        assert {by_pieces(masker, data, size) for size in (1, 3, 7)} == {said}, secret


@pytest.mark.parametrize("secret", SECRETS)
def test_base64_is_found_at_every_offset(secret: str) -> None:
    for encoded in offset_base64(secret.encode()):
        hidden = Masker([secret]).whole(encoded)
        assert b"***" in hidden
        # Two signs at each end may belong to a neighbour in part.
        assert len(hidden) <= len(b"***") + len(base64.b64encode(b"user:@host")) + 4


def test_text_without_a_secret_is_not_changed_however_it_is_cut() -> None:
    chance = random.Random(2)
    masker = Masker(SECRETS)
    for _ in range(300):
        data = bytes(chance.choices(b"hunter1 \x1b[3m\r\n;ab\xff", k=chance.randrange(60)))
        whole = masker.whole(data)
        assert whole == data or b"***" in whole
        assert by_pieces(masker, data, chance.randrange(1, 9)) == whole


def test_of_two_secrets_that_overlap_nothing_is_left() -> None:
    data = b"<hello-world-pass>"
    masker = Masker(["hello-wor", "world-pass"])
    assert masker.whole(data) == by_pieces(masker, data, 1) == b"<***>"


def test_a_line_of_a_secret_of_several_lines_is_a_secret() -> None:
    assert Masker(["first-line\nsecond-line"]).whole(b"> second-line <") == b"> *** <"


def test_lines_and_colours_inside_a_secret_stay() -> None:
    assert Masker(["hunter2"]).whole(b"hun\x1b[31mter\n2\x1b[0m") == b"***\x1b[31m\n\x1b[0m"


def test_what_waits_is_bounded() -> None:
    masker = Masker(["hunter2"])
    waiting = b"hunter"
    for _ in range(100):
        _, waiting = masker.beginning(waiting + b"\n" * 4096)
        assert len(waiting) <= LONGEST_WAIT
