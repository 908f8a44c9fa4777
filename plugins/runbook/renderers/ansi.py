"""What a command printed as HTML: `runbook.sanitiser` says what is shown, its colours become classes, the rest is text.

`tests/renderers/ansi_vectors.json` holds what every implementation must give.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape as escape_html
from itertools import groupby
from operator import itemgetter

from runbook.sanitiser import Look, Shown

#: What stands for what is not printable.
_BYTES = re.compile(r"(?:\\x[0-9a-f]{2})+")
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


def _span(look: Look, text: str) -> str:
    html = escape_html(text, quote=False)
    if "\\x" in html:
        html = _BYTES.sub(r'<span class="rb-ctl">\g<0></span>', html)
    sides = (("fg", look.foreground), ("bg", look.background))
    classes = [f"rb-{side}-{number}" for side, number in sides if number is not None]
    classes += [f"rb-{name}" for name in _ORDER if name in look.attributes]
    return f'<span class="{" ".join(classes)}">{html}</span>' if classes else html
