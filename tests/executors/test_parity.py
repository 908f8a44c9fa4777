"""Commands that inspect say the same confined as not, or the difference stands here."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from runbook.executors.process import ProcessExecutor
from runbook.model import Capture, Command, Ending, Needs
from runbook.planner import environment
from tests.base import open_to_all, ordinary
from tests.executors.driving import run

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root sees only root can compare")


class Row(NamedTuple):
    """A command, what its step would need, and what is compared.

    `same`: every byte. `alike`: the lines, whatever numbers they have and in whatever order. `shape`: exit code and the
    first line, for what is never twice the same. `differs`: the exit code or the text differs, as the words say.
    """

    command: str
    how: str = "same"
    needs: Needs = Needs()
    why: str = ""


ROOT = Needs(root=True)
PEOPLE = Needs(capabilities=("sys_ptrace",))
NETWORK = Needs(network=True)
ADMIN = Needs(capabilities=("net_admin",))

#: The host goes on between the two, and other tests make namespaces and listen on ports; what the sandbox hides, it
#: hides each time.
TRIES = 5

#: What the runbooks of this project run, or will run.
ROWS = [
    # Disks, volumes, file systems.
    Row("lsblk -J -b -o NAME,KNAME,TYPE,SIZE,FSTYPE,MOUNTPOINT"),
    Row("lsblk -f", "alike"),
    Row("blkid -o export", needs=ROOT),
    Row("findmnt -J -l -b -o TARGET,SOURCE,FSTYPE,OPTIONS", "alike"),
    Row("mount", "alike"),
    Row("df -P", "alike"),
    Row("df -i", "alike"),
    Row("cat /proc/mounts", "alike"),
    Row("pvs --reportformat json", "same", ROOT),
    Row("vgs --reportformat json", "same", ROOT),
    Row("lvs -a --reportformat json", "same", ROOT),
    Row("lvmconfig --type full activation/thin_pool_autoextend_threshold", "same", ROOT),
    Row("dmsetup status", "same", ROOT),
    Row("cryptsetup --version"),
    Row("cryptsetup luksDump {luks}", "same"),
    Row("cryptsetup benchmark --cipher aes-xts --key-size 256", "shape"),
    Row("losetup -l"),
    Row("dd if={disk} bs=4096 count=1 status=none", "same", ROOT),
    Row("sysctl net.ipv4.conf net.ipv4.neigh net.ipv4.tcp_rmem", "alike"),
    Row("cat /proc/sys/vm/swappiness /proc/sys/net/ipv4/tcp_rmem"),
    # Network.
    Row("ip -br addr"),
    Row("ip -j link"),
    Row("ip route"),
    Row("ip neigh", "alike"),
    Row("ip netns list"),
    Row("ip netns exec {space} ip -br link"),
    Row("ip -n {space} -br link"),
    Row("lsns -t net", "alike", PEOPLE),
    Row("ss -tln", "alike"),
    Row("ss -tlnp", "alike", PEOPLE),
    Row("ss -tinem", "alike", PEOPLE),
    Row("ss -s", "shape"),
    Row("nstat -asz", "alike"),
    Row("tc -s qdisc", "alike"),
    Row("cat /proc/net/dev", "alike"),
    Row("cat /proc/net/sockstat", "alike"),
    Row("conntrack -C", "same", ADMIN),
    Row("conntrack -S", "alike", ADMIN),
    Row("conntrack -L", "alike", ADMIN),
    Row("nft list ruleset", "same", ADMIN),
    Row("iptables -S", "same", Needs(capabilities=("net_admin", "net_raw"))),
    Row("ethtool lo", "same", Needs(capabilities=("net_admin",), network=True)),
    Row("ping -c 1 -W 2 127.0.0.1", "alike", Needs(capabilities=("net_raw",), network=True)),
    Row("tcpdump -nn -r {pcap}"),
    Row("tcpdump -D", "alike", Needs(capabilities=("net_raw",))),
    Row("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; head -c 3 <&3'", "same", NETWORK),
    Row("nethogs -a -t -c 2 lo", "shape", Needs(capabilities=("net_raw", "net_admin", "sys_ptrace"))),
    Row("pktstat -1 -t -w 1 -i lo", "shape", Needs(capabilities=("net_raw",))),
    # Processors and processes.
    Row("lscpu"),
    Row("lstopo-no-graphics --of xml", "alike"),
    Row("cat /proc/cmdline"),
    Row("cat /proc/meminfo", "alike"),
    Row("numfmt --to=iec 123456789"),
    Row("ps -eo comm", "shape"),
    Row("ps -o pid,args -p {victim}"),
    Row("top -b -n 1", "shape"),
    Row("lsof -p {victim}", "same", PEOPLE),
    Row("ls /proc/{victim}/fd", "same", PEOPLE),
    Row("cat /proc/{victim}/limits", "same", PEOPLE),
    Row("cat /proc/{victim}/smaps", "alike", PEOPLE),
    Row("sh -c 'perf record -q -o $TMPDIR/perf true && perf report -i $TMPDIR/perf --stdio | head -n 1'", "shape"),
    Row("uptime", "shape"),
    Row("journalctl --no-pager -n 1"),
    Row("perf stat -x, -e task-clock true", "shape", Needs(capabilities=("perfmon",))),
    Row("dmesg", "same", Needs(capabilities=("syslog",))),
    # Keys.
    Row("ssh-keygen -l -f {key}"),
    Row("sshd -T", "same", ROOT),
    Row("stat -c '%a %U' {key} /etc/ssh /etc/shadow"),
    # What a person might expect to work, and does not.
    Row("cat /proc/{victim}/environ", "same", PEOPLE),
    Row("strace -f true", "differs", why="nobody is traced by root's steps: who may trace may also write memory"),
    Row("sh -c 'findmnt -n -o OPTIONS /proc'", "differs", why="a program that it starts sees the read-only copy"),
    Row("sh -c 'logger -s x 2>&1'", "differs", why="the system log is a local socket"),
    Row("zpool status", "differs", ROOT, why="zfs-fuse is asked through a local socket"),
    Row("zfs list", "differs", ROOT, why="zfs-fuse is asked through a local socket"),
    Row("unshare --net true", "differs", why="namespaces are made by steps that change something"),
    Row("ping -c 1 -W 2 127.0.0.1", "differs", NETWORK, why="a raw socket is root's: declare net_raw"),
    Row("nstat -a", "differs", why="it keeps a history in /tmp: say -s"),
    Row("sysctl -a", "differs", why="some keys only their owner, root, may read: name those you want"),
    Row("lvmconfig --type full global/suffix", "differs", why="LVM warns whoever is not root: declare root"),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the placeholders of the table stand for."""
    folder = tmp_path_factory.mktemp("parity")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    luks = folder / "luks"
    luks.write_bytes(bytes(20 << 20))
    fast = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
    words = ["cryptsetup", "luksFormat", "-q", "--disable-locks", *fast, str(luks), str(key)]
    subprocess.run(words, check=True, capture_output=True)
    pcap = folder / "pcap"
    pcap.write_bytes(EMPTY_CAPTURE)
    space = f"rb-parity-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", space], check=True)
    victim = subprocess.Popen(["sleep", "600"])
    answer = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
    answer += "while True: s.accept()[0].sendall(b'hey')"
    server = subprocess.Popen([sys.executable, "-c", answer], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield {
            "key": str(key),
            "luks": str(luks),
            "pcap": str(pcap),
            "space": space,
            "victim": str(victim.pid),
            "port": server.stdout.readline().strip(),
            "disk": next(f"/dev/{name}" for name in sorted(os.listdir("/sys/block")) if os.path.exists(f"/dev/{name}")),
        }
    finally:
        for process in (victim, server):
            process.kill()
            process.wait()
        server.stdout.close()
        subprocess.run(["ip", "netns", "delete", space], check=True)


#: The header of a pcap file, of Ethernet frames, and none (pcap-savefile(5)).
EMPTY_CAPTURE = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000".replace(" ", ""))


@pytest.fixture(scope="module")
def executors() -> Iterator[tuple[ProcessExecutor, ProcessExecutor]]:
    with ProcessExecutor(confined=False) as free, ProcessExecutor() as confined:
        yield free, confined


def alike(text: bytes) -> list[str]:
    """The lines without their numbers and the blanks that make room for them, each once."""
    lines = (re.sub(r"[0-9a-f]*[0-9][0-9a-f]*", "#", line) for line in text.decode().split("\n"))
    return sorted({re.sub(r"[ #]+", " ", line) for line in lines})


def compared(how: str, capture: Capture) -> object:
    if how == "shape":
        first = capture.stdout.partition(b"\n")[0]
        return capture.exit_code, re.sub(rb"[0-9.:, ]+", b" ", first)[:8]
    said = (capture.stdout, capture.stderr) if how == "same" else (alike(capture.stdout), alike(capture.stderr))
    return capture.ending, capture.exit_code, said


def both(row: Row, places: dict[str, str], executors: tuple[ProcessExecutor, ProcessExecutor]) -> list[object]:
    argv = tuple(shlex.split(row.command.format(**places)))
    command = Command("parity", "", argv, environment(False, {"HOME": "/root"}), needs=row.needs)
    return [compared("same" if row.how == "differs" else row.how, run(executor, command)) for executor in executors]


@as_root
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_root_sees_the_same(
    row: Row, places: dict[str, str], executors: tuple[ProcessExecutor, ProcessExecutor]
) -> None:
    free, confined = both(row, places, executors)
    if row.how == "differs":
        assert free != confined, f"it does not differ any more: {row.why}"
        return
    for _ in range(TRIES):
        if free == confined:
            return
        free, confined = both(row, places, executors)
    assert free == confined


#: What an ordinary user runs. In Landlock nobody sees into other processes, not even into the user's own.
USER_ROWS = [
    Row("lsblk -J -b -o NAME,KNAME,TYPE,SIZE,FSTYPE,MOUNTPOINT"),
    Row("lsblk -f", "alike"),
    Row("findmnt -J -l -b -o TARGET,SOURCE,FSTYPE,OPTIONS", "alike"),
    Row("mount", "alike"),
    Row("df -P", "alike"),
    Row("lvmconfig --type full activation/thin_pool_autoextend_threshold"),
    Row("cryptsetup luksDump {luks}"),
    Row("ip -br addr"),
    Row("ip route"),
    Row("ip netns list"),
    Row("ss -tln", "alike"),
    Row("ss -tin", "alike"),
    Row("nstat -asz", "alike"),
    Row("tc -s qdisc", "alike"),
    Row("tcpdump -nn -r {pcap}"),
    Row("lscpu"),
    Row("lstopo-no-graphics --of xml", "alike"),
    Row("ps -eo comm", "shape"),
    Row("ps -o pid,args -p {victim}"),
    Row("cat /proc/{victim}/status", "alike"),
    Row("cat /proc/{victim}/limits"),
    Row("strace -f -o /dev/null true"),
    Row("ssh-keygen -l -f {key}.pub"),
    Row("sh -c 'cat <<. && sort /etc/passwd | head -n 2\nx\n.'"),
    Row("findmnt -n -o OPTIONS /proc"),
    Row("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; head -c 3 <&3'", "same", NETWORK),
    Row("readlink /proc/{victim}/fd/0", "differs", why="Landlock: run it as root, with sys_ptrace"),
    Row("lsof -p {victim}", "differs", why="Landlock: run it as root, with sys_ptrace"),
    Row("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'", "differs", why="declare network"),
]

AS_A_USER = """
import json, os, subprocess, sys
from runbook.executors.executor import finish
from runbook.executors.process import ProcessExecutor
from runbook.model import Command, Needs
victim = subprocess.Popen(["sleep", "60"])
environment = tuple(map(tuple, json.loads(sys.argv[2])))
try:
    with ProcessExecutor(confined=False) as free, ProcessExecutor() as confined:
        for argv, network in json.loads(sys.argv[1]):
            words = tuple(word.replace("VICTIM", str(victim.pid)) for word in argv)
            command = Command("parity", "", words, environment, needs=Needs(network=network))
            for executor in (free, confined):
                found = finish(executor.execute(command))
                said = [found.stdout.decode("latin-1"), found.stderr.decode("latin-1")]
                print(json.dumps([str(found.ending), found.exit_code, *said]))
finally:
    victim.kill()
    victim.wait()
"""


def test_a_user_sees_the_same(places: dict[str, str]) -> None:
    places = {**places, "victim": "VICTIM"}
    argvs = [(shlex.split(row.command.format(**places)), row.needs.network) for row in USER_ROWS]
    python, added = ordinary()
    command = [*python[: python.index("-m")], "-c", AS_A_USER, json.dumps(argvs), json.dumps(environment(False, {}))]
    open_to_all(Path(places["key"]).parent)
    Path(places["luks"]).chmod(0o644)
    rows = list(enumerate(USER_ROWS))
    for _ in range(TRIES):
        done = subprocess.run(command, env={**os.environ, **added}, cwd="/", capture_output=True, text=True, check=True)
        captures = [
            Capture("parity", (), Ending(ending), code, out.encode("latin-1"), err.encode("latin-1"))
            for ending, code, out, err in map(json.loads, done.stdout.splitlines())
        ]
        pairs = list(zip(captures[::2], captures[1::2], strict=True))
        rows = [(number, row) for number, row in rows if not as_expected(row, *pairs[number])]
        if not rows:
            return
    raise AssertionError([(row, *pairs[number]) for number, row in rows])


def as_expected(row: Row, free: Capture, confined: Capture) -> bool:
    how = "same" if row.how == "differs" else row.how
    return (compared(how, free) == compared(how, confined)) is (row.how != "differs")
