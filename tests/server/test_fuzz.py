"""What makes no sense is refused: the server goes on, begins nothing, and tells nothing of its inside."""

from __future__ import annotations

import json
import random
import socket
from contextlib import closing, suppress
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from tests.base import Base, rounds
from tests.server.serving import PATIENCE, Served, site

ROUNDS = rounds(150, 2000)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    made = Base(tmp_path_factory.mktemp("fuzzed"))
    made.runbook("mark", [{"argv": ["touch", str(made.path / "marked")], "effect": "change"}])
    made.runbook("wait", [{"argv": ["sleep", "300"]}])
    site(made)
    return made


def mutated(data: bytes, source: random.Random) -> bytes:
    """The same with a few bytes changed, taken out, doubled or put in."""
    found = bytearray(data)
    for _ in range(source.randint(1, 8)):
        place = source.randrange(len(found) + 1)
        match source.randrange(5):
            case 0:
                found[place : place + 1] = bytes([source.randrange(256)])
            case 1:
                del found[place : place + source.randint(1, 20)]
            case 2:
                found[place:place] = found[place : place + source.randint(1, 40)]
            case 3:
                found[place:place] = source.choice(
                    [b"\r\n", b"\0", b"\n", b": ", b"\xff" * 9, b"9" * 30, b"Host: x\r\n"]
                )
            case _:
                found[place:] = b""
    return bytes(found)


def test_requests(served: Served, base: Base) -> None:
    source = random.Random(5)
    body = json.dumps({"name": "mark", "values": {}, "lab": "", "digest": "0" * 64})
    whole = (
        f"POST /_runbook/runs HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nOrigin: http://127.0.0.1:{served.port}\r\n"
        f"Authorization: Bearer {served.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    statuses = set()
    for _ in range(ROUNDS):
        with closing(socket.create_connection(("127.0.0.1", served.port), PATIENCE)) as one, suppress(OSError):
            one.sendall(mutated(whole, source))
            one.shutdown(socket.SHUT_WR)
            said = one.recv(65536)
            assert b"Traceback" not in said
            statuses.add(said[9:12])
    assert statuses <= {b"", b"100", *(str(code).encode() for code in range(400, 432))}, statuses
    assert {b"400", b"401", b"421"} <= statuses
    assert not (base.path / "marked").exists()
    assert served.ask("/")[0] == 200


def test_bodies(served: Served) -> None:
    source = random.Random(6)
    whole = json.dumps({"name": "wait", "values": {"a": "b"}, "lab": "x", "digest": "0" * 64}).encode()
    for _ in range(ROUNDS):
        for path in ("plan", "runs"):
            status, said = served.ask(f"/_runbook/{path}", mutated(whole, source))
            assert status in (200, 400, 409, 422), said
            assert b"Traceback" not in said


def test_messages(served: Served) -> None:
    source = random.Random(7)
    id = served.begin("wait")
    known = [b'{"cancel": false}', b'{"keys": "x\\n"}', b'{"approve": "a", "yes": true}', b"[]", b'{"n": 1}']
    for _ in range(ROUNDS // 3):
        with served.line(f"runs/{id}", close_timeout=0.1) as line, suppress(WebSocketException, OSError):
            for _ in range(source.randint(1, 4)):
                data = mutated(source.choice(known), source)
                line.send(data if source.random() < 0.5 else data.decode("utf-8", "replace"))
            line.recv(0.05)
            line.recv(0.05)
    with served.line(f"runs/{id}") as line:
        line.send('{"cancel": true}')
        assert [json.loads(text) for text in line][-1]["type"] == "end"


def test_frames_that_are_none(served: Served) -> None:
    """Below WebSocket messages: bytes after the handshake that follow no rule of RFC 6455."""
    source = random.Random(8)
    for _ in range(ROUNDS // 3):
        with served.line("site", close_timeout=0.1) as line, suppress(OSError):
            line.socket.sendall(bytes(source.randrange(256) for _ in range(source.randint(1, 200))))
    assert served.ask("/")[0] == 200


def test_nothing_of_it_was_a_fault_of_ours(served: Served) -> None:
    """After all of the above."""
    assert "Traceback" not in Path(served.log).read_text()
