"""Pieces of a page: text that stays text, commands to copy, verdicts, and facts as tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from runbook.escaping import safe
from runbook.model import Verdict
from runbook.renderers.json import plain
from runbook.renderers.plain import CODE, SIGNS, one_line

#: So many facts of one kind are listed, and so many characters of one.
LISTED_FACTS, CELL_CHARACTERS = 100, 120


def block(kind: str, html: str, name: str) -> str:
    """Lines in type of one width, which scroll and which the keyboard reaches; `name` is an id of its own."""
    return f'<pre class="{kind}" id="{name}" tabindex="0"><code>{html}</code></pre>'


def sign(verdict: Verdict) -> str:
    return f'<span class="rb-sign rb-{verdict}" aria-hidden="true">{SIGNS[verdict]}</span>'


def inline(line: str) -> str:
    """One line as text; `code` in back-ticks is code."""
    parts = enumerate(CODE.split(one_line(line)))
    return "".join(f"<code>{text(part[1:-1])}</code>" if index % 2 else text(part) for index, part in parts)


def text(words: str) -> str:
    """Any text as text of a page, or of an attribute in double quotes."""
    return escape(safe(words))


def slug(name: str) -> str:
    """A name as part of an id: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:80].strip("-") or "x"


def unique(name: str, used: set[str]) -> str:
    """The name, with a number where it is used already."""
    number, unique = 1, name
    while unique in used:
        number += 1
        unique = f"{name}-{number}"
    used.add(unique)
    return unique


def badge(verdict: Verdict) -> str:
    """A verdict as sign, word and colour."""
    return f'<span class="rb-badge rb-{verdict}">{sign(verdict)} {verdict}</span>'


def facts(found: object) -> Iterator[str]:
    """What was read, as tables: a list of things with fields is a table, everything else a row of the first one."""
    try:
        told = plain(found)
    except Exception:
        return  # A helper's mistake; the run's JSON says which.
    if not isinstance(told, dict) or not any(map(_is_told, told.values())):
        return
    yield '<details class="rb-facts"><summary>Facts</summary>\n'
    tables = {key: value for key, value in told.items() if _is_table(value)}
    rest = {key: value for key, value in told.items() if key not in tables and _is_told(value)}
    if rest:
        yield _table("", ["fact", "value"], [[_words(key), value] for key, value in rest.items()])
    for key, rows in tables.items():
        columns = [name for name in rows[0] if any(_is_told(row.get(name)) for row in rows)]
        yield _table(key, columns, [[row.get(name) for name in columns] for row in rows])
    yield "</details>\n"


def fact_words(found: object) -> Iterator[str]:
    """Every text among the facts: names, kinds, places."""
    try:
        rest = [plain(found)]
    except Exception:
        return
    while rest:
        value = rest.pop(0)
        if isinstance(value, str) and value:
            yield value
        elif isinstance(value, dict | list):
            rest[:0] = value.values() if isinstance(value, dict) else value


def _is_told(value: object) -> bool:
    """Whether a fact says anything; False and 0 do."""
    return value is not None and value != "" and value != [] and value != {}


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) and row for row in value)


def _table(caption: str, columns: list[str], rows: list[list[object]]) -> str:
    head = "".join(f"<th>{text(_words(name))}</th>" for name in columns)
    cells = ("".join(f"<td>{text(_cell(cell))}</td>" for cell in row) for row in rows[:LISTED_FACTS])
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    more = len(rows) - LISTED_FACTS
    rest = f'<p class="rb-remark">{more} more are not listed.</p>\n' if more > 0 else ""
    title = f'<p class="rb-caption">{text(_words(caption))}</p>' if caption else ""
    # The theme puts a table without a class into a box that scrolls but that no keyboard reaches.
    table = f'<table class="rb-rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'{title}<div class="rb-table" tabindex="0">{table}</div>\n{rest}'


def _words(name: str) -> str:
    return name.replace("_", " ")


def _cell(value: object) -> str:
    """A fact in a cell: what is nested in it, in one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        words = ", ".join(f"{_words(key)} {_cell(part)}" for key, part in value.items() if _is_told(part))
    elif isinstance(value, list):
        words = "; ".join(map(_cell, value))
    else:
        words = "" if value is None else str(value)
    return words if len(words) <= CELL_CHARACTERS else f"{words[:CELL_CHARACTERS]}…"
