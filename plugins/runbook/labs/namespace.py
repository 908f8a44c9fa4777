"""The namespace lab: an ordinary user who is root in user, mount, network, process and host name spaces of its own.

The kernel is this host's; the network is empty but for `lo`, and what is mounted or set inside is not seen outside.
"""

from __future__ import annotations

import os
import shlex

from runbook.errors import LabError
from runbook.executors.here import find
from runbook.labs.start import Start, agent_words
from runbook.model import Scenario

PROGRAM = "unshare"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def start(scenario: Scenario, folder: str, scripts: str) -> Start:
    """How to enter the namespaces; raises LabError where there is no unshare(1)."""
    program = find(PROGRAM, PATH)
    if program is None:
        raise LabError("a namespace lab needs `unshare`\n    sudo apt-get install util-linux   (Debian, Ubuntu)")
    # Not confined: with only one user in there, nobody can become another, and rights are not what they are on a host.
    agent = shlex.join(agent_words(confined=False))
    spaces = ["--user", "--map-root-user", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child"]
    prelude = os.path.join(scripts, "namespace.sh")
    words = [program, *spaces, "--mount-proc", "/bin/sh", prelude, scenario.id, agent]
    return Start(program, tuple(words), {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "TMPDIR": folder})
