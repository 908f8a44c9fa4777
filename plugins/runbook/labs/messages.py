"""What this host and the inside of a lab say to each other: JSON text sequences (RFC 7464) over two descriptors.

To the lab: `{"id": 1, "build": script}`, `{"id": 1, "execute": command}`, `{"id": 1, "interrupt": true}`, `{"id": 1,
"close": true}`, `{"keys": bytes}`, `{"size": [columns, lines]}`. From the lab: `{"hello": host}` once; for a command
`{"id": 1, "stream": "stdout", "data": bytes}` and, last, `{"id": 1, "capture": …}` or `{"id": 1, "error": "…"}`; for a
script `{"id": 1, "built": status, "said": bytes}`. Bytes are in base64.
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


class Channel:
    """Sends from any thread, receives in one; the descriptors stay the caller's."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = threading.Lock()
        self._rest = b""

    def send(self, message: Message) -> None:
        """Raises OSError when nobody is there any more."""
        data = SEPARATOR + json.dumps(message).encode() + b"\n"
        with self._lock:
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
            if separator:
                message: Message = json.loads(text)
                return message

    def _read(self) -> bytes:
        try:
            return os.read(self._reader, CHUNK_BYTES)
        except OSError:
            return b""


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
