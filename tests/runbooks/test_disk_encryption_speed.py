"""disk-encryption-speed: it can only read, its figures are those of the lines, and damaged lines give none."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from runbook.archive import Recording, case_name, of_sample, sample_paths
from runbook.catalog import find
from runbook.loader.sample import load_sample
from runbook.model import Capture, Effect, Run, Runbook, Source, Verdict
from runbook.pipeline import replay
from tests.base import rounds

ROUNDS = rounds(1_000, 10_000)


@cache
def the_runbook() -> Runbook:
    return find("disk-encryption-speed", "/").load()


@cache
def samples() -> dict[str, Recording]:
    return {case_name(path): of_sample(load_sample(path, the_runbook())) for path in sample_paths(the_runbook().folder)}


def judged(name: str, **edits: Callable[[bytes], bytes]) -> Run:
    recorded = samples()[name]
    captures = tuple(
        replace(capture, stdout=edits[capture.step](capture.stdout)) if capture.step in edits else capture
        for capture in recorded.captures
    )
    return replay(the_runbook(), captures, recorded.parameters, recorded.host, Source("sample", name))


def codes(run: Run) -> dict[str, Verdict]:
    return {finding.code: finding.verdict for finding in reversed(run.findings)}


def test_no_step_can_write() -> None:
    """That the kernel refuses it, whatever the command, is tried in a lab: tests/e2e/test_labs.py."""
    for step in the_runbook().steps:
        assert step.effect is Effect.READ
        assert not step.needs.root
        assert not step.needs.capabilities
        words = " ".join(step.argv)
        assert "of=" not in words.replace("of=/dev/null", "")
        assert step.argv[0] in ("cryptsetup", "sh")


def test_on_a_host_only_memory_is_measured() -> None:
    """Without the folder of a lab no other step runs."""
    assert [step.id for step in the_runbook().steps if step.when is None] == ["benchmark"]
    assert {capture.step for capture in samples()["no-kernel-interface"].captures} == {"benchmark"}
    (parameter,) = the_runbook().parameters
    assert parameter.default is None


def lines(**speeds: float) -> Callable[[bytes], bytes]:
    """What dd prints of 16 MiB at these MB/s, five turns each, the middle one as said."""
    text = ""
    for factor in (0.5, 1.0, 4.0, 0.7, 1.5):
        for kind, speed in speeds.items():
            seconds = 16777216 / (speed * factor * 1e6)
            text += f"{kind}: 16777216 bytes (17 MB, 16 MiB) copied, {seconds:.6f} s, 1 MB/s\n"
    return lambda _: text.encode()


def test_the_figures_are_medians_of_what_the_lines_say() -> None:
    run = judged(
        "three-ways",
        read=lines(plain=1000, crypt=200, flags=500),
        written=lines(plain=800, crypt=100, flags=90),
    )
    measured = next(finding for finding in run.findings if finding.code == "measured")
    assert measured.summary == (
        "MB/s reading and writing, each by itself: as it is 1000 and 800; encrypted 200 and 100; "
        "encrypted, no work queues 500 and 90"
    )
    assert "reading is 2.50 times as fast and writing is 0.90 times as fast" in measured.explanation
    assert "differ by up to 8.00 times" in measured.explanation
    drawn = run.drawing.split("\n")
    assert drawn[1].endswith("█" * 30 + " 1000")
    assert sum(line.count("█") == 30 for line in drawn) == 2


def test_a_host_with_its_ciphers_gets_them_by_itself() -> None:
    run = judged("three-ways", benchmark=lambda _: b"x\n    aes-xts        512b      2000.5 MiB/s      1000.0 MiB/s\n")
    finding = next(finding for finding in run.findings if finding.code == "benchmark")
    assert finding.summary.startswith("aes-xts, 512 bits: encrypts 2000 MiB/s, decrypts 1000 MiB/s")
    assert "of a disk that gives 500 MiB/s by itself, 333 are left if one waits for the other" in finding.explanation


@pytest.mark.parametrize("step", ["benchmark", "read", "written", "flags"])
def test_damaged_output_ends_in_figures_or_in_words(step: str) -> None:
    dice = random.Random(step)
    whole = next(capture for capture in samples()["three-ways"].captures if capture.step == step).stdout

    def broken(data: bytes) -> bytes:
        found = bytearray(data[: dice.randrange(len(data) + 1)] if dice.random() < 0.5 else data)
        for _ in range(dice.randrange(6) if found else 0):
            found[dice.randrange(len(found))] ^= 1 << dice.randrange(8)
        return bytes(found)

    for _ in range(ROUNDS):
        run = judged("three-ways", **{step: broken})
        assert run.findings
        assert not any("Traceback" in finding.explanation for finding in run.findings)
        assert not any(".py:" in finding.summary for finding in run.findings)
    for size in range(0, len(whole) - 2, 7):
        run = judged("three-ways", **{step: lambda data, size=size: data[:size]})
        if step in ("read", "written"):
            assert run.verdict is Verdict.UNKNOWN
            assert "measured" not in codes(run)


def test_a_capture_of_nothing_says_so() -> None:
    recorded = samples()["three-ways"]
    nothing = tuple(Capture(c.step, c.argv, c.ending, c.exit_code) for c in recorded.captures)
    run = replay(the_runbook(), nothing, recorded.parameters, recorded.host, Source("sample", "x"))
    assert run.verdict is Verdict.UNKNOWN
