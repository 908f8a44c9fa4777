"""What a command printed as HTML: `runbook.sanitiser` says what is shown, its colours become classes, the rest is text.

`tests/renderers/ansi_vectors.json` holds what every implementation must give.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape as escape_html
from itertools import groupby
from operator import itemgetter

from runbook.sanitiser import LOG, Drawn, Look, Shown

#: What stands for what is not printable.
_BYTES = re.compile(r"(?:\\x[0-9a-f]{2})+")
_LINE_ENDS = re.compile(rb"\r+\n")
#: How many carriage returns may wait for the end of their line.
LONGEST_HELD = 64
_ORDER = ("bold", "dim", "italic", "underline", "strike", "reverse")


def html_lines(data: bytes) -> Iterator[str]:
    """Each line of the output, without a last empty one, as HTML: text, and spans with classes of ours."""
    if not data:
        return
    shown = Shown()
    for line in data.removesuffix(b"\n").split(b"\n"):
        # Terminals end their lines with a carriage return as well.
        pieces = groupby(shown.feed(line.rstrip(b"\r"), final=True), itemgetter(0))
        yield "".join(_span(look, "".join(text for _, text in group)) for look, group in pieces)


class Pieces:
    """Output as it comes, in pieces for a page: a span's classes, and its text. Of a `terminal`, as a log shows it."""

    def __init__(self, terminal: bool) -> None:
        self._drawn = Drawn(LOG) if terminal else None
        self._shown = Shown()
        self._held = b""

    def feed(self, data: bytes, final: bool = False) -> list[tuple[str, str]]:
        """What is certain by now; with `final` nothing follows, and all is."""
        if self._drawn is not None:
            data = self._drawn.feed(data, final).encode("utf-8", "surrogateescape")
        else:
            # Terminals end their lines with a carriage return as well; whether these do, the next read tells.
            data = self._held + data
            ending = min(len(data) - len(data.rstrip(b"\r")), LONGEST_HELD)
            self._held = b"" if final else data[len(data) - ending :]
            data = _LINE_ENDS.sub(b"\n", data[: len(data) - ending])
        return [(_classes(look), text) for look, text in self._shown.feed(data, final)]


def _span(look: Look, text: str) -> str:
    html = escape_html(text, quote=False)
    if "\\x" in html:
        html = _BYTES.sub(r'<span class="rb-ctl">\g<0></span>', html)
    classes = _classes(look)
    return f'<span class="{classes}">{html}</span>' if classes else html


def _classes(look: Look) -> str:
    sides = (("fg", look.foreground), ("bg", look.background))
    classes = [f"rb-{side}-{number}" for side, number in sides if number is not None]
    return " ".join(classes + [f"rb-{name}" for name in _ORDER if name in look.attributes])
