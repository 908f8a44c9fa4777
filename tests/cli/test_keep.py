"""`runbook test --labs --keep`: it is written down that the labs passed, and only then."""

from __future__ import annotations

import json

from tests.base import HELPER, Base

CODES = {"all-well": "Well.", "broken": "Broken."}


def with_lab(base: Base, script: str) -> Base:
    base.runbook("talk", [{"argv": ["cat", "/tmp/said"]}], HELPER, findings=CODES)
    base.lab("talk", script, expect={"all-well": "ok"})
    return base


def test_labs_that_pass_are_written_down(base: Base) -> None:
    done = with_lab(base, "echo well > /tmp/said\n").call("test", "talk", "--labs", "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads((base.path / "runbooks/talk/labs/passed.json").read_text())
    assert kept.keys() == {"date", "digest", "os", "kernel", "tools"}
    assert len(kept["digest"]) == 64


def test_labs_that_do_not_are_not(base: Base) -> None:
    assert with_lab(base, "echo ill > /tmp/said\n").call("test", "talk", "--labs", "--keep").returncode == 2
    assert not (base.path / "runbooks/talk/labs/passed.json").exists()


def test_keeping_without_labs_is_refused(base: Base) -> None:
    done = with_lab(base, "").call("test", "talk", "--keep")
    assert (done.returncode, done.stdout) == (64, "")
    assert "say --labs as well" in done.stderr
