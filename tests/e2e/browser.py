"""A site behind a strict web server, and a browser that tells every error and every request that leaves it."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright

#: What Chromium needs as root, and what keeps it from asking anybody anything.
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
#: What is only in the page, for the scripts that the theme has in it, and for nothing else.
POLICY = (
    "default-src 'none'; script-src 'self' {hashes}; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'"
)


def launch(playwright: Playwright, chromium: str) -> Browser:
    return playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)


@contextmanager
def served(site: Path, build: Callable[[str], None] = lambda address: None) -> Iterator[str]:
    """The address of a server that shows this folder, with a Content-Security-Policy that allows nothing inline.

    `build` may make the folder when the address is known: the theme takes over links only at the site's own address.
    """
    policy = ""

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", policy)
            super().end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    build(f"http://127.0.0.1:{server.server_port}/")
    policy = POLICY.format(hashes=" ".join(sorted(_hashes(site))))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def _hashes(site: Path) -> set[str]:
    """The scripts that stand in pages, which are the theme's; as a policy names them."""
    found = set()
    for page in site.rglob("*.html"):
        for script in re.findall(r"<script>(.*?)</script>", page.read_text(), re.DOTALL):
            found.add(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode())
    return {f"'sha256-{digest}'" for digest in found}


class Watch:
    """Collects what no page may do: log an error or a warning, raise one, or ask another host."""

    def __init__(self, page: Page, home: str) -> None:
        self.faults: list[str] = []
        self._home = home
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.faults.append(f"raised: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((self._home, "data:", "blob:")):
            self.faults.append(f"asked {url}")
