"""What each answer to the one GET means: who most likely gave it, why, and what to do."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from runbook.model import Finding, Verdict

from .facts import Handshake, Stage


@dataclass(frozen=True, slots=True)
class Meaning:
    """The code for an answer, what it says, why, and what to do."""

    code: str
    says: str
    why: str
    advice: str


#: By status (RFC 9110; 426 and 101 also RFC 6455, section 4.2.2).
_STATUS = {
    400: Meaning(
        "bad-request",
        "the request was called a bad one (400)",
        "Somebody could not read it, or found a header of the handshake missing or wrong. HAProxy since 2.4 answers so "
        "when Sec-WebSocket-Key is missing; a websocket server, when the version is not 13.",
        "See what HAProxy objected to:\n    echo 'show errors' | socat stdio /run/haproxy/admin.sock",
    ),
    401: Meaning(
        "denied",
        "a login is wanted (401)",
        "The request arrived and was understood; this client is not known. A browser sends its cookies, this "
        "probe does "
        "not.",
        "Give what a client would give: a user and a password in the URL, or a path with a token.",
    ),
    403: Meaning(
        "denied",
        "it is forbidden (403)",
        "Either the server does not allow this Origin (a browser always sends one, other clients may not), "
        "or a rule of "
        "the proxy denies it. In HAProxy's log the latter is `PR--` with the server `<NOSRV>`.",
        "Try with the Origin of the page:\n    runbook run websocket-handshake --set origin=https://… --set url=…",
    ),
    404: Meaning(
        "misrouted",
        "there is nothing of that name (404)",
        "The request reached a server that does not have this path. Behind a proxy that is mostly another server than "
        "was meant: a rule by path or by host did not match.",
        "Compare the path, the Host and the rules that choose a backend:\n"
        "    grep -nE 'use_backend|path_beg|hdr' /etc/haproxy/haproxy.cfg",
    ),
    426: Meaning(
        "upgrade-required",
        "an upgrade is required (426), so the request arrived without its Upgrade header",
        "We sent Upgrade and Connection; whoever answered did not see them. They are meant for one hop only (RFC 9110, "
        "7.6.1), so a proxy that does not know websockets takes them out: an HTTP/1.0 hop, a rule that "
        "deletes headers.",
        "Look for what takes them out; for nginx, tell it to pass them on:\n"
        "    grep -nE 'del-header|proxy_http_version|proxy_set_header' /etc/haproxy/haproxy.cfg /etc/nginx/nginx.conf",
    ),
    502: Meaning(
        "backend-down",
        "the proxy got no proper answer from the server behind it (502)",
        "The server closed the connection, reset it, or said what is no HTTP. HAProxy's log says `SH--` or `PH--`.",
        "Ask the server directly, with `url`; what HAProxy could not read:\n"
        "    echo 'show errors' | socat stdio /run/haproxy/admin.sock",
    ),
    503: Meaning(
        "backend-down",
        "the proxy has no server behind it that answers (503)",
        "Every server refused the connection, did not answer, or is down by its health check. HAProxy's log "
        "says `SC--`, "
        "`sC--` where it had to wait, and the server `<NOSRV>` where it did not even try.",
        "See which servers it thinks are up:\n    echo 'show servers state' | socat stdio /run/haproxy/admin.sock",
    ),
    504: Meaning(
        "backend-down",
        "the server behind the proxy did not answer in time (504)",
        "It took the request and said nothing. HAProxy's log says `sH--`, and `timeout server` is how long it waited.",
        "Look at the server: is it busy, or waiting for something itself?",
    ),
}
_OTHER = Meaning(
    "not-upgraded",
    "the answer is an ordinary one and not 101",
    "Whoever answered treats this as a request for a page. Mostly the path leads to something else than the websocket.",
    "Compare the URL with the one that the application uses.",
)
_REDIRECT = Meaning(
    "not-upgraded",
    "it is sent elsewhere",
    "Browsers follow no redirect of a websocket (the Fetch Standard forbids it), so this is an end and not a way.",
    "Use the address that it names, with ws:// or wss://.",
)

#: By the error of the stage that ended it.
_REACHING = {
    "unresolved": ("the name does not exist", "The resolver of this host knows no address of it."),
    "refused": (
        "the connection was refused",
        "The host is there, and nobody listens on that port, or a firewall says so in its place.",
    ),
    "timed-out": (
        "no answer to the connection came",
        "Nobody said no either: a firewall that drops, a host that is down, a route that leads nowhere.",
    ),
    "no-route": ("there is no route to it", "This host, or a router, knows no way there."),
    "reset": ("the connection was reset", "Somebody ended it at once."),
    "not-permitted": ("this host does not let us connect", "A firewall or the sandbox of this step refuses it."),
}
_ANSWERING = {
    "closed": ("the connection was closed without an answer", "The request arrived, and whoever took it went away."),
    "reset": (
        "the connection was reset before an answer",
        "A program died, or somebody on the way forged the end. Ask again directly: the hop that differs did it.",
    ),
    "timed-out": ("no answer came in time", "The request was taken, and nobody said anything to it."),
    "not-http": (
        "what came back is no HTTP",
        "Another protocol is spoken on this port; TLS perhaps, or a log shipper.",
    ),
    "http2-only": (
        "the server speaks HTTP/2 only",
        "A websocket over HTTP/2 is another handshake (RFC 8441), which few clients make. HTTP/1.1 must be allowed.",
    ),
}


def explained(handshake: Handshake, failed: Stage) -> Finding:
    """The finding for the stage that ended a handshake."""
    if failed.name in ("resolve", "connect"):
        says, why = _REACHING.get(failed.error, (f"it could not be reached ({failed.error})", ""))
        advice = (
            f"    getent ahosts {shlex.quote(failed.text('host') or 'HOST')}"
            if failed.name == "resolve"
            else "    ss -tln"
        )
        return _finding(handshake, failed, Meaning("unreachable", says, f"{why} {failed.detail}.", f"Look:\n{advice}"))
    if failed.name == "tls" and failed.error != "http2-only":
        why = f"No encryption was agreed on: {failed.detail}."
        meaning = Meaning(
            "tls-failed", "TLS failed", why, "Is it wss:// where ws:// is spoken, or the other way round?"
        )
        return _finding(handshake, failed, meaning)
    if failed.error == "not-upgraded":
        return _refused(handshake)
    if failed.error == "mismatch":
        why = f"{failed.detail}. {_MISMATCH.why}"
        return _finding(handshake, failed, Meaning(_MISMATCH.code, _MISMATCH.says, why, _MISMATCH.advice))
    if failed.name == "ping":
        why = "The answer was right, and then nothing passed. A middlebox that knows HTTP and no websockets does that."
        meaning = Meaning(
            "closed", f"the websocket ended before a frame was back: {failed.detail}", why, "Ask directly."
        )
        return _finding(handshake, failed, meaning)
    says, why = _ANSWERING.get(failed.error, (f"no answer ({failed.error})", ""))
    return _finding(
        handshake, failed, Meaning("no-answer", says, f"{why} {failed.detail}", "Ask the next hop directly.")
    )


_MISMATCH = Meaning(
    "accept-mismatch",
    "the answer is 101, and is none to this request",
    "Every client closes the connection here and logs little. A proxy passes such an answer on, and its log looks "
    "well.",
    "Look at the server's handshake: the accept is the SHA-1 of the key and a fixed text (RFC 6455, 1.3). Behind a "
    "proxy, look for a rule that deletes the key: HAProxy makes another one for the server then.\n"
    "    grep -n 'Sec-WebSocket' /etc/haproxy/haproxy.cfg",
)


def _refused(handshake: Handshake) -> Finding:
    response = handshake.stage("response")
    assert response is not None, "an answer that is not 101 is an answer"
    status = response.status
    meaning = _REDIRECT if 300 <= status < 400 else _STATUS.get(status, _OTHER)
    more = f" to {response.header('location')}" if 300 <= status < 400 else ""
    says = meaning.says if str(status) in meaning.says else f"{meaning.says} ({status})"
    why = f"{meaning.why} {_who(response)}"
    return _finding(handshake, response, Meaning(meaning.code, says + more, why, meaning.advice))


def _who(response: Stage) -> str:
    """Who most likely wrote this answer, by what they left in it."""
    body, server, via = response.text("body"), response.header("server"), response.header("via")
    if "<h1>" in body and "\nNo server is available to handle this request" in body:
        return "The page is HAProxy's own: no server was asked."
    if body.startswith(("<html><body><h1>", "<!DOCTYPE html><html><body><h1>")) and not server:
        return "The page looks like HAProxy's own, so the proxy itself answered."
    if "<center>nginx" in body or server.startswith("nginx"):
        return "nginx answered."
    named = [f"Server: {server}"] * bool(server) + [f"Via: {via}"] * bool(via)
    return f"The answer names itself: {', '.join(named)}." if named else "The answer does not say who gave it."


def _finding(handshake: Handshake, stage: Stage, meaning: Meaning) -> Finding:
    lines = handshake.lines("request", stage.name) if stage.name == "response" else handshake.lines(stage.name)
    summary = f"{handshake.words}: {meaning.says}"
    return Finding(meaning.code, Verdict.CRITICAL, summary, meaning.why.strip(), meaning.advice, lines)
