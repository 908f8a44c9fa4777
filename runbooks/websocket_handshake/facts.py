"""What the probe told of each handshake, and the counters around them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Evidence


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a handshake: one line of the probe."""

    name: str
    seconds: float
    error: str
    detail: str
    told: Mapping[str, object]
    line: int

    def text(self, key: str) -> str:
        value = self.told.get(key, "")
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> list[str]:
        value = self.told.get(key)
        return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []

    @property
    def status(self) -> int:
        """The status of an answer; 0 where there is none."""
        value = self.told.get("status")
        return value if isinstance(value, int) else 0

    def header(self, name: str) -> str:
        """A header of the answer, by its name in lower case; empty where it is not there."""
        fields = self.told.get("headers")
        for field in fields if isinstance(fields, list) else ():
            if isinstance(field, list) and len(field) == 2 and str(field[0]).lower() == name:
                return str(field[1])
        return ""


@dataclass(frozen=True, slots=True)
class Handshake:
    """All that is known of one attempt; `step` is the step that made it."""

    step: str
    url: str
    stages: tuple[Stage, ...]

    @property
    def words(self) -> str:
        return "Directly" if self.step == "direct" else "By way of the proxy"

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    @property
    def failed(self) -> Stage | None:
        """The stage that ended it, if one did."""
        return next((stage for stage in self.stages if stage.error), None)

    @property
    def refused(self) -> bool:
        """Whether there was no websocket at all."""
        return self.failed is not None and self.failed.name != "idle"

    @property
    def last(self) -> str:
        """The name of the stage that it came to."""
        names = [stage.name for stage in self.stages if stage.name != "transport"]
        failed = self.failed
        # That the answer is not 101 is told of the stage after it.
        name = failed.name if failed is not None else names[-1]
        return "response" if name == "accept" and failed is not None and failed.error == "not-upgraded" else name

    @property
    def answer(self) -> str:
        """What came back, in a word: a status, or what happened instead."""
        response, failed = self.stage("response"), self.failed
        if response is not None and response.status and (failed is None or failed.error == "not-upgraded"):
            return str(response.status)
        return failed.error if failed is not None else "101"

    @property
    def seconds(self) -> float:
        """How long it took until the websocket was there, or was not."""
        return sum(stage.seconds for stage in self.stages if stage.name not in ("ping", "idle", "transport"))

    def lines(self, *names: str) -> tuple[Evidence, ...]:
        """Where these stages are told."""
        found = [stage for name in names if (stage := self.stage(name)) is not None]
        return tuple(Evidence(self.step, "stdout", stage.line, stage.line) for stage in found)


@dataclass(frozen=True, slots=True)
class Segments:
    """TCP segments of this host (or its network namespace) while the handshakes were made."""

    sent: int
    again: int

    @property
    def percent(self) -> float:
        return 100 * self.again / self.sent if self.sent else 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """`segments` is None where the counters could not be read."""

    handshakes: tuple[Handshake, ...]
    segments: Segments | None
    slow_seconds: float


def read_handshake(capture: Capture, url: str) -> Handshake:
    """{"stage": "resolve", "seconds": 0.0004, "host": "127.0.0.1", "port": 8001, "addresses": ["127.0.0.1"]}
    {"stage": "connect", "seconds": 0.0001, "error": "refused", "detail": "Connection refused", "refused": []}
    """
    stages = []
    for number, line in enumerate(capture.stdout.decode("utf-8", "replace").splitlines(), start=1):
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            raise Unreadable(f"line {number} is not JSON", capture.step, number) from None
        if not isinstance(told, dict) or not isinstance(told.get("stage"), str):
            raise Unreadable(f"line {number} tells of no stage", capture.step, number)
        seconds = told.get("seconds", 0.0)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e6:
            raise Unreadable(f"line {number} does not say how long it took", capture.step, number)
        words = [told.get(key, "") if isinstance(told.get(key, ""), str) else "" for key in ("error", "detail")]
        stages.append(Stage(told["stage"], float(seconds), words[0], words[1], told, number))
    if not any(stage.error or stage.name in ("ping", "idle") for stage in stages):
        raise Unreadable("it ends in the middle of the handshake", capture.step, len(stages) or 1)
    return Handshake(capture.step, url, tuple(stages))


_COUNTER = re.compile(r"^(TcpOutSegs|TcpRetransSegs) +([0-9]{1,20}) +\S+ *$", re.MULTILINE)


def read_segments(captures: Captures) -> Segments | None:
    """#kernel
    TcpOutSegs                      14                 0.0
    TcpRetransSegs                  0                  0.0
    """
    counted = []
    for step in ("counters-before", "counters-after"):
        capture = captures.ran(step)
        found = dict(_COUNTER.findall(capture.stdout.decode("utf-8", "replace"))) if capture is not None else {}
        if len(found) != 2:
            return None
        counted.append({name: int(number) for name, number in found.items()})
    sent, again = (counted[1][name] - counted[0][name] for name in ("TcpOutSegs", "TcpRetransSegs"))
    return Segments(sent, again) if sent >= again >= 0 else None
