"""Reads what `zpool import` lists: pools that lie on the disks and are not in use here.

   pool: tank
     id: 16883050902917625931
  state: UNAVAIL
status: One or more devices contains corrupted data.
 config:

        tank                        UNAVAIL  insufficient replicas
          raidz1-0                  UNAVAIL  insufficient replicas
            scsi-0LAB_DISK_lab0001  ONLINE
            scsi-0LAB_DISK_lab0002  UNAVAIL
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from runbook.formats import Unread
from runbook.model import Capture, Evidence

from .facts import Foreign
from .lines import lines_of
from .status_text import POOL_STATES, SECTIONS, STATES

_KEY = re.compile(r" {0,9}(pool|id|state|status|action|see|comment|config):(?: (.*))?")
#: What may stand below the table where it is not the whole of it.
_REMARK = re.compile(r"dditional devices are known|exact configuration cannot")
_ROW = re.compile(rf"(\S.*?)\s+({'|'.join(STATES)})(?:\s+(\S.*))?")


@dataclass(slots=True)
class _Draft:
    name: str
    line: int
    values: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[str, str]] = field(default_factory=list)
    state_line: int = 0
    odd: int = 0
    last: str = ""


def foreign(capture: Capture, unread: list[Unread]) -> tuple[Foreign, ...]:
    """Every pool in the list; none where there is nothing to import."""
    drafts: list[_Draft] = []
    for number, line in enumerate(lines_of(capture, unread), start=1):
        line = line.expandtabs()
        match = _KEY.fullmatch(line)
        if match and match[1] == "pool":
            drafts.append(_Draft((match[2] or "").strip(), number))
        elif drafts:
            _take(drafts[-1], line, number, match)
        elif line.strip() and "no pools available" not in line:
            unread.append(
                Unread(f"line {number} is not one of a pool", Evidence(capture.step, "stdout", number, number))
            )
    found = []
    for draft in drafts:
        place = Evidence(capture.step, "stdout", draft.line, draft.state_line or draft.line)
        state = draft.values.get("state", "").partition(" ")[0]
        if state not in POOL_STATES or len(draft.rows) < 2 or draft.rows[0][0] != draft.name:
            unread.append(Unread(f"pool {draft.name} is listed without a state or without its devices", place))
        if draft.odd:
            unread.append(Unread(f"line {draft.odd} of the table cannot be read", place))
        found.append(
            Foreign(
                name=draft.name,
                id=draft.values.get("id", ""),
                state=state,
                status=draft.values.get("status", ""),
                broken=tuple(name for name, state in draft.rows[1:] if state != "ONLINE"),
                evidence=place,
            )
        )
    return tuple(found)


def _take(draft: _Draft, line: str, number: int, match: re.Match[str] | None) -> None:
    if match:
        draft.last = match[1]
        draft.values[match[1]] = (match[2] or "").strip()
        draft.state_line = number if match[1] == "state" else draft.state_line
    elif draft.last == "config" and (row := _ROW.fullmatch(line.strip())):
        draft.rows.append((row[1], row[2]))
    elif draft.last == "config" and line.strip() and line.strip() not in SECTIONS and not _REMARK.search(line):
        draft.odd = number
    elif draft.last and draft.last != "config" and line.strip():
        draft.values[draft.last] = f"{draft.values[draft.last]} {line.strip()}"
