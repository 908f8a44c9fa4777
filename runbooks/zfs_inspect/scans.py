"""Reads the `scan:` line of every generation, durations and dates into data."""

from __future__ import annotations

import calendar
import re
from datetime import datetime

from runbook.model import Evidence

from .facts import Clock, Moment, Scan

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: ctime(3): local time, and it does not say in which zone. It pads the day with a blank.
DATE = rf"(?P<date>(?:{'|'.join(DAYS)}) (?:{'|'.join(MONTHS)}) {{1,2}}\d{{1,2}} \d\d:\d\d:\d\d \d{{4}})"
SIZE = r"\d{1,9}(?:\.\d{1,3})?[BKMGTPE]?"
KIND = r"(?:thorough )?(?P<kind>scrub|resilver|error scrub)(?: \([^)]*\))?"
DONE = r"(?P<percent>\d{1,3}(?:\.\d+)?)% done"

#: The first that fits the whole text names the state. Blanks of any length, line ends too, were made one blank.
PATTERNS = tuple(
    (state, re.compile(pattern))
    for state, pattern in (
        # 0.6 to 2.4: scrub repaired 0B in 00:10:39 with 0 errors on Sun Jan 12 00:34:40 2020
        ("finished", rf"(?:thorough )?(?P<kind>scrub) repaired (?P<repaired>{SIZE}) in (?P<took>[\w: ]+?) with "
                     rf"(?P<errors>\d+) errors on {DATE}"),
        ("finished", rf"(?P<kind>resilver)ed (?:\([^)]*\) )?(?P<repaired>{SIZE}) in (?P<took>[\w: ]+?) with "
                     rf"(?P<errors>\d+) errors on {DATE}"),
        # zfs-fuse and older: scrub completed after 0h0m with 187 errors on Mon Nov 23 02:37:28 2026
        ("finished", rf"{KIND} completed after (?P<took>\w+) with (?P<errors>\d+) errors on {DATE}"),
        ("canceled", rf"{KIND} stopped after \w+ with (?P<errors>\d+) errors on {DATE}"),
        ("running", rf"{KIND} in progress for \w+, {DONE}, (?P<go>\w+) to go"),
        ("canceled", rf"{KIND} canceled on {DATE}"),
        ("paused", rf"{KIND} paused since {DATE} (?:.*? )?(?:(?P<repaired>{SIZE}) repaired, )?{DONE}.*"),
        ("running", rf"{KIND} in progress since {DATE} (?:.*? )?(?:(?P<repaired>{SIZE}) (?:repaired|resilvered), )?"
                    rf"{DONE}(?:, (?P<go>.+?) to go)?.*"),
        # 2.2 and later, `zpool scrub -e`
        ("finished", rf"scrubbed \d+ error blocks in (?P<took>[\w: ]+?) on {DATE}"),
    )
)  # fmt: skip


def scan(text: str, evidence: Evidence) -> Scan | None:
    """What this text says; None where it says nothing known."""
    words = " ".join(text.split())
    if words == "none requested":
        return Scan("", "none", words, evidence)
    for state, pattern in PATTERNS:
        if (match := pattern.fullmatch(words)) is None:
            continue
        found = match.groupdict()
        moment = moment_of(found["date"]) if found.get("date") else None
        percent = float(found["percent"]) if found.get("percent") else None
        if found.get("date") and moment is None:
            return None
        return Scan(
            kind=(found.get("kind") or "error scrub").replace(" ", "-"),
            state=state,
            text=words,
            evidence=evidence,
            moment=moment,
            repaired_bytes=size(found["repaired"]) if found.get("repaired") else None,
            repaired=found.get("repaired") or "",
            seconds=duration(found["took"]) if found.get("took") else None,
            errors=int(found["errors"]) if found.get("errors") else None,
            done_percent=percent,
            to_go=found.get("go") or "",
        )
    return None


def moment_of(text: str) -> Moment | None:
    """`Sun Jan 12 00:34:40 2020`; None where there is no such day, or it is another day of the week."""
    match = re.fullmatch(r"(\w{3}) (\w{3}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})", text)
    if match is None or match[1] not in DAYS or match[2] not in MONTHS:
        return None
    weekday, month, day, hour, minute, second, year = match.groups()
    try:
        when = datetime(int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
    except ValueError:
        return None
    if DAYS[when.weekday()] != weekday:
        return None
    return Moment(text, wall_seconds=calendar.timegm(when.timetuple()))


def clock_of(text: str, evidence: Evidence) -> Clock | None:
    """`1795819330 2026-11-27 22:42:10 +0000`, as the runbook's own step prints it."""
    match = re.fullmatch(r"(\d{9,11}) (\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", text.strip())
    if match is None:
        return None
    epoch, *parts, sign, hours, minutes = match.groups()
    try:
        wall = calendar.timegm(datetime(*map(int, parts)).timetuple())  # type: ignore[arg-type]
    except ValueError:
        return None
    offset = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == "-" else 1)
    # The same time, said twice: where the two differ, one of them is damaged.
    return Clock(int(epoch), wall, evidence) if wall - offset == int(epoch) else None


def duration(text: str) -> int | None:
    """`00:10:39`, `0 days 00:10:39` or `0h10m`, in seconds."""
    if match := re.fullmatch(r"(?:(\d{1,6}) days? )?(\d{1,3}):(\d\d):(\d\d)", text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if match := re.fullmatch(r"(\d{1,9})h(\d{1,2})m", text):
        return int(match[1]) * 3600 + int(match[2]) * 60
    return None


def size(text: str) -> int | None:
    """`9.71M`, `0`, `28K`: bytes, as exact as the tool was."""
    match = re.fullmatch(r"(\d{1,20})(?:\.(\d{1,3}))?([BKMGTPE]?)", text)
    if match is None:
        return None
    factor: int = 1024 ** "BKMGTPE".index(match[3] or "B")
    return int(match[1]) * factor + int(float(f"0.{match[2] or 0}") * factor)
