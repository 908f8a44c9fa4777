"""Every lab of every bundled runbook, live: it gives its codes and its exit status, and needs no root."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

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
    assert {finding["code"]: finding["verdict"] for finding in document["findings"]} == {
        code: str(verdict) for code, verdict in expected.items()
    }
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
