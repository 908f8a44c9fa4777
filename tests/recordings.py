"""What the tests of every runbook need of its samples: all of them by name, and damage to what was recorded."""

from __future__ import annotations

import random

from runbook.archive import Recording, case_name, of_sample, sample_paths
from runbook.loader.sample import load_sample
from runbook.model import Runbook, Verdict


def samples_of(runbook: Runbook) -> dict[str, tuple[Recording, dict[str, Verdict]]]:
    """What each sample recorded, and what it must give."""
    found = {}
    for path in sample_paths(runbook.folder):
        sample = load_sample(path, runbook)
        found[case_name(path)] = (of_sample(sample), dict(sample.findings))
    return found


def broken(data: bytes, source: random.Random) -> bytes:
    """Cut short, or with a few bits turned."""
    if source.random() < 0.5:
        return data[: source.randrange(len(data) + 1)]
    found = bytearray(data)
    for _ in range(source.randint(1, 5)):
        found[source.randrange(len(found))] ^= 1 << source.randrange(8)
    return bytes(found)
