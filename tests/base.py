"""A knowledge base to write runbooks into, and the real command to try on it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from runbook.errors import RunbookError
from runbook.loader import definition
from runbook.loader.site import read_site
from runbook.model import Runbook
from runbook.trust import grant

#: The command as a person has it, whatever environment the tests run in.
COMMAND = (sys.executable, "-m", "runbook")
PLUGINS = Path(__file__).resolve().parent.parent / "plugins"

HELPER = """
from runbook.model import Finding, Verdict

def parse(captures):
    return captures["a"].stdout.decode()

def judge(facts):
    well = "well" in facts
    yield Finding("all-well" if well else "broken", Verdict.OK if well else Verdict.CRITICAL, facts)
"""


def ordinary() -> tuple[list[str], dict[str, str]]:
    """The command as an ordinary user has it, and what its environment must add.

    Root becomes nobody, with Debian's own Python: the one that runs the tests may lie in a folder that is root's alone.
    """
    if os.getuid() != 0:
        return list(COMMAND), {"PYTHONPATH": str(PLUGINS)}
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-m", "runbook"]
    places = [str(PLUGINS), sysconfig.get_path("purelib")]
    return drop, {"PYTHONPATH": os.pathsep.join(places), "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}


def open_to_all(path: Path) -> None:
    """Let other users into this folder, below pytest's own that they may not enter."""
    for folder in (path, *path.parents[:2]):
        folder.chmod(0o755)


#: What `Base.runbook` writes by itself.
BASIC = ("title", "summary", "section")


def rounds(some: int, full: int) -> int:
    """How many rounds a trial has: all of them under scripts/soak, some under scripts/test."""
    return full if "RUNBOOK_SOAK" in os.environ else some


def load(folder: str) -> Runbook:
    """The runbook in this folder, trusted."""
    return replace(definition.load(folder), trusted=True)


class Witness:
    """Hears that a step ran: a confined one can write no file, but where it says so it can send a datagram."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._heard: list[str] = []
        self.port: int = self._socket.getsockname()[1]

    def step(self, script: str = "", *words: str, **keys: Any) -> dict[str, Any]:
        """A step that tells its process id, and then does this."""
        tells = f"echo $$ > /dev/udp/127.0.0.1/{self.port}; {script}"
        return {"argv": ["bash", "-c", tells, *words], "needs": {"network": True}, **keys}

    def heard(self, seconds: float = 0.0) -> list[str]:
        """The process ids so far, after waiting so long for the first."""
        self._socket.settimeout(seconds)
        with suppress(OSError):
            while not (self._heard and seconds):
                self._heard.append(self._socket.recv(64).decode().strip())
        return self._heard

    def close(self) -> None:
        self._socket.close()


class Base:
    """A folder with runbooks/; `call` runs the command in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def runbook(self, name: str, steps: Sequence[dict[str, Any]], helper: str = "", **keys: Any) -> Path:
        """Write a runbook and give its folder; JSON is YAML, too."""
        folder = self.path / "runbooks" / name.replace("-", "_")
        folder.mkdir(parents=True, exist_ok=True)
        named = [{"id": step.get("id", chr(ord("a") + number)), **step} for number, step in enumerate(steps)]
        definition = {"title": name, "summary": f"Tests {name}.", "section": "testing", "steps": named, **keys}
        text = "# yaml-language-server: $schema=../schema.json\n" + json.dumps(definition, indent=2) + "\n"
        (folder / "runbook.yaml").write_text(text)
        if helper:
            (folder / "helper.py").write_text(helper)
        return folder

    def lab(self, name: str, script: str, kind: str = "namespace", **keys: Any) -> None:
        """Add a lab to the runbook of this name, which must be there."""
        folder = self.path / "runbooks" / name.replace("-", "_")
        definition = json.loads((folder / "runbook.yaml").read_text().partition("\n")[2])
        labs = definition.setdefault("labs", [])
        file = f"labs/lab-{len(labs)}.sh"
        (folder / "labs").mkdir(exist_ok=True)
        (folder / file).write_text(script)
        labs.append({"id": f"lab-{len(labs)}", "title": "A lab", "kind": kind, "script": file, **keys})
        steps = definition.pop("steps")
        self.runbook(name, steps, **{key: value for key, value in definition.items() if key not in BASIC})

    def trust(self) -> None:
        """Trust every runbook here that can be read, as it is now."""
        for file in self.path.glob("runbooks/*/runbook.yaml"):
            with suppress(RunbookError):
                grant(definition.load(str(file.parent.resolve())))
        with suppress(RunbookError, FileNotFoundError):
            grant(read_site(str(self.path / "mkdocs.yml")))

    def environment(self, **more: str) -> dict[str, str]:
        """What the command is run with; what is here now is trusted, but where it says `TRUST=no`."""
        if more.pop("TRUST", "") != "no":
            self.trust()
        return {**os.environ, "PYTHONPATH": str(PLUGINS), **more}

    def call(self, *words: str, timeout: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
        """The command with these words, in this folder, without a terminal; `more` goes into its environment."""
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.path,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
