"""The built site as this server shows it: the files of one folder, and what they may do in a browser."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Iterator

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

from runbook.server.guard import Message, Receive, Scope, Send

#: How many different inline styles a site may have: their hashes are in a header.
MOST_STYLES = 80
#: The article of a page: a script in there came from a note, or by way of one, and is not executed.
_ARTICLE = re.compile(rb"<article\b.*?</article>", re.DOTALL | re.IGNORECASE)
_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.+?)</script>", re.DOTALL | re.IGNORECASE)
_STYLE = re.compile(rb"<style[^>]*>(.*?)</style>", re.DOTALL | re.IGNORECASE)
_STYLE_ATTRIBUTE = re.compile(rb'\bstyle="([^"]*)"')


class Pages:
    """An ASGI application over the newest build, of which there must be one before anybody asks."""

    _files: StaticFiles
    _policy: str

    def show(self, folder: str) -> None:
        """Serve this folder from now on. From any thread; reads all pages once."""
        policy = policy_of(_pages(folder))
        self._files, self._policy = StaticFiles(directory=folder, html=True), policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = next(value.decode("latin-1") for name, value in scope["headers"] if name == b"host")
        header = self._policy.replace("HOST", host).encode("latin-1")

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", header)]
            await send(message)

        try:
            await self._files(scope, receive, with_policy)
        except HTTPException as error:
            response = PlainTextResponse(f"{error.detail}\n", error.status_code)
            await response(scope, receive, send)


def policy_of(pages: Iterable[bytes]) -> str:
    """The Content-Security-Policy under which these pages work, with HOST for the server's name.

    Scripts are the site's own files, and the theme's inline ones by their hashes (CSP 3, section 2.3.1); all pages have
    one policy, because with instant navigation a page is shown in the place of another. Nothing comes from other hosts.
    """
    scripts: dict[bytes, None] = {}
    styles: dict[bytes, None] = {}
    attributes: dict[bytes, None] = {}
    for page in pages:
        scripts |= dict.fromkeys(_SCRIPT.findall(_ARTICLE.sub(b"", page)))
        styles |= dict.fromkeys(_STYLE.findall(page))
        attributes |= dict.fromkeys(_STYLE_ATTRIBUTE.findall(page))
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' {_hashes(scripts)}".strip(),
            f"style-src 'self' {_hashes([*styles][:MOST_STYLES])}".strip(),
            f"style-src-attr 'unsafe-hashes' {_hashes([*attributes][:MOST_STYLES])}".strip(),
            "img-src 'self' data:",
            "font-src 'self'",
            "media-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "connect-src 'self' ws://HOST",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _hashes(texts: Iterable[bytes]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _pages(folder: str) -> Iterator[bytes]:
    for top, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".html"):
                with open(os.path.join(top, name), "rb") as file:
                    yield file.read()
