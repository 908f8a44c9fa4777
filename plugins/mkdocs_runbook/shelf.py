"""What the fences of a knowledge base can show: its runbooks, and their recordings and live runs, judged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mkdocs_runbook.live import LiveRuns, obstacle
from runbook.archive import Recording, case_name, of_sample, redacted, sample_paths
from runbook.catalog import BUNDLED, Entry, entries
from runbook.errors import UntrustedError
from runbook.loader.note import Fence
from runbook.loader.sample import load_sample
from runbook.model import Plan, Run, Runbook, Sample, Source, Verdict
from runbook.pipeline import prepare, replay
from runbook.redaction import Redactor
from runbook.renderers.html import Given, Panel

#: How many recordings are shown where a fence names none.
USUAL_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Shown:
    """What a fence shows: the live run first, and in `remark` why there is none where one was asked for."""

    runbook: Runbook
    panels: tuple[Panel, ...]
    remark: str


class Shelf:
    """The runbooks that the notes of one knowledge base, the folder `start`, can name.

    `mode` is one of `loader.note.MODES`. With `redact`, what identifies a host or a person is replaced in everything
    given out, and `replaced` says by what.
    """

    def __init__(self, start: str, mode: str, live: LiveRuns | None = None, *, redact: bool = True) -> None:
        self.start = start
        self._mode = mode
        self._live = live
        self._redact = redact
        self.known: dict[str, Entry] = {entry.name: entry for entry in entries(start)}
        self._runbooks: dict[str, Runbook] = {}
        self._samples: dict[tuple[str, str], Sample] = {}
        self._runs: dict[tuple[str, str, Given], Run] = {}
        self._redactor = Redactor((os.uname().nodename,), (os.environ.get("SUDO_USER", ""), os.environ.get("USER", "")))

    @property
    def own(self) -> list[Runbook]:
        """Those of the knowledge base itself; where it has none, those that come with the package."""
        names = [name for name, entry in self.known.items() if entry.origin != BUNDLED] or list(self.known)
        return [self.runbook(name) for name in names]

    @property
    def replaced(self) -> list[tuple[str, str]]:
        """What was replaced in live runs, and by what."""
        return self._redactor.replaced

    def runbook(self, name: str) -> Runbook:
        """The runbook of this name, in either spelling, that is known; raises DefinitionError."""
        name = name.replace("_", "-")
        if name not in self._runbooks:
            self._runbooks[name] = self.known[name].load()
        return self._runbooks[name]

    def cases(self, runbook: Runbook) -> list[str]:
        """The names of its samples."""
        return [case_name(path) for path in sample_paths(runbook.folder)]

    def sample(self, runbook: Runbook, case: str) -> Sample:
        """Raises DefinitionError when it cannot be used."""
        key = (runbook.name, case)
        if key not in self._samples:
            self._samples[key] = load_sample(os.path.join(runbook.folder, "samples", f"{case}.yaml"), runbook)
        return self._samples[key]

    def check(self, fence: Fence) -> bool:
        """Whether everything that the fence names is there; its report says what is not. Raises DefinitionError."""
        if fence.check_name(self.known):
            runbook = self.runbook(fence.name)
            fence.check_content(runbook, self.cases(runbook))
        return not fence.report.problems

    def wanted(self, runbook: Runbook, given: Given = (), execute: str = "") -> Plan | None:
        """The plan of a live run; None where none is wanted, or (but for `live`) this host cannot do all of it.

        Raises ParameterError.
        """
        mode = execute or self._mode
        if mode == "recorded" or self._live is None or runbook.changes or not runbook.trusted:
            return None
        plan = prepare(runbook, dict(given))
        return plan if mode == "live" or not obstacle(plan) else None

    def live_run(self, runbook: Runbook, given: Given = (), execute: str = "") -> Run | None:
        """The run on this host, when it was wanted and made. Raises ParameterError, DefinitionError."""
        kept = self._kept(runbook, given, execute)
        return self._judged(runbook, kept, Source("live"), given, self._redactor) if kept is not None else None

    def _kept(self, runbook: Runbook, given: Given, execute: str) -> Recording | None:
        plan = self.wanted(runbook, given, execute)
        return self._live.find(plan) if plan is not None and self._live is not None else None

    def show(self, fence: Fence) -> Shown:
        """What a checked fence shows.

        Raises UntrustedError, ParameterError, and DefinitionError for a broken helper or sample.
        """
        runbook, given = self.runbook(fence.name), fence.parameters
        if not runbook.trusted:
            raise UntrustedError(runbook.name)
        live = self.live_run(runbook, given, fence.execute)
        panels = [Panel(live, "This host")] if live is not None else []
        cases = fence.samples if fence.samples or panels else usual_cases(runbook, self.cases(runbook))
        panels += [self._recorded(runbook, case, given) for case in cases]
        remark = self._why_not(fence) if live is None else self._changed(live, fence)
        return Shown(runbook, tuple(panels), remark)

    def _why_not(self, fence: Fence) -> str:
        """Why a run that was asked for is not shown."""
        if self._live is None or (fence.execute or self._mode) == "recorded":
            return ""
        reason = obstacle(prepare(self.runbook(fence.name), dict(fence.parameters)))
        return f"Not run on the host that built this page: {reason or 'it could not be run'}."

    def _changed(self, shown: Run, fence: Fence) -> str:
        """That the runbook finds something else in what was really printed, should it be so."""
        runbook, given = shown.plan.runbook, fence.parameters
        kept = self._kept(runbook, given, fence.execute)
        if not self._redact or kept is None:
            return ""
        real = replay(runbook, kept.captures, kept.parameters, kept.host, shown.source, kept.started, dict(given))
        if _codes(real) == _codes(shown):
            return ""
        return "Replacing names and addresses changed what this runbook finds: run it on the host itself."

    def _recorded(self, runbook: Runbook, case: str, given: Given) -> Panel:
        sample = self.sample(runbook, case)
        key = (runbook.name, case, given)
        if key not in self._runs:
            recorded = of_sample(sample)
            # With a table of its own, so that a recording reads the same on every page and every host.
            self._runs[key] = self._judged(runbook, recorded, recorded.source, given, Redactor())
        labs = {lab.id for lab in runbook.labs}
        command = f"runbook run {runbook.name} --lab {case}" if case in labs else ""
        return Panel(self._runs[key], label(case), sample.title, command)

    def _judged(self, runbook: Runbook, recorded: Recording, source: Source, given: Given, redactor: Redactor) -> Run:
        kept = redacted(recorded, redactor) if self._redact else recorded
        return replay(runbook, kept.captures, kept.parameters, kept.host, source, kept.started, dict(given))


def _codes(run: Run) -> list[tuple[str, Verdict]]:
    return [(finding.code, finding.verdict) for finding in run.findings]


def label(case: str) -> str:
    """What the tab of a sample says: `Thin pool full`."""
    return case.replace("-", " ").capitalize()


def usual_cases(runbook: Runbook, cases: Sequence[str]) -> list[str]:
    """The recordings to show where none is named: those of the runbook's labs, in their order, or else the first."""
    of_labs = [lab.id for lab in runbook.labs if lab.id in cases]
    return (of_labs or list(cases))[:USUAL_SAMPLES]
