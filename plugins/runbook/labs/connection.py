"""The executor whose commands run inside a lab: it passes them to the lab's agent, and passes on what that says."""

from __future__ import annotations

import os
import queue
import select
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import count

from runbook.errors import LabError
from runbook.executors.executor import CAP_BYTES, TICK_SECONDS, Interrupted
from runbook.executors.keyboard import Keyboard
from runbook.executors.schedule import Brake
from runbook.labs.messages import Channel, Message, Window, pack, pack_command, unpack, unpack_capture
from runbook.model import Capture, Command, Host, Output

#: How long to wait for the end of a command that is closed, in seconds; longer than any executor needs for it.
CLOSE_SECONDS = 5.0
#: How long past its time-out, or after Ctrl-C, the end of a command may take to be told, in seconds.
SILENT_SECONDS = 10.0


class LabExecutor:
    """Commands inside a lab; see Executor. `broken` gives the lab's last words when it is gone."""

    def __init__(
        self,
        reader: int,
        writer: int,
        keyboard: Keyboard | None,
        broken: Callable[[], LabError],
        cap: int = CAP_BYTES,
        brake: Brake | None = None,
    ) -> None:
        self._brake = brake or Brake()
        self._window = Window()
        self._channel = Channel(reader, writer, self._window)
        self._keyboard = keyboard
        self._broken = broken
        self._cap = cap
        self._numbers = count(1)
        self._listeners: dict[int, queue.Queue[Message]] = {}
        self._gone = threading.Event()
        self._hello: queue.Queue[Message] = queue.Queue()
        self._host: Host | None = None
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while (message := self._channel.receive()) is not None:
            if "hello" in message:
                self._hello.put(message)
            elif "arrived" in message:
                self._window.give_back(message["arrived"])
            elif "echo" in message:
                if self._keyboard is not None:
                    self._keyboard.echoes(bool(message["echo"]))
            elif (listener := self._listeners.get(message.get("id", 0))) is not None:
                # Never waits for a slow listener, who may be waiting for us: of a command's output no more than
                # its cap arrives.
                listener.put(message)
        self._gone.set()
        self._window.close()

    def wait_for_hello(self, seconds: float) -> None:
        """Return when the lab is up; raises LabError when it does not come up."""
        for _ in range(int(seconds / TICK_SECONDS)):
            try:
                self._give_up_if_stopped()
                self._host = Host(**self._hello.get(timeout=TICK_SECONDS)["hello"])
                self._send({"cap": self._cap})
                return
            except queue.Empty:
                if self._gone.is_set():
                    break
        raise self._broken()

    def _give_up_if_stopped(self) -> None:
        if self._brake.stopped:
            raise LabError("the run was ended while its lab was being built")

    def host(self) -> Host:
        assert self._host is not None, "asked before hello"
        return self._host

    def build(self, script: str, seconds: float) -> tuple[int, bytes]:
        """Run a scenario's script in the lab; gives its exit status and the end of what it said."""
        with self._listening() as (number, listener):
            self._send({"id": number, "build": script})
            for _ in range(int(seconds / TICK_SECONDS)):
                self._give_up_if_stopped()
                message = self._next(listener)
                if message is not None:
                    return message["built"], unpack(message["said"])
        raise LabError(f"the lab was not built within {seconds:g} s")

    def execute(self, command: Command) -> Generator[Output, None, Capture]:
        """Run the command in the lab; see Executor."""
        with self._listening() as (number, listener):
            self._send({"id": number, "execute": pack_command(command)})
            with self._typing() if command.terminal else nullcontext():
                return (yield from self._pump(number, listener, command))

    def _pump(self, number: int, listener: queue.Queue[Message], command: Command) -> Generator[Output, None, Capture]:
        kept = {"stdout": bytearray(), "stderr": bytearray()}
        # The lab's own executor ends the command in time; a lab that does not answer any more is given up.
        deadline = time.monotonic() + command.timeout + SILENT_SECONDS
        while True:
            try:
                message = self._next(listener)
                if time.monotonic() > deadline:
                    raise LabError(f"the lab does not answer any more (step {command.step})")
                if message is None:
                    yield Output(command.step, "stdout", b"")
                elif "data" in message:
                    data = unpack(message["data"])
                    kept[message["stream"]] += data[: self._cap - len(kept[message["stream"]])]
                    yield Output(command.step, message["stream"], data)
                elif "error" in message:
                    raise LabError(f"the lab could not run step {command.step}: {message['error']}")
                else:
                    return unpack_capture(message["capture"], bytes(kept["stdout"]), bytes(kept["stderr"]))
            except Interrupted:
                deadline = min(deadline, time.monotonic() + SILENT_SECONDS)
                self._send({"id": number, "interrupt": True})
            except GeneratorExit:
                self._close(number, listener)
                raise

    def _close(self, number: int, listener: queue.Queue[Message]) -> None:
        """Have the command ended, and return when its whole tree is gone, or the lab."""
        with suppress(LabError):
            self._send({"id": number, "close": True})
            deadline = time.monotonic() + CLOSE_SECONDS
            while time.monotonic() < deadline:
                message = self._next(listener)
                if message is not None and "data" not in message:
                    return

    def _next(self, listener: queue.Queue[Message]) -> Message | None:
        """The next message for this listener, or None after a tick without one."""
        try:
            return listener.get(timeout=TICK_SECONDS)
        except queue.Empty:
            if self._gone.is_set() and listener.empty():
                raise self._broken() from None
            return None

    def _send(self, message: Message) -> None:
        try:
            self._channel.send(message)
        except OSError:
            raise self._broken() from None

    @contextmanager
    def _listening(self) -> Iterator[tuple[int, queue.Queue[Message]]]:
        number = next(self._numbers)
        self._listeners[number] = queue.Queue()
        try:
            yield number, self._listeners[number]
        finally:
            del self._listeners[number]

    @contextmanager
    def _typing(self) -> Iterator[None]:
        """Pass on what the person types for as long as the body lasts."""
        if self._keyboard is None:
            yield
            return
        ended = threading.Event()
        relay = threading.Thread(target=self._relay, args=(self._keyboard, ended), daemon=True)
        with self._keyboard.raw():
            relay.start()
            try:
                yield
            finally:
                ended.set()
                relay.join()

    def _relay(self, keyboard: Keyboard, ended: threading.Event) -> None:
        size = None
        while not ended.is_set():
            if size != keyboard.size():
                size = keyboard.size()
                self._send({"size": size})
            if select.select([keyboard], [], [], TICK_SECONDS)[0]:
                keys = os.read(keyboard.fileno(), 1024)
                if not keys:
                    return
                self._send({"keys": pack(keys)})

    def close(self) -> None:
        """The lab itself is closed by who opened it."""
