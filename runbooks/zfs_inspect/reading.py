"""Reads the captures into facts. What cannot be read is kept beside what can, so that the rest is still judged."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from runbook.formats import Unread, complaint
from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Ending, Evidence

from . import status_json, status_text
from .comparing import contradictions, told_apart
from .facts import Clock, Limits, Pool, ZfsFacts
from .imports import foreign
from .kstats import arc, suspended, zil
from .listing import datasets, rooms, settings
from .scans import clock_of

#: The same question in ever older words. The first that can be read is the answer.
STATUS = ("status-json", "status", "status-rounded")
ASKING = ("list", "list-exact", *STATUS, "errors", "datasets", "settings", "import")
#: What zpool says on standard error where there is nobody to ask.
SILENCES = (
    ("no-module", re.compile(r"modules? (are|is) not loaded|cannot be auto-loaded|ZFS module stack is loaded")),
    ("no-module", re.compile(r"nable to open /dev/zfs: No such file")),
    ("no-daemon", re.compile(r"make sure that the zfs-fuse daemon is running")),
    # zfs-fuse's commands ask it through a local socket, and a confined step opens none.
    ("sealed", re.compile(r"^socket: (Operation not permitted|Permission denied)")),
)  # fmt: skip
Made = TypeVar("Made")
Reader = Callable[[Capture, list[Unread]], Made]


def parse(captures: Captures) -> ZfsFacts:
    """All that the captures tell."""
    unread: list[Unread] = []
    presence, where = _silence(captures)
    pools: tuple[Pool, ...] = ()
    if not presence:
        pools, presence, where = _pools(captures, unread)
    found_rooms = _first(captures, ("list-exact", "list"), rooms, unread, presence)
    found_datasets = _first(captures, ("datasets",), datasets, unread, presence)
    found_settings = _first(captures, ("settings",), settings, unread, presence)
    found_foreign = _first(captures, ("import",), foreign, unread, presence)
    # JSON is the better answer, and the text has the lines to point at.
    seconds = ("status", "errors") if pools and pools[0].evidence.step == "status-json" else ("errors",)
    for second in seconds:
        pools = told_apart(captures.ran(second), _read_status, pools, unread)
    unread += contradictions(pools, found_rooms, any(captures.ran(step) for step in STATUS))
    return ZfsFacts(
        presence=presence,
        version=_version(captures.ran("module")),
        pools=pools,
        foreign=tuple(pool for pool in found_foreign or () if pool.name not in {used.name for used in pools}),
        rooms=found_rooms or (),
        datasets=found_datasets or (),
        settings=found_settings or (),
        suspended=_kept(captures.ran("state"), suspended, unread) or {},
        arc=_kept(captures.ran("arcstats"), arc, unread),
        zil=_kept(captures.ran("zil"), zil, unread),
        clock=_clock(captures.ran("clock"), unread),
        unread=tuple(unread),
        answered=_answered(pools, presence, found_rooms is not None, unread),
        hung=tuple(step for step in ASKING if step in captures and captures[step].ending is Ending.TIMED_OUT),
        presence_evidence=where,
        limits=_limits(captures),
    )


def _limits(captures: Captures) -> Limits:
    return Limits(
        capacity_warning_percent=captures.number("capacity-warning"),
        capacity_critical_percent=captures.number("capacity-critical"),
        fragmentation_percent=captures.number("fragmentation-warning"),
        scrub_warning_days=captures.number("scrub-warning"),
        scrub_critical_days=captures.number("scrub-critical"),
        arc_hit_percent=captures.number("arc-hit-warning"),
        arc_accesses=captures.number("arc-accesses"),
    )


def _answered(pools: tuple[Pool, ...], presence: str, listed: bool, unread: list[Unread]) -> tuple[str, ...]:
    status = presence == "none" or (presence == "pools" and all(pool.whole for pool in pools))
    broken = {part.evidence.step for part in unread}
    found = {
        "status": status and not broken & {*STATUS, "errors"},
        "list": listed and not broken & {"list", "list-exact"},
    }
    return tuple(name for name, whole in found.items() if whole)


# ------------------------------------------------------------------------------------------------ is there a ZFS at all


def _silence(captures: Captures) -> tuple[str, tuple[Evidence, ...]]:
    """Why there is nobody to ask, and the line that says so; "" where there is."""
    for step in ("list", *STATUS):
        capture = captures.ran(step)
        for number, line in enumerate(_errors_of(capture), start=1) if capture and capture.exit_code != 0 else ():
            kind = next((kind for kind, pattern in SILENCES if pattern.search(line)), "")
            if kind:
                place = Evidence(step, "stderr", number, number)
                socket = captures.ran("socket")
                # Not even there to be refused: the daemon is not running.
                gone = kind == "sealed" and socket is not None and socket.exit_code != 0
                absence = (Evidence("socket", "stderr", 1, 1),) if socket is not None and socket.stderr else ()
                return ("no-daemon" if gone else kind), (place, *(absence if gone else ()))
    return "", ()


def _errors_of(capture: Capture) -> list[str]:
    return capture.stderr.decode("utf-8", "replace").split("\n")


def _version(capture: Capture | None) -> str:
    text = capture.stdout.decode("utf-8", "replace").strip() if capture and capture.exit_code == 0 else ""
    return text if re.fullmatch(r"\d[\w.+~-]{0,60}", text) else ""


# -------------------------------------------------------------------------------------------------------------- pools


def _pools(captures: Captures, unread: list[Unread]) -> tuple[tuple[Pool, ...], str, tuple[Evidence, ...]]:
    """The pools by the first answer that can be read, the presence, and where it says that there are none."""
    problems: list[Unread] = []
    for step in (*STATUS, "errors"):
        capture = captures.ran(step)
        if capture is None:
            continue
        said: list[Unread] = []
        try:
            found = _read_status(capture, said)
        except Unreadable as error:
            problems.append(Unread.because(error))
            continue
        # Only the release that cannot do what was asked says so and no more: what it could not do is no problem then.
        unread += said + [problem for problem in problems if captures[problem.evidence.step].exit_code == 0]
        if found:
            return found, "pools", ()
        lines = [n for n, line in enumerate(_errors_of(capture), start=1) if "no pools available" in line]
        stream = "stderr" if lines else "stdout"
        return (), "none", (Evidence(capture.step, stream, *(lines[:1] or [1]) * 2),)
    unread += problems[-1:]
    return (), "unknown", ()


def _read_status(capture: Capture, unread: list[Unread]) -> tuple[Pool, ...]:
    """By what the text looks like, not by who said it; raises Unreadable where it is no answer."""
    if not capture.stdout.strip():
        if capture.exit_code == 0 and any("no pools available" in line for line in _errors_of(capture)):
            return ()
        raise complaint(capture) or Unreadable(f"`{capture.step}` printed nothing", capture.step)
    looks_json = capture.stdout.lstrip().startswith(b"{")
    found = status_json.pools(capture, unread) if looks_json else status_text.pools(capture, unread)
    if capture.exit_code != 0:
        error = complaint(capture) or Unreadable(f"it exited with status {capture.exit_code}", capture.step)
        unread.append(Unread.because(error))
    return found


# ------------------------------------------------------------------------------------------------------- all the others


def _first(
    captures: Captures, steps: tuple[str, ...], read: Reader[Made], unread: list[Unread], presence: str
) -> Made | None:
    """What the first of these steps that can be read says; None where none can."""
    problem: Unread | None = None
    for step in steps:
        capture = captures.ran(step)
        if capture is None:
            continue
        if step == "import" and capture.exit_code == 0 and not (capture.stdout + capture.stderr).strip():
            # With nothing to import it says so, or, in zfs-fuse, fails without a word.
            problem = Unread.because(Unreadable(f"`{step}` printed nothing", step))
            continue
        if capture.exit_code == 0 or (capture.stdout.strip() and step != "import"):
            return _kept(capture, read, unread)
        if _is_nothing(capture):
            return _kept(capture, read, unread)
        error = complaint(capture) or Unreadable(f"`{step}` exited with status {capture.exit_code}", step)
        problem = Unread.because(error)
    # Where there is nobody to ask, that is said once.
    if problem is not None and presence in ("pools", "none"):
        unread.append(problem)
    return None


def _is_nothing(capture: Capture) -> bool:
    """Whether it failed because there is nothing: no pool to import, or, in zfs-fuse, no such property."""
    said = capture.stderr + capture.stdout
    if capture.step == "import":
        return not said.strip() or b"no pools available" in said
    return capture.step == "settings" and b"invalid property" in said


def _kept(capture: Capture | None, read: Reader[Made], unread: list[Unread]) -> Made | None:
    """What `read` makes of it; a refusal goes to `unread`. Counters that this host does not have are no problem."""
    if capture is None or (not capture.stdout and capture.step in ("arcstats", "zil", "state")):
        return None
    try:
        return read(capture, unread)
    except Unreadable as error:
        unread.append(Unread.because(error))
        return None


def _clock(capture: Capture | None, unread: list[Unread]) -> Clock | None:
    if capture is None:
        return None
    place = Evidence("clock", "stdout", 1, 1)
    found = clock_of(capture.stdout.decode("utf-8", "replace"), place)
    if found is None:
        unread.append(Unread("it is not a time as `date` prints it", place))
    return found
