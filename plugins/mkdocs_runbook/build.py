"""Builds the site of a knowledge base as `mkdocs build --strict` does, and says in a few lines what came of it."""

from __future__ import annotations

import logging
import os
import sys

from mkdocs import exceptions
from mkdocs.commands.build import build as build_site
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig

from runbook.catalog import comes_with_package, upwards
from runbook.errors import ExecutionError, RunbookError, UntrustedError, UsageError
from runbook.loader.site import CONFIGURATION, read_site
from runbook.trust import holds


def build(start: str, *, execute: str = "", output: str = "", served: str = "") -> MkDocsConfig:
    """Build the site of the folder that has mkdocs.yml, here or above; gives its configuration.

    `execute` is one of `loader.note.MODES`, or empty for what mkdocs.yml says; `served` is the address under which
    `runbook serve` shows the pages, which then can run their runbooks. Raises UsageError where there is nothing to
    build or the configuration is wrong, UntrustedError where nobody allowed what it would execute, and ExecutionError
    when the site has faults: they are in the log.
    """
    # Material for MkDocs says at every start when it will end; README says it once.
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    configuration = find_configuration(start)
    if not comes_with_package(configuration) and not holds(site := read_site(configuration)):
        raise UntrustedError(site.name)
    with _Log():
        try:
            options = {"site_dir": os.path.abspath(output)} if output else {}
            options |= {"site_url": served} if served else {}
            config = load_config(configuration, strict=True, **options)
            plugin = config.plugins.get("runbook")
            if plugin is None:
                raise UsageError(
                    f"{configuration}: does not load this project's plugin\n    add to `plugins:` - runbook"
                )
            if execute:
                plugin.config.execute = execute
            plugin.served = bool(served)
            config.plugins.on_startup(command="build", dirty=False)
            build_site(config)
            config.plugins.on_shutdown()
            return config
        except exceptions.Abort as error:
            raise SiteError("the site has faults, which are told above; it is not complete") from error
        except exceptions.ConfigurationError as error:
            raise UsageError(f"{configuration}: {error}") from error
        except UnicodeDecodeError as error:
            raise SiteError(f"a note, named above, is not UTF-8: {error}") from error
        except exceptions.MkDocsException as error:
            raise SiteError(str(error)) from error


class SiteError(ExecutionError):
    """A site with faults."""

    exit_code = RunbookError.exit_code


def find_configuration(start: str) -> str:
    """The nearest mkdocs.yml, here or above; raises UsageError where there is none."""
    for folder in upwards(start):
        path = os.path.join(folder, CONFIGURATION)
        if os.path.isfile(path):
            return path
    raise UsageError(f"there is no mkdocs.yml in {start} or above\n    go to the folder that has one")


class _Log:
    """Shows on standard error what MkDocs and its plugins log while the body lasts."""

    def __enter__(self) -> None:
        self._handler = logging.StreamHandler(sys.stderr)
        self._handler.setFormatter(logging.Formatter("%(levelname)s  %(message)s"))
        self._logger = logging.getLogger("mkdocs")
        self._level = self._logger.level
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self._handler)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._level)
