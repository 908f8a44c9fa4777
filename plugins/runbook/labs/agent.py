"""The part of the engine inside a lab: runs what it is told with the executor of its host, and says how it went.

Started by the lab's prelude with a channel on standard input and output.
"""

from __future__ import annotations

import os
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace

from runbook.errors import ExecutionError
from runbook.executors.executor import Interrupted
from runbook.executors.keyboard import RelayKeyboard
from runbook.executors.process import ProcessExecutor
from runbook.executors.session import DRAIN_SECONDS
from runbook.labs.messages import Channel, Message, pack, pack_capture, unpack, unpack_command
from runbook.labs.start import LAB_SETS
from runbook.model import Command

#: How much of the end of what a script said is told.
SAID_BYTES = 4096


def main(confined: bool) -> None:
    """Serve until the channel closes."""
    with suppress(termios.error):
        # A kernel lab's channel is its serial line, which would echo and rewrite what passes.
        tty.setraw(0)
    channel = Channel(0, 1, acknowledges=True)
    agent = Agent(channel, confined)
    channel.send({"hello": asdict(agent.host())})
    while (message := channel.receive()) is not None:
        agent.take(message)


class Agent:
    """The commands that run in this lab, each in a thread of its own."""

    def __init__(self, channel: Channel, confined: bool) -> None:
        self._channel = channel
        self._keyboard = RelayKeyboard(lambda on: channel.send({"echo": on}))
        self._executor = ProcessExecutor(self._keyboard, confined=confined)
        self._orders: dict[int, list[str]] = {}
        self._set_by_lab = {name: os.environ[name] for name in LAB_SETS if name in os.environ}
        self.host = self._executor.host

    def take(self, message: Message) -> None:
        """Do what this message says; returns at once."""
        if "cap" in message:
            self._executor.cap = message["cap"]
        elif "build" in message:
            self._start(self._build, message["id"], message["build"])
        elif "execute" in message:
            self._orders[message["id"]] = []
            self._start(self._execute, message["id"], self._inside(unpack_command(message["execute"])))
        elif "keys" in message:
            self._keyboard.press(unpack(message["keys"]))
        elif "size" in message:
            self._keyboard.resize(*message["size"])
        else:
            self._orders.get(message["id"], []).append("interrupt" if "interrupt" in message else "close")

    def _inside(self, command: Command) -> Command:
        return replace(command, environment=tuple({**self._set_by_lab, **dict(command.environment)}.items()))

    def _start(self, work: Callable[..., None], *subjects: object) -> None:
        threading.Thread(target=work, args=subjects, daemon=True).start()

    def _build(self, number: int, script: str) -> None:
        """Run the scenario's script; what it leaves running goes on, for that is the lab."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        # For what a lab needs from a library of ours: the system's own Python does not have it.
        environment = {**os.environ, "RUNBOOK_PYTHON": sys.executable}
        process = subprocess.Popen(
            ["/bin/sh", script], stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, env=environment
        )
        os.close(writer)
        said = bytearray()
        # Goes on after the script has ended: what it left running may write, and must not be stopped by a full pipe.
        listener = threading.Thread(target=self._keep_end, args=(reader, said), daemon=True)
        listener.start()
        status = process.wait()
        listener.join(DRAIN_SECONDS)
        self._channel.send({"id": number, "built": status, "said": pack(bytes(said[-SAID_BYTES:]))})

    @staticmethod
    def _keep_end(reader: int, said: bytearray) -> None:
        while data := os.read(reader, 65536):
            said += data
            del said[:-SAID_BYTES]
        os.close(reader)

    def _execute(self, number: int, command: Command) -> None:
        try:
            capture = self._drive(number, command)
            self._channel.send({"id": number, "capture": capture})
        except ExecutionError as error:
            self._channel.send({"id": number, "error": str(error)})
        finally:
            del self._orders[number]

    def _drive(self, number: int, command: Command) -> Message:
        orders = self._orders[number]
        steps = self._executor.execute(command)
        try:
            output = next(steps)
            while True:
                if output.data:
                    self._channel.send({"id": number, "stream": output.stream, "data": pack(output.data)})
                if "close" in orders:
                    steps.close()
                    return {}
                output = steps.throw(Interrupted()) if orders and orders.pop() else next(steps)
        except StopIteration as end:
            return pack_capture(end.value)
