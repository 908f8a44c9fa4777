"""Shows things to people in plain text: sizes, trees, and the commands of an advice."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass


def human_size(size_bytes: int | None) -> str:
    """A size for people, in powers of 1024: `237.7 GiB`, `512 MiB`; "" for None."""
    if size_bytes is None:
        return ""
    size, unit = float(size_bytes), 0
    while size >= 1023.95 and unit < 6:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f}".removesuffix(".0") + " " + ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")[unit]


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of a drawn tree: a name, a column beside it, remarks, and what hangs below."""

    name: str
    beside: str = ""
    remarks: tuple[str, ...] = ()
    children: tuple[Branch, ...] = ()


def tree(branches: tuple[Branch, ...], width: int = 80) -> str:
    """The branches as text with box characters, wrapped at `width`; every root starts at the left margin.

    sda               238.5 GiB  disk
    └─ sda3           237.7 GiB  part · crypto_LUKS
    """
    rows = [row for branch in branches for row in _rows(branch, "", "")]
    indent = min(max((len(lead + branch.name) for lead, _, branch in rows), default=0), width // 2)
    beside = max((len(branch.beside) for _, _, branch in rows), default=0)
    return "\n".join(line for row in rows for line in _lines(*row, indent, beside, width))


def _rows(branch: Branch, lead: str, below: str) -> Iterator[tuple[str, str, Branch]]:
    yield lead, below, branch
    for number, child in enumerate(branch.children, start=1):
        last = number == len(branch.children)
        yield from _rows(child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))


def _lines(lead: str, below: str, branch: Branch, indent: int, beside: int, width: int) -> Iterator[str]:
    # A name may hold a line feed (a mount point can): on one line it must stay.
    head = f"{lead}{' '.join(branch.name.split())}".ljust(indent) + "  " + branch.beside.rjust(beside)
    remarks = _filled(branch.remarks, max(width - indent - beside - 4, 20))
    yield f"{head}  {remarks[0]}".rstrip()
    hanging = below + ("│" if branch.children else "")
    yield from (f"{hanging.ljust(indent + beside + 4)}{more}" for more in remarks[1:])


def _filled(remarks: tuple[str, ...], room: int) -> list[str]:
    """The remarks in lines, broken between two remarks where that is possible."""
    lines = [""]
    for remark in (" ".join(remark.split()) for remark in remarks if remark):
        joined = f"{lines[-1]} · {remark}" if lines[-1] else remark
        lines[-1:] = [joined] if len(joined) <= room else [*filter(None, lines[-1:]), *textwrap.wrap(remark, room)]
    return lines


def look(command: str) -> str:
    """A line of advice that is a command to copy and only reads."""
    return f"    {command}"


def change(command: str) -> str:
    """A line of advice that is a command to copy and changes the host."""
    return f"    {command}   # changes this host"
