"""The probe in namespaces that are there: what it lists, enters, and says of those that it may not enter."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from typing import Any

import pytest

from tests.base import PLUGINS, ordinary

PROBE = [sys.executable, "-c", "import sys; from runbook.probes import main; sys.exit(main())", "namespaces"]
INSIDE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec"]


def told(*words: str, before: str = "") -> tuple[int, list[dict[str, Any]]]:
    """The exit status and the lines; with `before`, a script, in a network of its own that it has set up."""
    command = [*PROBE, *words]
    if before:
        script = f'mount -t tmpfs none /run\nmkdir /run/netns\n{before}\nexec "$@"'
        command = [*INSIDE, script, "sh", *command]
    environment = {"PYTHONPATH": str(PLUGINS), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    if before and done.returncode and not done.stdout:
        assert "CI" not in os.environ, f"no namespace can be made here: {done.stderr.strip()}"
        pytest.skip(f"no namespace can be made here: {done.stderr.strip()}")
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


pytestmark = pytest.mark.skipif(
    not (shutil.which("ip") and shutil.which("unshare")) and "CI" not in os.environ, reason="needs ip and unshare"
)


ASKS = ["links", "routes", "neighbours", "sockets", "forwarding", "ids"]


def answers(lines: list[dict[str, Any]], ask: str) -> dict[str, dict[str, Any]]:
    """The answer of each namespace by its first name, that of our own by ""."""
    names = {one["inode"]: (one["names"] or [""])[0] for one in lines[0]["found"]}
    return {names[line["inode"]]: line for line in lines if line["ask"] == ask}


def test_our_own_is_looked_into_without_any_right() -> None:
    status, lines = told()
    assert status == 0
    assert [line["ask"] for line in lines] == ["list", *ASKS]
    assert {line["inode"] for line in lines[1:]} == {lines[0]["own"]} == {os.stat("/proc/self/ns/net").st_ino}


def test_it_starts_no_process_of_its_own() -> None:
    """Not by importing what it asks with, either."""
    code = (
        "import sys\n"
        "sys.addaudithook(lambda event, _: event in REFUSED and sys.exit(f'started: {event}'))\n"
        "REFUSED = {'subprocess.Popen', 'os.exec', 'os.fork', 'os.forkpty', 'os.posix_spawn', 'os.system'}\n"
        "sys.argv[1:] = ['namespaces']\n"
        "from runbook.probes import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_is_entered_and_knows_the_other_by_its_number() -> None:
    status, lines = told(
        "--all",
        before="ip netns add one; ip netns add 'the (id: 7)'\n"
        "ip -n one link add v0 type veth peer name v1 netns 'the (id: 7)'",
    )
    assert status == 0
    inodes = {one["names"][0]: one["inode"] for one in lines[0]["found"] if one["names"]}
    assert set(inodes) == {"one", "the (id: 7)"}
    links, ids = answers(lines, "links"), answers(lines, "ids")
    for here, name, there in (("one", "v0", "the (id: 7)"), ("the (id: 7)", "v1", "one")):
        (link,) = [link for link in links[here]["links"] if link["name"] == name]
        assert ids[here]["ids"][str(inodes[there])] == link["other_id"]
    # And back again: our own comes first, and has neither.
    assert [link["name"] for link in links[""]["links"]] == ["lo"]


def test_what_leads_on_is_told_as_ip_and_ss_tell_it() -> None:
    listen = "import socket, time; a = socket.create_server(('::', 179), family=socket.AF_INET6, dualstack_ipv6=True); "
    listen += "b = socket.create_connection(('127.0.0.1', 179)); c = socket.create_server(('127.0.0.1', 8080)); "
    listen += "d = socket.create_connection(('127.0.0.1', 8080)); print(flush=True); time.sleep(30)"
    before = f"""
ip netns add one; ip netns add two
ip -n one link set lo up
for name in v0 w0; do ip -n one link add $name type veth peer name far-$name netns two; done
ip -n one address add 10.0.0.1/24 dev v0; ip -n one address add 10.1.0.1/24 dev w0
for name in v0 w0; do ip -n one link set $name up; ip -n two link set far-$name up; done
ip -n one route add default nexthop via 10.0.0.2 nexthop via 10.1.0.2
ip -n one route add 10.9.0.0/16 via inet6 fe80::1 dev v0
ip -n one route add unreachable default metric 4278198272
ip -n one neighbour add 10.0.0.50 lladdr 06:00:00:00:00:50 dev v0
ip netns exec one sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
mkfifo /run/ready
ip netns exec one {sys.executable} -I -c "{listen}" >/run/ready &
read line </run/ready
"""
    _, lines = told("--name=one", before=before)
    assert [line["ask"] for line in lines] == ["list", *ASKS]
    found = {ask: answers(lines, ask)["one"] for ask in ASKS}
    (v0,) = [link for link in found["links"]["links"] if link["name"] == "v0"]
    assert (v0["kind"], v0["up"], v0["carrier"], v0["addresses"][0]) == ("veth", True, True, ["10.0.0.1", 24, "global"])
    assert found["routes"]["routes"] == [
        {"to": "default", "table": "main", "via": "10.0.0.2", "link": "v0"},
        {"to": "default", "table": "main", "via": "10.1.0.2", "link": "w0"},
        {"to": "10.9.0.0/16", "table": "main", "via": "fe80::1", "link": "v0"},
    ]
    assert (found["neighbours"]["known"], found["neighbours"]["failed"]) == (1, [])
    assert found["forwarding"]["ipv4"] == 1
    sockets = {
        (one["state"], one["local"], one["port"], one["peer_port"] == 179) for one in found["sockets"]["sockets"]
    }
    assert {("LISTEN", "::", 179, False), ("LISTEN", "127.0.0.1", 8080, False)} <= sockets
    # Both ends of the session; the one of the socket for both families is told by its IPv4 address.
    assert {one[:2] for one in sockets if one[0] == "ESTAB"} == {("ESTAB", "127.0.0.1")}
    assert found["sockets"]["others"] == 2


def test_where_there_is_no_socket_diagnosis_the_tables_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from runbook.probes import netlink

    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("::1", 0), family=socket.AF_INET6) as two:
        ports = {one.getsockname()[1], two.getsockname()[1]}
        asked = {found for found in netlink._every_socket() if found[3] in ports}

        def none(*_: object) -> None:
            raise FileNotFoundError(2, "No such file or directory")

        monkeypatch.setattr(netlink, "_diagnosed", none)
        assert {found for found in netlink._every_socket() if found[3] in ports} == asked
    assert {found[2] for found in asked} == {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("kind", "flags", "code", "error"),
    [(3, 0x2, -2, FileNotFoundError), (2, 0, -1, PermissionError), (20, 0x12, 0, OSError), (3, 0x12, 0, OSError)],
)
def test_a_list_that_ends_with_an_error_or_changed_meanwhile_is_no_answer(
    kind: int, flags: int, code: int, error: type[OSError]
) -> None:
    """NLMSG_DONE and NLMSG_ERROR with an errno; NLM_F_DUMP_INTR (linux/netlink.h)."""
    from pyroute2.netlink.diag import DiagSocket

    from runbook.probes.netlink import _heed

    with DiagSocket() as asked:
        _heed(asked.marshal)
        data = struct.pack("=IHHIIi", 20, kind, flags, 1, 0, code)
        with pytest.raises(error):
            list(asked.marshal.parse(data, 1))
        assert len(list(asked.marshal.parse(struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0), 1))) == 1


def test_a_name_that_there_is_not_is_told() -> None:
    status, lines = told("--name=nosuch")
    assert status == 1
    assert lines[1:] == [{"ask": "rest", "error": "there is no network namespace with the name 'nosuch'"}]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_is_told_why_not() -> None:
    name = f"rb-probe-{os.getpid()}"
    words, added = ordinary()
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        probe = [*words[: words.index("-m")], *PROBE[1:], f"--name={name}"]
        done = subprocess.run(probe, capture_output=True, text=True, env={**os.environ, **added}, cwd="/", timeout=30)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1, done.stderr
    assert [(line["ask"], line["error"]) for line in lines[1:]] == [("enter", "Operation not permitted")]
    assert lines[0]["hidden"]


def test_only_so_many_are_looked_into_and_that_is_told() -> None:
    status, lines = told("--all", "--most=2", before="for number in 1 2 3; do ip netns add n$number; done")
    assert status == 1
    assert len({line["inode"] for line in lines if "inode" in line}) == 2
    assert lines[-1]["ask"] == "rest"
    assert lines[-1]["error"] == "only 2 of 4 were looked into: more are not looked into in one go (--most=2)"


def test_when_the_time_is_over_what_was_told_until_then_is_kept() -> None:
    status, lines = told("--all", "--seconds=0", before="for number in 1 2 3; do ip netns add n$number; done")
    assert status == 1
    assert [line["ask"] for line in lines] == ["list", *ASKS, "rest"]
    assert lines[-1]["error"] == "only 1 of 4 were looked into: 0 seconds were over (--seconds)"


def test_more_namespaces_than_a_process_may_have_files_open_are_all_looked_into() -> None:
    before = "for number in $(seq 40); do ip netns add n$number; done; ulimit -Sn 24"
    status, lines = told("--all", before=before)
    assert status == 0
    assert len({line["inode"] for line in lines if "inode" in line}) == 41


def test_a_namespace_is_asked_only_about_those_that_its_links_lead_to() -> None:
    before = "for number in 1 2 3; do ip netns add n$number; done\nip -n n2 link add v type veth peer name v netns n3"
    _, lines = told("--all", before=before)
    inodes = {one["names"][0]: str(one["inode"]) for one in lines[0]["found"] if one["names"]}
    ids = answers(lines, "ids")
    assert ids["n1"]["ids"] == ids[""]["ids"] == {}
    assert inodes["n3"] in ids["n2"]["ids"]


def test_a_namespace_of_another_kind_is_told_and_spoils_nothing() -> None:
    status, lines = told(
        "--all", before="ip netns add one; touch /run/netns/host; mount --bind /proc/self/ns/uts /run/netns/host"
    )
    assert status == 1
    assert answers(lines, "enter")["host"]["error"] == "Invalid argument"
    assert [line["ask"] for line in lines if "error" in line] == ["enter"]
    assert [line["ask"] for line in lines].count("ids") == 2


def test_what_is_no_namespace_is_told_by_its_name() -> None:
    _, lines = told("--all", before="touch /run/netns/left-over")
    assert lines[0]["refused"] == ["left-over"]
