r"""Bytes as text that is safe to show and loses nothing: what is not printable UTF-8 is written `\xNN`.

Newline and tab stay. A literal `\xNN` in the bytes has its backslash written `\x5c`, so `unescape` gives back exactly
the bytes that were there. No control character, byte-order mark or bidirectional override survives, so the text can
stand in JSON, in a YAML block or on a terminal.
"""

from __future__ import annotations

import re

_LOOKS_ESCAPED = re.compile(r"\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def escape(data: bytes) -> str:
    """Text for these bytes; the inverse of `unescape`."""
    text = _LOOKS_ESCAPED.sub(r"\\x5c", data.decode("utf-8", "surrogateescape"))
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(_shown(character) for character in text)


def unescape(text: str) -> bytes:
    """The bytes that `escape` turned into this text; text a person wrote by hand stands for its UTF-8 bytes."""
    parts = _ESCAPED.split(text)
    return b"".join(
        bytes([int(part, 16)]) if index % 2 else part.encode("utf-8", "surrogateescape")
        for index, part in enumerate(parts)
    )


def _shown(character: str) -> str:
    if character in "\n\t" or character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
