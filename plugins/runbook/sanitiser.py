"""What a command printed, before a person sees it: here, and only here, colours are told from other control sequences.

`Parser` cuts bytes into text, colours and the rest (ECMA-48 and what xterm added), wherever the reads cut them. Three
readers stand on it:

- `Shown`, for quoted output on a terminal or a page: colours become a `Look`, and everything else that is not printable
  is written `\\xNN` as in `runbook.escaping`. Nothing is obeyed, and nothing but colours is missing.
- `Drawn(LINE)`, for a step in which a person types: its prompts and its line editing must work, so what does no harm
  within a line passes, and the rest is left out.
- `Drawn(SCREEN)`, for a shell in a lab, whose programs draw on the whole screen.

`tests/renderers/ansi_vectors.json` holds what every implementation must give. Between two reads at most one short
sequence is held back, however long a title or a link grows.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from runbook.escaping import LOOKS_ESCAPED, UNFINISHED_ESCAPE, escape_text

#: How long a string (a title, a link, the clipboard) may be before what follows counts as text again.
LONGEST_STRING = 4096

# 8-bit controls arrive as characters, or as bytes that are no UTF-8 (`surrogateescape` makes 0x9b U+DC9B).
_CSI = "(?:\x1b\\[|[\x9b\udc9b])"
_STRING = "(?:\x1b[P\\]X^_]|[\x90\x98\x9d\x9e\x9f\udc90\udc98\udc9d\udc9e\udc9f])"
#: One sequence: a colour, a string's beginning, another control sequence, or an escape of a few characters. Parameters
#: longer than anybody sends make none.
_SEQUENCE = re.compile(
    "(?P<colour>\x1b\\[[0-9;:]{0,64}m)"
    f"|(?P<string>{_STRING})"
    f"|{_CSI}[0-?]{{0,64}}[ -/]{{0,4}}[@-~]"
    "|\x1b(?:[ -/]{1,4}[0-~]|[0-OQ-WYZ\\\\`-~])"
)
#: What may become one with the next read.
_UNFINISHED = re.compile(f"(?:{_CSI}[0-?]{{0,64}}[ -/]{{0,4}}|\x1b[ -/]{{0,4}})\\Z")
#: Where one may begin.
_BEGIN = re.compile("[\x1b\x90\x98\x9b\x9d\x9e\x9f\udc90\udc98\udc9b\udc9d\udc9e\udc9f]")
#: What ends a string: BEL, CAN, SUB and ST belong to it; a new sequence (ESC \ is the other ST) and a line end do not.
_STRING_END = re.compile("[\x07\x18\x1a\x9c\udc9c]|(?=[\x1b\n])")


class Kind(Enum):
    """What a piece of output is to a terminal."""

    TEXT = auto()  # also control characters that stand alone
    COLOUR = auto()  # one whole SGR sequence
    SEQUENCE = auto()  # any other, or a part of one that is long


class Parser:
    """Output in pieces, in order; joined they are what came in, decoded with `surrogateescape`."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._rest = ""
        #: How many more characters the string may have that is being read; 0 outside of one.
        self._room = 0

    def feed(self, data: bytes, final: bool = False) -> Iterator[tuple[Kind, str]]:
        """The pieces that are certain by now; with `final` nothing follows, and all is."""
        text, start = self._rest + self._decoder.decode(data, final), 0
        while start < len(text):
            if self._room:
                end = self._string(text, start)
                kind = Kind.SEQUENCE
            else:
                kind, end = self._ground(text, start, final)
            if end < 0:
                break
            if end > start:
                yield kind, text[start:end]
            start = end
        self._rest = text[start:]
        if final:
            self._room = 0

    def _string(self, text: str, start: int) -> int:
        limit = min(len(text), start + self._room)
        found = _STRING_END.search(text, start, limit)
        end = found.end() if found else limit
        self._room = 0 if found else self._room - (end - start)
        return end

    def _ground(self, text: str, start: int, final: bool) -> tuple[Kind, int]:
        """The next piece's kind and end; -1 when the next read must tell."""
        begin = _BEGIN.search(text, start)
        if begin is None:
            return Kind.TEXT, len(text)
        if begin.start() > start:
            return Kind.TEXT, begin.start()
        found = _SEQUENCE.match(text, start)
        if found is not None:
            if found["string"]:
                self._room = LONGEST_STRING
            return Kind.COLOUR if found["colour"] else Kind.SEQUENCE, found.end()
        if not final and _UNFINISHED.match(text, start):
            return Kind.TEXT, -1
        return Kind.SEQUENCE, start + 1


#: Parameters that switch one attribute on, or off; and those that do it with the intensity, which has two.
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("strike",)}

#: The steps of the colour cube of xterm, and the sixteen colours (xterm's own) that all others are brought to.
_STEPS = (0, 95, 135, 175, 215, 255)
_SIXTEEN = (
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)),
    *((127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255)),
    (255, 255, 255),
)
#: Black, white and the greys: which of them can be read depends on a terminal's own ground, which nobody tells us.
_GREYS = {0, 7, 8, 15}


@dataclass(frozen=True, slots=True)
class Look:
    """What text looks like: colours 0 to 15, or None for the reader's own, and attributes by name."""

    foreground: int | None = None
    background: int | None = None
    attributes: frozenset[str] = frozenset()

    def after(self, colour: str) -> Look:
        """The look after this SGR sequence. What is not known changes nothing: conceal (8) and blink (5, 6) too."""
        look, rest = self, _parameters(colour)
        while rest:
            (code, *more), rest = rest[0], rest[1:]
            if code in (38, 48):
                number, rest = _extended(more, rest)
                look = look if number is None else look._coloured(code == 38, number)
            elif code == 0:
                look = PLAIN
            elif code in _OFF or (code == 4 and more == [0]):
                look = replace(look, attributes=look.attributes.difference(_OFF.get(code, ("underline",))))
            elif code in _ON:
                look = replace(look, attributes=look.attributes | {_ON[code]})
            else:
                look = look._simple(code)
        return look

    def _simple(self, code: int) -> Look:
        for first in (30, 40):
            if first <= code < first + 8:
                return self._coloured(first == 30, code - first)
            if first + 60 <= code < first + 68:
                return self._coloured(first == 30, code - first - 52)
            if code == first + 9:
                return self._coloured(first == 30, None)
        return self

    def _coloured(self, foreground: bool, number: int | None) -> Look:
        return replace(self, foreground=number) if foreground else replace(self, background=number)

    @property
    def sgr(self) -> str:
        """Parameters for a terminal, by which no text can hide: one hue, on or under the terminal's own ground.

        A coloured ground becomes that hue reversed, so no two colours are ever chosen to be alike; black, white and
        greys are left to the terminal.
        """
        numbers = [code for code, name in _ON.items() if name in self.attributes and name != "reverse"]
        ground = _hue(self.background)
        hue = _hue(self.foreground) if ground is None else ground
        if hue is not None:
            numbers.append(30 + hue if hue < 8 else 82 + hue)
        if (ground is not None) != ("reverse" in self.attributes):
            numbers.append(7)
        return ";".join(map(str, numbers))


PLAIN = Look()


def _hue(number: int | None) -> int | None:
    return None if number in _GREYS else number


def _parameters(colour: str) -> list[list[int]]:
    """The parameters of an SGR sequence, each with the sub-parameters that colons set apart; empty is 0."""
    return [[int(word or "0") for word in part.split(":")] for part in colour[2:-1].split(";")]


def _extended(more: list[int], rest: list[list[int]]) -> tuple[int | None, list[list[int]]]:
    """A colour of 256 or of 16 million, whose numbers follow after colons or semicolons; and what follows those."""
    if more:
        # With colons there may be a colour space, mostly empty, before red, green and blue (ITU-T T.416).
        numbers = [more[0], *more[-3:]] if more[0] == 2 and len(more) > 4 else more
    else:
        length = {5: 2, 2: 4}.get(rest[0][0], 1) if rest else 0
        numbers, rest = [part[0] for part in rest[:length]], rest[length:]
    if len(numbers) >= 2 and numbers[0] == 5 and numbers[1] < 256:
        return _of_256(numbers[1]), rest
    if len(numbers) >= 4 and numbers[0] == 2 and max(numbers[1:4]) < 256:
        return _nearest(numbers[1], numbers[2], numbers[3]), rest
    return None, rest


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


class Shown:
    """Output as safe text with looks, read by read; the text alone is `escape` of the output without its colours."""

    def __init__(self) -> None:
        self._parser = Parser()
        self._look = PLAIN
        #: The beginning of what may look like one of our own escapes, across colours.
        self._held: list[tuple[Look, str]] = []

    def feed(self, data: bytes, final: bool = False) -> Iterator[tuple[Look, str]]:
        """Pieces, none of them empty; `final` at the end of a stream or of a line, after which the look stays."""
        # Together, because hostile output is made of pieces of one character.
        pieces: list[str] = []
        for kind, piece in self._parser.feed(data, final):
            if kind is not Kind.COLOUR:
                pieces.append(piece)
                continue
            if pieces:
                yield from self._text("".join(pieces))
                pieces = []
            self._look = self._look.after(piece)
        if pieces:
            yield from self._text("".join(pieces))
        if final:
            yield from self._release("")

    def _text(self, piece: str) -> Iterator[tuple[Look, str]]:
        if self._held:
            if UNFINISHED_ESCAPE.fullmatch("".join(text for _, text in self._held) + piece):
                self._held.append((self._look, piece))
                return
            yield from self._release(piece)
        unfinished = UNFINISHED_ESCAPE.search(piece)
        end = unfinished.start() if unfinished else len(piece)
        if end:
            yield self._look, escape_text(piece[:end])
        if unfinished:
            self._held = [(self._look, piece[end:])]

    def _release(self, following: str) -> Iterator[tuple[Look, str]]:
        """What was held; what follows tells whether its backslash must be written as a byte."""
        escaped = LOOKS_ESCAPED.match("".join(text for _, text in self._held) + following)
        for number, (look, text) in enumerate(self._held):
            yield look, f"\\x5c{text[1:]}" if escaped and number == 0 else text
        self._held = []


class Painter:
    """Puts colours into text for a terminal; none goes on past the end of a line, or past `end`."""

    def __init__(self, colours: bool) -> None:
        self._colours = colours
        self._on = ""

    def paint(self, look: Look, text: str) -> str:
        """The text with what the terminal needs before it."""
        wanted = look.sgr if self._colours else ""
        pieces = []
        for number, line in enumerate(text.split("\n")):
            if number:
                pieces += [self._switch(""), "\n"]
            if line:
                pieces += [self._switch(wanted), line]
        return "".join(pieces)

    def end(self) -> str:
        """What puts the terminal back."""
        return self._switch("")

    def _switch(self, wanted: str) -> str:
        before, self._on = self._on, wanted
        if before == wanted:
            return ""
        return ("\x1b[0m" if before else "") + (f"\x1b[{wanted}m" if wanted else "")


@dataclass(frozen=True, slots=True)
class Surface:
    """What a command may do that draws for itself: which control characters and sequences pass.

    `whole` when the screen is the command's: then its colours are its own, too. `restore` is written when it has ended.
    Where it may not overwrite, what comes after a carriage return goes on a line of its own.
    """

    controls: str
    sequences: re.Pattern[str]
    whole: bool = False
    restore: str = ""
    overwrites: bool = True


#: Within the line where the cursor stands: line ends, bell, backspace, and what line editors move, insert and erase.
LINE = Surface("\a\b\t\n\r", re.compile("\x1b\\[[0-9]{0,4}[CDGKPX@]"))
#: What goes into a log, or to a terminal that can do nothing: no way to write over what was said.
LOG = Surface("\t\n", re.compile("(?!)"), overwrites=False)
#: A whole screen as ncurses draws it. What is missing: every string (title, clipboard, links, device control), every
#: sequence that a terminal answers, for the answer would be typed into the command, printing, and other character sets.
SCREEN = Surface(
    "\a\b\t\n\v\f\r\x0e\x0f",
    re.compile(
        "\x1b(?:\\[(?:[0-9;:]{0,64}[@-MPSTXZ`adefghlmrsu]|[0-9]{0,4}b|[?][0-9;]{0,64}[hlJKrs]|!p|[0-9]? q)"
        "|[78DEHMc=>]|[()*+][0AB])"
    ),
    whole=True,
    restore="\x1b[0m\x1b(B\x0f\x1b[?25h",
)


#: SM, RM, DECSET and DECRST: what precedes the numbers, they, and whether it switches on.
_MODE = re.compile("\x1b\\[([?]?)([0-9;]{1,64})([hl])")
#: Modes that a terminal has on by itself: wrapping, and a cursor that can be seen.
_USUALLY_ON = {("?", "7"), ("?", "25")}


class Drawn:
    """Output of a command that a person works with, read by read, for their terminal."""

    def __init__(self, surface: Surface, colours: bool = True) -> None:
        self._surface = surface
        self._passing = dict.fromkeys(map(ord, surface.controls))
        self._parser = Parser()
        self._painter = Painter(colours)
        self._look = PLAIN
        #: Modes that were switched on or off, by what precedes the letter: `?1003` and what switches it back.
        self._modes: dict[str, str] = {}

    def feed(self, data: bytes, final: bool = False) -> str:
        """What the terminal may have by now; `final` when nothing follows, which also puts the terminal back."""
        text = "".join(self._passed(kind, piece) for kind, piece in self._parser.feed(data, final))
        if not final:
            return text
        back = "".join(
            mode if mode.startswith("\x1b") else f"\x1b[{mode}{letter}" for mode, letter in self._modes.items()
        )
        self._modes = {}
        return text + self._painter.end() + back + self._surface.restore

    def _passed(self, kind: Kind, piece: str) -> str:
        if kind is Kind.TEXT:
            if not self._surface.overwrites:
                piece = piece.replace("\r\n", "\n").replace("\r", "\n")
            harmless = piece.translate(self._passing).isprintable()
            text = piece if harmless else "".join(map(self._character, piece))
            return self._painter.paint(self._look, text)
        if kind is Kind.COLOUR and not self._surface.whole:
            self._look = self._look.after(piece)
            return ""
        if not self._surface.sequences.fullmatch(piece):
            return ""
        self._remember(piece)
        return piece

    def _remember(self, piece: str) -> None:
        """What must be put back after this sequence: a mouse that reports would type into the next shell."""
        found = _MODE.fullmatch(piece)
        if found is not None:
            for number in found[2].split(";"):
                usual = "h" if (found[1], number) in _USUALLY_ON else "l"
                self._modes.pop(found[1] + number, None)
                if found[3] != usual:
                    self._modes[found[1] + number] = usual
        elif piece.endswith("r"):
            # The whole screen scrolls again; the cursor stays where it is.
            self._modes |= {"s": "", "r": "", "u": ""}
        elif piece in ("\x1b=", "\x1b>"):
            # The keypad's own keys, and its usual ones.
            self._modes.pop("\x1b>", None)
            if piece == "\x1b=":
                self._modes["\x1b>"] = ""

    def _character(self, character: str) -> str:
        """Controls that pass and no others; what nobody can see as its bytes, but not where that spoils a drawing."""
        if character.isprintable() or character in self._surface.controls:
            return character
        if character < "\xa0":
            return ""
        if character.isspace():
            return " "
        is_byte = "\udc80" <= character <= "\udcff"
        return character if self._surface.whole and not is_byte else escape_text(character)
