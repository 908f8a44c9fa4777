"""Small tables for notes, computed from the runbooks; a note prints them in a `python exec="on"` block."""

from __future__ import annotations

import os

from mkdocs_runbook import pages
from runbook.catalog import find
from runbook.model import Runbook
from runbook.renderers.markdown import inline


def parameter_table(name: str) -> str:
    """The parameters of a runbook, what they mean and their usual values; raises UsageError when there is none."""
    return "\n".join(pages.parameters(_runbook(name)))


def finding_table(name: str) -> str:
    """The codes of a runbook's findings and what they mean; raises UsageError when there is none."""
    rows = (f"| `{code}` | {inline(meaning)} |" for code, meaning in _runbook(name).findings)
    return "\n".join(["| code | it means |\n| --- | --- |", *rows])


def _runbook(name: str) -> Runbook:
    # Set by markdown-exec: the folder of mkdocs.yml, wherever the build was started.
    return find(name, os.environ.get("MKDOCS_CONFIG_DIR") or os.getcwd()).load()
