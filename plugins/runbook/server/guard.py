"""Who may ask: one gate below all routing, for HTTP and WebSocket alike, that no new route can forget.

A page of any other origin can send requests to loopback, other names can be made to lead there (DNS rebinding), and
other users of this host can connect. So every request must name this server exactly, must not come from another origin,
and, for everything but the pages of the site, must carry the token that only the printed address had. Comparisons are
equality, never a prefix. (Fetch Metadata: w3.org/TR/fetch-metadata; the rest is RFC 9110 and RFC 6455.)
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from hmac import compare_digest
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The first part of the path of everything that needs the token; no page of a site has such a name.
API = "_runbook"
#: The WebSocket subprotocol that is spoken, and what the one that carries the token begins with: a browser can send no
#: header with a WebSocket.
PROTOCOL, CARRIER = "runbook.1", "runbook.token."
#: How long a request's body and a WebSocket message may be, in bytes.
BODY_BYTES = 64 * 1024

#: What every answer says, whatever it is.
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
#: What an answer may do as a page, where it does not say itself.
POLICY = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Refusal(NamedTuple):
    """Why a request is not answered: the HTTP status (RFC 9110), and a sentence."""

    status: int
    reason: str


class Guard:
    """Lets requests through to `api`, or to `site` for what is no part of the API, that this server may answer.

    `port` is where it listens on loopback, `token` what the API is asked with.
    """

    def __init__(self, api: App, site: App, port: int, token: str) -> None:
        self._api = api
        self._site = site
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._api(scope, receive, send)
            return
        refusal, private = self.refusal(scope), _is_api(scope)
        if refusal is None:
            try:
                await (self._api if private else self._site)(scope, _limited(receive), _with_headers(send, private))
                return
            except _TooLong as error:
                refusal = Refusal(error.status_code, error.detail)
        await _refuse(scope, send, refusal)

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why this request is not let through; None when it is."""
        values = _Headers(scope["headers"])
        host = values.only("host").lower()
        if host not in self._hosts:
            return Refusal(421, "this name does not lead here")
        if values.all("origin") and values.only("origin").lower() != f"http://{host}":
            return Refusal(403, "another origin may not ask")
        if not _is_api(scope):
            return _of_page(scope, values)
        return self._of_api(scope, values)

    def _of_api(self, scope: Scope, values: _Headers) -> Refusal | None:
        if values.all("sec-fetch-site") and values.only("sec-fetch-site") != "same-origin":
            return Refusal(403, "another site may not ask")
        if not compare_digest(_token(scope, values).encode("utf-8", "replace"), self._token):
            return Refusal(401, "the token is missing, or of another start of this server")
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            if values.only("content-type").lower() != "application/json":
                return Refusal(415, "only JSON is understood")
            length = values.only("content-length")
            if length and (not length.isdecimal() or int(length[:20]) > BODY_BYTES):
                return Refusal(413, "the body is too long")
        return None


def _of_page(scope: Scope, values: _Headers) -> Refusal | None:
    """A page is shown to whoever is on this host; other sites may lead to it, and cannot use it in any other way."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return Refusal(405, "pages can only be read")
    led = (values.only("sec-fetch-mode"), values.only("sec-fetch-dest")) == ("navigate", "document")
    if values.all("sec-fetch-site") and values.only("sec-fetch-site") not in ("same-origin", "none") and not led:
        return Refusal(403, "another site may not use this page")
    return None


def _is_api(scope: Scope) -> bool:
    return str(scope["path"]).split("/")[1:2] == [API]


class _Headers:
    """The headers of a request, whose names are in lower case."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._headers if key == name]

    def only(self, name: str) -> str:
        """Its value; empty where there is none, or several, of which one would be for us and one for somebody else."""
        values = self.all(name)
        return values[0] if len(values) == 1 else ""


def _token(scope: Scope, values: _Headers) -> str:
    if scope["type"] == "websocket":
        offered = [word for word in scope.get("subprotocols", ()) if word.startswith(CARRIER)]
        return offered[0][len(CARRIER) :] if len(offered) == 1 else ""
    scheme, _, token = values.only("authorization").partition(" ")
    return token if scheme == "Bearer" else ""


class _TooLong(HTTPException):
    """An application that answers such exceptions itself does so; for any other the guard does."""

    def __init__(self) -> None:
        super().__init__(413, "the body is too long")


def _limited(receive: Receive) -> Receive:
    """The same, but for a body that is longer than it may be, whatever its header said."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > BODY_BYTES:
                raise _TooLong
        return message

    return limited


def _with_headers(send: Send, private: bool) -> Send:
    """The same, with what every answer says."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            said = {name.lower() for name, _ in message.get("headers", ())}
            added = [*HEADERS, (b"content-security-policy", POLICY)]
            added.append((b"cache-control", b"no-store" if private else b"no-cache"))
            message["headers"] = [*message.get("headers", ()), *(pair for pair in added if pair[0] not in said)]
        await send(message)

    return with_headers


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        # Before it is accepted: the client is answered 403.
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.reason})
        return
    body = json.dumps({"problem": refusal.reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    sender = _with_headers(send, private=True)
    await sender({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await sender({"type": "http.response.body", "body": body})
