"""What this host has to offer for a parameter, as its own commands name it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from runbook.executors import offers as module
from runbook.executors.offers import offers
from runbook.values import TYPES, parse_value
from tests.base import PLUGINS


def test_interfaces_are_those_that_ip_shows() -> None:
    links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    assert offers("interface") == sorted(link["ifname"] for link in links)


def test_devices_are_those_that_lsblk_shows() -> None:
    done = subprocess.run(["lsblk", "-nrpo", "NAME,SIZE", "-b"], capture_output=True, check=True, text=True)
    shown = {line.split()[0] for line in done.stdout.splitlines() if int(line.split()[1])}
    assert set(offers("device")) == shown


def test_namespaces_are_those_that_were_named() -> None:
    """In namespaces of its own, where everybody may name some and the host's are not seen."""
    tell = "from runbook.executors.offers import offers; print(*offers('namespace'))"
    script = "mount -t tmpfs run /run; ip netns add blue; ip netns add 'a b'; exec \"$@\""
    words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "--net",
        "sh",
        "-c",
        script,
        "-",
        sys.executable,
        "-c",
        tell,
    ]
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    done = subprocess.run(words, env=environment, capture_output=True, check=True, text=True)
    assert done.stdout == "a b blue\n"


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_offered_can_be_given(kind: str) -> None:
    for value in offers(kind):
        assert parse_value(kind, value) == value


def test_nobody_is_shown_thousands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._KINDS, "interface", lambda: iter(f"veth{number}" for number in range(5000)))
    assert len(offers("interface")) == module.MOST
