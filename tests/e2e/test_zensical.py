"""The same notes under Zensical, which runs no MkDocs plugin: the fence shows the same; what is missing is known."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.base import COMMAND, PLUGINS, Base

ROOT = Path(__file__).resolve().parents[2]
ZENSICAL = (sys.executable, "-m", "zensical", "build")


def build(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS), "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """This knowledge base as built by Zensical and by MkDocs."""
    folder = tmp_path_factory.mktemp("zensical")
    for name in ("docs", "runbooks"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "mkdocs.yml", folder)
    # A copy is somebody else's until its person says otherwise.
    Base(folder).trust()
    done = build(folder, *ZENSICAL)
    assert done.returncode == 0, done.stdout + done.stderr
    done = build(folder, *COMMAND, "build", "--execute", "recorded", "--output", "mkdocs")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site", folder / "mkdocs"


def card(site: Path) -> str:
    """The card of the LVM note, without what is known to differ: links to pages, and what the search engine reads."""
    page = (site / "storage/lvm/index.html").read_text()
    found = re.search(r'<div class="rb" .*?On your own host.*?</pre>', page, re.DOTALL)
    assert found is not None
    return re.sub(r'<p class="rb-title".*?</p>| data-search-exclude', "", found[0])


def test_the_fence_shows_the_same(sites: tuple[Path, Path]) -> None:
    zensical, mkdocs = sites
    assert card(zensical) == card(mkdocs)
    assert "thin-pool-data" in card(zensical)


def test_the_wall_is_there(sites: tuple[Path, Path]) -> None:
    assert 'class="rb-wall"' in (sites[0] / "index.html").read_text()


@pytest.mark.parametrize("asset", ["runbook.css", "runbook.js"])
def test_the_pages_have_style_and_script(sites: tuple[Path, Path], asset: str) -> None:
    assert (sites[0] / "assets" / asset).read_bytes() == (PLUGINS / "mkdocs_runbook/assets" / asset).read_bytes()
    assert f"../../assets/{asset}" in (sites[0] / "storage/lvm/index.html").read_text()


@pytest.mark.parametrize("page", ["runbooks/lvm-inspect", "symptoms", "labs"])
def test_made_pages_are_missing_as_the_documentation_says(sites: tuple[Path, Path], page: str) -> None:
    zensical, mkdocs = sites
    assert (mkdocs / page / "index.html").exists()
    assert not (zensical / page / "index.html").exists()


def test_a_broken_fence_is_a_box_and_a_line_in_the_log(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "runbooks", tmp_path / "runbooks")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# A\n\n```runbook\nname: lvm-inspect\nsamples: [labtop]\n```\n")
    done = build(tmp_path, *ZENSICAL)
    assert "docs/index.md:5:11: lvm-inspect has no sample `labtop`" in done.stdout + done.stderr
    assert "This runbook cannot be shown" in (tmp_path / "site/index.html").read_text()
