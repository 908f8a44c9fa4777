"""Reads the captures into facts. What cannot be read is kept beside what can, so that the rest is still judged."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from runbook.formats import Unread, complaint
from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Ending, Evidence

from . import status_json, status_text
from .facts import Clock, Limits, Pool, Room, Vdev, ZfsFacts
from .imports import foreign
from .kstats import arc, suspended, zil
from .listing import datasets, rooms, settings
from .scans import clock_of

#: The same question, for ever older releases. The last that can be read is the answer.
STATUS = ("status-json", "status", "status-rounded")
ASKING = (*STATUS, "errors", "list", "list-rounded", "datasets", "settings", "import")
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
    found_rooms = _first(captures, ("list", "list-rounded"), rooms, unread, presence)
    found_datasets = _first(captures, ("datasets", "datasets-rounded"), datasets, unread, presence)
    found_settings = _first(captures, ("settings",), settings, unread, presence)
    found_foreign = _first(captures, ("import",), foreign, unread, presence)
    pools = _told_apart(captures, pools, unread)
    unread += _contradictions(pools, found_rooms, captures)
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
        "list": listed and not broken & {"list", "list-rounded"},
    }
    return tuple(name for name, whole in found.items() if whole)


# ------------------------------------------------------------------------------------------------ is there a ZFS at all


def _silence(captures: Captures) -> tuple[str, tuple[Evidence, ...]]:
    """Why there is nobody to ask, and the line that says so; "" where there is."""
    for step in STATUS:
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


def _told_apart(captures: Captures, pools: tuple[Pool, ...], unread: list[Unread]) -> tuple[Pool, ...]:
    """The pools with the files that `zpool status -v` names; where the two answers differ, `unread` says so."""
    capture = captures.ran("errors")
    if capture is None or not pools or pools[0].evidence.step == "errors":
        return pools
    try:
        named = {pool.name: pool for pool in _read_status(capture, unread)}
    except Unreadable as error:
        unread.append(Unread.because(error))
        return pools
    lost = [pool for pool in pools if pool.name not in named]
    if lost or len(named) > len(pools):
        name = lost[0].name if lost else next(name for name in named if name not in {pool.name for pool in pools})
        unread.append(Unread(f"only one of two answers has pool {name}", Evidence("errors", "stdout", 1, 1)))
    found = []
    for pool in pools:
        other = named.get(pool.name)
        if other is not None and pool.whole and other.whole and (difference := _difference(pool, other)):
            unread.append(Unread(f"of pool {pool.name}, two answers differ: {difference}", other.evidence))
        found.append(_with_files(pool, other) if other is not None else pool)
    return tuple(found)


def _with_files(pool: Pool, other: Pool) -> Pool:
    count = pool.error_count if other.error_count is None else max(pool.error_count or 0, other.error_count)
    found = replace(pool, files=pool.files or other.files, error_count=count)
    # JSON is one line for everything; the text has one for each device.
    if pool.evidence.step == "status-json":
        found = _located(found, other)
    return replace(found, error_evidence=other.error_evidence) if other.files else found


def _located(pool: Pool, text: Pool) -> Pool:
    """The same pool, with the lines of the text as evidence."""
    lines = {(vdev.section, vdev.name): vdev.evidence for vdev in text.vdevs()}
    scans = {scan.kind: scan.evidence for scan in text.scans}

    def moved(vdev: Vdev) -> Vdev:
        place = lines.get((vdev.section, vdev.name), vdev.evidence)
        return replace(vdev, evidence=place, children=tuple(map(moved, vdev.children)))

    return replace(
        pool,
        root=replace(pool.root, evidence=text.root.evidence) if pool.root and text.root else pool.root,
        tops=tuple(map(moved, pool.tops)),
        scans=tuple(replace(scan, evidence=scans.get(scan.kind, scan.evidence)) for scan in pool.scans),
        evidence=text.evidence,
        error_evidence=text.error_evidence or pool.error_evidence,
    )


def _difference(pool: Pool, other: Pool) -> str:
    """What cannot change between two questions by itself: states, devices, whether it was scanned."""
    if pool.state != other.state:
        return f"{pool.state} and {other.state}"
    ours, theirs = (sorted((vdev.name, vdev.state) for vdev in one.vdevs()) for one in (pool, other))
    if ours != theirs:
        name = next(name for name, _ in [*ours, *theirs] if ours.count((name, _)) != theirs.count((name, _)))
        return f"device {name}"
    if bool(pool.error_count) != bool(other.error_count) and None not in (pool.error_count, other.error_count):
        return f"{pool.error_count} and {other.error_count} data errors"
    failing = [{vdev.name for vdev in one.vdevs() if vdev.errors} for one in (pool, other)]
    if failing[0] != failing[1]:
        return f"the counters of {sorted(failing[0] ^ failing[1])[0]}"
    if bool(pool.status) != bool(other.status):
        return "only one has a line `status:`"
    scanned = [{(scan.kind, bool(scan.errors)) for scan in one.scans if scan.kind} for one in (pool, other)]
    # Of an error scrub only the text tells, and in place of the scrub before it.
    told_alike = not any(kind == "error-scrub" for one in scanned for kind, _ in one)
    return "what was scanned" if told_alike and scanned[0] != scanned[1] else ""


def _contradictions(pools: tuple[Pool, ...], listed: tuple[Room, ...] | None, captures: Captures) -> list[Unread]:
    """`zpool list` has every pool, in the same state."""
    if listed is None:
        return []
    by_name = {room.pool: room for room in listed}
    found = []
    for pool in pools:
        room = by_name.pop(pool.name, None)
        if room is None:
            found.append(Unread(f"`zpool list` does not have pool {pool.name}", pool.evidence))
        elif pool.state and room.health != pool.state:
            found.append(
                Unread(f"pool {pool.name} is {pool.state} by its status, {room.health} in the list", room.evidence)
            )
    if any(captures.ran(step) for step in STATUS):
        found += [Unread(f"`zpool status` does not have pool {name}", room.evidence) for name, room in by_name.items()]
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
