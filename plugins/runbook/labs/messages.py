"""What this host and the inside of a lab say to each other: JSON text sequences (RFC 7464) over two descriptors.

To the lab: `{"id": 1, "build": script}`, `{"id": 1, "execute": command}`, `{"id": 1, "interrupt": true}`, `{"id": 1,
"close": true}`, `{"keys": bytes}`, `{"size": [columns, lines]}`, `{"cap": how much of a stream is kept}`. From the lab:
`{"hello": host}` once; for a command `{"id": 1, "stream": "stdout", "data": bytes}` and, last, `{"id": 1, "capture":
…}` or `{"id": 1, "error": "…"}`; for a script `{"id": 1, "built": status, "said": bytes}`; `{"echo":
whether a terminal shows what is typed}`; and `{"arrived": how many bytes}`. Bytes are in base64.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from dataclasses import asdict
from typing import Any

from runbook.model import Capture, Command, Effect, Ending, Needs

Message = dict[str, Any]

#: Begins each message (ASCII record separator); whatever a kernel prints beside them has none.
SEPARATOR = b"\x1e"
#: One read; a serial line of a kernel lab gives about 4 KiB at a time.
CHUNK_BYTES = 65536
#: How much may be on its way into a lab.
WINDOW_BYTES = 2048


class Window:
    """Lets only so much be on its way that has not arrived yet.

    User-Mode Linux does not wake up again after its serial line was throttled, which it is when 4 KiB wait to be read.
    """

    def __init__(self) -> None:
        self._room = WINDOW_BYTES
        self._changed = threading.Condition()
        self._closed = False

    def take(self, count: int) -> None:
        """Wait until so many bytes may be sent; raises OSError when nobody takes them in any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._room >= count)
            self._room -= count
            if self._closed:
                raise OSError("the other end is gone")

    def give_back(self, count: int) -> None:
        """So many bytes have arrived."""
        with self._changed:
            self._room += count
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Channel:
    """Sends from any thread, receives in one; the descriptors stay the caller's.

    The end inside a lab confirms what it has read (`acknowledges`), and the other end has a `window`.
    """

    def __init__(self, reader: int, writer: int, window: Window | None = None, acknowledges: bool = False) -> None:
        self._reader = reader
        self._writer = writer
        self._window = window
        self._acknowledges = acknowledges
        self._lock = threading.Lock()
        self._rest = b""

    def send(self, message: Message) -> None:
        """Raises OSError when nobody is there any more."""
        data = SEPARATOR + json.dumps(message).encode() + b"\n"
        with self._lock:
            for start in range(0, len(data), WINDOW_BYTES):
                self._write(data[start : start + WINDOW_BYTES])

    def _write(self, data: bytes) -> None:
        if self._window is not None:
            self._window.take(len(data))
        while data:
            data = data[os.write(self._writer, data) :]

    def receive(self) -> Message | None:
        """The next message, or None at the end; lines that are no messages are passed over."""
        while True:
            line, newline, rest = self._rest.partition(b"\n")
            if not newline:
                data = self._read()
                if not data:
                    return None
                self._rest += data
                continue
            self._rest = rest
            _, separator, text = line.rpartition(SEPARATOR)
            message = _message(text) if separator else None
            if message is not None:
                return message

    def _read(self) -> bytes:
        try:
            data = os.read(self._reader, CHUNK_BYTES)
        except OSError:
            return b""
        if self._acknowledges and data:
            self.send({"arrived": len(data)})
        return data


def _message(text: bytes) -> Message | None:
    """What was sent; None for what only looks like it, such as noise that a script wrote to the serial line."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def pack(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unpack(text: str) -> bytes:
    return base64.b64decode(text)


def pack_command(command: Command) -> Message:
    """The command as JSON; its condition and its order are the business of who sends it."""
    message = asdict(command)
    del message["when"], message["after"], message["undo"]
    return {**message, "effect": str(command.effect)}


def unpack_command(message: Message) -> Command:
    needs = message["needs"]
    return Command(
        **{
            **message,
            "argv": tuple(message["argv"]),
            "environment": _pairs(message["environment"]),
            "answers": _pairs(message["answers"]),
            "effect": Effect(message["effect"]),
            "needs": Needs(
                **{**needs, "commands": tuple(needs["commands"]), "capabilities": tuple(needs["capabilities"])}
            ),
        }
    )


def _pairs(pairs: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs)


def pack_capture(capture: Capture) -> Message:
    """All but the output, which was sent as it came."""
    return {**asdict(capture), "ending": str(capture.ending), "stdout": "", "stderr": ""}


def unpack_capture(message: Message, stdout: bytes, stderr: bytes) -> Capture:
    ending, argv = Ending(message["ending"]), tuple(message["argv"])
    return Capture(**{**message, "ending": ending, "argv": argv, "stdout": stdout, "stderr": stderr})
