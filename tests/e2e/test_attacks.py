"""What a hostile page can do to a server on the reader's own machine: nothing, even when it knows the key.

The page knows the key because each guard must hold by itself; that it cannot know it is one more.
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.base import Base
from tests.e2e.browser import ARGUMENTS
from tests.server.serving import Served, site, until

#: Every way a page has to reach another server. Each gives whether it got anything.
PAGE = """<!doctype html><title>hostile</title><body><script>
const loads = (element, place) => new Promise((done) => {
  element.addEventListener("load", () => done(true));
  element.addEventListener("error", () => done(false));
  document.body.append(element);
});
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
const opens = (url, protocols) => new Promise((done) => {
  try {
    const line = new WebSocket(url, protocols);
    line.onopen = line.onmessage = () => done(true);
    line.onerror = line.onclose = () => done(false);
  } catch { done(false); }
});
const readable = (url, options) => fetch(url, options).then((answer) => answer.ok, () => false);
const submit = async (url, type, name) => {
  const frame = make("iframe", {name: `frame-${Math.random()}`});
  const form = make("form", {method: "post", action: url, enctype: type, target: frame.name});
  form.append(make("input", {name, value: ""}));
  document.body.append(frame, form);
  form.submit();
  await new Promise((done) => setTimeout(done, 400));
  return false;
};
window.attack = async (home, token, digest, run) => {
  const api = `${home}_runbook/`, socket = api.replace("http", "ws");
  const body = JSON.stringify({name: "mark", values: {}, lab: "", digest});
  const headers = {Authorization: `Bearer ${token}`, "Content-Type": "application/json"};
  const carried = ["runbook.1", `runbook.token.${token}`];
  const kinds = {
    "read the api": () => readable(`${api}runs/${run}`, {headers}),
    "begin a run": () => readable(`${api}runs`, {method: "POST", headers, body}),
    "begin a run without a preflight": () => readable(`${api}runs`, {method: "POST", mode: "no-cors", body}),
    "begin a run by XMLHttpRequest": () => new Promise((done) => {
      const request = new XMLHttpRequest();
      request.open("POST", `${api}runs`);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.onload = () => done(request.status < 400);
      request.onerror = () => done(false);
      request.send(body);
    }),
    "begin a run by a form": () => submit(`${api}runs`, "application/x-www-form-urlencoded", "name"),
    "begin a run by a form of text": () => submit(`${api}runs`, "text/plain", body),
    "begin a run by a beacon": () => { navigator.sendBeacon(`${api}runs`, new Blob([body])); return false; },
    "follow a run": () => opens(`${socket}runs/${run}`, carried),
    "follow the site": () => opens(`${socket}site`, carried),
    "events": () => new Promise((done) => {
      const source = new EventSource(`${api}site`);
      source.onopen = () => done(true);
      source.onerror = () => { source.close(); done(false); };
    }),
    "read a page": () => readable(home),
    "a page without reading it": () => fetch(home, {mode: "no-cors"}).then((answer) => answer.ok, () => false),
    "a script": () => loads(make("script", {src: `${home}assets/runbook-run.js`})),
    "a style": () => loads(make("link", {rel: "stylesheet", href: `${home}assets/runbook.css`})),
    "a picture": () => loads(make("img", {src: `${home}assets/images/favicon.png`})),
    "the api as a script": () => loads(make("script", {src: `${api}runs/${run}`})),
    "a worker": () => new Promise((done) => {
      try {
        const worker = new SharedWorker(`${home}assets/runbook-key.js`, {name: "runbook-key", extendedLifetime: true});
        worker.port.onmessage = (message) => done(Boolean(message.data));
        worker.onerror = () => done(false);
        setTimeout(() => done(false), 500);
      } catch { done(false); }
    }),
    "a window": () => new Promise((done) => {
      const other = window.open(home);
      const read = () => Boolean(other && other.document.querySelector(".rb"));
      setTimeout(() => { try { done(read()); } catch { done(false); } }, 700);
    }),
  };
  const got = {};
  for (const [name, kind] of Object.entries(kinds)) {
    got[name] = await Promise.race([kind(), new Promise((done) => setTimeout(() => done(false), 3000))]);
  }
  return got;
};
</script></body>"""

#: Where the hostile page is: another site, this machine by its names at another port, and, once its name was made to
#: lead here (DNS rebinding), our very port under a name that is not ours.
POSITIONS = {
    "another site": ("http://evil.test:{theirs}/", ("http://127.0.0.1:{ours}/", "http://localhost:{ours}/")),
    "another port": ("http://127.0.0.1:{theirs}/", ("http://127.0.0.1:{ours}/", "http://[::1]:{ours}/")),
    "another port of localhost": ("http://localhost:{theirs}/", ("http://localhost:{ours}/",)),
    "all addresses": ("http://evil.test:{theirs}/", ("http://0.0.0.0:{ours}/",)),
    "rebinding": ("http://rebind.test:{ours}/", ("http://rebind.test:{ours}/",)),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    made = Base(tmp_path_factory.mktemp("attacked"))
    made.runbook("mark", [{"argv": ["echo", "run"]}])
    site(made)
    return made


@pytest.fixture(scope="module")
def hostile() -> Iterator[int]:
    """The port of a server whose every page is the hostile one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def victim(browser: Browser) -> Iterator[Browser]:
    """A browser for which names that end in .test are this machine."""
    kind = browser.browser_type
    words = [*ARGUMENTS, "--host-resolver-rules=MAP *.test 127.0.0.1"]
    started = kind.launch(executable_path=shutil.which("chromium"), args=words)
    yield started
    started.close()


def runs(served: Served) -> list[str]:
    """The runs that the server knows."""
    with served.line("site") as line:
        return [run["id"] for run in json.loads(line.recv(10))["runs"]]


@pytest.mark.parametrize("position", POSITIONS)
def test_a_hostile_page_gets_nothing(victim: Browser, served: Served, hostile: int, position: str) -> None:
    origin, targets = POSITIONS[position]
    ports = {"theirs": hostile, "ours": served.port}
    known = served.begin("mark")
    served.frames(known)
    before, digest = runs(served), served.told("plan", {"name": "mark"})["digest"]
    context = victim.new_context()
    page = context.new_page()
    address = origin.format(**ports)
    if position == "rebinding":
        # Its page was loaded before its name led here.
        page.route(address, lambda route: route.fulfill(body=PAGE, content_type="text/html"), times=1)
    page.goto(address)
    for target in targets:
        words = [target.format(**ports), served.token, digest, known]
        got = page.evaluate("(words) => window.attack(...words)", words)
        assert len(got) == 18
        assert {kind for kind, success in got.items() if success} == set(), target
    framed = [frame.url for frame in page.frames if frame.parent_frame is not None]
    assert [url for url in framed if url.startswith(targets[0].format(**ports))] == []
    assert runs(served) == before
    context.close()


def test_a_page_cannot_be_framed(victim: Browser, served: Served, hostile: int) -> None:
    context = victim.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{hostile}/")
    page.evaluate("(src) => document.body.append(Object.assign(document.createElement('iframe'), {src}))", served.url)
    page.wait_for_timeout(700)
    assert "Run on this host" not in "".join(frame.content() for frame in page.frames)
    context.close()


def test_the_same_ways_work_for_the_page_itself(victim: Browser, served: Served) -> None:
    """Or the attacks above would prove nothing."""
    known = served.begin("mark")
    served.frames(known)
    digest = served.told("plan", {"name": "mark"})["digest"]
    context = victim.new_context()
    page = context.new_page()
    page.goto(served.url)
    script = PAGE.partition("<script>")[2].partition("</script>")[0]
    page.evaluate(script)
    got = page.evaluate("(words) => window.attack(...words)", [served.home, served.token, digest, known])
    ways = {
        "read the api",
        "begin a run",
        "begin a run by XMLHttpRequest",
        "follow a run",
        "follow the site",
        "read a page",
    }
    ways |= {"a page without reading it", "a script", "a style", "a picture", "a worker", "a window"}
    assert {kind for kind, success in got.items() if success} == ways
    context.close()


# what no browser sends

#: What precedes the headers that every one of them has, `json`, and the body; `host` and `auth` are the right ones.
AUTHORIZED = "Authorization: Bearer {token}\r\n"
POST = "POST {path} HTTP/1.1\r\n"
PLAIN = "Content-Length: {length}\r\n\r\n{body}"
RAW = {
    "no Host": POST + "{auth}",
    "HTTP/1.0 without Host": "POST {path} HTTP/1.0\r\n{auth}",
    "two Hosts": POST + "{host}Host: evil.test\r\n{auth}",
    "another Host": POST + "Host: evil.test:{port}\r\n{auth}",
    "a Host that begins like ours": POST + "Host: 127.0.0.1:{port}.evil.test\r\n{auth}",
    "a Host that ends like ours": POST + "Host: evil.test@127.0.0.1:{port}\r\n{auth}",
    "a Host without a port": POST + "Host: 127.0.0.1\r\n{auth}",
    "a Host with a dot": POST + "Host: localhost.:{port}\r\n{auth}",
    "a target of another host": "POST http://evil.test{path} HTTP/1.1\r\n{host}{auth}",
    "an Origin of null": POST + "{host}Origin: null\r\n{auth}",
    "another Origin": POST + "{host}Origin: http://evil.test\r\n{auth}",
    "an Origin of another port": POST + "{host}Origin: http://127.0.0.1:1\r\n{auth}",
    "an Origin that begins like ours": POST + "{host}Origin: http://127.0.0.1:{port}.evil.test\r\n{auth}",
    "cross-site": POST + "{host}Sec-Fetch-Site: cross-site\r\n{auth}",
    "same-site": POST + "{host}Sec-Fetch-Site: same-site\r\n{auth}",
    "no token": POST + "{host}",
    "a token in a cookie": POST + "{host}Cookie: token={token}\r\n",
    "a token in the address": "POST {path}?token={token} HTTP/1.1\r\n{host}",
    "text": POST + "{host}{auth}Content-Type: text/plain\r\n" + PLAIN,
    "no type": POST + "{host}{auth}" + PLAIN,
    "a form": POST + "{host}{auth}Content-Type: multipart/form-data\r\n" + PLAIN,
    "a GET": "GET {path} HTTP/1.1\r\n{host}{auth}",
    "an encoded path": "POST /%5Frunbook/runs HTTP/1.1\r\n{host}",
    "a doubled slash": "POST /{path} HTTP/1.1\r\n{host}{auth}",
    "a path around": "POST /assets/..{path} HTTP/1.1\r\n{host}{auth}",
    "lines in a header": POST + "{host}X: a\r\n b\r\n",
    "a request in a body": (
        "GET / HTTP/1.1\r\n{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + POST + "{host}"
    ),
}


@pytest.mark.parametrize("kind", RAW)
def test_a_request_that_no_browser_sends_begins_nothing(served: Served, kind: str) -> None:
    before, digest = runs(served), served.told("plan", {"name": "mark"})["digest"]
    body = json.dumps({"name": "mark", "values": {}, "lab": "", "digest": digest})
    words = RAW[kind] if RAW[kind].endswith(PLAIN) else RAW[kind] + "{json}\r\n{body}"
    sent = words.format(
        path="/_runbook/runs",
        port=served.port,
        token=served.token,
        host=f"Host: 127.0.0.1:{served.port}\r\n",
        auth=AUTHORIZED.format(token=served.token),
        json=f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n",
        length=len(body),
        body=body,
    )
    status = answered(served.port, sent.encode())
    # The page that a request in a body was sent with is one that everybody may read.
    assert status == 200 if kind == "a request in a body" else 400 <= status < 500
    assert runs(served) == before


def answered(port: int, data: bytes) -> int:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as one:
        one.sendall(data)
        said = one.recv(4096)
    return int(said.split()[1])


def test_the_right_request_begins_a_run(served: Served) -> None:
    """Sent in the same way as those above."""
    before, digest = runs(served), served.told("plan", {"name": "mark"})["digest"]
    body = json.dumps({"name": "mark", "digest": digest})
    lines = [
        *("POST /_runbook/runs HTTP/1.1", f"Host: localhost:{served.port}", f"Authorization: Bearer {served.token}"),
        *("Content-Type: application/json", f"Content-Length: {len(body)}", "", body),
    ]
    assert answered(served.port, "\r\n".join(lines).encode()) == 201
    until(lambda: len(runs(served)) == len(before) + 1)


def test_no_file_outside_the_site_is_served(served: Served, base: Base) -> None:
    (base.path.parent / "secret.txt").write_text("secret\n")
    paths = ["/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "//etc/passwd", "/a/../../secret.txt", "/%00"]
    for path in (*paths, "/docs/index.md"):
        sent = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n"
        assert answered(served.port, sent.encode()) in (400, 404)
