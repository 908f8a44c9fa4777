"""What the browser tests share: the site of this knowledge base, a server for it, a browser, and a fresh page."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.base import COMMAND, PLUGINS
from tests.e2e.browser import Watch, launch, served

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site that `home` serves."""
    return tmp_path_factory.mktemp("built") / "site"


@pytest.fixture(scope="session")
def home(site: Path) -> Iterator[str]:
    """Where the site is served, as CI builds it: recordings only."""

    def build(address: str) -> None:
        command = [*COMMAND, "build", "--execute", "recorded", "--output", str(site)]
        environment = {**os.environ, "PYTHONPATH": str(PLUGINS), "RUNBOOK_SITE_URL": address}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)

    with served(site, build) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        reason = "there is no chromium here; Debian: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        started = launch(playwright, chromium)
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    made.set_default_timeout(10_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, home: str) -> Iterator[Page]:
    """A page that may, by the end of the test, not have logged a fault or asked another host for anything."""
    made = context.new_page()
    watch = Watch(made, home)
    yield made
    assert watch.faults == []
