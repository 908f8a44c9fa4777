"""Every lab of every bundled runbook, live: it gives its codes and its exit status, and needs no root."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runbook.model import Verdict
from tests.base import Base, load, open_to_all, ordinary

RUNBOOKS = Path(__file__).resolve().parents[2] / "runbooks"
LABS = [
    (folder.name.replace("_", "-"), lab.id, dict(lab.expect))
    for folder in sorted(RUNBOOKS.iterdir())
    if (folder / "runbook.yaml").exists()
    for lab in load(str(folder)).labs
]


@pytest.mark.parametrize(("name", "lab", "expected"), LABS, ids=[f"{name}-{lab}" for name, lab, _ in LABS])
def test_a_lab_gives_its_codes_and_its_exit_status(
    base: Base, name: str, lab: str, expected: dict[str, Verdict]
) -> None:
    done = base.call("run", name, "--lab", lab, "--format", "json", timeout=180)
    document = json.loads(done.stdout)
    found: dict[str, Verdict] = {}
    for finding in document["findings"]:
        verdict = Verdict.named(finding["verdict"])
        # One code may be given for several things: the worst counts.
        found[finding["code"]] = max(found.get(finding["code"], verdict), verdict)
    assert found == expected
    assert done.returncode == max(expected.values()).exit_code
    assert document["source"] == {"kind": "lab", "name": lab}


def test_a_kernel_lab_needs_no_root(base: Base) -> None:
    open_to_all(base.path)
    command, more = ordinary()
    done = subprocess.run(
        [*command, "run", "lvm-inspect", "--lab", "thin-pool-full"],
        cwd=base.path,
        env=base.environment(**more),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "thin-pool-data: Thin pool data-vg/pool: 95.00 % of its data space is used" in done.stdout
    assert done.returncode == 2


def test_a_step_that_reads_cannot_write_to_a_disk(base: Base) -> None:
    """In a kernel without Landlock, as an old host's may be: root's steps, and those of disk-encryption-speed."""
    overwrite = ["if=/dev/zero", "of=/dev/ubda", "bs=4096", "count=1"]
    digest: dict[str, Any] = {"argv": ["sha256sum", "/dev/ubda"], "needs": {"root": True}}
    speed = load(str(RUNBOOKS / "disk_encryption_speed"))
    own = [list(step.argv) for step in speed.steps if step.id != "benchmark"]
    attempts: list[dict[str, Any]] = [
        {"argv": ["dd", *overwrite], "needs": {"root": True}},
        {"argv": ["dd", *overwrite]},
        {"argv": ["blkdiscard", "-f", "/dev/ubda"], "needs": {"root": True}},
        {"argv": ["mkfs.ext4", "-q", "-F", "/dev/ubda"], "needs": {"root": True}},
        {"argv": ["cryptsetup", "repair", "/dev/ubda"], "needs": {"root": True}},
        *({"argv": [word.replace("{devices}", "/run/speed") for word in argv]} for argv in own),
    ]
    steps = [digest, *attempts, digest]
    chain = [{**step, "id": f"s{n}", "after": [f"s{n - 1}"] if n else []} for n, step in enumerate(steps)]
    base.runbook("writer", chain)
    # For who reads them in the second half, the devices are readable; to write, they are the owner's alone.
    script = """set -e
head -c 33554432 /dev/urandom >/dev/ubda
printf first | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/ubda -
dd if=/dev/zero of=/dev/ubda bs=4096 count=1 conv=notrunc status=none
mkdir /run/speed
for kind in plain crypt flags; do ln -s /dev/ubda /run/speed/$kind; done
chmod a+r /dev/ubda
"""
    base.lab("writer", script, kind="kernel", disks=["32M"])
    done = base.call("run", "writer", "--lab", "lab-0", "--format", "json", timeout=180)
    captures = json.loads(done.stdout)["captures"]
    assert captures[0]["exit_code"] == 0
    assert captures[0]["stdout"] == captures[-1]["stdout"]
    assert [capture["exit_code"] for capture in captures[1:5]] == [1, 1, 1, 1]
    # What it reads, it has read: the proof is not that nothing ran.
    assert captures[6]["stdout"].count("16777216 bytes") == 15
