"""What every reader gives: fields that know the lines they stood on, so that a finding can point at them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from runbook.errors import Unreadable
from runbook.model import Capture, Evidence

# At most so many digits that what they stand for is a finite number.
_SIZE = re.compile(r"[<>]?([0-9]{1,40})(?:[.,]([0-9]{0,40}))?\s*([bkmgtpe]?)(?:i?b)?", re.IGNORECASE)
_NUMBER = re.compile(r"[<>]?([+-]?[0-9]{1,40}(?:[.,][0-9]{0,40})?)\s*%?")
_NOTHING = frozenset(("", "-", "unknown", "undefined"))
_UNITS = "bkmgtpe"


class Record(dict[str, object]):
    """One object or row of a command's output by field name; its line numbers start at 1 and include the last."""

    def __init__(self, fields: Mapping[str, object], step: str, first_line: int, last_line: int) -> None:
        super().__init__(fields)
        self.step, self.first_line, self.last_line = step, first_line, last_line

    @property
    def evidence(self) -> Evidence:
        """Where on standard output this record stands."""
        return Evidence(self.step, "stdout", self.first_line, self.last_line)

    def text(self, name: str) -> str:
        """The field as text; "" when it is absent, null, or not a scalar."""
        value = self.get(name)
        return "" if value is None or isinstance(value, (dict, list)) else str(value).strip()

    def number(self, name: str) -> float | None:
        """The field as a number (`82.50`, `82,50`, `43%`); None when the command gave none."""
        text = self.text(name)
        if text in _NOTHING:
            return None
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise self._refusal(name, text, "a number")
        return float(match[1].replace(",", "."))

    def size(self, name: str) -> int | None:
        """The field in bytes (`4194304`, `4194304B`, `<2.62g`, `2,62g`, `512M`); None when the command gave none.

        A unit counts in powers of 1024 in either case: LVM means powers of 1000 only when `--units` asks for them.
        """
        text = self.text(name)
        if text in _NOTHING:
            return None
        match = _SIZE.fullmatch(text)
        if match is None:
            raise self._refusal(name, text, "a size")
        factor: int = 1024 ** _UNITS.index(match[3].lower() or "b")
        # Whole numbers by themselves: as a float, 16 EiB less one byte would be 16 EiB.
        return int(match[1]) * factor + int(float(f"0.{match[2] or 0}") * factor)

    def records(self, name: str) -> Iterator[Record]:
        """The records in a list field; none when the field is absent or not a list."""
        value = self.get(name)
        yield from (entry for entry in value if isinstance(entry, Record)) if isinstance(value, list) else ()

    def _refusal(self, name: str, text: str, wanted: str) -> Unreadable:
        return Unreadable(f"`{name}` should be {wanted}, not `{text}`", self.step, self.first_line)


def text_of(capture: Capture) -> str:
    """Standard output as text in which no byte is lost; refused when its end is."""
    if capture.truncated:
        last = capture.stdout.count(b"\n") + 1
        raise Unreadable(f"`{capture.step}` printed more than was kept, the rest is missing", capture.step, last)
    return capture.stdout.decode("utf-8", "surrogateescape")
