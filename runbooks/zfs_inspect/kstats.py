"""Reads the kernel's counters of ZFS in /proc/spl/kstat/zfs: the ARC (two readings), the ZIL, the state of each pool.

    12 1 0x01 123 33456 103504376560 181066691930
    name                            type data
    hits                            4    10503

The first line has, fourth, how many counters follow, and last, when they were read, in nanoseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook.formats import Unread
from runbook.helpers import Unreadable
from runbook.model import Capture, Evidence

from .facts import Arc, Zil
from .lines import lines_of

_HEAD = re.compile(r"\d+ \d+ 0x[0-9a-f]+ (\d{1,6}) \d+ \d+ (\d{1,20})")
_COUNTER = re.compile(r"(\w+)\s+\d\s+(-?\d{1,20})")


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a file of counters."""

    step: str
    nanoseconds: int
    counters: dict[str, int]
    lines: dict[str, int]

    def get(self, *names: str) -> int:
        """The sum of these counters; one that a release does not have counts as 0."""
        return sum(self.counters.get(name, 0) for name in names)

    def places(self, *names: str) -> tuple[Evidence, ...]:
        return tuple(
            Evidence(self.step, "stdout", self.lines[name], self.lines[name]) for name in names if name in self.lines
        )


def readings(capture: Capture, unread: list[Unread]) -> list[Reading]:
    """Every reading in it; raises Unreadable where one is not whole."""
    found: list[Reading] = []
    expected: list[int] = []
    for number, line in enumerate(lines_of(capture, unread), start=1):
        if head := _HEAD.fullmatch(line.strip()):
            found.append(Reading(capture.step, int(head[2]), {}, {}))
            expected.append(int(head[1]))
        elif match := _COUNTER.fullmatch(line.strip()) if found else None:
            found[-1].counters[match[1]] = int(match[2])
            found[-1].lines[match[1]] = number
        elif line.strip() and line.split() != ["name", "type", "data"]:
            raise Unreadable(f"line {number} of `{capture.step}` is not a counter", capture.step, number)
    for reading, count in zip(found, expected, strict=True):
        if len(reading.counters) != count:
            said = f"{count} counters are announced and {len(reading.counters)} are there"
            raise Unreadable(f"of `{capture.step}`, {said}", capture.step)
    return found


DEMAND_HITS = ("demand_data_hits", "demand_metadata_hits")
#: What was not in the cache, and, since 2.2, what was just being read for somebody else.
DEMAND_OTHERS = ("demand_data_misses", "demand_metadata_misses", "demand_data_iohits", "demand_metadata_iohits")


def arc(capture: Capture, unread: list[Unread]) -> Arc | None:
    """The ARC, from the last reading, and what changed since the first."""
    found = readings(capture, unread)
    if not found:
        return None
    first, last = found[0], found[-1]
    missing = [name for name in (*DEMAND_HITS, *DEMAND_OTHERS[:2], "size", "c") if name not in last.counters]
    if missing:
        raise Unreadable(f"`{capture.step}` has no counter {missing[0]}", capture.step)
    hits = others = throttled = seconds = None
    if len(found) > 1:
        hits = last.get(*DEMAND_HITS) - first.get(*DEMAND_HITS)
        others = last.get(*DEMAND_OTHERS) - first.get(*DEMAND_OTHERS)
        throttled = last.get("memory_throttle_count") - first.get("memory_throttle_count")
        seconds = (last.nanoseconds - first.nanoseconds) / 1e9
        if min(hits, others, throttled) < 0 or seconds <= 0:
            raise Unreadable(f"the counters of `{capture.step}` went backwards between its readings", capture.step)
    return Arc(
        size_bytes=last.counters["size"],
        target_bytes=last.counters["c"],
        most_bytes=last.counters.get("c_max"),
        l2_bytes=last.get("l2_size"),
        l2_header_bytes=last.get("l2_hdr_size"),
        seconds=seconds,
        hits=hits,
        accesses=hits + others if hits is not None and others is not None else None,
        throttled=throttled,
        evidence=last.places(*DEMAND_HITS, *DEMAND_OTHERS[:2], "memory_throttle_count"),
    )


def zil(capture: Capture, unread: list[Unread]) -> Zil | None:
    """The intent log's counters."""
    found = readings(capture, unread)
    if not found:
        return None
    last = found[-1]
    place = last.places("zil_commit_count")
    if not place:
        raise Unreadable(f"`{capture.step}` has no counter zil_commit_count", capture.step)
    return Zil(
        commits=last.get("zil_commit_count"),
        to_slog=last.get("zil_itx_metaslab_slog_count"),
        to_slog_bytes=last.get("zil_itx_metaslab_slog_bytes"),
        to_pool=last.get("zil_itx_metaslab_normal_count"),
        to_pool_bytes=last.get("zil_itx_metaslab_normal_bytes"),
        evidence=place[0],
    )


def suspended(capture: Capture, unread: list[Unread]) -> dict[str, Evidence]:
    """The pools that the kernel calls suspended: /proc/spl/kstat/zfs/tank/state:SUSPENDED"""
    found = {}
    for number, line in enumerate(lines_of(capture, unread), start=1):
        match = re.fullmatch(r"/proc/spl/kstat/zfs/(.+)/state:SUSPENDED", line)
        if match:
            found[match[1]] = Evidence(capture.step, "stdout", number, number)
    return found
