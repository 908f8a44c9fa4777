"""The probe in namespaces that are there: what it lists, enters, and says of those that it may not enter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.base import PLUGINS

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
        pytest.skip(f"no namespace can be made here: {done.stderr.strip()}")
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


pytestmark = pytest.mark.skipif(not shutil.which("ip") or not shutil.which("unshare"), reason="needs ip and unshare")


def test_our_own_is_looked_into_without_any_right() -> None:
    status, lines = told()
    assert status == 0
    assert [line["ask"] for line in lines] == ["list", "links", "routes", "neighbours", "sockets", "forwarding", "ids"]
    assert {line["inode"] for line in lines[1:]} == {lines[0]["own"]} == {os.stat("/proc/self/ns/net").st_ino}


def test_each_is_entered_and_knows_the_other_by_its_number() -> None:
    status, lines = told(
        "--all",
        before="ip netns add one; ip netns add 'the (id: 7)'\n"
        "ip -n one link add v0 type veth peer name v1 netns 'the (id: 7)'",
    )
    assert status == 0
    inodes = {one["names"][0]: one["inode"] for one in lines[0]["found"] if one["names"]}
    assert set(inodes) == {"one", "the (id: 7)"}
    links = {line["inode"]: json.loads(line["stdout"]) for line in lines if line["ask"] == "links"}
    ids = {line["inode"]: line["ids"] for line in lines if line["ask"] == "ids"}
    for here, name, there in (("one", "v0", "the (id: 7)"), ("the (id: 7)", "v1", "one")):
        (link,) = [link for link in links[inodes[here]] if link.get("ifname") == name]
        assert ids[inodes[here]][str(inodes[there])] == link["link_netnsid"]


def test_only_so_many_are_looked_into_and_that_is_told() -> None:
    status, lines = told("--all", "--most=2", before="for number in 1 2 3; do ip netns add n$number; done")
    assert status == 1
    assert len({line["inode"] for line in lines if "inode" in line}) == 2
    assert lines[-1] == {"ask": "rest", "error": "only 2 of 4 were looked into"}


def test_what_is_no_namespace_is_told_by_its_name() -> None:
    _, lines = told("--all", before="touch /run/netns/left-over")
    assert lines[0]["refused"] == ["left-over"]
