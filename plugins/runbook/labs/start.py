"""What a kind of lab says about how it is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import runbook

#: What a lab itself may set in the environment of commands, under what the plan says.
LAB_SETS = ("DM_DISABLE_UDEV", "GLIBC_TUNABLES", "OPENSSL_ia32cap", "SSH_AUTH_SOCK")


@dataclass(frozen=True, slots=True)
class Start:
    """The process that is the lab: it has the agent's channel as stdin and stdout, and its log as stderr."""

    program: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    seccomp: bytes = b""


def agent_words(confined: bool) -> list[str]:
    """The command that starts the agent with this very Python and engine, whatever the lab's environment says.

    Whether it confines commands as they are on a host is the lab's to say.
    """
    places = [os.path.dirname(os.path.dirname(os.path.abspath(runbook.__file__)))]
    places += [place for place in sys.path if "site-packages" in place or "dist-packages" in place]
    code = f"import sys; sys.path += {places!r}; from runbook.labs.agent import main; main({confined})"
    return [sys.executable, "-I", "-S", "-B", "-c", code]
