"""The probe against real servers: right ones, and ones that answer in every wrong way."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.base import PLUGINS


def probe(url: str, *words: str, timeout: float = 2.0) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and every stage that was told."""
    command = [sys.executable, "-c", "import sys; from runbook.probes import main; sys.exit(main())"]
    command += ["websocket", f"--timeout={timeout}", *words, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env={"PYTHONPATH": str(PLUGINS)})
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def names(stages: list[dict[str, Any]]) -> list[str]:
    return [stage["stage"] for stage in stages]


def failed(stages: list[dict[str, Any]]) -> tuple[str, str]:
    """The stage that ended it, and the word for why."""
    (stage,) = [stage for stage in stages if "error" in stage]
    return stage["stage"], stage["error"]


@contextmanager
def serving(handler: Callable[[ServerConnection], None], host: str = "127.0.0.1", **how: Any) -> Iterator[int]:
    with serve(handler, host, 0, **how) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@contextmanager
def answering(*answers: bytes, then: Callable[[socket.socket], None] = lambda one: None) -> Iterator[int]:
    """A server that reads a request and says these bytes, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            while True:
                try:
                    one, _ = listener.accept()
                except OSError:
                    return
                with one:
                    one.recv(65536)
                    for answer in answers:
                        one.sendall(answer)
                        time.sleep(0.05)
                    then(one)

        threading.Thread(target=work, daemon=True).start()
        yield listener.getsockname()[1]


def test_a_good_handshake_stage_by_stage() -> None:
    with serving(echo) as port:
        status, stages = probe(f"ws://127.0.0.1:{port}/chat?room=1")
    assert status == 0
    assert names(stages) == ["resolve", "connect", "request", "response", "accept", "ping", "transport"]
    by_name = {stage["stage"]: stage for stage in stages}
    assert (by_name["connect"]["address"], by_name["connect"]["family"]) == ("127.0.0.1", "IPv4")
    assert by_name["request"]["target"] == "/chat?room=1"
    assert ["Host", f"127.0.0.1:{port}"] in by_name["request"]["headers"]
    assert by_name["response"]["status"] == 101
    assert by_name["accept"]["accept"] == by_name["accept"]["expected"]
    assert by_name["transport"]["segments_sent"] > 2
    assert all(0 <= stage["seconds"] < 2 for stage in stages)


def test_it_is_an_answer_to_the_key_of_the_standard() -> None:
    """RFC 6455, section 1.3."""
    from base64 import b64encode
    from hashlib import sha1

    from runbook.probes.websocket import MAGIC

    assert b64encode(sha1(b"dGhlIHNhbXBsZSBub25jZQ==" + MAGIC.encode()).digest()) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_over_ipv6() -> None:
    with serving(echo, "::1", family=socket.AF_INET6) as port:
        status, stages = probe(f"ws://[::1]:{port}/")
    assert (status, stages[1]["family"]) == (0, "IPv6")
    assert ["Host", f"[::1]:{port}"] in stages[2]["headers"]


def test_what_is_asked_for_is_sent_and_checked() -> None:
    with serving(echo, subprotocols=["chat"], origins=["https://app.example.org"]) as port:
        words = ("--origin=https://app.example.org", "--subprotocol=other,chat")
        status, stages = probe(f"ws://ada:secret@127.0.0.1:{port}/", *words)
        assert (status, stages[4]["subprotocol"]) == (0, "chat")
        assert ["Authorization", "***"] in stages[2]["headers"]
        assert "secret" not in json.dumps(stages)
        status, stages = probe(f"ws://127.0.0.1:{port}/", "--origin=https://evil.example.org")
    assert (status, failed(stages)) == (1, ("accept", "not-upgraded"))
    assert stages[3]["status"] == 403


@pytest.mark.parametrize(
    ("answer", "stage", "error"),
    [
        (b"", "response", "closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "response", "not-http"),
        (b"HTTP/1.1 101", "response", "not-http"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18), "response", "http2-only"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "accept", "not-upgraded"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://x/\r\n\r\n", "accept", "not-upgraded"),
        (b"HTTP/1.0 404 Not Found\n\nno", "accept", "not-upgraded"),
        (b"HTTP/1.1 abc\r\n\r\n", "response", "not-http"),
        (b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "accept", "mismatch"),
        (b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", "accept", "mismatch"),
        (b"HTTP/1.1 101 S\r\n\xff\xfe: \x00\r\n:\r\nx\r\n\r\n", "accept", "mismatch"),
        (b"HTTP/1.1 500 " + b"x" * 100_000, "response", "not-http"),
    ],
)
def test_a_wrong_answer_is_told_as_it_is(answer: bytes, stage: str, error: str) -> None:
    with answering(answer) as port:
        status, stages = probe(f"ws://127.0.0.1:{port}/")
    assert (status, failed(stages)) == (1, (stage, error))
    assert names(stages)[-1] == "transport"


def test_an_answer_in_pieces_is_one() -> None:
    with answering(b"HTTP/1.1 4", b"26 Upgrade Required\r", b"\nServer: x\r\n", b"\r\nbecause") as port:
        _, stages = probe(f"ws://127.0.0.1:{port}/")
    response = stages[3]
    assert (response["status"], response["reason"]) == (426, "Upgrade Required")
    assert (response["headers"], response["body"]) == ([["Server", "x"]], "because")


def test_silence_is_given_up() -> None:
    with answering(then=lambda one: time.sleep(3)) as port:
        started = time.monotonic()
        _, stages = probe(f"ws://127.0.0.1:{port}/", timeout=0.5)
    assert failed(stages) == ("response", "timed-out")
    assert time.monotonic() - started < 3


def test_a_reset_is_told_apart_from_an_end() -> None:
    def reset(one: socket.socket) -> None:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with answering(then=reset) as port:
        assert failed(probe(f"ws://127.0.0.1:{port}/")[1]) == ("response", "reset")


@pytest.mark.parametrize(
    ("url", "stage", "error"),
    [
        ("ws://127.0.0.1:1/", "connect", "refused"),
        ("ws://no-such-name.invalid/", "resolve", "unresolved"),
        ("ws://" + "x" * 70 + ".invalid/", "resolve", "unresolved"),
    ],
)
def test_who_cannot_be_reached(url: str, stage: str, error: str) -> None:
    status, stages = probe(url)
    assert (status, failed(stages)) == (1, (stage, error))


@pytest.mark.parametrize("url", ["http://x/", "ws://", "x", ""])
def test_a_url_that_is_none(url: str) -> None:
    assert probe(url) == (2, [])


def test_who_ends_the_silence() -> None:
    def leave(connection: ServerConnection) -> None:
        time.sleep(0.5)
        connection.close(1011, "database unavailable")

    with serving(leave) as port:
        status, stages = probe(f"ws://127.0.0.1:{port}/", "--idle=5")
    assert (status, failed(stages)) == (1, ("idle", "closed"))
    idle = stages[-2]
    assert idle["detail"] == "a close frame with code 1011: database unavailable"
    assert 0.2 < idle["seconds"] < 2
    with serving(echo) as port:
        status, stages = probe(f"ws://127.0.0.1:{port}/", "--idle=0.5")
    assert (status, stages[-2]["stage"], stages[-2]["silent"]) == (0, "idle", 0.5)


def test_frames_that_break_the_rules_end_it_in_words() -> None:
    def garbage(one: socket.socket) -> None:
        one.recv(100)
        one.sendall(b"\xff\xff\xff\xff")
        time.sleep(0.3)

    with serving(echo) as port, socket.create_connection(("127.0.0.1", port)):
        pass
    from websockets.server import ServerProtocol

    def answer(one: socket.socket) -> None:
        protocol = ServerProtocol()
        protocol.receive_data(one.recv(65536))
        (request,) = protocol.events_received()
        protocol.send_response(protocol.accept(request))  # type: ignore[arg-type]
        for data in protocol.data_to_send():
            one.sendall(data)
        garbage(one)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: answer(listener.accept()[0]), daemon=True).start()
        status, stages = probe(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
    assert status == 1
    assert stages[-2]["stage"] == "ping"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for `localhost` that nobody signed, in one file."""
    path = tmp_path_factory.mktemp("tls") / "pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(words, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def context(certificate: Path, alpn: str = "http/1.1") -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    made.set_alpn_protocols([alpn])
    return made


def test_a_certificate_that_nobody_trusts_is_told_and_looked_behind(certificate: Path) -> None:
    with serving(echo, ssl=context(certificate)) as port:
        status, stages = probe(f"wss://localhost:{port}/")
    tls = stages[2]
    assert (tls["stage"], tls["verified"], tls["detail"]) == ("tls", False, "self-signed certificate")
    assert tls["version"].startswith("TLSv1.")
    assert (status, stages[-2]["stage"]) == (0, "ping")


def test_tls_where_none_is_spoken_and_the_other_way_round(certificate: Path) -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert failed(probe(f"wss://127.0.0.1:{port}/")[1])[0] == "tls"
    with serving(echo, ssl=context(certificate)) as port:
        assert failed(probe(f"ws://127.0.0.1:{port}/")[1])[0] == "response"
