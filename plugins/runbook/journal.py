"""What a run has changed so far, on disk before each step: a run that was cut off can go on, or be taken back.

One file a run, of JSON lines, each written through (fsync(2)) before what it says is done:

    {"runbook": "ssh-key-create", "folder": "/home/a/kb/runbooks/ssh_key_create", "plan": "5d2c…",
     "values": {"host": "web1"}, "started": 1795821930.1}
    {"begun": "key", "argv": ["ssh-keygen", …], "undo": ["rm", …]}
    {"ended": "key", "ending": "exited", "exit_code": 0, "detail": "exited 0", "stdout": "…base64…", "stderr": ""}
    {"undone": "key"}
    {"finished": true}

Whoever runs holds the file (flock(2)), so one that nobody holds is of a run that is over. There are no secrets in it:
values of secret parameters are left out, and captures are masked before they get here. Only steps that change something
are told.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Container, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from runbook.archive import state_folder
from runbook.errors import ExecutionError, UsageError
from runbook.executors.executor import Executor
from runbook.executors.schedule import Ended, Event, Started
from runbook.model import Capture, Command, Effect, Ending, Host, Output, Plan, Runbook

Result = TypeVar("Result")

#: How much of each stream of a step is kept; what it changed does not depend on it.
KEPT_BYTES = 256 * 1024
#: How many runs of a runbook are remembered.
REMEMBERED = 20


@dataclass
class Record:
    """What a journal says. `begun` are steps of which nobody knows whether they ended; `done` those that exited 0.

    `undo` and `argv` are the words of each step that was begun, as they were then.
    """

    path: str
    runbook: str
    plan: str
    values: Mapping[str, Any]
    started: float
    running: bool
    finished: bool = False
    argv: dict[str, tuple[str, ...]] = field(default_factory=dict)
    undo: dict[str, tuple[str, ...]] = field(default_factory=dict)
    done: dict[str, Capture] = field(default_factory=dict)
    failed: dict[str, Capture] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)

    @property
    def touched(self) -> list[str]:
        """Steps that may have changed something and were not taken back, in the order in which they were begun."""
        return [step for step in self.argv if step not in self.undone]

    @property
    def when(self) -> str:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.started))


def plan_digest(plan: Plan) -> str:
    """What the steps of a plan would do, as one number: the same words, the same number.

    Of answers as the definition has them, without values: a number over a secret would be a way to guess it.
    """
    answers = {step.id: list(step.answers) for step in plan.runbook.steps}
    words = [[c.step, list(c.argv), str(c.effect), list(c.undo), answers.get(c.step)] for c in plan.commands]
    return hashlib.sha256(json.dumps(words).encode("utf-8", "surrogatepass")).hexdigest()


def changes(plan: Plan) -> bool:
    """Whether any step of it changes something."""
    return any(command.effect is Effect.CHANGE for command in plan.commands)


class Journal:
    """The file of one run, held until it is closed. Raises ExecutionError when it cannot be written: stop then."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def begin(cls, plan: Plan) -> Journal:
        """A new file; forgets runs that are long past."""
        folder = _folder(plan.runbook)
        secret = {parameter.name for parameter in plan.runbook.parameters if parameter.secret}
        values = {name: value for name, value in plan.parameters.items() if name not in secret}
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            # Not by the clock, which can be set back.
            path = os.path.join(folder, f"{_newest(folder) + 1:012d}-{os.getpid()}.jsonl")
            _forget(folder)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            journal = cls(path, os.open(path, flags, 0o600))
            fcntl.flock(journal._descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _unwritten(folder, error) from error
        where = {"runbook": plan.runbook.name, "folder": os.path.realpath(plan.runbook.folder)}
        journal._write({**where, "plan": plan_digest(plan), "values": values, "started": time.time()})
        parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with suppress(OSError):
            os.fsync(parent)
        os.close(parent)
        return journal

    @classmethod
    def reopen(cls, record: Record) -> Journal:
        """The file of a run that is over, to go on with it; raises UsageError when somebody else does."""
        try:
            journal = cls(record.path, os.open(record.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW))
            fcntl.flock(journal._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # What was cut off in the middle of a line must not spoil the next.
            os.write(journal._descriptor, b"\n")
        except BlockingIOError:
            raise UsageError(f"another process goes on with the run of {record.when}\n    wait for it") from None
        except OSError as error:
            raise _unwritten(record.path, error) from error
        return journal

    def begun(self, command: Command) -> None:
        self._write({"begun": command.step, "argv": list(command.argv), "undo": list(command.undo)})

    def ended(self, capture: Capture) -> None:
        streams = {
            name: base64.b64encode(getattr(capture, name)[:KEPT_BYTES]).decode() for name in ("stdout", "stderr")
        }
        how = {"ending": str(capture.ending), "exit_code": capture.exit_code, "detail": capture.detail}
        self._write({"ended": capture.step, **how, "seconds": capture.seconds, **streams})

    def undone(self, step: str) -> None:
        self._write({"undone": step})

    def finished(self) -> None:
        self._write({"finished": True})

    def close(self) -> None:
        os.close(self._descriptor)

    def forget(self) -> None:
        """Nothing was begun: there is nothing to remember."""
        with suppress(OSError):
            os.unlink(self.path)

    def _write(self, line: Mapping[str, object]) -> None:
        data = json.dumps(line, ensure_ascii=True).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise _unwritten(self.path, error) from error


def _unwritten(path: str, error: OSError) -> ExecutionError:
    return ExecutionError(
        f"{path}: what is changed cannot be written down: {error.strerror}; nothing more is changed\n"
        "    make room there, or set XDG_STATE_HOME to a folder that can be written to; "
        "what was changed before, `--undo` takes back"
    )


def kept(
    steps: Generator[Event, None, Result], journal: Journal, done: Container[str] = ()
) -> Generator[Event, None, Result]:
    """The same events; what changes something, and is not `done`, is written down before it begins and after it."""
    changing: set[str] = set()
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            if isinstance(event, Started) and event.command.effect is Effect.CHANGE and event.command.step not in done:
                changing.add(event.command.step)
                journal.begun(event.command)
            elif isinstance(event, Ended) and event.capture.step in changing:
                journal.ended(event.capture)
            yield event


def settle(plan: Plan, journal: Journal) -> Record | None:
    """When a run has ended: what it left half done; or None, and the journal says that it is finished."""
    record = _read(journal.path)
    if record is not None and not record.argv:
        journal.forget()
        return None
    wanted = [command.step for command in plan.commands if command.effect is Effect.CHANGE]
    if record is not None and record.touched:
        left = [step for step in wanted if step not in record.done]
        if record.failed or record.begun or (left and record.done and _unapproved(plan, record, left)):
            return record
    journal.finished()
    return None


def _unapproved(plan: Plan, record: Record, left: list[str]) -> bool:
    """Whether a step that is left might have run: it has no condition."""
    return any(command.when is None for command in plan.commands if command.step in left)


class Resumed:
    """An executor for which some steps are done already: it gives what they left behind then, and runs the others."""

    def __init__(self, executor: Executor, done: Mapping[str, Capture]) -> None:
        self._executor = executor
        self._done = done

    def execute(self, command: Command) -> Generator[Output, None, Capture]:
        if command.step in self._done:
            return self._done[command.step]
        return (yield from self._executor.execute(command))

    def host(self) -> Host:
        return self._executor.host()

    def close(self) -> None:
        self._executor.close()


def last(runbook: Runbook) -> Record | None:
    """The last run of this runbook that has something to be taken back; else the last one; None when there was none."""
    folder = _folder(runbook)
    records = [_read(os.path.join(folder, name)) for name in sorted(_names(folder), reverse=True)]
    known = [record for record in records if record is not None]
    return next((record for record in known if record.touched or record.running), known[0] if known else None)


def reread(record: Record) -> Record:
    """The same journal as it is now; what is gone meanwhile has nothing left to be taken back."""
    return _read(record.path) or replace(record, argv={}, done={}, begun=[], failed={})


def _folder(runbook: Runbook) -> str:
    """Where the journals of a runbook are: those of another knowledge base's, with the same name, are others."""
    place = hashlib.sha256(os.fsencode(os.path.realpath(runbook.folder))).hexdigest()[:12]
    return os.path.join(state_folder(), "journals", f"{runbook.name}-{place}")


def _names(folder: str) -> Iterator[str]:
    with suppress(OSError):
        yield from (name for name in os.listdir(folder) if re.fullmatch(r"[0-9]{12}-[0-9]+\.jsonl", name))


def _newest(folder: str) -> int:
    return max((int(name[:12]) for name in _names(folder)), default=0)


def _forget(folder: str) -> None:
    """Runs that are long over, and of which nothing is left to do; what runs still, or stopped half-way, is kept."""
    for name in sorted(_names(folder))[: -REMEMBERED + 1]:
        record = _read(os.path.join(folder, name))
        if record is None or (not record.running and (record.finished or not record.touched)):
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))


def _read(path: str) -> Record | None:
    """A journal as far as it can be read; None for what is none.

    A last line that was cut off was not written through, and says nothing.
    """
    try:
        # Whoever may write here may have put a pipe in the way.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            running = _is_held(file.fileno())
            lines = [line for line in map(_line, file) if line]
        head = lines[0]
        record = Record(
            path, str(head["runbook"]), str(head["plan"]), dict(head["values"]), float(head["started"]), running
        )
        for line in lines[1:]:
            _take(record, line)
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
    return record


def _take(record: Record, line: Mapping[str, Any]) -> None:
    if "begun" in line:
        step = str(line["begun"])
        # Begun once more, it is the last one now.
        record.argv.pop(step, None)
        record.argv[step], record.undo[step] = tuple(line.get("argv", ())), tuple(line.get("undo", ()))
        record.failed.pop(step, None)
        record.undone = [name for name in record.undone if name != step]
        if step not in record.begun and step not in record.done:
            record.begun.append(step)
    elif "ended" in line:
        step = str(line["ended"])
        capture = _capture(step, record.argv.get(step, ()), line)
        record.begun = [name for name in record.begun if name != step]
        (record.done if capture.succeeded else record.failed)[step] = capture
    elif "undone" in line:
        step = str(line["undone"])
        record.undone.append(step)
        record.begun = [name for name in record.begun if name != step]
        record.done.pop(step, None)
        record.failed.pop(step, None)
    elif line.get("finished"):
        record.finished = True


def _capture(step: str, argv: tuple[str, ...], line: Mapping[str, Any]) -> Capture:
    stdout, stderr = (base64.b64decode(str(line.get(name, ""))) for name in ("stdout", "stderr"))
    code = line.get("exit_code")
    return Capture(
        step=step,
        argv=argv,
        ending=Ending(str(line.get("ending"))),
        exit_code=code if isinstance(code, int) else None,
        stdout=stdout,
        stderr=stderr,
        seconds=float(line.get("seconds", 0.0)),
        detail=str(line.get("detail", "")),
    )


def _line(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
