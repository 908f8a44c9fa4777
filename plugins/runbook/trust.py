"""What a person has allowed to be executed: the hash of each runbook, kept where no knowledge base can write.

Runbooks are code. Those that come with the package are trusted with it; any other only as it was when its person said
so, in the folder where it was. The hash is over all files of the runbook but its recordings, over the path, and over
what a step that reads is confined to; so a change of any of them asks again. What is executed are the very bytes that
were hashed (`Runbook.files`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from runbook.archive import save, state_folder
from runbook.errors import ExecutionError
from runbook.model import SANDBOX_VERSION, Runbook

#: The form of the file, and of what is hashed.
VERSION = 1
#: How long to wait for another decision to be written, in seconds.
LOCK_SECONDS = 10.0


class Trusted(NamedTuple):
    """What was trusted: the whole hash, that of each file, and when (seconds since 1970)."""

    hash: str
    files: Mapping[str, str]
    since: float


def store_path() -> str:
    """Where this user's decisions are."""
    return os.path.join(state_folder(), "trust.json")


def whole_hash(runbook: Runbook) -> str:
    """SHA-256 in hexadecimal over all that decides what running this runbook means."""
    words = [VERSION, SANDBOX_VERSION, os.path.realpath(runbook.folder), runbook.digest]
    return hashlib.sha256(json.dumps(words).encode("utf-8", "surrogatepass")).hexdigest()


def holds(runbook: Runbook) -> bool:
    """Whether this very runbook was trusted. Raises ExecutionError where decisions cannot be relied on."""
    known = trusted().get(os.path.realpath(runbook.folder))
    return known is not None and known.hash == whole_hash(runbook)


def changes(runbook: Runbook) -> list[str]:
    """What is not as it was when it was trusted, a line each; empty when it never was."""
    known = trusted().get(os.path.realpath(runbook.folder))
    if known is None:
        return []
    now = _hashes(runbook)
    lines = [f"{name} was added" for name in now if name not in known.files]
    lines += [f"{name} was removed" for name in known.files if name not in now]
    lines += [f"{name} was changed" for name in now if known.files.get(name, now[name]) != now[name]]
    return lines or ["it is confined in another way than then"]


def trusted() -> dict[str, Trusted]:
    """Every decision, by the real path of the runbook's folder.

    Raises ExecutionError where the file could be somebody else's work, or makes no sense: then nothing is trusted.
    """
    path = store_path()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        _check(path, os.fstat(descriptor))
        _check(os.path.dirname(path), os.stat(os.path.dirname(path)))
        try:
            said = json.load(file)
            if said["version"] != VERSION:
                raise ValueError(f"version {said['version']}")
            return {folder: _read(entry) for folder, entry in said["trusted"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _unusable(path, "makes no sense") from error


def _read(entry: Any) -> Trusted:
    found = Trusted(entry["hash"], dict(entry["files"]), float(entry["since"]))
    if not all(isinstance(value, str) for value in (found.hash, *found.files, *found.files.values())):
        raise ValueError("not a hash")
    return found


def _check(path: str, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise _unusable(path, "belongs to somebody else")
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise _unusable(path, "can be written by others")


def _unusable(path: str, why: str) -> ExecutionError:
    return ExecutionError(f"{path} {why}, so no runbook is trusted\n    delete it, and trust your runbooks anew")


def grant(runbook: Runbook) -> None:
    """Trust this very runbook from now on. Raises ExecutionError."""
    with _changing() as known:
        known[os.path.realpath(runbook.folder)] = Trusted(whole_hash(runbook), _hashes(runbook), time.time())


def remove(folder: str) -> bool:
    """Trust what is in this folder no longer; whether it was. Raises ExecutionError."""
    with _changing() as known:
        return known.pop(os.path.realpath(folder), None) is not None


def _hashes(runbook: Runbook) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in runbook.files.items()}


def _lock(descriptor: int, folder: str) -> None:
    """Wait for the lock, but not for ever: whoever may read the folder may hold one."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise ExecutionError(f"{folder} is locked by another program\n    find it: fuser {folder}") from error
            time.sleep(0.02)


@contextmanager
def _changing() -> Iterator[dict[str, Trusted]]:
    """The decisions, to be changed; one changes them at a time, and there is always the old file or the new one."""
    path = store_path()
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ExecutionError(f"{folder}: {error.strerror}; there is no place to remember what is trusted") from error
    try:
        _check(folder, os.fstat(lock))
        _lock(lock, folder)
        known = trusted()
        yield known
        entries = {name: entry._asdict() for name, entry in sorted(known.items())}
        before = os.umask(0o077)
        try:
            save(path, [json.dumps({"version": VERSION, "trusted": entries}, indent=1), "\n"])
        finally:
            os.umask(before)
    finally:
        os.close(lock)
