"""Keeps what could not be read beside what could: one bad answer must not hide what the others tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from runbook.errors import Unreadable
from runbook.model import Capture, Evidence, Finding, Verdict

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of the output that could not be read, or that is not the whole answer, and why."""

    reason: str
    evidence: Evidence

    @classmethod
    def because(cls, error: Unreadable) -> Unread:
        return cls(str(error), error.evidence)


def complaint(capture: Capture) -> Unreadable | None:
    """The first line on standard error that is more than noise, as the reason why there is no answer."""
    for number, line in enumerate(capture.stderr.decode("utf-8", "replace").split("\n"), start=1):
        # LVM names every descriptor that it inherits, and says that it does not run as root.
        if line.strip() and not line.startswith("File descriptor ") and "non-root user" not in line:
            name = (*capture.argv, capture.step)[0]
            return Unreadable(f"`{name}` said: {line.strip()}", capture.step, number, "stderr")
    return None


def optional(
    capture: Capture | None, read: Callable[[Capture], tuple[Answer, ...]], unread: list[Unread]
) -> tuple[Answer, ...]:
    """What `read` makes of a capture, nothing printed being an empty answer; a failure goes to `unread`."""
    if capture is None:
        return ()
    try:
        if capture.stdout.strip():
            return read(capture)
        if (reason := complaint(capture)) and capture.exit_code != 0:
            raise reason
    except Unreadable as error:
        unread.append(Unread.because(error))
    return ()


def unread_findings(unread: tuple[Unread, ...]) -> Iterator[Finding]:
    """A finding for each part, by the code that the engine has for it: unknown, beside all that is known."""
    for part in unread:
        yield Finding(
            "unreadable",
            Verdict.UNKNOWN,
            f"The answer of {part.evidence.step} is not whole: {part.reason}",
            "What could be read was judged; what is missing from it could not be.",
            evidence=(part.evidence,),
        )
