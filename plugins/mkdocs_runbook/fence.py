"""The fence: draws a runbook where a note names one. A SuperFences formatter, which needs no MkDocs.

In MkDocs the plugin makes a `Drawer` and puts it in this module's place; elsewhere, in Zensical for one, `draw` shows
the recordings of the knowledge base in the current folder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Any

from mkdocs_runbook.freshness import freshness
from mkdocs_runbook.pages import wall
from mkdocs_runbook.shelf import Shelf
from mkdocs_runbook.standin import StandIns
from runbook.errors import DefinitionError, Problem, RunbookError
from runbook.escaping import safe
from runbook.loader.note import fences, read_fence
from runbook.renderers.html import card, words
from runbook.renderers.markup import slug, unique

#: MkDocs counts what is logged below `mkdocs`, and with --strict fails.
LOG = logging.getLogger("mkdocs.plugins.runbook")


@dataclass
class Note:
    """The page that is being converted: its file, and where the page of a runbook lies, seen from it."""

    path: str = ""
    runbooks: str = ""
    used: set[str] = field(default_factory=set)

    def line_of(self, body: str) -> int:
        """Where in the file a fence with this body begins; 1 when it is not there."""
        wanted = [line.strip() for line in body.split("\n")]
        for fence in fences(self.path) if os.path.isfile(self.path) else ():
            if [line.strip() for line in fence.body.split("\n")] == wanted:
                return fence.line
        return 1


class Drawer:
    """Draws the fences of a site; `note` is set to the page that comes next.

    With `stand_ins`, a fence gives one of those, and whoever made them puts the cards back into the finished page.
    """

    def __init__(self, shelf: Shelf, stand_ins: StandIns | None = None) -> None:
        self.shelf = shelf
        self.stand_ins = stand_ins
        self.note = Note()
        #: The Markdown instance that the note is converted with, where it is a new one for every page.
        self.converter: object = None
        self.drawn = 0
        self._cards: dict[tuple[object, ...], str] = {}

    def draw(self, source: str, language: str, css_class: str, options: Any, md: Any, **_: Any) -> str:
        """HTML for one fence (a SuperFences `format`). Never raises: SuperFences would print the fence as it is."""
        try:
            return self._draw(source)
        except DefinitionError as error:
            return _broken(error.problems)
        except RunbookError as error:
            return _broken([Problem(self._name(), self.note.line_of(source), 1, *_split(error))])
        except Exception as error:
            LOG.debug("the runbook fence broke", exc_info=True)
            message = f"this fence cannot be drawn: {type(error).__name__}: {error}"
            return _broken([Problem(self._name(), self.note.line_of(source), 1, message, "this is a defect of ours")])

    def draw_wall(self, source: str, language: str, css_class: str, options: Any, md: Any, **_: Any) -> str:
        """HTML for the verdict wall: every runbook by section, and what its recordings, or this host, say."""
        try:
            return wall(self.shelf, self.note.runbooks)
        except RunbookError as error:
            return _broken([Problem(self._name(), 1, 1, *_split(error))])

    def _draw(self, source: str) -> str:
        fence = read_fence(source, self._name(), 1)
        if fence.report.problems or not self.shelf.check(fence):
            # Only now is it worth the time to find the line.
            fence = read_fence(source, self._name(), self.note.line_of(source))
            self.shelf.check(fence)
            return _broken(fence.report.problems)
        place = unique(f"rb-{slug(fence.name)}", self.note.used)
        key = (place, self.note.runbooks, fence.name, fence.samples, fence.execute, fence.parameters)
        if key not in self._cards:
            shown = self.shelf.show(fence)
            link = self.note.runbooks.replace("NAME", shown.runbook.name)
            pieces = card(
                shown.runbook,
                shown.panels,
                place=place,
                link=link,
                remark=shown.remark,
                given=fence.parameters,
                freshness=freshness(shown.runbook),
            )
            drawn = "".join(pieces)
            if self.stand_ins is not None:
                drawn = self.stand_ins.put_away(drawn, words(shown.runbook, shown.panels))
            self._cards[key] = drawn
        self.drawn += 1
        return self._cards[key]

    def _name(self) -> str:
        """The note as a person here would name it."""
        if not self.note.path:
            return "a note"
        path = os.path.relpath(self.note.path)
        return self.note.path if path.startswith("..") else path


def _split(error: RunbookError) -> tuple[str, str]:
    message, _, cure = str(error).partition("\n")
    return message, cure.strip()


def _broken(problems: Iterable[Problem]) -> str:
    """Say what is wrong, in the log and where the runbook would be."""
    items = []
    for problem in problems:
        LOG.warning("%s", safe(str(problem)))
        cure = f" <em>{escape(safe(problem.cure))}</em>" if problem.cure else ""
        place = f"<code>{escape(safe(problem.path))}:{problem.line}</code>"
        items.append(f"<li>{place} {escape(safe(problem.message))}{cure}</li>")
    title = '<p class="admonition-title">This runbook cannot be shown</p>'
    return f'<div class="admonition failure rb-broken">{title}<ul>{"".join(items)}</ul></div>'


def draw(source: str, language: str, css_class: str, options: Any, md: Any, **_: Any) -> str:
    """The fence where no plugin runs: recordings only."""
    return _drawer_here(md).draw(source, language, css_class, options, md)


def draw_wall(source: str, language: str, css_class: str, options: Any, md: Any, **_: Any) -> str:
    """The verdict wall where no plugin runs."""
    return _drawer_here(md).draw_wall(source, language, css_class, options, md)


def _drawer_here(md: Any) -> Drawer:
    drawer = _kept_drawer(os.getcwd(), _state(os.getcwd()))
    if drawer.converter is not md:
        drawer.converter, drawer.note = md, Note(_path_in_zensical(md))
    return drawer


@lru_cache(maxsize=1)
def _kept_drawer(start: str, state: float) -> Drawer:
    return Drawer(Shelf(start, "recorded"))


def _state(start: str) -> float:
    """Changes whenever a file below runbooks/ does."""
    folders = os.walk(os.path.join(start, "runbooks"))
    return max((os.stat(os.path.join(top, name)).st_mtime for top, _, names in folders for name in names), default=0.0)


def _path_in_zensical(md: Any) -> str:
    """The file that Zensical converts, as far as it says: what it calls its context is not documented."""
    try:
        from zensical.extensions.context import ContextPreprocessor

        context = ContextPreprocessor.from_markdown(md)
        return os.path.join(os.getcwd(), "docs", str(context.page.path)) if context is not None else ""
    except Exception:
        return ""
