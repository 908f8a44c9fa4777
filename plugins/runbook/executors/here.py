"""What this host and this user can do: find a program, hold a right, say which host it is."""

from __future__ import annotations

import os
import shlex

from runbook.model import Capture, Command, Ending, Host, Needs
from runbook.values import CAPABILITIES

#: What the first process of a lab in namespaces leaves there (labs/namespace.sh): the lab's name.
LAB_MARK = "/run/runbook-lab"


def find(program: str, path: str) -> str | None:
    """The file that `program` names on this search path (or is, when it has a slash), executable or not; else None.

    What is relative, in `program` or on the path, is so to /, where every command is run.
    """
    if "/" in program:
        return program if os.path.exists(os.path.join("/", program)) else None
    folders = [os.path.join("/", folder) for folder in path.split(":")]
    found = [file for folder in folders if os.path.isfile(file := os.path.join(folder, program))]
    return next((file for file in found if os.access(file, os.X_OK)), found[0] if found else None)


def missing_right(needs: Needs) -> str | None:
    """The right of `needs` that this process lacks, in words, or None."""
    if needs.root and os.geteuid() != 0:
        return "root"
    held = _effective_capabilities()
    for name in needs.capabilities:
        if name not in held:
            return f"the capability CAP_{name.upper()}"
    return None


def _effective_capabilities() -> set[str]:
    with open("/proc/self/status") as file:
        mask = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    return {name for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1}


def refuse(command: Command) -> Capture | None:
    """The Capture of a command that cannot even be started here, or None when it can."""
    path = dict(command.environment).get("PATH", os.defpath)
    for name in (command.argv[0], *command.needs.commands):
        if find(name, path) is None:
            where = "this host" if "/" in name else path
            return Capture(command.step, command.argv, Ending.NOT_FOUND, detail=f"{name} is not on {where}")
    lacking = missing_right(command.needs)
    if lacking:
        detail = f"needs {lacking}; this one command: sudo {shlex.join(command.argv)}"
        return Capture(command.step, command.argv, Ending.NOT_PERMITTED, detail=detail)
    return None


def lab_around() -> str:
    """The lab in namespaces whose shell this process was started from; empty where there is none around it.

    A file alone could be left anywhere, and say of a real host that it is thrown away. In such a lab there is exactly
    one user as well: no host has that, and no container that is meant to stay.
    """
    try:
        with open("/proc/self/uid_map") as file:
            inside, _, count = file.read().split()
        with open(LAB_MARK, encoding="utf-8") as file:
            name = file.read().strip()
    except (OSError, ValueError):
        return ""
    return name if (inside, count) == ("0", "1") else ""


def this_host() -> Host:
    """The host this process runs on (uname(2), os-release(5))."""
    names = os.uname()
    return Host(names.nodename, names.release, _system_name(), names.machine)


def _system_name() -> str:
    import platform

    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"] or "Linux"
    except (OSError, UnicodeDecodeError):
        return "Linux"
