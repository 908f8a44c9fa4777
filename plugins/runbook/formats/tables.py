"""Reads the two shapes of text that tools print for other tools: KEY=VALUE blocks, and tables with headings."""

from __future__ import annotations

import re

from runbook.errors import Unreadable
from runbook.escaping import safe
from runbook.formats.records import Record, text_of
from runbook.model import Capture


def export_blocks(capture: Capture) -> tuple[Record, ...]:
    r"""Blocks of `KEY=VALUE` lines with an empty line between them, as `blkid -o export` and `lvmconfig` print.

    DEVNAME=/dev/sda1
    LABEL=my\ disk
    TYPE=ext4
    """
    blocks: list[Record] = []
    fields: dict[str, object] = {}
    first = 1
    for number, line in enumerate([*text_of(capture).split("\n"), ""], start=1):
        key, separator, value = line.strip().partition("=")
        if separator:
            first = first if fields else number
            fields[key] = safe(re.sub(r"\\(.)", r"\1", value))
        elif key:
            raise Unreadable(f"line {number} of `{capture.step}` is not KEY=VALUE", capture.step, number)
        elif fields:
            blocks.append(Record(fields, capture.step, first, number - 1))
            fields = {}
    return tuple(blocks)


def columns(capture: Capture, *headings: str) -> tuple[Record, ...]:
    """Rows of a table whose columns stand below the first letter of their heading; empty cells are "".

          LV    VG     Attr       LSize   Pool  Origin Data%  Meta%  Move Log Cpy%Sync Convert
          pool0 datavg twi-aotzD- 400.00m              100.00 11.77
          web   datavg Vwi-a-tz-- 500.00m pool0        40.00

    The table starts at the first line that has all of `headings`; lines before it are noise. A paste that has lost its
    spacing is refused, for a value could then be taken for its neighbour's.
    """
    # A paste may have lost runs of blanks to tabs.
    lines = text_of(capture).expandtabs().split("\n")
    top = next((n for n, line in enumerate(lines) if line.strip() and set(headings) <= set(line.split())), None)
    if top is None:
        if not "".join(lines).strip():
            return ()
        raise Unreadable(f"`{capture.step}` has no line with the headings {' '.join(headings)}", capture.step)
    words = list(re.finditer(r"\S+", lines[top]))
    return tuple(
        Record(_cells(capture.step, words, number, line), capture.step, number, number)
        for number, line in enumerate(lines[top + 1 :], start=top + 2)
        if line.strip()
    )


def _cells(step: str, headings: list[re.Match[str]], number: int, line: str) -> dict[str, object]:
    cuts = [0, *(heading.start() for heading in headings[1:]), max(len(line), headings[-1].start())]
    if any(line[cut - 1 : cut].strip() for cut in cuts[1:-1]):
        raise Unreadable(
            f"line {number} of `{step}`: the columns do not stand below their headings; the spacing was lost",
            step,
            number,
        )
    return {heading[0]: safe(line[cuts[n] : cuts[n + 1]].strip()) for n, heading in enumerate(headings)}
