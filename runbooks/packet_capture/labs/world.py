"""The labs' server (`serve ADDRESS PORT`), clients (`reach` and `ask ADDRESS PORT PATH…`), `capture DEVICE FILE`."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import WebSocketException
from websockets.http11 import Request, Response


async def _echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


def _private(connection: ServerConnection, request: Request) -> Response | None:
    return connection.respond(403, "not for you\n") if request.path == "/private" else None


async def _serve(address: str, port: int) -> None:
    async with serve(_echo, address, port, process_request=_private):
        await asyncio.get_running_loop().create_future()


async def _ask(address: str, port: int, paths: list[str]) -> None:
    for path in paths:
        with suppress(WebSocketException, OSError):
            async with connect(f"ws://{address}:{port}{path}", proxy=None, compression=None) as websocket:
                for _ in range(40 if path == "/long" else 1):
                    await websocket.send("a word")
                    await websocket.recv()


def _capture(device: str, path: str) -> None:
    """Every packet of the device, in and out, into a pcap file with times in ns; until it is ended."""
    every_protocol, timestamps = 3, 35
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(every_protocol)) as packets,
        open(path, "wb", buffering=0) as file,
    ):
        packets.setsockopt(socket.SOL_SOCKET, timestamps, 1)
        packets.bind((device, every_protocol))
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 1))
        while True:
            data, told, _, _ = packets.recvmsg(1 << 18, 64)
            seconds, part = struct.unpack("qq", told[0][2])
            file.write(struct.pack("<IIII", seconds, part, len(data), len(data)) + data)


def _reach(address: str, port: int) -> None:
    """Connect, again and again for ten seconds."""
    for _ in range(500):
        with suppress(OSError), socket.create_connection((address, port), timeout=1):
            return
        time.sleep(0.02)
    sys.exit(f"nobody listens at {address}:{port}")


if sys.argv[1] == "reach":
    _reach(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "capture":
    _capture(sys.argv[2], sys.argv[3])
elif sys.argv[1] == "serve":
    asyncio.run(_serve(sys.argv[2], int(sys.argv[3])))
else:
    asyncio.run(_ask(sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
