"""Commands of our own for steps that need more than a host has: `runbook-probe KIND …`, in a process of its own.

A probe looks and tells what it sees as JSON lines, in order, so that a finding can point at one. It judges nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from types import ModuleType

#: Every kind and its line of help; module `probes/<kind>.py`, with `_` for `-`, has `arguments(parser)` and
#: `run(arguments)`.
KINDS = {
    "ssh-keys": "the keys in a folder such as ~/.ssh, by their headers",
    "luks-headers": "the LUKS headers of this host, without their salts and digests",
    "namespaces": "what is inside each network namespace",
    "conntrack-table": "the table of tracked connections, counted",
    "packet-capture": "a capture file: websocket handshakes, retransmissions, resets",
    "haproxy-log": "a log of HAProxy, counted: how sessions ended, how long websockets lived",
    "websocket": "the handshake of a websocket, stage by stage",
}


def main() -> int:
    """Run the probe that the command line names; gives the exit status."""
    parser = argparse.ArgumentParser("runbook-probe", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    words = sys.argv[1:]
    for name, text in KINDS.items():
        kind = kinds.add_parser(name, help=text)
        if name in words[:1]:
            module = _module(name)
            kind.description = module.__doc__
            module.arguments(kind)
    arguments = parser.parse_args(words)
    try:
        status = int(_module(arguments.kind).run(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it has enough. Python would complain once more when it closes what cannot be written to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    return status


def _module(kind: str) -> ModuleType:
    return import_module(f"runbook.probes.{kind.replace('-', '_')}")
