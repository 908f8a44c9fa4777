"""A websocket handshake (RFC 6455), stage by stage: what was resolved, connected, agreed on, sent and answered.

One JSON object a line, `{"stage": …, "seconds": …}`, in this order, until one fails: resolve, connect, tls, request,
response, accept, ping, idle; and, whatever happened, transport. A stage that failed has `error`, a word, and `detail`.
What the protocol is, the library `websockets` knows; what went over the wire we keep ourselves, since a wrong answer is
what somebody looks for here, and a library only refuses it.
"""

from __future__ import annotations

import argparse
import base64
import errno
import hashlib
import json
import secrets
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import InvalidURI
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol, Side, State
from websockets.uri import WebSocketURI, parse_uri

#: What is appended to the key before it is hashed (RFC 6455, section 1.3).
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: How much of an answer's head and of what follows it is taken in, in bytes.
HEAD_BYTES, BODY_BYTES = 64 * 1024, 400
#: How an HTTP/2 server greets: a frame of 9 bytes and no payload or some, of type SETTINGS on stream 0 (RFC 9113, 3.4).
_SETTINGS = 0x04

Stage = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="ws:// or wss://, as a client would be given it")
    parser.add_argument("--origin", default="", help="the Origin that a browser would send")
    parser.add_argument("--subprotocol", default="", help="one, or several with commas")
    parser.add_argument("--timeout", type=float, default=5.0, help="for each stage, in seconds")
    parser.add_argument("--idle", type=float, default=0.0, help="how long to stay silent afterwards, in seconds")


def run(arguments: argparse.Namespace) -> int:
    """Tell the stages; 0 when the websocket was there to the end, 1 when it was not, 2 for a URL that is none."""
    try:
        uri = parse_uri(arguments.url)
    except InvalidURI as error:
        print(f"runbook-probe: {error}", file=sys.stderr)
        return 2
    names = [name for name in arguments.subprotocol.split(",") if name]
    probe = Probe(uri, arguments.origin, names, arguments.timeout, arguments.idle)
    failed = False
    for stage in probe.stages():
        failed = failed or "error" in stage
        print(json.dumps(stage), flush=True)
    return int(failed)


class Failed(Exception):
    """A stage that ends the handshake: `error` is one word, the message says more."""

    def __init__(self, error: str, detail: str = "", **more: Any) -> None:
        super().__init__(detail)
        self.told = {"error": error, "detail": detail, **more}


@dataclass
class Probe:
    """One attempt; `timeout` and `idle` in seconds."""

    uri: WebSocketURI
    origin: str
    subprotocols: list[str]
    timeout: float
    idle: float
    _socket: socket.socket | None = None
    _received: bytearray = field(default_factory=bytearray)
    _key: str = ""

    def stages(self) -> Iterator[Stage]:
        """Every stage as it ends. The socket is closed afterwards."""
        steps = {
            "resolve": self._resolve,
            "connect": self._connect,
            "tls": self._tls,
            "request": self._request,
            "response": self._response,
            "accept": self._accept,
            "ping": self._ping,
            "idle": self._rest,
        }
        try:
            for name, step in steps.items():
                started = time.monotonic()
                try:
                    told = step()
                except Failed as failure:
                    yield {"stage": name, "seconds": _since(started), **failure.told}
                    break
                if told is not None:
                    yield {"stage": name, "seconds": _since(started), **told}
            if self._socket is not None:
                yield {"stage": "transport", "seconds": 0.0, **_transport(self._socket)}
        finally:
            if self._socket is not None:
                self._socket.close()

    def _resolve(self) -> Stage:
        try:
            found = socket.getaddrinfo(self.uri.host, self.uri.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise Failed("unresolved", str(error), host=self.uri.host) from error
        self._addresses = found
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        return {"host": self.uri.host, "port": self.uri.port, "addresses": addresses}

    def _connect(self) -> Stage:
        """The first address that answers, in the order of the resolver; what became of those before it is told too."""
        refused = []
        for family, kind, protocol, _, address in self._addresses:
            attempt = socket.socket(family, kind, protocol)
            attempt.settimeout(self.timeout)
            try:
                attempt.connect(address)
            except OSError as error:
                attempt.close()
                refused.append({"address": address[0], "error": _word(error), "detail": _sentence(error)})
                continue
            self._socket = attempt
            attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            family_name = "IPv6" if family == socket.AF_INET6 else "IPv4"
            return {"address": address[0], "port": address[1], "family": family_name, "refused": refused}
        last = refused[-1]
        raise Failed(str(last["error"]), str(last["detail"]), refused=refused)

    def _tls(self) -> Stage | None:
        if not self.uri.secure:
            return None
        try:
            wrapped = self._wrapped(ssl.create_default_context())
            return {**_agreed(wrapped), "verified": True}
        except ssl.SSLCertVerificationError as error:
            trouble = error.verify_message
        except ssl.SSLError as error:
            if error.reason == "TLSV1_ALERT_NO_APPLICATION_PROTOCOL":
                raise Failed("http2-only", "the server speaks no HTTP/1.1 (ALPN)") from error
            raise Failed("tls", f"{error.reason or error}") from error
        except OSError as error:
            raise Failed(_word(error), _sentence(error)) from error
        # A client would stop here. What comes behind is looked at all the same, on a connection that nobody trusts.
        self._again()
        careless = ssl.create_default_context()
        careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
        try:
            return {**_agreed(self._wrapped(careless)), "verified": False, "detail": trouble}
        except OSError as error:
            raise Failed("tls", trouble) from error

    def _wrapped(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        assert self._socket is not None
        context.set_alpn_protocols(["http/1.1"])
        wrapped = context.wrap_socket(self._socket, server_hostname=self.uri.host)
        self._socket = wrapped
        return wrapped

    def _again(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._connect()

    def _request(self) -> Stage:
        assert self._socket is not None
        self._key = base64.b64encode(secrets.token_bytes(16)).decode()
        headers = Headers()
        default = 443 if self.uri.secure else 80
        host = f"[{self.uri.host}]" if ":" in self.uri.host else self.uri.host
        headers["Host"] = host if self.uri.port == default else f"{host}:{self.uri.port}"
        headers["Upgrade"], headers["Connection"] = "websocket", "Upgrade"
        headers["Sec-WebSocket-Key"], headers["Sec-WebSocket-Version"] = self._key, "13"
        if self.origin:
            headers["Origin"] = self.origin
        if self.subprotocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(self.subprotocols)
        if self.uri.user_info is not None:
            login = base64.b64encode(":".join(self.uri.user_info).encode()).decode()
            headers["Authorization"] = f"Basic {login}"
        request = Request(self.uri.resource_name, headers)
        try:
            self._socket.sendall(request.serialize())
        except OSError as error:
            raise Failed(_word(error), _sentence(error)) from error
        shown = [[name, "***" if name == "Authorization" else value] for name, value in headers.raw_items()]
        return {"target": self.uri.resource_name, "headers": shown}

    def _response(self) -> Stage:
        started = time.monotonic()
        head, ending = self._read_head()
        seconds = _since(started)
        if _greets_http2(head):
            raise Failed("http2-only", "the server greets with HTTP/2 SETTINGS and not with an HTTP/1.1 answer")
        if ending and not head:
            raise Failed(ending, {"closed": "the connection was closed without an answer"}.get(ending, ""))
        if not _is_whole(head):
            if ending == "timed-out":
                raise Failed("timed-out", "the answer did not end", begins=_text(head[:BODY_BYTES]))
            raise Failed("not-http", "what came is no HTTP answer", begins=_text(head[:BODY_BYTES]))
        separator = b"\r\n\r\n" if b"\r\n\r\n" in head else b"\n\n"
        lines, _, rest = bytes(head).partition(separator)
        first, *fields = _text(lines).replace("\r\n", "\n").split("\n")
        version, _, status = first.partition(" ")
        code, _, reason = status.partition(" ")
        if not version.startswith("HTTP/") or not code.isdecimal():
            raise Failed("not-http", "what came is no HTTP answer", begins=_text(head[:BODY_BYTES]))
        self._status, self._received = int(code), bytearray(rest)
        self._headers = [[name.strip(), value.strip()] for name, _, value in (line.partition(":") for line in fields)]
        told: Stage = {"version": version, "status": int(code), "reason": reason, "headers": self._headers}
        # Without what comes behind the head, for which we wait though no client would.
        told["seconds"] = seconds
        if self._status != 101:
            told["body"] = _text(self._body(rest))
        return told

    def _body(self, rest: bytes) -> bytes:
        """The beginning of what stands behind a refusal: it often says who wrote it."""
        assert self._socket is not None
        with suppress(OSError):
            self._socket.settimeout(0.3)
            while len(rest) < BODY_BYTES and (more := self._socket.recv(4096)):
                rest += more
        return rest[:BODY_BYTES]

    def _read_head(self) -> tuple[bytes, str]:
        """What came, to the end of its head; and, when that did not come, why."""
        assert self._socket is not None
        head = bytearray()
        deadline = time.monotonic() + self.timeout
        while not _is_whole(head) and not _greets_http2(head) and len(head) < HEAD_BYTES:
            try:
                self._socket.settimeout(max(0.01, deadline - time.monotonic()))
                data = self._socket.recv(4096)
            except OSError as error:
                return bytes(head), _word(error)
            if not data:
                return bytes(head), "closed"
            head += data
        return bytes(head), ""

    def _accept(self) -> Stage:
        """What of a 101 makes it a websocket (RFC 6455, section 4.1)."""
        told: Stage = {
            "expected": base64.b64encode(hashlib.sha1((self._key + MAGIC).encode()).digest()).decode(),
            **{word: self._value(name) for word, name in _ANSWERED.items()},
        }
        if self._status != 101:
            raise Failed("not-upgraded", f"the answer is {self._status} and not 101", **told)
        wrong = []
        if str(told["upgrade"]).lower() != "websocket":
            wrong.append("Upgrade is not websocket")
        if "upgrade" not in [word.strip().lower() for word in str(told["connection"]).split(",")]:
            wrong.append("Connection does not say upgrade")
        if told["accept"] != told["expected"]:
            wrong.append(
                "Sec-WebSocket-Accept is not the answer to our key" if told["accept"] else "no Sec-WebSocket-Accept"
            )
        if told["subprotocol"] and told["subprotocol"] not in self.subprotocols:
            wrong.append("a subprotocol that nobody asked for")
        if told["extensions"]:
            wrong.append("an extension that nobody asked for")
        if wrong:
            raise Failed("mismatch", "; ".join(wrong), **told)
        return told

    def _value(self, name: str) -> str:
        return ", ".join(value for key, value in self._headers if key.lower() == name)

    def _ping(self) -> Stage:
        """A frame there and back, which shows that frames pass in both directions."""
        assert self._socket is not None
        # Open already: the handshake was ours.
        self._protocol = Protocol(Side.CLIENT, state=State.OPEN)
        self._protocol.send_ping(b"runbook")
        self._flush()
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            for frame in self._frames(deadline):
                if frame.opcode is Opcode.PONG:
                    return {}
        raise Failed("timed-out", "no pong came")

    def _rest(self) -> Stage | None:
        """Silence, to see whether somebody on the way ends it."""
        deadline = time.monotonic() + self.idle
        while time.monotonic() < deadline:
            for _ in self._frames(deadline):
                pass
        self._protocol.send_close(1000)
        with suppress(OSError):
            self._flush()
        return {"silent": self.idle} if self.idle > 0 else None

    def _frames(self, deadline: float) -> Iterator[Frame]:
        """Frames that came by then, at least one read's; raises Failed when the connection, or the websocket, ends."""
        assert self._socket is not None
        data, self._received = bytes(self._received), bytearray()
        if not data:
            try:
                self._socket.settimeout(max(0.01, deadline - time.monotonic()))
                data = self._socket.recv(65536)
            except TimeoutError:
                return
            except OSError as error:
                raise Failed(_word(error), _sentence(error)) from error
            if not data:
                raise Failed("closed", "the connection was closed without a close frame")
        self._protocol.receive_data(data)
        self._flush()
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.CLOSE:
                    raise Failed("closed", _closing(event))
                yield event

    def _flush(self) -> None:
        assert self._socket is not None
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)


#: What the accept stage tells, by the header that it comes from.
_ANSWERED = {
    "accept": "sec-websocket-accept",
    "upgrade": "upgrade",
    "connection": "connection",
    "subprotocol": "sec-websocket-protocol",
    "extensions": "sec-websocket-extensions",
}


def _is_whole(head: bytes | bytearray) -> bool:
    """Whether the head of an answer has come to its end."""
    return b"\r\n\r\n" in head or b"\n\n" in head


def _greets_http2(head: bytes | bytearray) -> bool:
    return head[3:5] == bytes([_SETTINGS, 0]) and head[5:9] == bytes(4)


def _closing(frame: Frame) -> str:
    code = struct.unpack("!H", frame.data[:2])[0] if len(frame.data) >= 2 else 1005
    reason = bytes(frame.data[2:]).decode("utf-8", "replace")
    return f"a close frame with code {code}" + (f": {reason}" if reason else "")


def _agreed(wrapped: ssl.SSLSocket) -> Stage:
    cipher = wrapped.cipher()
    certificate: Any = wrapped.getpeercert() or {}
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    return {
        "version": wrapped.version(),
        "cipher": cipher[0] if cipher else "",
        "alpn": wrapped.selected_alpn_protocol() or "",
        "names": names,
        "expires": certificate.get("notAfter", ""),
    }


def _transport(connection: socket.socket) -> Stage:
    """What the kernel counted of this connection (struct tcp_info, linux/tcp.h); empty where it does not say."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 144)
    except OSError:
        return {}
    if len(info) < 144:
        return {}
    (rtt,), (retransmitted,) = struct.unpack_from("I", info, 68), struct.unpack_from("I", info, 100)
    sent, received = struct.unpack_from("II", info, 136)
    return {"rtt_ms": rtt / 1000, "retransmitted": retransmitted, "segments_sent": sent, "segments_received": received}


def _word(error: OSError) -> str:
    """One word for what became of a connection."""
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "timed-out"
    words = {
        errno.ECONNREFUSED: "refused",
        errno.ECONNRESET: "reset",
        errno.EPIPE: "reset",
        errno.ENETUNREACH: "no-route",
        errno.EHOSTUNREACH: "no-route",
        errno.EACCES: "not-permitted",
        errno.EPERM: "not-permitted",
    }
    return words.get(error.errno or 0, "failed")


def _sentence(error: OSError) -> str:
    return str(error.strerror or error)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 6)


def _text(data: bytes) -> str:
    return bytes(data).decode("utf-8", "backslashreplace")
