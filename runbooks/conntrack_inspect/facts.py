"""What the kernel says of connection tracking: numbers of its files, and the counted table."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from runbook.helpers import Captures, Unreadable
from runbook.model import Capture, Evidence

#: The largest of the kernel's counters, so that nothing absurd is believed.
_LARGEST = 1 << 32


@dataclass(frozen=True, slots=True)
class Counter:
    """One column of the statistics, all processors together."""

    total: int
    fresh: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Share:
    """How many entries an address, or a protocol in a state, has."""

    name: str
    count: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Table:
    entries: int
    unreplied: int
    assured: int
    unread: int
    events: int
    broken: str
    states: tuple[Share, ...]
    sources: tuple[Share, ...]
    targets: tuple[Share, ...]
    source: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class NotRead:
    """A saved table that could not be opened, and what the system said."""

    name: str
    detail: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Limits:
    """Values of sysctls; None where this kernel has none."""

    most: int | None
    buckets: int | None
    established_seconds: int | None
    evidence: Mapping[str, Evidence]


@dataclass(frozen=True, slots=True)
class Facts:
    """`count` is None where connection tracking is not loaded; `full_log` are lines of the kernel's log."""

    asked: bool
    count: int | None
    limits: Limits
    counters: Mapping[str, Counter]
    table: Table | None
    saved: Table | NotRead | None
    full_log: tuple[Evidence, ...]
    log_known: bool
    warning_percent: float
    critical_percent: float
    top_percent: float
    evidence: tuple[Evidence, ...]


def read(captures: Captures) -> Facts:
    """Everything, as far as the steps ran."""
    count = captures.ran("count")
    if count is not None and count.exit_code != 0 and b"No such file" not in count.stderr:
        raise Unreadable("it failed, and not because tracking is not loaded", "count", stream="stderr")
    log = captures.ran("kernel-log")
    return Facts(
        count is not None,
        _number(count, "count") if count is not None and count.exit_code == 0 else None,
        _limits(captures.ran("limits")),
        _counters(captures),
        _table(captures.ran("table"), "table"),
        _not_read(captures.ran("saved")) or _table(captures.ran("saved"), "saved"),
        _full(log, captures.ran("namespace")),
        log is not None and log.exit_code == 0,
        captures.number("warning"),
        captures.number("critical"),
        captures.number("top"),
        (Evidence("count", "stdout", 1, 1),) if count is not None and count.stdout else (),
    )


def _text(capture: Capture) -> str:
    return capture.stdout.decode("utf-8", "replace")


def _number(capture: Capture, step: str) -> int:
    text = _text(capture).strip()
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise Unreadable("it is not one number", step, 1)
    return int(text)


def _limits(capture: Capture | None) -> Limits:
    """net.netfilter.nf_conntrack_max = 262144
    net.netfilter.nf_conntrack_buckets = 262144
    """
    found: dict[str, int] = {}
    places: dict[str, Evidence] = {}
    for number, line in enumerate(_text(capture).splitlines() if capture is not None else (), start=1):
        match = re.fullmatch(r"net\.netfilter\.nf_conntrack_(\w+) = ([0-9]{1,10})", line)
        if match is None:
            raise Unreadable(f"line {number} is not `NAME = NUMBER`", "limits", number)
        found[match[1]] = int(match[2])
        places[match[1]] = Evidence("limits", "stdout", number, number)
    if capture is not None and "max" not in found:
        raise Unreadable("it does not say nf_conntrack_max", "limits", 1)
    return Limits(found.get("max"), found.get("buckets"), found.get("tcp_timeout_established"), places)


def _counters(captures: Captures) -> dict[str, Counter]:
    """Each column, and how much it grew meanwhile where that is known."""
    step = "statistics"
    before, after = captures.ran(step), captures.ran("statistics-after")
    if before is None or before.exit_code != 0:
        step, after = "statistics-netlink", None
        before = captures.ran(step)
    if before is None or before.exit_code != 0 or not before.stdout:
        return {}
    one = read_statistics(_text(before), step)
    later = after is not None and after.exit_code == 0
    other = read_statistics(_text(after), "statistics-after") if after is not None and later else one
    place = Evidence(step, "stdout", 1, len(_text(before).splitlines()))
    return {
        name: Counter(other.get(name, total), max(0, other.get(name, total) - total), place)
        for name, total in one.items()
    }


def read_statistics(text: str, step: str) -> dict[str, int]:
    """entries  clashres found new invalid … drop early_drop icmp_error …   (the kernel's file, hexadecimal)
    00000040  00000000 00000000 00000000 00000000 … 000000e9 00000000 00000000

    Or `conntrack -S`, in decimal: cpu=0 found=0 invalid=0 insert=0 insert_failed=0 drop=232 early_drop=0 error=0 …
    `entries` is the whole table's in every row, so it is taken once.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise Unreadable("it is empty", step)
    found: dict[str, int] = {}
    if lines[0].startswith("cpu="):
        for number, line in enumerate(lines, start=1):
            if not re.fullmatch(r"cpu=[0-9]+\s+(?:[a-z_]+=[0-9]{1,10}\s*)+", line):
                raise Unreadable(f"line {number} is not `cpu=N NAME=NUMBER …`", step, number)
            for name, value in re.findall(r"([a-z_]+)=([0-9]{1,10})", line)[1:]:
                found[name] = int(value) if name == "entries" else found.get(name, 0) + int(value)
        return found
    names = lines[0].split()
    if len(lines) < 2 or "entries" not in names or "drop" not in names:
        raise Unreadable("it has no heading with `entries` and `drop`, or no line below it", step, 1)
    for number, line in enumerate(lines[1:], start=2):
        values = line.split()
        if len(values) != len(names) or not all(re.fullmatch(r"[0-9a-f]{8,16}", value) for value in values):
            raise Unreadable(f"line {number} has not {len(names)} hexadecimal numbers", step, number)
        for name, value in zip(names, values, strict=True):
            number_of = int(value, 16) % _LARGEST
            found[name] = number_of if name == "entries" else found.get(name, 0) + number_of
    return found


def _not_read(capture: Capture | None) -> NotRead | None:
    """{"kind": "error", "detail": "No such file or directory", "file": "/tmp/table"}"""
    lines = _text(capture).splitlines() if capture is not None else []
    if len(lines) != 1:
        return None
    told = _told(lines[0], "saved", 1)
    name, detail = told.get("file"), told.get("detail")
    if told["kind"] != "error" or not isinstance(name, str) or not isinstance(detail, str):
        return None
    return NotRead(name, detail, Evidence("saved", "stdout", 1, 1))


def _table(capture: Capture | None, step: str) -> Table | None:
    """{"kind": "table", "from": "the kernel", "entries": 1501, "unreplied": 1500, "assured": 1, …}
    {"kind": "state", "protocol": "tcp", "state": "SYN_SENT", "count": 1500}
    {"kind": "source", "address": "10.88.1.2", "count": 1501}
    """
    if capture is None:
        return None
    told = [_told(line, step, number) for number, line in enumerate(_text(capture).splitlines(), start=1)]
    if told and told[0]["kind"] == "error":
        raise Unreadable(str(told[0].get("detail")), step, 1)
    if not told or told[0]["kind"] != "table":
        raise Unreadable("it does not begin with the table", step, 1)
    entries, unreplied, assured, unread = (
        _count(told[0], key, step, 1) for key in ("entries", "unreplied", "assured", "unread")
    )
    shares: dict[str, list[Share]] = {"state": [], "source": [], "target": []}
    events, broken = 0, ""
    for number, line in enumerate(told[1:], start=2):
        kind = str(line["kind"])
        if kind == "events":
            events = _count(line, "count", step, number)
            continue
        if kind == "broken":
            broken = str(line.get("detail"))
            continue
        if kind not in shares:
            raise Unreadable(f"line {number} tells of `{kind}`", step, number)
        if kind == "state":
            name = f"{line.get('protocol')} {line.get('state')}".strip()
        else:
            name = _address(line, step, number)
        place = Evidence(step, "stdout", number, number)
        shares[kind].append(Share(name, _count(line, "count", step, number), place))
    if max(unreplied, assured, *(share.count for part in shares.values() for share in part), 0) > entries:
        raise Unreadable("a part is more than the whole", step, 1)
    if entries and (not shares["state"] or not shares["source"] or not shares["target"]):
        raise Unreadable("it ends before its end", step, len(told))
    states, sources, targets = (tuple(shares[kind]) for kind in ("state", "source", "target"))
    source = str(told[0].get("from"))
    place = Evidence(step, "stdout", 1, 1)
    return Table(entries, unreplied, assured, unread, events, broken, states, sources, targets, source, place)


def _address(values: dict[str, object], step: str, number: int) -> str:
    """It goes into commands that people copy, so it must be one, and nothing else."""
    try:
        return str(ipaddress.ip_address(str(values.get("address"))))
    except ValueError:
        raise Unreadable(f"line {number} names no address", step, number) from None


def _told(text: str, step: str, number: int) -> dict[str, object]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable(f"line {number} is not JSON", step, number) from None
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise Unreadable(f"line {number} does not say what it tells", step, number)
    return values


def _count(values: dict[str, object], key: str, step: str, number: int) -> int:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LARGEST:
        raise Unreadable(f"line {number} does not count `{key}`", step, number)
    return value


def _full(log: Capture | None, namespace: Capture | None) -> tuple[Evidence, ...]:
    """[   23.950000] nf_conntrack: nf_conntrack: table full, dropping packet
    [  110.123456] nf_conntrack: nf_conntrack: table full in netns 4026532470, dropping packet

    Newer kernels say in which network namespace; what is said of another one is left out.
    """
    ours = re.search(r"\[(\d+)\]", _text(namespace)) if namespace is not None else None
    places = []
    for number, line in enumerate(_text(log).splitlines() if log is not None else (), start=1):
        match = re.search(r"nf_conntrack: table full(?: in netns (\d+))?, dropping packet", line)
        if match is not None and (match[1] is None or ours is None or match[1] == ours[1]):
            places.append(Evidence("kernel-log", "stdout", number, number))
    return tuple(places)
