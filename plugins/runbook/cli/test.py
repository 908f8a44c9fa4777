"""Replay every sample, and with --labs run every lab, and compare what is found with what must be found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from runbook.archive import Passed, load_samples, of_sample, save_passed
from runbook.cli.drive import drive
from runbook.cli.options import chosen_entries, name_argument
from runbook.cli.record import installed_versions
from runbook.cli.signals import Interrupts, Terminated, interrupts
from runbook.cli.trust import demand
from runbook.errors import ExecutionError, UsageError
from runbook.escaping import safe
from runbook.model import Run, Runbook, Sample, Scenario, Verdict
from runbook.pipeline import prepare_for_lab, replay
from runbook.renderers.json import document, timestamp

EXAMPLES = """examples:
  runbook test
  runbook test lvm-inspect --labs
  runbook test lvm-inspect --labs --keep

exit status: 0 all as expected, 2 something is not, 3 a lab could not be run"""


def arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, "*")
    parser.add_argument("--labs", action="store_true", help="also run every lab, live")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="when all labs of a runbook pass, write down when and on what: labs/passed.json",
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.keep and not arguments.labs:
        raise UsageError("--keep writes down that the labs passed\n    say --labs as well")
    runbooks = demand([entry.load() for entry in chosen_entries(arguments.names)])
    tally = _Tally()
    try:
        with interrupts() as pressed:
            for runbook in runbooks:
                for sample in load_samples(runbook):
                    tally.judge(f"{runbook.name} sample {sample.name}", partial(_sample, runbook, sample))
                if arguments.labs:
                    _labs(runbook, tally, pressed, arguments.keep)
    except Terminated as stop:
        return stop.exit_code
    return tally.finish()


class _Tally:
    """Counts and tells what held and what did not, a line each."""

    def __init__(self) -> None:
        self._passed = self._failed = self._broken = 0

    def judge(self, what: str, find_problems: Callable[[], Iterator[str]]) -> bool:
        """Whether it held."""
        started = time.monotonic()
        try:
            problems = list(find_problems())
        except ExecutionError as error:
            self._broken += 1
            print(safe(f"BROKEN  {what}\n        {error}"), flush=True)
            return False
        seconds = time.monotonic() - started
        self._passed += not problems
        self._failed += bool(problems)
        print(safe(f"{'FAILED' if problems else 'ok':6}  {what} ({seconds:.2f} s)"), flush=True)
        for problem in problems:
            print(safe(f"        {problem}"), flush=True)
        return not problems

    def finish(self) -> int:
        broken = f", {self._broken} could not be run" if self._broken else ""
        print(f"{self._passed} passed, {self._failed} failed{broken}")
        if not self._passed + self._failed + self._broken:
            print("there was nothing to test here", file=sys.stderr)
        return 2 if self._failed else 3 if self._broken else 0


def _sample(runbook: Runbook, sample: Sample) -> Iterator[str]:
    recorded = of_sample(sample)
    found = replay(runbook, recorded.captures, recorded.parameters, recorded.host, recorded.source)
    yield from differences(sample.findings, found)
    if sample.facts is not None:
        yield from _fact_differences(sample.facts, document(found)["facts"], "facts")


def _labs(runbook: Runbook, tally: _Tally, pressed: Interrupts, keep: bool) -> None:
    runs: list[Run] = []
    held = [
        tally.judge(f"{runbook.name} lab {scenario.id}", partial(_lab, runbook, scenario, pressed, runs))
        for scenario in runbook.labs
    ]
    if keep and runs and all(held):
        last = runs[-1]
        tools = installed_versions(runbook)
        passed = Passed(timestamp(last.started)[:10], runbook.digest, last.host.os, last.host.kernel, tools)
        print(save_passed(runbook, passed))


def _lab(runbook: Runbook, scenario: Scenario, pressed: Interrupts, runs: list[Run]) -> Iterator[str]:
    quiet = argparse.Namespace(lab=scenario.id, quiet=True, timeout=None, yes=False)
    runs.append(drive(quiet, prepare_for_lab(runbook, scenario, {}), pressed, attended=False))
    yield from differences(dict(scenario.expect), runs[-1])


def differences(expected: Mapping[str, Verdict], run: Run) -> Iterator[str]:
    """What was found and should not have been, and the other way round; of one code the worst verdict counts."""
    found: dict[str, Verdict] = {}
    for finding in run.findings:
        found[finding.code] = max(finding.verdict, found.get(finding.code, finding.verdict))
    for code in sorted(expected.keys() | found.keys()):
        if code not in found:
            yield f"{code} {expected[code]} was not found"
        elif code not in expected:
            summary = next(finding.summary for finding in run.findings if finding.code == code)
            yield f"{code} {found[code]} was not expected: {summary}"
        elif expected[code] is not found[code]:
            yield f"{code} is {found[code]}, not {expected[code]}"


def _fact_differences(expected: object, found: object, place: str) -> Iterator[str]:
    """The places where the facts differ; a sample may name only some of the fields."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key, value in expected.items():
            if key in found:
                yield from _fact_differences(value, found[key], f"{place}.{key}")
            else:
                yield f"{place}.{key} is not among the facts"
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (value, other) in enumerate(zip(expected, found, strict=True)):
            yield from _fact_differences(value, other, f"{place}[{index}]")
    elif expected != found:
        yield f"{place} is {found!r}, not {expected!r}"
