"""The MkDocs plugin: makes the runs that pages want before any page is converted, and the pages that nobody writes."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config import config_options as option
from mkdocs.config.base import Config, ValidationError
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin, get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from mkdocs_runbook import pages
from mkdocs_runbook.blocks import BlockFilter
from mkdocs_runbook.fence import Drawer, Note
from mkdocs_runbook.live import LiveRuns, cache_folder
from mkdocs_runbook.shelf import Shelf
from mkdocs_runbook.standin import StandIns
from runbook.catalog import BUNDLED, roots
from runbook.errors import RunbookError
from runbook.escaping import safe
from runbook.loader.note import MODES, Fence, fences
from runbook.model import Plan

LOG = get_plugin_logger("runbook")
ASSETS = Path(__file__).parent / "assets"
STYLE, SCRIPT = "assets/runbook.css", "assets/runbook.js"
#: What runs runbooks from the page, only in a site that `runbook serve` shows; and where its tabs keep their key.
RUN_SCRIPT, KEY_SCRIPT = "assets/runbook-run.js", "assets/runbook-key.js"
#: The folder of the pages that are made from runbooks.
RUNBOOKS = "runbooks"
#: The line of a note that holds the verdict wall.
_WALL = re.compile(r"^ *(`{3,}|~{3,})[ \t]*runbook-wall[ \t]*$", re.MULTILINE)


class RunbookConfig(Config):
    """What `plugins: - runbook:` in mkdocs.yml may say."""

    execute = option.Optional(option.Choice(MODES))
    """When runbooks run for the site. `recorded`: never, pages show committed samples. `live`: on the building host.
    `auto`: there, where it has the commands and the rights, and else recorded. Usually `recorded` where the variable
    CI is set, and `auto` elsewhere. A runbook that changes the host never runs for a page."""

    redact = option.Type(bool, default=True)
    """Replace what identifies a host or a person (names, addresses, UUIDs, serials …) in everything published."""

    max_age = option.Type(int, default=900)
    """For how many seconds the result of a live run is used again, as long as nothing it depends on has changed."""

    workers = option.Type(int, default=4)
    """How many runbooks run at once."""

    def validate(self) -> tuple[list[Any], list[Any]]:
        failed, warnings = super().validate()
        for name in ("max_age", "workers"):
            value = self.get(name)
            if isinstance(value, bool) or (isinstance(value, int) and value < 1):
                failed.append((name, ValidationError(f"must be a whole number from 1 on, not {value!r}")))
        return failed, warnings


class RunbookPlugin(BasePlugin[RunbookConfig]):
    """Wires the fence, the assets and the made pages into a site."""

    #: Made anew in `on_config`, which MkDocs calls before all that draw.
    _drawer: Drawer

    def __init__(self) -> None:
        super().__init__()
        #: Whether the site is built for `runbook serve`.
        self.served = False
        self._live: LiveRuns | None = None
        self._blocks = BlockFilter()
        self._ran: dict[str, int] = {}

    def on_startup(self, *, command: str, dirty: bool) -> None:
        """Having this, the plugin lives as long as `mkdocs serve` does."""

    def on_config(self, config: MkDocsConfig) -> MkDocsConfig:
        """Register the fence and the assets, and watch the runbooks."""
        start = os.path.dirname(config.config_file_path) if config.config_file_path else os.getcwd()
        mode = self.config.execute or ("recorded" if os.environ.get("CI") else "auto")
        if mode != "recorded" and self._live is None:
            self._live = LiveRuns(cache_folder(), max_age=self.config.max_age, workers=self.config.workers)
        self._drawer = Drawer(Shelf(start, mode, self._live, redact=self.config.redact), StandIns())
        _register(config, {"runbook": self._drawer.draw, "runbook-wall": self._drawer.draw_wall})
        scripts = [SCRIPT, *([RUN_SCRIPT] if self.served else [])]
        for assets, asset in ((config.extra_css, STYLE), *((config.extra_javascript, script) for script in scripts)):
            if asset not in map(str, assets):
                assets.append(asset)
        config.watch += [root for root, origin in roots(start) if origin != BUNDLED and root not in config.watch]
        return config

    def on_files(self, files: Files, *, config: MkDocsConfig) -> Files:
        """Make the runs that pages want, and the pages that are made from runbooks."""
        for name in list(logging.root.manager.loggerDict):
            # One logger a module of it; a filter of their parent would not see what they log.
            if name.startswith("mkdocs.plugins.markdown_exec"):
                logging.getLogger(name).addFilter(self._blocks)
        for asset in (STYLE, SCRIPT, *([RUN_SCRIPT, KEY_SCRIPT] if self.served else [])):
            _add(files, File.generated(config, asset, abs_src_path=str(ASSETS / os.path.basename(asset))))
        notes = [file for file in files.documentation_pages() if file.abs_src_path]
        try:
            shown = {file: list(fences(str(file.abs_src_path))) for file in notes}
            self._perform([fence for found in shown.values() for fence in found], any(map(_has_wall, notes)))
            for name, content in self._pages(shown):
                _add(files, File.generated(config, name, content=content))
        except RunbookError as error:
            raise PluginError(str(error)) from error
        return files

    def stop(self) -> None:
        """End the runs that a build has under way; from another thread."""
        if self._live is not None:
            self._live.stop()

    def _perform(self, wanted: list[Fence], everything: bool) -> None:
        """Run what the notes want on this host, and say so; `everything` when the wall is shown."""
        if self._live is None:
            return
        plans = list(_plans(self._drawer.shelf, wanted, everything))
        outcomes = self._live.perform(plans)
        for outcome in outcomes:
            self._ran[outcome.what] = self._ran.get(outcome.what, 0) + 1
            if outcome.what == "failed":
                LOG.warning("%s could not be run: %s", outcome.name, safe(outcome.reason))
            elif outcome.what == "ran":
                more = f"; {outcome.reason}" if outcome.reason else ""
                LOG.info("ran %s on this host in %.1f s%s", outcome.name, outcome.seconds, more)

    def _pages(self, shown: dict[File, list[Fence]]) -> Iterator[tuple[str, str]]:
        """The made pages: where each goes, and its Markdown."""
        shelf = self._drawer.shelf
        named = {fence.name.replace("_", "-") for found in shown.values() for fence in found} & shelf.known.keys()
        runbooks = list({one.name: one for one in (*shelf.own, *map(shelf.runbook, sorted(named)))}.values())
        for runbook in runbooks:
            notes = [file for file, found in shown.items() if any(_names(fence, runbook.name) for fence in found)]
            links = [(_title(file), os.path.relpath(file.src_uri, RUNBOOKS)) for file in notes]
            yield f"{RUNBOOKS}/{runbook.name}.md", pages.runbook_page(shelf, runbook, links)
        yield f"{RUNBOOKS}/index.md", pages.index_page(runbooks)
        yield "symptoms.md", pages.symptoms_page(runbooks)
        yield "labs.md", pages.labs_page(runbooks)

    def on_page_markdown(self, markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
        """Tell the fence which page comes, and where it lies. A made page has no source to edit."""
        link = get_relative_url(f"{RUNBOOKS}/NAME", page.url) + ("/" if config.use_directory_urls else ".html")
        path = page.file.abs_src_path or page.file.src_uri
        self._drawer.note = Note(str(path), link)
        self._blocks.note = str(path)
        if page.file.generated_by:
            page.edit_url = None
        return markdown + _reviewed(page)

    def on_post_page(self, output: str, *, page: Page, config: MkDocsConfig) -> str:
        """Put the cards where their stand-ins are."""
        assert self._drawer.stand_ins is not None
        return self._drawer.stand_ins.put_back(output)

    def on_post_build(self, *, config: MkDocsConfig) -> None:
        """One summary of what was shown, run and replaced."""
        ran = self._ran
        LOG.info(
            "%d runbooks shown; %d run on this host, %d reused, %d could not be run",
            *(self._drawer.drawn, ran.get("ran", 0), ran.get("reused", 0), ran.get("failed", 0)),
        )
        for before, after in self._drawer.shelf.replaced:
            # A log of CI is public, and what was replaced is not.
            LOG.info("replaced %s by %s", "***" if os.environ.get("CI") else safe(before), after)
        self._ran = {}


def _register(config: MkDocsConfig, formats: dict[str, Any]) -> None:
    """Have SuperFences call these; where mkdocs.yml names the fence itself, for other generators, in its place."""
    extension = "pymdownx.superfences"
    if extension not in config.markdown_extensions:
        config.markdown_extensions.append(extension)
    custom = config.mdx_configs.setdefault(extension, {}).setdefault("custom_fences", [])
    custom[:] = [one for one in custom if one.get("name") not in formats]
    custom += [{"name": name, "class": name, "format": format} for name, format in formats.items()]


def _add(files: Files, file: File) -> None:
    """Add a made file where nobody wrote one of that name."""
    if files.get_file_from_path(file.src_uri) is None:
        files.append(file)


def _has_wall(file: File) -> bool:
    return _WALL.search(_text(file)) is not None


def _text(file: File) -> str:
    """A note that is no UTF-8 is for MkDocs to complain of, which names it."""
    with open(str(file.abs_src_path), encoding="utf-8-sig", errors="replace") as note:
        return note.read()


def _plans(shelf: Shelf, wanted: list[Fence], everything: bool) -> Iterator[Plan]:
    """What has to run; a fence that names something wrong is told of where it is drawn."""
    wishes = [(fence.name.replace("_", "-"), fence.parameters, fence.execute) for fence in wanted]
    wishes += [(runbook.name, (), "") for runbook in shelf.own] if everything else []
    for name, given, execute in dict.fromkeys(wishes):
        try:
            plan = shelf.wanted(shelf.runbook(name), given, execute) if name in shelf.known else None
        except RunbookError:
            continue
        if plan is not None:
            yield plan


def _reviewed(page: Page) -> str:
    """The date in a note's front matter on which somebody last checked that all of it holds."""
    if "reviewed" not in page.meta:
        return ""
    date = str(page.meta["reviewed"])
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        LOG.warning("%s: `reviewed` must be a date such as 2026-11-26, not `%s`", page.file.src_uri, date)
        return ""
    return f'\n\n<p class="rb-reviewed">Reviewed on <time datetime="{date}">{date}</time>.</p>\n'


def _names(fence: Fence, name: str) -> bool:
    return fence.name.replace("_", "-") == name


def _title(file: File) -> str:
    """The first heading of a note."""
    heading = re.search(r"^# +(.+?) *$", _text(file), re.MULTILINE)
    return heading[1] if heading else file.name
