"""What passes between this host and a lab arrives as it was sent."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from runbook.labs.messages import (
    WINDOW_BYTES,
    Channel,
    Window,
    pack,
    pack_capture,
    pack_command,
    unpack,
    unpack_capture,
    unpack_command,
)
from runbook.model import Capture, Command, Effect, Ending, Needs

COMMAND = Command(
    step="a",
    title="A",
    argv=("printf", "%s", "caf\udce9 \u2028"),
    environment=(("PATH", "/bin"),),
    effect=Effect.CHANGE,
    needs=Needs(commands=("ip",), root=True, capabilities=("net_admin",), network=True),
    timeout=1.5,
    terminal=True,
    answers=(("pass: $", "x"),),
)


@contextmanager
def channel() -> Iterator[tuple[Channel, int]]:
    """A channel that hears what it says, and the writing end of it."""
    reader, writer = os.pipe()
    yield Channel(reader, writer), writer
    os.close(reader)
    os.close(writer)


def test_a_command_arrives_as_it_was_sent() -> None:
    assert unpack_command(pack_command(COMMAND)) == COMMAND


def test_a_capture_arrives_as_it_was_sent() -> None:
    capture = Capture("a", ("true", "\udcff"), Ending.SIGNALLED, None, b"out", b"err", 1.0, 2.0, 3, "killed")
    assert unpack_capture(pack_capture(capture), b"out", b"err") == capture


def test_every_byte_survives() -> None:
    assert unpack(pack(bytes(range(256)))) == bytes(range(256))


def test_a_message_of_several_reads_is_one_message() -> None:
    with channel() as (both, _):
        both.send({"data": "x" * 60_000})
        assert both.receive() == {"data": "x" * 60_000}


def test_what_a_kernel_prints_between_messages_is_passed_over() -> None:
    with channel() as (both, writer):
        os.write(writer, b"Core dump limits :\n\tsoft - 0\nno end of line")
        both.send({"id": 1})
        assert both.receive() == {"id": 1}


def test_the_end_is_none() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"half a line")
    os.close(writer)
    assert Channel(reader, writer).receive() is None
    os.close(reader)


def test_no_more_is_sent_than_the_other_end_has_confirmed() -> None:
    reader, writer = os.pipe()
    window = Window()
    sender = threading.Thread(target=Channel(reader, writer, window).send, args=({"data": "x" * 3 * WINDOW_BYTES},))
    sender.start()
    read = [b""]
    while not read[-1].endswith(b"\n"):
        read.append(os.read(reader, 1 << 20))
        window.give_back(len(read[-1]))
    sender.join()
    assert len(b"".join(read)) > 3 * WINDOW_BYTES
    assert max(map(len, read)) <= WINDOW_BYTES
    os.close(reader)
    os.close(writer)


def test_who_waits_for_a_window_is_told_that_the_other_end_is_gone() -> None:
    window = Window()
    window.take(WINDOW_BYTES)
    threading.Timer(0.1, window.close).start()
    with pytest.raises(OSError, match="the other end is gone"):
        window.take(1)
