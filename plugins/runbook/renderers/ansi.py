"""What a command printed as text for a page: its colours become classes, and everything else stays text.

A state machine over Select Graphic Rendition (ECMA-48, 8.3.117) with an allow-list. A sequence that is anything else,
and every character that is not printable, is shown as `runbook.escaping` shows it: nothing is hidden or obeyed.
`tests/renderers/ansi_vectors.json` holds what every implementation must give.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape as escape_html

from runbook.escaping import escape

#: ESC [ parameters m. Longer ones are not colours but nonsense, and shown.
_SGR = re.compile(rb"\x1b\[([0-9;:]{0,64})m")
#: What `escape` writes for what is not printable.
_SHOWN = re.compile(r"(?:\\x[0-9a-f]{2})+")
#: More parameters than anybody sends.
MOST_PARAMETERS = 32

#: Parameters that switch one attribute on, or off; and those that do it with the intensity, which has two.
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("strike",)}
_ORDER = ("bold", "dim", "italic", "underline", "strike", "reverse")

#: The steps of the colour cube of xterm, and the sixteen colours (xterm's own) that all others are brought to.
_STEPS = (0, 95, 135, 175, 215, 255)
_SIXTEEN = (
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)),
    *((127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255)),
    (255, 255, 255),
)


def html_lines(data: bytes) -> Iterator[str]:
    """Each line of the output, without a last empty one, as HTML: text, and spans with classes of ours."""
    if not data:
        return
    style = _Style()
    for line in data.removesuffix(b"\n").split(b"\n"):
        # Terminals end their lines with a carriage return as well.
        yield _line(line.rstrip(b"\r") if line.endswith(b"\r") else line, style)


def _line(line: bytes, style: _Style) -> str:
    if b"\x1b" not in line:
        return style.span(_shown(line))
    pieces, start = [], 0
    for match in _SGR.finditer(line):
        parameters = _parameters(match[1])
        if parameters is not None:
            pieces.append(style.span(_shown(line[start : match.start()])))
            style.apply(parameters)
            start = match.end()
    return "".join([*pieces, style.span(_shown(line[start:]))])


def _shown(data: bytes) -> str:
    """Text as text, and what is not printable marked as such."""
    text = escape_html(escape(data), quote=False)
    return _SHOWN.sub(r'<span class="rb-ctl">\g<0></span>', text) if "\\x" in text else text


def _parameters(data: bytes) -> list[list[int]] | None:
    """The parameters, each with the sub-parameters that colons set apart; None when there are too many. Empty is 0."""
    parts = data.split(b";")
    if len(parts) > MOST_PARAMETERS:
        return None
    return [[min(int(word or b"0"), 9999) for word in part.split(b":")] for part in parts]


class _Style:
    """What the next text looks like."""

    def __init__(self) -> None:
        self._attributes: set[str] = set()
        self._colours: dict[str, int] = {}

    def span(self, html: str) -> str:
        if not html or not (self._attributes or self._colours):
            return html
        classes = [f"rb-{side}-{self._colours[side]}" for side in ("fg", "bg") if side in self._colours]
        classes += [f"rb-{name}" for name in _ORDER if name in self._attributes]
        return f'<span class="{" ".join(classes)}">{html}</span>'

    def apply(self, parameters: list[list[int]]) -> None:
        """Parameters that are not known change nothing; so conceal (8) and blink (5, 6) hide nothing."""
        rest = parameters
        while rest:
            (code, *more), rest = rest[0], rest[1:]
            if code in (38, 48):
                rest = self._extended("fg" if code == 38 else "bg", more, rest)
            elif code == 0:
                self._attributes.clear()
                self._colours.clear()
            elif code == 4 and more == [0]:
                self._attributes.discard("underline")
            elif code in _ON:
                self._attributes.add(_ON[code])
            elif code in _OFF:
                self._attributes.difference_update(_OFF[code])
            else:
                self._colour(code)

    def _colour(self, code: int) -> None:
        for side, first in (("fg", 30), ("bg", 40)):
            if first <= code < first + 8:
                self._colours[side] = code - first
            elif first + 60 <= code < first + 68:
                self._colours[side] = code - first - 52
            elif code == first + 9:
                self._colours.pop(side, None)

    def _extended(self, side: str, more: list[int], rest: list[list[int]]) -> list[list[int]]:
        """Colours of 256 or of 16 million, whose numbers follow after colons or semicolons; what follows those."""
        if more:
            # With colons there may be a colour space, mostly empty, before red, green and blue (ITU-T T.416).
            numbers = [more[0], *more[-3:]] if more[0] == 2 and len(more) > 4 else more
        else:
            length = {5: 2, 2: 4}.get(rest[0][0], 1) if rest else 0
            numbers, rest = [part[0] for part in rest[:length]], rest[length:]
        if len(numbers) >= 2 and numbers[0] == 5 and numbers[1] < 256:
            self._colours[side] = _of_256(numbers[1])
        elif len(numbers) >= 4 and numbers[0] == 2 and max(numbers[1:4]) < 256:
            self._colours[side] = _nearest(numbers[1], numbers[2], numbers[3])
        return rest


def _of_256(number: int) -> int:
    if number < 16:
        return number
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return _nearest(grey, grey, grey)
    cube = number - 16
    return _nearest(_STEPS[cube // 36], _STEPS[cube // 6 % 6], _STEPS[cube % 6])


def _nearest(red: int, green: int, blue: int) -> int:
    """Which of the sixteen is nearest: the smallest sum of squared differences, of equals the first."""
    sums = [(red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2 for r, g, b in _SIXTEEN]
    return sums.index(min(sums))
