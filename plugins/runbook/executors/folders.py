"""Temporary folders that nobody else can enter, and of which none is left, even by a program that was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: A folder younger than this is not swept: whoever made it may just be about to lock it.
YOUNG_SECONDS = 60.0


@contextmanager
def private_folder(prefix: str) -> Iterator[str]:
    """A folder that is there, and locked, while the body lasts; those left under this prefix are removed first."""
    _sweep(tempfile.gettempdir(), prefix)
    folder = tempfile.mkdtemp(prefix=prefix)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(temporary: str, prefix: str) -> None:
    for name in os.listdir(temporary):
        path = os.path.join(temporary, name)
        if name.startswith(prefix):
            with suppress(OSError):
                _remove_if_left(path)


def _remove_if_left(path: str) -> None:
    status = os.lstat(path)
    if status.st_uid != os.getuid() or time.time() - status.st_mtime < YOUNG_SECONDS:
        return
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
