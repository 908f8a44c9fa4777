"""The runs of a server: each in a thread of its own, that writes down what happens for whoever follows."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import shlex
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from runbook.errors import RunbookError, UsageError
from runbook.executors.keyboard import RelayKeyboard
from runbook.executors.launch import Launcher
from runbook.executors.process import ProcessExecutor
from runbook.journal import Journal, changes, kept, settle
from runbook.model import Command, Output, Plan, Run, Scenario, Source
from runbook.pipeline import Brake, Ended, Event, Started, perform, perform_in_lab
from runbook.preview import as_json
from runbook.renderers.ansi import Pieces
from runbook.renderers.html import Panel, result
from runbook.renderers.plain import duration, ended
from runbook.server.stream import Log

LOG = logging.getLogger("runbook.server")

#: How many runs may be under way, and begin in a minute.
AT_ONCE, A_MINUTE = 4, 30
#: How many that have ended are kept, and how large all kept ones may be, in bytes; the newest is kept in any case.
KEPT_RUNS, KEPT_BYTES = 50, 64 * 1024 * 1024
#: How long a person may think about a change before it counts as declined, in seconds.
ASK_SECONDS = 600.0
#: How long a run may take to end when the server does, in seconds.
CLOSE_SECONDS = 5.0


class Busy(UsageError):
    """More runs than this server makes at once, or in a minute."""


class LiveRun:
    """One run: what was asked for, its frames (`log`), and, when it has ended, the result."""

    def __init__(self, plan: Plan, scenario: Scenario | None, log: Log, changed: Callable[[], None]) -> None:
        self.id = secrets.token_urlsafe(12)
        self.plan = plan
        self.scenario = scenario
        self.log = log
        self.started = time.time()
        self.run: Run | None = None
        self._changed = changed
        self._brake = Brake()
        self._keyboard = RelayKeyboard(lambda on: self.log.add("echo", on=on))
        #: The interactive step that runs; what is typed at another time is for none.
        self._typing = ""
        # Or keys could go to what has the keyboard's descriptor after it.
        self._typing_lock = threading.Lock()
        self._asked: dict[str, tuple[threading.Event, list[bool]]] = {}
        self._told: dict[tuple[str, str], _Told] = {}
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def state(self) -> str:
        """`running`, the verdict, or `failed` when there is none."""
        if not self.log.ended:
            return "running"
        return str(self.run.verdict) if self.run is not None else "failed"

    @property
    def size(self) -> int:
        captures = self.run.captures if self.run is not None else ()
        return self.log.size + sum(len(capture.stdout) + len(capture.stderr) for capture in captures)

    def begin(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._thread.start()

    def cancel(self) -> None:
        """End all of it now; what it found until then is judged."""
        self._brake.stop()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def type(self, text: str) -> None:
        """Hand on what a person typed, to the interactive step that runs now."""
        with self._typing_lock:
            if self._typing:
                self._keyboard.press(text.encode("utf-8", "replace"))

    def answer(self, step: str, yes: bool) -> None:
        """What a person says to a change; the first answer counts."""
        asked = self._asked.get(step)
        if asked is not None and not asked[0].is_set():
            asked[1].append(yes)
            asked[0].set()

    def _work(self) -> None:
        self.log.add("begin", **self._described())
        try:
            self._follow(self._steps())
        except RunbookError as error:
            problem, _, cure = str(error).partition("\n")
            self.log.add("end", problem=problem, cure=cure.strip())
        except Exception as error:
            LOG.exception("the run of %s broke", self.plan.runbook.name)
            self.log.add("end", problem=f"the server broke: {type(error).__name__}", cure="its terminal says more")
        finally:
            with self._typing_lock:
                self._typing = ""
                self._keyboard.close()
            self._launcher.close()
            self._changed()

    def _described(self) -> dict[str, object]:
        lab = {"id": self.scenario.id, "title": self.scenario.title} if self.scenario is not None else None
        commands = [
            {"step": command.step, "title": command.title, "command": shlex.join(command.argv)}
            for command in self.plan.commands
        ]
        return {"id": self.id, "name": self.plan.runbook.name, "lab": lab, "started": self.started, "steps": commands}

    def _steps(self) -> Generator[Event, None, Run]:
        if self.scenario is not None:
            note = self._note
            return (
                yield from perform_in_lab(
                    self.plan, self.scenario, keyboard=self._keyboard, brake=self._brake, note=note
                )
            )
        with ProcessExecutor(self._keyboard, launcher=self._launcher) as executor:
            steps = perform(self.plan, executor, Source("live"), approve=self._approve, brake=self._brake)
            if not changes(self.plan):
                return (yield from steps)
            journal = Journal.begin(self.plan)
            try:
                run = yield from kept(steps, journal)
                settle(self.plan, journal)
            finally:
                journal.close()
            return run

    def _note(self, text: str) -> None:
        self.log.add("note", text=text)

    def _follow(self, steps: Generator[Event, None, Run]) -> None:
        with closing(steps):
            try:
                while True:
                    self._tell(next(steps))
            except StopIteration as end:
                run: Run = end.value
                self.run = run
        panel = Panel(run, "This host", place="on this host")
        html = "".join(result(panel, f"rb-run-{self.id}"))
        self.log.add("end", verdict=str(run.verdict), took=duration(run.seconds), html=html)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Started):
            step, terminal = event.command.step, event.command.terminal
            self._typing = step if terminal else ""
            for stream in ("stdout", "stderr"):
                self._told[step, stream] = _Told(terminal)
            self.log.add("started", step=step, terminal=terminal)
        elif isinstance(event, Output):
            if event.data:
                self._tell_output(event.step, event.stream, event.data)
        else:
            self._tell_end(event)

    def _tell_output(self, step: str, stream: str, data: bytes, final: bool = False) -> None:
        told = self._told[step, stream]
        pieces = told.pieces.feed(data, final)
        if pieces:
            self.log.add("output", step=step, stream=stream, at=told.characters, pieces=pieces)
            told.characters += sum(len(text) for _, text in pieces)

    def _tell_end(self, event: Ended) -> None:
        capture = event.capture
        for step, stream in [place for place in self._told if place[0] == capture.step]:
            self._tell_output(step, stream, b"", final=True)
        if self._typing == capture.step:
            self._typing = ""
        self.log.add(
            "ended",
            step=capture.step,
            ending=str(capture.ending),
            ok=capture.succeeded,
            words=ended(capture),
            detail=capture.detail,
            took=duration(capture.seconds),
        )

    def _approve(self, command: Command) -> bool:
        """Ask whoever follows; from within the run's thread."""
        answered, answers = self._asked[command.step] = threading.Event(), []
        undo = shlex.join(command.undo) if command.undo else ""
        words = {"title": command.title, "command": shlex.join(command.argv), "undo": undo}
        self.log.add("ask", step=command.step, **words)
        deadline = time.monotonic() + ASK_SECONDS
        while not answered.wait(0.05):
            if self._brake.pressed or time.monotonic() > deadline:
                answered.set()
        yes = answers == [True]
        self.log.add("answered", step=command.step, yes=yes)
        return yes


class _Told:
    """How much of a stream was told, in characters, and where its colours stand."""

    def __init__(self, terminal: bool) -> None:
        self.pieces = Pieces(terminal)
        self.characters = 0


class Runs:
    """All runs of a server; `changed` is called, from any thread, when one begins or ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop, changed: Callable[[], None]) -> None:
        self._loop = loop
        self._changed = changed
        self._lock = threading.Lock()
        self._runs: dict[str, LiveRun] = {}
        self._begun: deque[float] = deque(maxlen=A_MINUTE)
        self._spare: Launcher | None = None

    def __iter__(self) -> Iterator[LiveRun]:
        """The oldest first."""
        with self._lock:
            return iter(list(self._runs.values()))

    def get(self, id: str) -> LiveRun | None:
        return self._runs.get(id)

    def start(self, plan: Plan, scenario: Scenario | None = None) -> LiveRun:
        """Begin a run. Raises Busy."""
        with self._lock:
            if sum(run.state == "running" for run in self._runs.values()) >= AT_ONCE:
                raise Busy(f"{AT_ONCE} runs are under way\n    wait for one, or cancel it")
            if len(self._begun) == A_MINUTE and time.monotonic() - self._begun[0] < 60:
                raise Busy(f"{A_MINUTE} runs began in the last minute\n    wait a little")
            self._begun.append(time.monotonic())
            run = LiveRun(plan, scenario, Log(self._loop), self._changed)
            self._runs[run.id] = run
            self._forget()
            launcher, self._spare = self._spare or Launcher(), None
        run.begin(launcher)
        self._changed()
        return run

    def warm(self) -> None:
        """Have what a run starts commands with begin before it is asked for."""
        with self._lock:
            if self._spare is None:
                self._spare = Launcher()
                self._spare.begin()

    def _forget(self) -> None:
        """Give up the oldest that have ended, until few enough are left."""
        done = [(run.id, run.size) for run in self._runs.values() if run.state != "running"]
        while done and (len(done) > KEPT_RUNS or sum(size for _, size in done) > KEPT_BYTES):
            del self._runs[done.pop(0)[0]]

    def close(self) -> None:
        """End every run; returns when all are gone."""
        runs = list(self)
        for run in runs:
            run.cancel()
        deadline = time.monotonic() + CLOSE_SECONDS
        for run in runs:
            run.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            if self._spare is not None:
                self._spare.close()
                self._spare = None


def digest(plan: Plan, scenario: Scenario | None) -> str:
    """What a person saw of a plan before they ran it, as SHA-256 in hexadecimal: any other plan has another one."""
    words = [as_json(plan), [command.argv for command in plan.commands], scenario.id if scenario else None]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()
