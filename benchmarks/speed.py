"""How fast the command is, as ratios measured side by side in one run; exits 1 when a bar is missed.

    .venv/bin/python benchmarks/speed.py [--rounds N]

The things compared take turns, round by round, so that a busy machine slows both. Minimum and median are printed; the
median decides.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MIB = 1024 * 1024
GIB = 1024 * MIB
RUNBOOK = Path(sys.executable).with_name("runbook")

#: Ours, but with compiled modules kept: the round that warms the caches writes them.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

STEPS = {
    "one": [["/bin/true"]],
    "ten": [["sleep", "0.05"]] * 10,
    "flood": [["head", "-c", str(GIB), "/dev/zero"]],
}


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished process: wall seconds, and the most memory it, or a child it waited for, ever had, in bytes."""

    seconds: float
    peak: int


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of all rounds of one thing."""

    all: tuple[float, ...]

    @property
    def low(self) -> float:
        return min(self.all)

    @property
    def middle(self) -> float:
        return median(self.all)


def execute(argv: Sequence[str | Path], cwd: Path, output: Path | None = None, status: int = 0) -> Ended:
    """Execute a command in a fresh process, its output thrown away or kept in a file; it must exit with `status`."""
    with open(output or os.devnull, "wb") as sink:
        started = time.perf_counter()
        process = subprocess.Popen(argv, cwd=cwd, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=sink)
        _, waited, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(waited)
    if process.returncode != status:
        raise SystemExit(f"benchmarks/speed.py: {' '.join(map(str, argv))} exited with {process.returncode}")
    return Ended(seconds, usage.ru_maxrss * 1024)


def in_turn(rounds: int, *things: Callable[[], float]) -> list[Times]:
    """Measure the things one after the other, again and again, after a first round that only warms the caches."""
    taken = [[thing() for thing in things] for _ in range(rounds + 1)]
    return [Times(times) for times in zip(*taken[1:], strict=True)]


def write_runbooks(folder: Path) -> None:
    for name, steps in STEPS.items():
        definition = {
            "title": name,
            "summary": f"Measures {name}.",
            "section": "benchmarks",
            "steps": [
                {"id": f"step-{number}", "argv": argv, "timeout": "60s"} for number, argv in enumerate(steps, start=1)
            ],
        }
        # JSON is YAML, too.
        (folder / "runbooks" / name).mkdir(parents=True)
        (folder / "runbooks" / name / "runbook.yaml").write_text(json.dumps(definition, indent=2) + "\n")


def run(name: str) -> list[str | Path]:
    return [RUNBOOK, "run", name, "--format", "json", "--quiet"]


def told(what: str, value: str, bar: str, kept: bool) -> bool:
    print(f"{'ok  ' if kept else 'MISS'}  {what:<44} {value:<44} bar: {bar}")
    return kept


def start(rounds: int, folder: Path) -> bool:
    """`--version` and `list` against an interpreter that does nothing."""
    nothing, version, listing = in_turn(
        rounds,
        lambda: execute([sys.executable, "-c", "pass"], folder).seconds,
        lambda: execute([RUNBOOK, "--version"], folder).seconds,
        lambda: execute([RUNBOOK, "list"], folder).seconds,
    )
    kept = True
    for what, times in (("runbook --version", version), ("runbook list", listing)):
        ratio = times.middle / nothing.middle
        value = f"{ratio:.2f}x ({times.middle * 1000:.0f} ms), min {times.low / nothing.low:.2f}x"
        kept &= told(f"{what} / python3 -c pass", value, "<= 6x", ratio <= 6)
    return kept


def one_step(rounds: int, folder: Path) -> bool:
    """What a run costs over the command itself."""
    command, whole = in_turn(
        rounds,
        lambda: execute(["/bin/true"], folder).seconds,
        lambda: execute(run("one"), folder).seconds,
    )
    cost = whole.middle - command.middle
    value = f"{cost * 1000:.0f} ms, min {(whole.low - command.low) * 1000:.0f} ms"
    return told("runbook run of /bin/true, over the command", value, "<= 150 ms", cost <= 0.150)


def ten_steps(rounds: int, folder: Path) -> bool:
    """Ten independent commands together against the same ten one after the other."""
    serial, whole = in_turn(
        rounds,
        lambda: sum(execute(argv, folder).seconds for argv in STEPS["ten"]),
        lambda: execute(run("ten"), folder).seconds,
    )
    ratio = whole.middle / serial.middle
    value = f"{ratio:.2f}x ({whole.middle * 1000:.0f} ms), min {whole.low / serial.low:.2f}x"
    return told("ten steps of 50 ms / the same serially", value, "< 0.5x", ratio < 0.5)


#: A plain reader of the same flood: os.read of 1 MiB from a pipe, nothing kept; prints its seconds.
PLAIN_READER = f"""
import os, subprocess, time
started = time.perf_counter()
with subprocess.Popen({STEPS["flood"][0]!r}, stdout=subprocess.PIPE, bufsize=0) as process:
    while os.read(process.stdout.fileno(), {MIB}):
        pass
print(time.perf_counter() - started)
"""


def read_plainly() -> float:
    """The seconds of the plain reader, in a fresh process as ours is: a second flood in one process goes much faster,
    because malloc has learned by then to keep the buffer."""
    return float(subprocess.run([sys.executable, "-c", PLAIN_READER], capture_output=True, check=True).stdout)


def step_seconds(document: Path) -> float:
    """How long the run says its first step took. A process of its own parses it, to keep our own memory small: a
    child's peak begins with what its parent had."""
    code = "import json, sys; print(json.load(sys.stdin)['captures'][0]['seconds'])"
    with document.open("rb") as text:
        return float(subprocess.run([sys.executable, "-c", code], stdin=text, capture_output=True, check=True).stdout)


def flood(rounds: int, folder: Path) -> bool:
    """A step that prints 1 GiB: memory of the whole process, speed of the reading."""
    document = folder / "flood.json"
    peaks = []

    def read_by_runbook() -> float:
        # Not all of it is kept, so the run is unknown.
        peaks.append(execute(run("flood"), folder, document, status=3).peak)
        return step_seconds(document)

    plain, ours = in_turn(rounds, read_plainly, read_by_runbook)
    ratio = plain.middle / ours.middle
    value = f"{ratio:.2f}x ({1024 / ours.middle:.0f} MiB/s), best {plain.low / ours.low:.2f}x"
    return told("reading 1 GiB, speed / plain pipe reader", value, ">= 0.5x", ratio >= 0.5) & told(
        "reading 1 GiB, peak memory", f"{max(peaks) / MIB:.0f} MiB", "< 100 MiB", max(peaks) < 100 * MIB
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the speed of the runbook command against its bars.")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the short measurements (default 15)")
    rounds: int = parser.parse_args().rounds
    if not RUNBOOK.exists():
        raise SystemExit(f"benchmarks/speed.py: no {RUNBOOK}; use .venv/bin/python, after scripts/setup")
    with tempfile.TemporaryDirectory(prefix="runbook-speed-") as temporary:
        folder = Path(temporary)
        write_runbooks(folder)
        kept = [measure(rounds, folder) for measure in (start, one_step, ten_steps)]
        kept.append(flood(max(3, rounds // 5), folder))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
