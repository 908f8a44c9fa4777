"""Fifty runs at once: each has its own output, and nothing of any is left."""

from __future__ import annotations

import json
import subprocess

from tests.base import COMMAND, Base, rounds


def test_runs_at_once_do_not_disturb_each_other(base: Base, mark: str) -> None:
    script = f"setsid sleep 60 & echo $$; sleep 1; echo $$; : {mark}"
    base.runbook("talk", [{"argv": ["sh", "-c", script]}, {"argv": ["sh", "-c", script], "terminal": True}])
    words = [*COMMAND, "run", "talk", "--format", "json", "--quiet"]
    runs = [
        subprocess.Popen(words, cwd=base.path, env=base.environment(MARK=mark), stdout=subprocess.PIPE)
        for _ in range(rounds(4, 50))
    ]
    seen = set()
    for run in runs:
        captures = json.loads(run.communicate(timeout=300)[0])["captures"]
        for capture in captures:
            first, last = capture["stdout"].split()
            assert first == last
            seen.add(first)
    assert len(seen) == 2 * len(runs)
