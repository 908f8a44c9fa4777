"""The nouns that every room hands on: frozen values, standard library only.

Text a command printed stays bytes until a human looks at it. Times are seconds since the epoch (UTC), durations are
seconds, sizes are bytes, line numbers start at 1 and ranges include their last line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum


class Verdict(IntEnum):
    """How bad a finding is; the order is the order of concern, so `max` is the worst."""

    OK = 0
    UNKNOWN = 1
    WARNING = 2
    CRITICAL = 3

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def named(cls, name: str) -> Verdict:
        """The verdict with this lower-case name; raises ValueError for any other word."""
        for verdict in cls:
            if str(verdict) == name:
                return verdict
        raise ValueError(f"`{name}` is not a verdict; use ok, unknown, warning or critical")

    @property
    def exit_code(self) -> int:
        """The exit status monitoring plugins use (Monitoring Plugins guidelines): 0, 1, 2, and 3 for unknown."""
        return {Verdict.OK: 0, Verdict.WARNING: 1, Verdict.CRITICAL: 2, Verdict.UNKNOWN: 3}[self]


class Ending(Enum):
    """How a command ended, never what that means."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed-out"
    NOT_FOUND = "not-found"
    NOT_PERMITTED = "not-permitted"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"
    DECLINED = "declined"

    def __str__(self) -> str:
        return self.value


class Effect(Enum):
    """What a step does to the host it runs on."""

    READ = "read"
    CHANGE = "change"

    def __str__(self) -> str:
        return self.value


#: Which version of the sandbox this is; another number when a step that reads can do more, or less.
SANDBOX_VERSION = 3

#: What a parameter's value is once resolved: a duration is float seconds, a size is int bytes, the rest as named.
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of a runbook; `type` is one of `values.TYPES`, `default` the already parsed value (`~` still there)."""

    name: str
    type: str
    help: str = ""
    default: Value | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    secret: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What a step needs from the host; argv[0] is implied among the commands. Capabilities are in lower case."""

    commands: tuple[str, ...] = ()
    root: bool = False
    capabilities: tuple[str, ...] = ()
    network: bool = False


@dataclass(frozen=True, slots=True)
class When:
    """A condition: a parameter was given a value, or an earlier step failed (or, `failed=False`, exited 0)."""

    parameter: str | None = None
    step: str | None = None
    failed: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a runbook, with placeholders still in its words."""

    id: str
    title: str
    argv: tuple[str, ...]
    shell: bool = False
    effect: Effect = Effect.READ
    needs: Needs = Needs()
    timeout: float = 60.0
    terminal: bool = False
    answers: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    when: When | None = None
    undo: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A lab: a system built by a shell script, healthy or broken on purpose; `commands` are what the script uses.

    `parameters` are values, as a person would give them, that the runbook is run with in there unless told otherwise;
    `answers` are replies to prompts (regular expressions) that a person would type, for when nobody is there.
    Disks and memory are sizes in bytes, and belong to a kernel lab only.
    """

    id: str
    title: str
    kind: str
    script: str
    disks: tuple[int, ...] = ()
    memory: int = 512 * 1024 * 1024
    commands: tuple[str, ...] = ()
    expect: tuple[tuple[str, Verdict], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    answers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a statement can be looked up."""

    title: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Symptom:
    """What a person in trouble says, and the codes of the findings that it may turn out to be."""

    says: str
    means: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Runbook:
    """A runbook as it stood on disk when it was read: `files` are its files by their path from `folder`.

    `digest` is the SHA-256 over them in hexadecimal. Nothing of it is executed unless it is `trusted`.
    `findings` lists every code its helper may give with one sentence; `packages` says which package brings a command:
    (command, ((distribution, package), ...)).
    """

    name: str
    title: str
    summary: str
    section: str
    folder: str
    digest: str
    parameters: tuple[Parameter, ...] = ()
    steps: tuple[Step, ...] = ()
    labs: tuple[Scenario, ...] = ()
    findings: tuple[tuple[str, str], ...] = ()
    symptoms: tuple[Symptom, ...] = ()
    packages: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    references: tuple[Reference, ...] = ()
    sandbox_required: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)
    trusted: bool = field(default=False, compare=False)

    @property
    def changes(self) -> bool:
        """Whether a step of it changes the host."""
        return any(step.effect is Effect.CHANGE for step in self.steps)


@dataclass(frozen=True, slots=True)
class Command:
    """A step made exact: the words, the environment and the rights it will have, before anything runs.

    With `sandbox_required` it is not run where a layer of its sandbox is missing.
    """

    step: str
    title: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    effect: Effect = Effect.READ
    needs: Needs = Needs()
    timeout: float = 60.0
    terminal: bool = False
    answers: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    when: When | None = None
    undo: tuple[str, ...] = ()
    sandbox_required: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run will do; `parameters` are the values of those that have one, `secrets` what is never shown."""

    runbook: Runbook
    parameters: Mapping[str, Value]
    commands: tuple[Command, ...]
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Output:
    """One live chunk; `stream` is stdout or stderr. Empty data is a tick: the command is silent but alive."""

    step: str
    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """What one command left behind. `exit_code` is None unless it exited; `detail` says the ending in words.

    `dropped` counts the bytes that were read but not kept because a stream went over its cap. `sandbox` is the profile
    that the command was confined to and its layers, empty where it was not.
    """

    step: str
    argv: tuple[str, ...]
    ending: Ending
    exit_code: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    started: float = 0.0
    seconds: float = 0.0
    dropped: int = 0
    detail: str = ""
    sandbox: str = ""

    @property
    def truncated(self) -> bool:
        """Whether output is missing because it went over the cap."""
        return self.dropped > 0

    @property
    def succeeded(self) -> bool:
        """Whether the command exited with status 0."""
        return self.ending is Ending.EXITED and self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """The lines of a capture that a finding rests on, first and last included."""

    step: str
    stream: str
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a runbook concludes. In `advice`, a line that starts with four spaces is a command to copy."""

    code: str
    verdict: Verdict
    summary: str
    explanation: str = ""
    advice: str = ""
    evidence: tuple[Evidence, ...] = ()
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """Where commands ran: node name, kernel release, operating system's pretty name, machine architecture."""

    name: str
    kernel: str
    os: str
    arch: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where captures come from: `live`, `sample`, `lab` or `replay`, and which one.

    Of a sample also how it came to be, in words that follow "recorded", and the versions of the packages there.
    """

    kind: str
    name: str = ""
    origin: str = ""
    tools: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One runbook, one result: the same object in the terminal, the site, the page, a lab and a replay."""

    plan: Plan
    host: Host
    source: Source
    started: float
    seconds: float
    captures: tuple[Capture, ...]
    facts: object = None
    findings: tuple[Finding, ...] = ()
    drawing: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst finding's; a run that found nothing could not tell, and that is unknown."""
        return max((finding.verdict for finding in self.findings), default=Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Sample:
    """A recorded case: captures in, facts and findings out. `source` keeps what the file says, as it says it."""

    name: str
    title: str
    source: Mapping[str, object]
    parameters: Mapping[str, Value]
    captures: tuple[Capture, ...]
    findings: Mapping[str, Verdict]
    facts: object = None
    path: str = field(default="", compare=False)
