"""Knowledge bases with notes, and a bare Markdown that knows the fence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import markdown

from mkdocs_runbook.fence import Drawer
from tests.base import HELPER, PLUGINS, Base

CONFIGURATION = """
site_name: Test
theme: {name: mkdocs}
markdown_extensions: [pymdownx.superfences]
plugins:
  - search
  - markdown-exec: {languages: [bash, python]}
  - runbook: {%s}
"""

SAMPLE = """
title: %s
source: {kind: lab, name: good, date: 2026-11-20, kernel: 6.1.0}
captures:
  - {step: a, exit_code: %d, stdout: "%s\\n"}
findings: {%s}
"""


def with_notes(base: Base, options: str = "execute: recorded", **notes: str) -> Base:
    """A runbook `talk` with two samples, a configuration, and these notes below docs/."""
    folder = base.runbook(
        "talk", [{"argv": ["echo", "well"]}], HELPER, findings={"all-well": "Well.", "broken": "Broken."}
    )
    (folder / "samples").mkdir(exist_ok=True)
    (folder / "samples/good.yaml").write_text(SAMPLE % ("All is well", 0, "well", "all-well: ok"))
    (folder / "samples/bad.yaml").write_text(SAMPLE % ("It is broken", 0, "ill", "broken: critical"))
    (base.path / "docs").mkdir(exist_ok=True)
    (base.path / "mkdocs.yml").write_text(CONFIGURATION % options)
    for name, text in {"index": "# Start\n", **notes}.items():
        (base.path / "docs" / f"{name}.md").write_text(text)
    return base


def fence(body: str) -> str:
    return f"```runbook\n{body}\n```\n"


def build(base: Base, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`mkdocs build` in a process of its own, with a cache of its own, and whatever CI says."""
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"PYTHONPATH": str(PLUGINS), "XDG_CACHE_HOME": str(base.path / "cache"), **more}
    base.trust()
    command = [sys.executable, "-m", "mkdocs", "build", *words]
    return subprocess.run(
        command, cwd=base.path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def page(base: Base, name: str = "index") -> str:
    folder = base.path / "site" if name == "index" else base.path / "site" / name
    return (folder / "index.html").read_text()


def convert(drawer: Drawer, text: str) -> str:
    """The HTML of a note, with every runbook trusted as it is now."""
    Base(Path(drawer.shelf.start)).trust()
    fences: list[dict[str, Any]] = [{"name": "runbook", "class": "runbook", "format": drawer.draw}]
    fences += [{"name": "runbook-wall", "class": "runbook-wall", "format": drawer.draw_wall}]
    options: dict[str, dict[str, Any]] = {
        "pymdownx.superfences": {"custom_fences": fences},
        "pymdownx.tabbed": {"alternate_style": True},
    }
    return str(markdown.markdown(text, extensions=list(options), extension_configs=options))
