"""The helper contract: what `parse`, `judge` and `draw` of a runbook's helper.py get, give and may raise.

    def parse(captures: Captures) -> Facts         required; raises Unreadable (or any ValueError) in words
    def judge(facts: Facts) -> Iterator[Finding]   required
    def draw(facts: Facts) -> str                  optional; a picture in plain text

All three are pure: no process, no file, no network. Facts are the helper's own frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runbook.errors import Unreadable
from runbook.model import Capture, Ending, Value

__all__ = ["Captures", "Unreadable"]


class Captures(Mapping[str, Capture]):
    """The captures of a run by step id, and the parameters it ran with, but for the secret ones."""

    def __init__(self, captures: tuple[Capture, ...], parameters: Mapping[str, Value]) -> None:
        self._captures = {capture.step: capture for capture in captures}
        self.parameters = parameters

    def __getitem__(self, step: str) -> Capture:
        return self._captures[step]

    def __iter__(self) -> Iterator[str]:
        return iter(self._captures)

    def __len__(self) -> int:
        return len(self._captures)

    def ran(self, step: str) -> Capture | None:
        """The capture of a step whose command ran to its own end (whatever it exited with), else None."""
        capture = self._captures.get(step)
        return capture if capture is not None and capture.ending is Ending.EXITED else None

    def number(self, name: str) -> float:
        """A numeric parameter as float, so that thresholds compare; raises KeyError when there is none."""
        return float(self.parameters[name])
