r"""Bytes as text that is safe to show and loses nothing: what is not printable UTF-8 is written `\xNN`.

Newline and tab stay. A literal `\xNN` in the bytes has its backslash written `\x5c`, so `unescape` gives back exactly
the bytes that were there. No control character, byte-order mark or bidirectional override survives, so the text can
stand in JSON, in a YAML block or on a terminal.
"""

from __future__ import annotations

import re

_LOOKS_ESCAPED = re.compile(r"\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(r"\\(x[0-9a-f]{2})")
#: What `surrogateescape` reads each byte as that is no UTF-8: in this form all bytes can be put into text at once.
_BYTES = {f"x{byte:02x}": bytes([byte]).decode("ascii", "surrogateescape") for byte in range(256)}


def escape(data: bytes) -> str:
    """Text for these bytes; the inverse of `unescape`."""
    text = _LOOKS_ESCAPED.sub(r"\\x5c", data.decode("utf-8", "surrogateescape"))
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return text.translate(_Shown())


def unescape(text: str) -> bytes:
    """The bytes that `escape` turned into this text; text a person wrote by hand stands for its UTF-8 bytes."""
    return _ESCAPED.sub(lambda match: _BYTES[match[1]], text).encode("utf-8", "surrogateescape")


class _Shown(dict[int, str]):
    """Characters by their codes, as they are shown; filled as they are met, for output of many megabytes."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        shown = character if character in "\n\t" or character.isprintable() else _as_bytes(character)
        self[code] = shown
        return shown


def _as_bytes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
