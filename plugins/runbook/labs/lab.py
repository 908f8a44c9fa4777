"""Opens a lab, builds its scenario, and leaves nothing behind: no process, mount, namespace or file."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Protocol

from runbook.errors import LabError, UntrustedError
from runbook.executors.executor import CAP_BYTES
from runbook.executors.folders import private_folder
from runbook.executors.here import find
from runbook.executors.keyboard import Keyboard
from runbook.executors.launch import Launcher
from runbook.executors.schedule import Brake
from runbook.labs import kernel, namespace
from runbook.labs.connection import LabExecutor
from runbook.labs.start import Start
from runbook.model import Runbook, Scenario

#: How long a lab may take to come up, and its script to build the scenario, in seconds.
BOOT_SECONDS = 60.0
BUILD_SECONDS = 120.0
#: How much of the end of a log is looked at.
LOG_BYTES = 8192
#: What the folders of labs are called, in the folder for temporary files.
PREFIX = "runbook-lab-"


class Kind(Protocol):
    """A kind of lab: a module with this function; `scripts` is the folder of the preludes."""

    def start(self, scenario: Scenario, folder: str, scripts: str) -> Start: ...


KINDS: dict[str, Kind] = {"kernel": kernel, "namespace": namespace}


@contextmanager
def open_lab(
    runbook: Runbook,
    scenario: Scenario,
    *,
    keyboard: Keyboard | None = None,
    note: Callable[[str], None] = lambda _: None,
    cap: int = CAP_BYTES,
    brake: Brake | None = None,
) -> Iterator[LabExecutor]:
    """The executor of a lab in which this scenario has been built; the lab is gone after the body.

    `note` is told what is going on; `cap` is how much of each stream is kept, in bytes; `brake` ends it while it is
    built. Raises LabError when the lab does not come up or its script fails, and UntrustedError.
    """
    if not runbook.trusted:
        raise UntrustedError(runbook.name)
    missing = [command for command in scenario.commands if find(command, kernel.PATH) is None]
    if missing:
        raise LabError(_told_missing(runbook, scenario, missing))
    with ExitStack() as stack:
        # Usually the launcher has removed it by the end of a lab, and when we are killed too; this is for both at once.
        folder = stack.enter_context(private_folder(PREFIX))
        started = time.monotonic()
        note(f"lab {scenario.id}: starting ({scenario.kind})")
        executor = stack.enter_context(_boot(scenario, folder, keyboard, cap, brake))
        booted = time.monotonic()
        note(f"lab {scenario.id}: up in {booted - started:.1f} s, building")
        status, said = executor.build(_copied(runbook, folder, scenario.script), BUILD_SECONDS)
        if status != 0:
            raise LabError(f"lab {scenario.id}: {scenario.script} exited {status}; it said last:\n{_last(said)}")
        note(f"lab {scenario.id}: built in {time.monotonic() - booted:.1f} s")
        yield executor


def _copied(runbook: Runbook, folder: str, script: str) -> str:
    """The script in the lab's own folder, with all that may lie beside it, as they were when they were trusted."""
    place = os.path.join(folder, "runbook")
    for name, content in runbook.files.items():
        path = os.path.join(place, name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    return os.path.join(place, script)


def _told_missing(runbook: Runbook, scenario: Scenario, missing: list[str]) -> str:
    packages = {dict(dict(runbook.packages).get(command, ())).get("debian", command) for command in missing}
    return (
        f"lab {scenario.id} needs {', '.join(missing)}, not installed here\n"
        f"    sudo apt-get install {' '.join(sorted(packages))}   (Debian, Ubuntu)"
    )


@contextmanager
def _boot(
    scenario: Scenario, folder: str, keyboard: Keyboard | None, cap: int, brake: Brake | None
) -> Iterator[LabExecutor]:
    start = KINDS[scenario.kind].start(scenario, folder, os.path.dirname(os.path.abspath(__file__)))
    ours, theirs = socket.socketpair()
    log = os.path.join(folder, "log")
    with closing(Launcher()) as launcher, closing(ours), ExitStack() as stack:
        # Kept open: when the lab has ended its folder is gone, and the log must still tell why.
        file = stack.enter_context(open(log, "w+b"))
        with closing(theirs):
            streams = (theirs.fileno(), theirs.fileno(), file.fileno())
            process = launcher.start(
                start.program, start.argv, start.environment, streams, seccomp=start.seccomp, remove=folder
            )
        with closing(process):
            executor = LabExecutor(
                ours.fileno(), ours.fileno(), keyboard, lambda: _broken(scenario, file.fileno()), cap, brake
            )
            executor.wait_for_hello(BOOT_SECONDS)
            yield executor


def _broken(scenario: Scenario, log: int) -> LabError:
    said = os.pread(log, LOG_BYTES, max(0, os.fstat(log).st_size - LOG_BYTES))
    return LabError(f"lab {scenario.id} ({scenario.kind}) broke down; it said last:\n{_last(said)}")


def _last(said: bytes) -> str:
    """The end of what a script or a kernel said, indented."""
    lines = said.decode("utf-8", "replace").strip().splitlines()[-15:] or ["(nothing)"]
    return "\n".join(f"    {line}" for line in lines)
