"""Runs runbooks on the building host, each once, and keeps what they printed until it no longer holds."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runbook.archive import Recording, recording, save
from runbook.errors import RunbookError
from runbook.executors import here
from runbook.executors.executor import finish
from runbook.executors.process import ProcessExecutor
from runbook.model import Effect, Plan, Run, Source
from runbook.pipeline import Brake, gather
from runbook.renderers.renderer import renderer

#: When the kernel started: what ran before says nothing about the host now (random(4)).
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one wanted run: `ran`, `reused`, or `failed`, and why or how long."""

    name: str
    what: str
    seconds: float = 0.0
    reason: str = ""


def obstacle(plan: Plan) -> str:
    """Why this host cannot answer all that the runbook asks, in words; empty when it can.

    Steps that run only when another one failed are not counted.
    """
    for command in plan.commands:
        if command.effect is Effect.CHANGE:
            return "it changes the host, and no build may do that"
        if command.when is None:
            path = dict(command.environment)["PATH"]
            for name in (command.argv[0], *command.needs.commands):
                if here.find(name, path) is None:
                    return f"{name} is not installed here"
            right = here.missing_right(command.needs)
            if right:
                return f"{command.argv[0]} needs {right}"
    return ""


class LiveRuns:
    """The live runs of a site, kept in `folder`, which is private to this user.

    One is used again for `max_age` seconds as long as the runbook, its values, the engine, the user and the host's boot
    are the same. What this object made or used once it uses for as long as it lives: for one build, or while somebody
    writes.
    """

    def __init__(self, folder: str, *, max_age: float, workers: int) -> None:
        self._folder = folder
        self._max_age = max_age
        self._workers = workers
        self._held: dict[str, Recording] = {}
        self._brake = Brake()
        self._circumstances = _circumstances()

    def find(self, plan: Plan) -> Recording | None:
        """What was recorded for this plan, when it still holds."""
        path = self._path(plan)
        if path not in self._held:
            try:
                kept = recording(path, plan.runbook)
            except RunbookError:
                return None
            if not self._is_fresh(kept):
                return None
            self._held[path] = kept
        return self._held[path]

    def perform(self, plans: Sequence[Plan]) -> list[Outcome]:
        """See that every plan has a recording: run those that have none, some at once. Ctrl-C ends them all."""
        wanted = {self._path(plan): plan for plan in plans}
        missing = {path: plan for path, plan in wanted.items() if self.find(plan) is None}
        outcomes = [Outcome(plan.runbook.name, "reused") for path, plan in wanted.items() if path not in missing]
        if not missing:
            return outcomes
        self._tidy()
        brake = self._brake = Brake()
        with ThreadPoolExecutor(min(self._workers, len(missing))) as pool:
            started = [pool.submit(self._run, path, plan, brake) for path, plan in missing.items()]
            try:
                return outcomes + [future.result() for future in started]
            except BaseException:
                brake.stop()
                raise

    def stop(self) -> None:
        """End what `perform` runs; from another thread."""
        self._brake.stop()

    def _run(self, path: str, plan: Plan, brake: Brake) -> Outcome:
        started, clock = time.time(), time.monotonic()
        try:
            with ProcessExecutor(None, hide=True) as executor:
                captures = finish(gather(plan, executor, brake=brake))
                run = Run(plan, executor.host(), Source("live"), started, time.monotonic() - clock, captures)
        except RunbookError as error:
            return Outcome(plan.runbook.name, "failed", reason=str(error))
        self._held[path] = Recording(captures, plan.parameters, run.host, run.source, started)
        try:
            if not brake.stopped:
                save(path, renderer("json").render([run]))
        except RunbookError as error:
            return Outcome(plan.runbook.name, "ran", run.seconds, f"the next build has to run it again: {error}")
        return Outcome(plan.runbook.name, "ran", run.seconds)

    def _is_fresh(self, kept: Recording) -> bool:
        # From the future is what was recorded before the clock was set back.
        return 0 <= time.time() - kept.started < self._max_age

    def _path(self, plan: Plan) -> str:
        """Where the recording for this plan is; another one for everything that another result could come from."""
        words: list[object] = [plan.runbook.name, plan.runbook.digest, dict(plan.parameters), *self._circumstances]
        words += [[command.argv, command.environment] for command in plan.commands]
        key = hashlib.sha256(json.dumps(words, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()
        return os.path.join(self._folder, f"{plan.runbook.name}-{key[:32]}.json")

    def _tidy(self) -> None:
        """Delete what is too old to be used again."""
        # Where there can be no folder, saving says so.
        with suppress(OSError):
            Path(self._folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in Path(self._folder).glob("*.json"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > self._max_age:
                    path.unlink()


def cache_folder() -> str:
    """Where this user's programs keep what they can make again (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
    return os.path.join(base, "runbook", "live")


def _circumstances() -> list[object]:
    """What a result depends on besides runbook and values: who runs it, since when the host is up, the engine."""
    with open(BOOT_ID, encoding="ascii") as file:
        boot = file.read().strip()
    engine = Path(here.__file__).parent.parent
    files = sorted(path for path in engine.rglob("*.py") if "runbooks" not in path.parts)
    return [os.geteuid(), boot, [[str(path), path.stat().st_mtime_ns] for path in files]]
