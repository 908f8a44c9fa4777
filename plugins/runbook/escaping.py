r"""Bytes as text that is safe to show and loses nothing: what is not printable UTF-8 is written `\xNN`.

Newline and tab stay. A literal `\xNN` in the bytes has its backslash written `\x5c`, so `unescape` gives back exactly
the bytes that were there. No control character, byte-order mark or bidirectional override survives, so the text can
stand in JSON, in a YAML block or on a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: How much data becomes one block of text.
BLOCK_BYTES = 1 << 18

#: What may not be cut, in the three bytes before and after a cut: a character of several bytes (its first one and those
#: that follow, across the middle), and what would look like one of our own escapes.
_INSEPARABLE = re.compile(
    rb"(?s)\\x[0-9a-f]{2}|\A(?:[\xc0-\xff][\x80-\xbf]{2}|.[\xc0-\xff][\x80-\xbf]|..[\xc0-\xff])[\x80-\xbf]"
)

#: What would look like one of our own escapes, and the end of a text that may yet become it.
LOOKS_ESCAPED = re.compile(r"\\(?=x[0-9a-f]{2})")
UNFINISHED_ESCAPE = re.compile(r"\\(?:x[0-9a-f]?)?\Z")
_ESCAPED = re.compile(r"\\(x[0-9a-f]{2})")
#: What `surrogateescape` reads each byte as that is no UTF-8: in this form all bytes can be put into text at once.
_BYTES = {f"x{byte:02x}": bytes([byte]).decode("ascii", "surrogateescape") for byte in range(256)}


def escape(data: bytes) -> str:
    """Text for these bytes; the inverse of `unescape`."""
    return escape_text(data.decode("utf-8", "surrogateescape"))


def escape_text(text: str) -> str:
    """The same for bytes that were decoded with `surrogateescape`."""
    text = LOOKS_ESCAPED.sub(r"\\x5c", text)
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return text.translate(_Shown())


def escape_blocks(data: bytes, size: int = BLOCK_BYTES) -> Iterator[str]:
    """The text of `escape` in blocks of about `size` bytes of data, so that many megabytes need little memory."""
    start = 0
    while start < len(data):
        end = start + size
        while end < len(data) and _INSEPARABLE.search(data[end - 3 : end + 3]):
            end += 1
        yield escape(data[start:end])
        start = end


def safe(text: str) -> str:
    """Text that may quote what a command printed, without control characters; what has none stays as it is."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    try:
        return escape(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # half a surrogate pair, which no bytes stand for
        return escape(text.encode("utf-8", "surrogatepass"))


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
