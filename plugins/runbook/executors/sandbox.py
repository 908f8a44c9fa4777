"""Which confinement a command gets on this host, and the proof that it holds, made before the first one runs.

A step that changes the host gets none. A step that reads gets one of three profiles:

- `user`: whoever is not root. Landlock, or where that is too old a user namespace with read-only mounts; seccomp.
- `inspect`: root's, for a step that does not need root itself. Read-only mounts, another user, seccomp; it may read
  everything and, since it is in no Landlock domain, see whose a process or a socket is.
- `root`: for a step that needs root itself, whose words the definition pins. Read-only mounts, few capabilities,
  Landlock (so that devices are not written either) and seccomp.
"""

from __future__ import annotations

import glob
import json
import os
import select
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from runbook.errors import ExecutionError
from runbook.executors.launch import Launcher
from runbook.model import SANDBOX_VERSION, Command, Effect
from runbook.values import CAPABILITIES

#: Groups of layers (see `confine`): of each group the first that can be had.
_ALTERNATIVES = {
    "user": (("landlock", "mounts"), ("capabilities",), ("calls",)),
    "inspect": (("mounts", "landlock"), ("ids", "capabilities"), ("calls",)),
    "root": (("mounts",), ("capabilities",), ("landlock",), ("calls",)),
}
#: What Landlock must be able to do: as the only layer over files, stop truncating too (ABI 3, Linux 6.2).
_LANDLOCK = {"user": 3, "inspect": 3, "root": 1}
#: What root's steps keep whatever they declare: reading is the purpose.
_KEPT = {"user": (), "inspect": ("dac_read_search",), "root": ("dac_read_search", "sys_admin", "syslog")}

#: How long a proof may take before it is given up, in seconds: it takes a hundredth of one.
PROOF_SECONDS = 10.0

#: Whom root's reading steps become: accounts that every distribution has (Linux Standard Base 5.0, users and groups)
#: and as which nothing runs, so that there is nobody to send a signal to. It has a name because ssh asks for one.
_ACCOUNTS = ("bin", "games", "operator")
#: Where none of them is: a number that no distribution gives away (Debian Policy 9.2.2, reserved).
_NO_ACCOUNT = (65530, 65530)

#: What nobody should find on a page: hashes of passwords, private keys, keys to clouds and registries.
SECRET_PLACES = (
    *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssh/ssh_host_*_key", "/etc/ssl/private"),
    *("/etc/krb5.keytab", "/etc/wireguard", "/etc/NetworkManager/system-connections", "/run/secrets"),
    "/var/backups/*shadow*",
)
#: The same in a home.
_SECRET_IN_HOME = (
    *(
        ".ssh",
        ".gnupg",
        ".aws",
        ".azure",
        ".kube",
        ".netrc",
        ".pgpass",
        ".my.cnf",
        ".git-credentials",
        ".npmrc",
        ".pypirc",
    ),
    *(".config/gcloud", ".config/gh", ".docker/config.json", ".password-store", ".local/share/keyrings"),
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a profile is made of on this host; `refused` says why a layer cannot be had."""

    profile: str
    layers: tuple[str, ...]
    refused: dict[str, str] = field(default_factory=dict)
    landlock: int = 0
    filter: str = field(default="", repr=False)

    @property
    def missing(self) -> tuple[str, ...]:
        """The layers that this profile has elsewhere, each as the first of its alternatives."""
        groups = _ALTERNATIVES[self.profile]
        return tuple(group[0] for group in groups if not set(group) & set(self.layers))

    def __str__(self) -> str:
        layers = [f"landlock {self.landlock}" if layer == "landlock" else layer for layer in self.layers]
        text = f"{self.profile}/{SANDBOX_VERSION}: {', '.join(layers) or 'nothing'}"
        return text + (f"; without {', '.join(self.missing)}" if self.missing else "")


def profile(command: Command) -> str:
    """The name of the profile that it is confined to when this user runs it; "" where it is not confined."""
    if command.effect is Effect.CHANGE:
        return ""
    if os.geteuid() != 0:
        return "user"
    return "root" if command.needs.root else "inspect"


class Sandbox:
    """Confines the commands that this launcher starts; `hide` keeps secret places out of what is published."""

    def __init__(self, launcher: Launcher, hide: bool = False) -> None:
        self._launcher = launcher
        # By where they really are: a cover over a link would cover nothing but the link.
        found = {os.path.realpath(path) for place in _secret_places() for path in glob.glob(place)} if hide else set()
        self._hidden = sorted(found)
        self._lock = threading.Lock()
        self._proven: dict[str, Proof] = {}

    def request(self, command: Command) -> tuple[dict[str, Any], Proof] | None:
        """What the launcher is to confine this command to, and the proof; None for a command that is not confined.

        Raises as `prove` does.
        """
        if not profile(command):
            return None
        wanted, proof = self._wanted(command), self.prove(command)
        return {**wanted, "layers": proof.layers, "filter": proof.filter}, proof

    def prove(self, command: Command) -> Proof:
        """The proof that what this command is confined to holds here, made once.

        Raises ExecutionError where it fails (a layer that is there does not hold), and OSError where it could not be
        tried.
        """
        wanted = self._wanted(command)
        key = repr(wanted)
        with self._lock:
            if key not in self._proven:
                self._proven[key] = prove(self._launcher, wanted)
            return self._proven[key]

    def _wanted(self, command: Command) -> dict[str, Any]:
        chosen = profile(command)
        kept = (*_KEPT[chosen], *command.needs.capabilities)
        return {
            "profile": chosen,
            "alternatives": _ALTERNATIVES[chosen],
            "kept": sorted({CAPABILITIES.index(name) for name in kept}),
            "network": command.needs.network,
            "packets": "net_raw" in kept,
            # Root's profile has that capability anyway; the right to go elsewhere is for who asks for it.
            "networks": "sys_admin" in command.needs.capabilities,
            "terminal": command.terminal,
            "landlock": _LANDLOCK[chosen],
            "hide": self._hidden,
            "account": _account() if chosen == "inspect" else None,
        }


def _secret_places() -> Iterator[str]:
    """Patterns of what no page shows, those in the homes of this host's accounts among them."""
    import pwd

    yield from SECRET_PLACES
    homes = {"/root", "/home/*", *(glob.escape(entry.pw_dir.rstrip("/")) for entry in pwd.getpwall())}
    yield from (f"{home}/{name}" for home in sorted(homes) for name in _SECRET_IN_HOME)


@lru_cache(maxsize=1)
def _account() -> tuple[int, int]:
    """User and group of whom root's steps become."""
    import pwd

    for name in _ACCOUNTS:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    return _NO_ACCOUNT


def prove(launcher: Launcher, wanted: dict[str, Any]) -> Proof:
    """Have a child of the launcher confined and try to break out.

    Raises ExecutionError where an attempt succeeds, and OSError where there can be no child.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        with open(os.devnull, "r+b") as nothing:
            streams = (nothing.fileno(), writing, nothing.fileno())
            process = launcher.start("", (), {}, streams, confine=wanted, prove=True)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    with open(reading, "rb") as file, closing(process):
        # Whose number may be one that select(2) cannot name.
        waiting = select.poll()
        waiting.register(file, select.POLLIN)
        ready = waiting.poll(PROOF_SECONDS * 1000)
        said = file.read() if ready else b""
        while ready and not process.gone:
            process.news()
    if process.error is not None and not process.refusal:
        raise OSError(process.error, os.strerror(process.error))
    if not said:
        raise ExecutionError("whether commands can be confined here could not be tried: the attempt itself was ended")
    found = json.loads(said)
    if found["broken"]:
        words = "; ".join(f"{attempt} {what}" for attempt, what in found["broken"].items())
        raise ExecutionError(
            f"the confinement `{wanted['profile']}` does not hold on this host: {words}\n"
            "    nothing was run; `runbook doctor` tries it again"
        )
    return Proof(wanted["profile"], tuple(found["layers"]), found["refused"], found["landlock"], found["filter"])
