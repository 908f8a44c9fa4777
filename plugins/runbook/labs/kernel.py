"""The kernel lab: User-Mode Linux, a kernel that runs as an ordinary process, with this host's files as its root.

It has what containers and small virtual machines lack (device mapper, network emulation, VRFs) and needs no root.
"""

from __future__ import annotations

import os
import shlex
import struct

from runbook.errors import LabError
from runbook.executors.here import find
from runbook.labs.start import Start, agent_words
from runbook.model import Scenario

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAM = "linux.uml"

#: A kernel that saves registers only up to SSE mixes up the upper halves of AVX registers: two threads that copy memory
#: with them get each other's bytes. So glibc and OpenSSL, who would use them, are kept to SSE.
BASELINE = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-AVX_Fast_Unaligned_Load",
    "OPENSSL_ia32cap": "~0x1000000000000000:~0xD0230020",
}

#: errno of a system call that this filter refuses: ENODEV, as for a processor without extended state.
_ENODEV = 19
_PTRACE, _GETREGSET, _XSTATE = 101, 0x4204, 0x202
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | _ENODEV


def start(scenario: Scenario, folder: str, scripts: str) -> Start:
    """How to boot the kernel: sparse disks and an init script are put into `folder`.

    Raises LabError when User-Mode Linux is not installed.
    """
    program = find(PROGRAM, PATH)
    if program is None:
        raise LabError(
            f"a kernel lab needs User-Mode Linux (`{PROGRAM}`, x86-64 only), which is not installed\n"
            "    sudo apt-get install user-mode-linux   (Debian, Ubuntu)"
        )
    filtered = has_large_registers()
    init = os.path.join(folder, "init")
    with open(init, "w") as file:
        file.write(_init(scenario, scripts))
    os.chmod(init, 0o700)
    words = [program, f"mem={scenario.memory // 1024}K", *_disks(scenario, folder)]
    words += ["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}"]
    # The agent speaks on the first serial line; the console, which tells why a boot failed, goes to the log.
    # What a kernel does not know it gives to its first process as environment.
    words += [f"{name}={value}" for name, value in BASELINE.items()] if filtered else []
    words += [f"uml_dir={folder}", "umid=lab", "con=null", "con0=null,fd:2", "ssl=null", "ssl0=fd:0,fd:1", "quiet"]
    return Start(
        program, tuple(words), {"PATH": PATH, "HOME": folder, "TMPDIR": folder}, _filter() if filtered else b""
    )


def _init(scenario: Scenario, scripts: str) -> str:
    settings = {"LAB": scenario.id, "AGENT": shlex.join(agent_words(confined=True))}
    lines = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    return "\n".join(["#!/bin/sh", *lines, f". {shlex.quote(os.path.join(scripts, 'kernel.sh'))}", ""])


def _disks(scenario: Scenario, folder: str) -> list[str]:
    words = []
    for number, size in enumerate(scenario.disks):
        path = os.path.join(folder, f"disk{number}")
        with open(path, "wb") as file:
            file.truncate(size)
        words.append(f"ubd{number}={path}")
    return words


def has_large_registers(cpuinfo: str = "/proc/cpuinfo") -> bool:
    """Whether the processor's register state is larger than User-Mode Linux 6.1 has room for (AMX: 8 KiB of tiles).

    Its ptrace(PTRACE_SETREGSET) with a buffer of another size fails with EFAULT, and the first process dies.
    """
    with open(cpuinfo) as file:
        return any(line.startswith("flags") and " amx_tile" in line for line in file)


def _filter() -> bytes:
    """Refuses ptrace(PTRACE_GETREGSET, …, NT_X86_XSTATE): the kernel then saves only up to SSE, which always fits.

    As struct sock_filter (code, jump if true, jump if false, operand) over struct seccomp_data, whose arguments are 64
    bits each from offset 16 on.
    """
    instructions = (
        (_LOAD, 0, 0, 0),
        (_EQUAL, 0, 5, _PTRACE),
        (_LOAD, 0, 0, 16),
        (_EQUAL, 0, 3, _GETREGSET),
        (_LOAD, 0, 0, 32),
        (_EQUAL, 0, 1, _XSTATE),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    )
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
