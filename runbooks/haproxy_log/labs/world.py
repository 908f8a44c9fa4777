"""The labs' servers (`serve`, `hang`, `pour`) and clients (`ask`, `silent`, `nonsense`, `leave`): a word, and ports.

And `tell`, with a path and words: what an administrator says to HAProxy.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import WebSocketException


async def _echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


async def _serve(port: int) -> None:
    async with serve(_echo, "127.0.0.1", port):
        await asyncio.get_running_loop().create_future()


async def _ask(port: int) -> None:
    """Open it, say a word and go; that it is refused is what some are for."""
    with suppress(WebSocketException, OSError):
        async with connect(f"ws://127.0.0.1:{port}/chat", proxy=None) as websocket:
            await websocket.send("a word")
            await websocket.recv()


async def _silent(port: int) -> None:
    """Open it, and say nothing until somebody ends it."""
    with suppress(WebSocketException, OSError):
        async with connect(f"ws://127.0.0.1:{port}/chat", proxy=None, ping_interval=None) as websocket:
            await websocket.recv()


async def _all(kind: str, ports: list[int]) -> None:
    await asyncio.gather(*({"ask": _ask, "silent": _silent}[kind](port) for port in ports))


kind, ports = sys.argv[1], [int(word) for word in sys.argv[2:] if word.isdigit()]
if kind == "tell":
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(sys.argv[2])
        admin.sendall(" ".join(sys.argv[3:]).encode() + b"\n")
        admin.recv(1024)
elif kind == "serve":
    asyncio.run(_serve(ports[0]))
elif kind == "hang":
    with socket.create_server(("127.0.0.1", ports[0])) as listener:
        taken = []
        while True:
            taken.append(listener.accept())
elif kind == "pour":
    with socket.create_server(("127.0.0.1", ports[0])) as listener:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                connection.sendall(bytes(65536))
elif kind == "leave":
    with socket.create_connection(("127.0.0.1", ports[0])) as connection:
        connection.sendall(b"GET /page HTTP/1.1\r\nHost: left.example\r\n\r\n")
        connection.recv(1024)
elif kind == "nonsense":
    with socket.create_connection(("127.0.0.1", ports[0])) as connection:
        connection.sendall(b"GET /chat HTTP/1.1\r\nno header at all\r\n\r\n")
        connection.recv(1024)
else:
    asyncio.run(_all(kind, ports))
