"""Runs the probes on this host, confined and not: `python probing.py JSON`, and prints what came of each as JSON.

JSON says `confined`, of `needs` what a command of a definition would (`root`, `network`, `capabilities`), the `script`
with the probes, and under `landlock` which version the profiles of a user and of root ask for, when another.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from runbook.executors import sandbox
from runbook.executors.executor import finish
from runbook.executors.process import ProcessExecutor
from runbook.model import Command, Needs

#: What each attempt needs to find.
FILES = ("file", "unlink", "rename")


def a_device() -> str:
    """A disk of this host; nothing is written to it."""
    names = sorted(os.listdir("/sys/block"))
    return next((f"/dev/{name}" for name in names if os.path.exists(f"/dev/{name}")), "-")


def probe(confined: bool, needs: dict[str, Any], script: str) -> dict[str, Any]:
    """What came of each attempt: `done` or an errno; and under `sandbox` what the command was confined to."""
    needs = {**needs, "capabilities": tuple(needs.get("capabilities", ()))}
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o777)
    for name in FILES:
        Path(folder, name).write_text("x")
        os.chmod(os.path.join(folder, name), 0o666)
    victim = subprocess.Popen(["sleep", "120"])
    names = ("local", "abstract")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as local,
        socket.socket(socket.AF_UNIX) as abstract,
        ProcessExecutor(confined=confined) as executor,
    ):
        path = os.path.join(folder, names[0])
        local.bind(path)
        os.chmod(path, 0o777)
        local.listen()
        abstract.bind(f"\0runbook-{victim.pid}")
        abstract.listen()
        port = str(tcp.getsockname()[1])
        places = (str(victim.pid), a_device(), path, f"runbook-{victim.pid}", port, folder)
        python = os.path.realpath(sys.executable)
        argv = (python, "-I", "-S", script, *places)
        command = Command("probe", "", argv, (("PATH", "/usr/bin:/bin"),), needs=Needs(**needs))
        try:
            capture = finish(executor.execute(command))
        finally:
            victim.kill()
            victim.wait()
            shutil.rmtree(folder, ignore_errors=True)
    results = dict(line.split("\t") for line in capture.stdout.decode().splitlines())
    return {"results": results, "sandbox": capture.sandbox, "said": capture.stderr.decode(), "detail": capture.detail}


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    for profile in ("user", "root") if "landlock" in wanted else ():
        sandbox._LANDLOCK[profile] = wanted["landlock"]
    print(json.dumps(probe(wanted["confined"], wanted["needs"], wanted["script"])))
