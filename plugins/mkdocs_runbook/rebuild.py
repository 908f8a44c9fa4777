"""Builds the site again whenever something that it is made from changes, for as long as somebody shows it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable

from mkdocs.config.defaults import MkDocsConfig
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from mkdocs_runbook.build import build, find_configuration
from mkdocs_runbook.plugin import RunbookPlugin
from runbook.catalog import roots
from runbook.errors import ExecutionError, RunbookError
from runbook.trust import store_path

#: How long it must be quiet after a change before it is built, in seconds: editors write a file in several steps.
QUIET_SECONDS = 0.2
#: How long a build may take to end, in seconds.
STOP_SECONDS = 10.0
#: A file's time comes from a clock of the kernel that ticks this seldom, in seconds (CONFIG_HZ=100).
CLOCK_SECONDS = 0.01
#: What is no change of content.
_LOOKED = {"opened", "closed_no_write"}


class Rebuilder:
    """Builds into folders below `folder`, each build in one of its own, and hands it to `show`.

    `failed` is told why a build could not be made; what is shown stays. `served` as in `build`.
    """

    def __init__(
        self,
        start: str,
        folder: str,
        *,
        served: str,
        execute: str,
        show: Callable[[str], None],
        failed: Callable[[RunbookError], None],
    ) -> None:
        self._start = start
        self._folder = folder
        self._served = served
        self._execute = execute
        self._show = show
        self._failed = failed
        self._number = 0
        configuration = find_configuration(start)
        #: What counts of the folders that are not watched with all below, besides Python modules.
        self._beside = {configuration, store_path()}
        self._configuration = configuration
        #: The folders of the build that is shown, and of the one before.
        self._shown: list[str] = []
        self._plugin: RunbookPlugin | None = None
        #: When the build that is shown, or is made, began, in seconds since the epoch.
        self._began = 0.0
        self._changed = threading.Event()
        self._stopped = False
        self._observer = Observer()
        self._watched: set[tuple[str, bool]] = set()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def build(self) -> None:
        """Build once and show it. Raises as `build` does."""
        self._number += 1
        self._began = time.time()
        output = os.path.join(self._folder, str(self._number))
        config = build(self._start, execute=self._execute, output=output, served=self._served)
        self._show(config.site_dir)
        # Who has just been sent a page of the one before may still ask for its pictures.
        self._shown = [*self._shown[-1:], output]
        for name in os.listdir(self._folder):
            path = os.path.join(self._folder, name)
            if os.path.isdir(path) and path not in self._shown:
                shutil.rmtree(path, ignore_errors=True)
        plugin = config.plugins["runbook"]
        assert isinstance(plugin, RunbookPlugin)
        self._plugin = plugin
        self._watch(config)

    def begin(self) -> None:
        """Watch, and build again after each change, until `stop`."""
        try:
            self._observer.start()
        except OSError as error:
            self._failed(_unwatched(error))
        self._look_back(self._watched)
        self._thread.start()

    def stop(self) -> None:
        """End watching, and what a build runs; returns when it has ended, or does not in time."""
        self._stopped = True
        self._changed.set()
        self._observer.stop()
        if self._plugin is not None:
            self._plugin.stop()
        self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        while True:
            self._changed.wait()
            while self._changed.is_set() and not self._stopped:
                self._changed.clear()
                time.sleep(QUIET_SECONDS)
            if self._stopped:
                return
            try:
                self.build()
            except RunbookError as error:
                self._failed(error)
            except Exception as error:
                # A hook of the knowledge base, say; the next change may have mended it.
                self._failed(ExecutionError(f"building the site broke: {type(error).__name__}: {error}"))

    def _counts(self, names: list[str], below: bool) -> bool:
        """Whether the site may be made from one of these; of a folder not watched `below`, few are."""
        hidden = all(os.path.basename(name).startswith(".") or "__pycache__" in name for name in names)
        beside = any(name in self._beside or name.endswith(".py") for name in names)
        return not hidden and (below or beside)

    def _watch(self, config: MkDocsConfig) -> None:
        wanted = {(os.path.dirname(self._configuration), False), (config.docs_dir, True)}
        wanted |= {(path, True) for path in (*config.watch, *config.theme.dirs[:1]) if os.path.isdir(path)}
        wanted |= {(root, True) for root, _ in roots(self._start)}
        # What somebody allows in another terminal is shown, too.
        decisions = os.path.dirname(store_path())
        wanted |= {(decisions, False)} if os.path.isdir(decisions) else set()
        for path, below in sorted(wanted - self._watched):
            handler = _Handler(self._changed, self._counts, below)
            try:
                self._observer.schedule(handler, path, recursive=below)
            except OSError as error:
                self._failed(_unwatched(error))
        self._look_back(wanted - self._watched)
        self._watched |= wanted

    def _look_back(self, watched: set[tuple[str, bool]]) -> None:
        """Build again if a file changed after the build began and before it was watched."""
        for path, below in watched:
            for folder, folders, names in os.walk(path):
                for name in names:
                    file = os.path.join(folder, name)
                    if self._counts([file], below) and _changed_at(file) > self._began - CLOCK_SECONDS:
                        self._changed.set()
                        return
                if not below:
                    folders.clear()


def _unwatched(error: OSError) -> ExecutionError:
    """Mostly, too many folders are watched already (inotify(7))."""
    cure = "sudo sysctl fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024"
    return ExecutionError(f"changes of some files are not seen: {error.strerror}\n    {cure}")


def _changed_at(path: str) -> float:
    """When it was last written, renamed or given other rights, in seconds since the epoch; 0 when it is gone."""
    try:
        return os.lstat(path).st_ctime
    except OSError:
        return 0.0


class _Handler(FileSystemEventHandler):
    """Says that something changed, if it `counts`."""

    def __init__(self, changed: threading.Event, counts: Callable[[list[str], bool], bool], below: bool) -> None:
        self._changed = changed
        self._counts = counts
        self._below = below

    def on_any_event(self, event: FileSystemEvent) -> None:
        names = [os.fsdecode(name) for name in (event.src_path, event.dest_path) if name]
        if event.event_type not in _LOOKED and not event.is_directory and self._counts(names, self._below):
            self._changed.set()
