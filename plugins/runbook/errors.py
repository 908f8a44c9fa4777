"""What stops a run: errors that name the place and the cure. A command that fails is a Capture, not an error."""

from __future__ import annotations

from typing import NamedTuple


class RunbookError(Exception):
    """Anything that stops the program with a sentence for the person; `exit_code` is what the process ends with."""

    exit_code = 64


class Problem(NamedTuple):
    """One thing wrong in a file: where (1-based line and column), what, and what to do about it."""

    path: str
    line: int
    column: int
    message: str
    cure: str = ""

    def __str__(self) -> str:
        cure = f"\n    {self.cure}" if self.cure else ""
        return f"{self.path}:{self.line}:{self.column}: {self.message}{cure}"


class DefinitionError(RunbookError):
    """A file that cannot be used as it is: every problem found in it, in the order of its lines."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class UsageError(RunbookError):
    """A name or value the person gave that cannot be meant; the message says what would do."""


class UntrustedError(UsageError):
    """A runbook of which nothing may be executed, because nobody on this host has said so."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is not trusted here, or was changed since, so nothing of it is executed\n"
            f"    look at it, and if you mean it: runbook trust {name}"
        )


class ParameterError(UsageError):
    """A parameter without a usable value."""


class ExecutionError(RunbookError):
    """The machinery that starts commands could not work (not: a command that failed)."""

    exit_code = 3


class LabError(ExecutionError):
    """A lab that could not be built or broke down; the message ends with what its system said last."""


class Unreadable(ValueError):
    """Output that makes no sense to the reader: which step, which line (1-based), and why, in words."""

    def __init__(self, message: str, step: str, line: int = 1, stream: str = "stdout") -> None:
        # Only here, because `runbook list` should not wait for the nouns of a run.
        from runbook.model import Evidence

        super().__init__(message)
        self.evidence = Evidence(step, stream, line, line)
