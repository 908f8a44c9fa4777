"""A real server over a knowledge base, and how it is asked."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from websockets.sync.client import ClientConnection, connect

from tests.base import COMMAND, Base

T = TypeVar("T")

#: How long anything may take that takes a moment, in seconds.
PATIENCE = 20.0

CONFIGURATION = """\
site_name: Test
theme: {name: material, font: false, palette: {scheme: default}, features: [navigation.instant]}
plugins: [search, runbook: {execute: recorded}]
markdown_extensions: [pymdownx.superfences]
"""


def site(base: Base, **notes: str) -> None:
    """Write mkdocs.yml and these notes; where none is called so, the index shows every runbook."""
    (base.path / "docs").mkdir(exist_ok=True)
    (base.path / "mkdocs.yml").write_text(CONFIGURATION)
    names = sorted(path.name.replace("_", "-") for path in (base.path / "runbooks").iterdir())
    fences = "".join(f"\n## {name}\n\n```runbook\nname: {name}\n```\n" for name in names)
    for name, text in {"index": f"# Note\n{fences}", **notes}.items():
        (base.path / f"docs/{name}.md").write_text(text)


@dataclass
class Served:
    """A server that runs; `url` is the address that it printed, with its key."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    @property
    def home(self) -> str:
        return self.url.partition("#")[0]

    @property
    def port(self) -> int:
        return int(re.search(r":(\d+)/", self.url)[1])  # type: ignore[index]

    @property
    def token(self) -> str:
        return self.url.partition("#token=")[2]

    def ask(self, path: str, body: Any = None, method: str = "", **headers: str) -> tuple[int, bytes]:
        """The status and the body of the answer; asked as the page does, but for these headers."""
        sent = {
            "Authorization": f"Bearer {self.token}",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        data = None
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method or ("GET" if body is None else "POST"), path, data, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def told(self, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON of an answer that is not refused."""
        status, said = self.ask(f"/_runbook/{path}", body)
        assert status in (200, 201), said
        found: dict[str, Any] = json.loads(said)
        return found

    def begin(self, name: str, lab: str = "", **values: str) -> str:
        """Begin a run as the page does, plan first; gives its id."""
        wanted = {"name": name, "values": values, "lab": lab}
        plan = self.told("plan", wanted)
        return str(self.told("runs", {**wanted, "digest": plan["digest"]})["id"])

    @contextmanager
    def line(self, path: str, token: str = "", **how: Any) -> Iterator[ClientConnection]:
        protocols: list[Any] = ["runbook.1", f"runbook.token.{token or self.token}"]
        url = f"ws://127.0.0.1:{self.port}/_runbook/{path}"
        with connect(url, subprotocols=protocols, max_size=None, open_timeout=PATIENCE, **how) as connection:
            yield connection

    def frames(self, id: str, after: int = 0) -> list[dict[str, Any]]:
        """All that a run tells from there to its end."""
        with self.line(f"runs/{id}?after={after}") as connection:
            return [frame for frame in map(json.loads, connection) if frame["type"] != "tick"]

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it; gives its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(base: Base, *words: str, **environment: str) -> Iterator[Served]:
    """`runbook serve` in this knowledge base, once it says where."""
    log = base.path.parent / f"{base.path.name}-serve-{time.monotonic_ns()}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*COMMAND, "serve", *words],
            cwd=base.path,
            env=base.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Served(process, _address(process, log), log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE * 2
    while time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:\d+/#token=\S+", log.read_text())
        if found:
            return found[0]
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"it does not say where it serves: {log.read_text()}")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What this gives, from an event loop of its own: the browser's tests have one in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def until(holds: Any, seconds: float = PATIENCE) -> Any:
    """What this gives once it is true; fails when it is not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("not in time")


def memory(served: Served) -> int:
    """The most memory that the server itself ever had, in bytes."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def readers(served: Served, id: str, *, quick: int, stalled: int) -> list[str]:
    """The output that so many readers of a run got; those that stall read nothing until it has ended."""
    ended = threading.Event()

    def read(waits: bool) -> str:
        with served.line(f"runs/{id}", max_queue=1) as line:
            if waits:
                assert ended.wait(PATIENCE * 3)
            frames = [frame for frame in map(json.loads, line) if frame["type"] != "tick"]
        ended.set()
        numbers = [frame["n"] for frame in frames]
        assert numbers == sorted(set(numbers))
        return "".join(text for frame in frames if frame["type"] == "output" for _, text in frame["pieces"])

    with ThreadPoolExecutor(quick + stalled) as pool:
        return list(pool.map(read, [False] * quick + [True] * stalled))


def skimmed(served: Served, id: str) -> tuple[int, int]:
    """How many characters of its output a reader got who pauses after each frame, and how many there were."""
    got = said = 0
    with served.line(f"runs/{id}", max_queue=1) as line:
        for frame in map(json.loads, line):
            if frame["type"] == "output":
                count = sum(len(text) for _, text in frame["pieces"])
                got, said = got + count, frame["at"] + count
                time.sleep(0.2)
    return got, said


def descendants(root: int) -> set[int]:
    """Every process below this one."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, more = set(), {root}
    while more:
        more = {pid for pid, parent in parents.items() if parent in more}
        found |= more
    return found


def sleeping(root: int) -> list[int]:
    """Those below it that are `sleep 300`."""
    commands = {}
    for pid in descendants(root):
        try:
            commands[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
    return [pid for pid, command in commands.items() if command.startswith(b"sleep\x00300")]
