"""The gate: each rule alone refuses what breaks it, and what keeps all of them passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbook.server.guard import BODY_BYTES, HEADERS, POLICY, Guard, Message, Receive, Scope, Send
from tests.server.serving import finished

PORT, TOKEN = 8400, "t" * 43
HOST = f"127.0.0.1:{PORT}"
AUTHORIZED = ("authorization", f"Bearer {TOKEN}")
JSON = ("content-type", "application/json")


async def answered(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads the whole request, and answers with its own name."""
    more = scope["type"] == "http"
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", scope["app"].encode())]})
    await send({"type": "http.response.body", "body": b"done"})


def app(name: str) -> Any:
    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        await answered({**scope, "app": name}, receive, send)

    return named


def ask(
    *headers: tuple[str, str],
    path: str = "/",
    method: str = "GET",
    type: str = "http",
    body: tuple[bytes, ...] = (b"",),
    **more: Any,
) -> list[Message]:
    """What is sent in answer to this request."""
    sent: list[Message] = []
    parts = list(body)

    async def receive() -> Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": type, "path": path, "method": method, "headers": raw, **more}
    finished(Guard(app("api"), app("site"), PORT, TOKEN)(scope, receive, send))
    return sent


def status(*headers: tuple[str, str], **how: Any) -> int:
    return int(ask(*headers, **how)[0]["status"])


API = "/_runbook/runs"


@pytest.mark.parametrize("host", [HOST, f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_its_own_names_are_answered(host: str) -> None:
    assert status(("host", host)) == 200
    assert status(("host", host), ("origin", f"http://{host.lower()}"), AUTHORIZED, path=API) == 200


HOSTS = [
    "",
    "evil.test",
    f"evil.test:{PORT}",
    "127.0.0.1",
    f"127.0.0.1:{PORT + 1}",
    f"127.0.0.1:{PORT}.evil.test",
    f"127.0.0.1:{PORT}@evil.test",
    f"localhost.:{PORT}",
    f"0.0.0.0:{PORT}",
    f"127.1:{PORT}",
    f"127.0.0.1:0{PORT}",
    f" {HOST}",
    f"[::]:{PORT}",
    f"[0:0:0:0:0:0:0:1]:{PORT}",
]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/", API])
def test_any_other_name_is_refused(host: str, path: str) -> None:
    assert status(("host", host), AUTHORIZED, path=path) == 421


def test_no_name_and_two_names_are_refused() -> None:
    assert status(AUTHORIZED, path=API) == 421
    assert status(("host", HOST), ("host", HOST), AUTHORIZED, path=API) == 421


ORIGINS = [
    "null",
    "",
    "http://evil.test",
    f"https://{HOST}",
    f"http://{HOST}.evil.test",
    f"http://127.0.0.1:{PORT + 1}",
    "http://127.0.0.1",
    f"http://localhost:{PORT}",
    f"http://{HOST}/",
]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", ["/", API])
def test_any_other_origin_is_refused(origin: str, path: str) -> None:
    assert status(("host", HOST), ("origin", origin), AUTHORIZED, path=path) == 403


def test_two_origins_are_refused() -> None:
    both = [("origin", f"http://{HOST}")] * 2
    assert status(("host", HOST), *both, AUTHORIZED, path=API) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "", "Same-Origin"])
def test_the_api_is_for_its_own_pages(site: str) -> None:
    assert status(("host", HOST), ("sec-fetch-site", site), AUTHORIZED, path=API) == 403
    assert status(("host", HOST), ("sec-fetch-site", "same-origin"), AUTHORIZED, path=API) == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_lead_to_a_page_and_use_it_in_no_other_way(site: str) -> None:
    sent = [("host", HOST), ("sec-fetch-site", site)]
    assert status(*sent, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")) == 200
    for mode, dest in (("no-cors", "script"), ("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty")):
        assert status(*sent, ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)) == 403
    navigated = [*sent, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
    assert status(*navigated, AUTHORIZED, path=API) == 403


TOKENS = [
    (),
    (("authorization", ""),),
    (("authorization", "Bearer "),),
    (("authorization", f"Bearer {TOKEN[:-1]}"),),
    (("authorization", f"Bearer {TOKEN}x"),),
    (("authorization", f"Bearer  {TOKEN}"),),
    (("authorization", f"bearer {TOKEN}"),),
    (("authorization", f"Basic {TOKEN}"),),
    (("authorization", TOKEN),),
    (("authorization", f"Bearer {TOKEN}é"),),
    (AUTHORIZED, AUTHORIZED),
    (("cookie", f"token={TOKEN}"),),
    (("x-token", TOKEN),),
]


@pytest.mark.parametrize("headers", TOKENS)
def test_without_the_token_the_api_is_shut(headers: tuple[tuple[str, str], ...]) -> None:
    assert status(("host", HOST), *headers, path=API) == 401
    assert status(("host", HOST), *headers, JSON, path=API, method="POST") == 401
    assert status(("host", HOST), *headers, path=API, query_string=f"token={TOKEN}".encode()) == 401


def opened(*headers: tuple[str, str], protocols: tuple[str, ...], path: str = API) -> bool:
    sent = ask(*headers, path=path, type="websocket", subprotocols=list(protocols))
    return str(sent[0]["type"]) != "websocket.close"


def test_a_websocket_carries_it_as_a_subprotocol() -> None:
    host, carried = ("host", HOST), f"runbook.token.{TOKEN}"
    assert opened(host, ("origin", f"http://{HOST}"), protocols=("runbook.1", carried))
    assert not opened(host, protocols=("runbook.1",))
    assert not opened(host, AUTHORIZED, protocols=("runbook.1",))
    assert not opened(host, protocols=("runbook.1", carried[:-1]))
    assert not opened(host, protocols=("runbook.1", carried, carried))
    assert not opened(host, protocols=("runbook.1", TOKEN))
    assert not opened(host, ("origin", "http://evil.test"), protocols=("runbook.1", carried))
    assert not opened(("host", "evil.test"), protocols=("runbook.1", carried))
    assert not opened(host, protocols=("runbook.1", carried), path="/")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"])
def test_pages_are_only_read(method: str) -> None:
    assert status(("host", HOST), AUTHORIZED, JSON, method=method) == 405


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json;x"],
)
def test_only_json_is_understood(kind: str) -> None:
    sent = [("host", HOST), AUTHORIZED]
    assert status(*sent, ("content-type", kind), path=API, method="POST") == 415
    assert status(*sent, path=API, method="POST") == 415
    assert status(*sent, JSON, JSON, path=API, method="POST") == 415
    assert status(*sent, JSON, path=API, method="POST") == 200


def test_a_long_body_is_refused_whatever_its_header_says() -> None:
    sent = [("host", HOST), AUTHORIZED, JSON]
    for length in (str(BODY_BYTES + 1), "9" * 5000, "-1", "x", "²"):
        assert status(*sent, ("content-length", length), path=API, method="POST") == 413
    half = b"x" * (BODY_BYTES // 2)
    assert status(*sent, path=API, method="POST", body=(half, half)) == 200
    assert status(*sent, path=API, method="POST", body=(half, half, b"x")) == 413


PATHS = [
    ("/_runbook", "api"),
    ("/_runbook/", "api"),
    ("/_runbook/x", "api"),
    ("/", "site"),
    ("/_runbooks/x", "site"),
    ("/x/_runbook", "site"),
    ("//_runbook/runs", "site"),
    ("/./_runbook/runs", "site"),
    ("_runbook/runs", "site"),
    ("http://127.0.0.1/_runbook/runs", "site"),
    ("*", "site"),
]


@pytest.mark.parametrize(("path", "name"), PATHS)
def test_what_is_no_part_of_the_api_is_a_page_of_the_site(path: str, name: str) -> None:
    """Which has no way to run anything: two applications, and no path that both would answer."""
    start = ask(("host", HOST), AUTHORIZED, path=path)[0]
    assert (b"x-app", name.encode()) in start["headers"]


@pytest.mark.parametrize("path", ["/", API, "/refused"])
def test_every_answer_says_what_may_be_done_with_it(path: str) -> None:
    for sent in (ask(("host", HOST), AUTHORIZED, path=path), ask(("host", "evil.test"), path=path)):
        assert {*HEADERS, (b"content-security-policy", POLICY)} <= set(sent[0]["headers"])
        assert not any(name.startswith(b"access-control") or name == b"set-cookie" for name, _ in sent[0]["headers"])
    caching = dict(ask(("host", HOST), AUTHORIZED, path=path)[0]["headers"])[b"cache-control"]
    assert caching == (b"no-store" if path == API else b"no-cache")


def test_a_refusal_is_one_sentence() -> None:
    sent = ask(("host", HOST), path=API)
    assert json.loads(sent[1]["body"]) == {"problem": "the token is missing, or of another start of this server"}
