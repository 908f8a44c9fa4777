"""Reads the text of `zpool status`, of every generation: zfs-fuse, ZFS on Linux 0.6 to 0.8, OpenZFS 2.0 to 2.4.

What a pool must have (state, config table, `errors:`) and has not makes it incomplete, and says so: a text that was cut
or has lost a line must never look like a healthy pool.

      pool: tank
     state: DEGRADED
      scan: scrub repaired 28K in 00:00:19 with 0 errors on Mon Nov 23 03:28:03 2026
    config:

            NAME        STATE     READ WRITE CKSUM
            tank        DEGRADED     0     0     0
              mirror-0  DEGRADED     0     0     0
                sda     ONLINE       0     0     0
                sdb     FAULTED      0     0     7  too many errors

    errors: No known data errors
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from runbook.formats import Unread
from runbook.helpers import Unreadable
from runbook.model import Capture, Evidence

from .facts import CACHE, DEDUP, LOGS, SPARES, SPECIAL, Counter, Pool, Scan, Vdev
from .lines import lines_of
from .scans import scan
from .tree import Row, counter, faults, grown

#: States of a pool and of a device (zpoolconcepts(7), libzfs's zpool_state_to_name).
POOL_STATES = ("ONLINE", "DEGRADED", "FAULTED", "UNAVAIL", "SUSPENDED", "OFFLINE", "REMOVED")
STATES = ("ONLINE", "DEGRADED", "FAULTED", "OFFLINE", "UNAVAIL", "REMOVED", "AVAIL", "INUSE", "SPLIT")
SECTIONS = {"logs": LOGS, "cache": CACHE, "spares": SPARES, "special": SPECIAL, "dedup": DEDUP}

_KEY = re.compile(
    r" {0,6}(pool|state|status|action|see|scan|scrub|config|errors|remove|checkpoint|expand|dedup|comment):(.*)"
)
_HEADER = re.compile(r"(\s*)NAME\s+STATE\s+READ\s+WRITE\s+CKSUM\b(.*)")
_NUMBER = r"(\d{1,20}(?:\.\d{1,3})?[KMGTPE]?)"
_ROW = re.compile(rf"(\S.*?)\s+({'|'.join(STATES)})(?:\s+{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}(?=\s|$))?(?:\s+(\S.*))?")
#: What a person typed to get it, in a paste: a prompt and the command.
_PROMPT = re.compile(r"\s*(?:\S+)?[#$>%]\s*(?:sudo )?(?:\S*/)?zpool\b.*")


@dataclass(slots=True)
class _Draft:
    """A pool while its lines are read: `texts` are the values by key, each with its lines."""

    name: str
    first: int
    texts: list[tuple[str, str, int, int]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    header: re.Match[str] | None = None
    faults: list[tuple[str, int]] = field(default_factory=list)
    files: list[tuple[str, int]] = field(default_factory=list)

    def value(self, *keys: str) -> str:
        return next((text for key, text, _, _ in self.texts if key in keys), "")

    def lines(self, *keys: str) -> tuple[int, int] | None:
        return next(((first, last) for key, _, first, last in self.texts if key in keys), None)


def pools(capture: Capture, unread: list[Unread]) -> tuple[Pool, ...]:
    """Every pool in this text; what is missing from one goes to `unread`. Raises Unreadable where there is none."""
    lines = [line.expandtabs().rstrip() for line in lines_of(capture, unread)]
    drafts = list(_drafts(capture, lines))
    if not drafts and any(line.strip() for line in lines):
        raise Unreadable(f"`{capture.step}` has no line `pool:`, so no pool can be told from it", capture.step, 1)
    found = []
    for draft in drafts:
        pool, problems = _pool(capture, draft)
        unread += (_unread(capture, f"of pool {pool.name}, {reason}", line) for reason, line in problems)
        found.append(pool)
    return tuple(found)


def _unread(capture: Capture, reason: str, line: int) -> Unread:
    return Unread(reason, Evidence(capture.step, "stdout", line, line))


# ---------------------------------------------------------------------------------------------------- lines to drafts


def _drafts(capture: Capture, lines: list[str]) -> Iterator[_Draft]:
    draft: _Draft | None = None
    for number, line in enumerate(lines, start=1):
        match = _KEY.fullmatch(line)
        if match and match[1] == "pool":
            if draft is not None:
                yield draft
            draft = _Draft(match[2].strip(), number)
        elif draft is not None:
            _take(draft, number, line, match)
        elif line.strip() and not _PROMPT.fullmatch(line):
            raise Unreadable(f"line {number} of `{capture.step}` stands before the first `pool:`", capture.step, number)
    if draft is not None:
        yield draft


def _take(draft: _Draft, number: int, line: str, match: re.Match[str] | None) -> None:
    """Give a line of a pool its place: a key, a row of the table, what continues a key, or a fault."""
    last_key = draft.texts[-1][0] if draft.texts else ""
    header = _HEADER.fullmatch(line)
    if match:
        draft.texts.append((match[1], match[2].strip(), number, number))
    elif _PROMPT.fullmatch(line) and last_key == "errors":
        return
    elif header and draft.header is None:
        draft.header = header
        # From here on until the next key, lines are rows, with `config:` before them or not.
        draft.texts.append(("table", "", number, number))
    elif not line.strip():
        return
    elif last_key == "table" and draft.header is not None:
        _row(draft, number, line, draft.header)
    elif last_key == "errors":
        draft.files.append((line.strip(), number))
    elif last_key == "dedup":
        return
    elif last_key and last_key != "config" and line[0] == " ":
        key, text, first, _ = draft.texts[-1]
        draft.texts[-1] = (key, f"{text}\n{line.strip()}", first, number)
    else:
        draft.faults.append((f"line {number} is not one that `zpool status` prints", number))


def _row(draft: _Draft, number: int, line: str, header: re.Match[str]) -> None:
    indent = len(line) - len(line.lstrip()) - len(header[1])
    text = line.strip()
    if text in SECTIONS and indent == 0:
        draft.rows.append(Row(0, text, SECTIONS[text], "", (), "", number))
        return
    match = _ROW.fullmatch(text)
    if match is None or indent < 0 or indent % 2:
        draft.faults.append((f"line {number} of the config table cannot be read", number))
        return
    name, state, *counters, note = match.groups()
    if header[2].strip():
        # One more column for each heading behind CKSUM, as SLOW of `zpool status -s`.
        note = re.sub(r"^(?:(?:-|\d\S*)\s*){1,3}", "", note or "")
    numbers = tuple(counter(text) for text in counters if text)
    draft.rows.append(Row(indent // 2, name, "", state, numbers, note or "", number))


# ---------------------------------------------------------------------------------------------------- drafts to pools


def _pool(capture: Capture, draft: _Draft) -> tuple[Pool, list[tuple[str, int]]]:
    problems = list(draft.faults)
    state = draft.value("state")
    if state not in POOL_STATES:
        problems.append((f"the state is {state!r}" if state else "the line `state:` is missing", draft.first))
    root, tops, troubles = grown(capture.step, draft.rows)
    problems += troubles
    problems += _table_problems(draft, state, root, tops)
    count, files, trouble = _errors(draft, state)
    problems += trouble
    scans, trouble = _scans(capture.step, draft)
    problems += trouble
    first, last = draft.first, (draft.lines("state") or (0, draft.first))[1]
    errors = draft.lines("errors")
    ends = draft.files[-1][1] if draft.files else (errors or (0, 0))[1]
    return (
        Pool(
            name=draft.name,
            state=state,
            status=draft.value("status"),
            action=draft.value("action"),
            scans=scans,
            root=root,
            tops=tops,
            error_count=count,
            files=files,
            evidence=Evidence(capture.step, "stdout", first, last),
            error_evidence=(Evidence(capture.step, "stdout", errors[0], ends),) if errors else (),
            whole=not problems,
        ),
        problems,
    )


def _table_problems(draft: _Draft, state: str, root: Vdev | None, tops: tuple[Vdev, ...]) -> Iterator[tuple[str, int]]:
    if draft.header is None:
        yield "the config table is missing", draft.first
        return
    line = (draft.lines("table") or (draft.first, 0))[0]
    if root is None or root.name != draft.name:
        yield "the config table does not begin with the pool itself", line
    elif state in ("ONLINE", "DEGRADED") and root.state != state:
        yield f"it is {state} at the top and {root.state} in the table", root.evidence.first_line
    yield from faults(state, root, tops, line)


def _errors(draft: _Draft, state: str) -> tuple[int | None, tuple[str, ...], list[tuple[str, int]]]:
    """`errors: No known data errors`, `errors: 61 data errors, use '-v' for a list`, or a list of files."""
    place = draft.lines("errors")
    text = draft.value("errors")
    if place is None:
        # A pool that could not be opened or is suspended has none; of any other it was lost.
        lost = state not in ("FAULTED", "UNAVAIL", "SUSPENDED")
        return None, (), [("the line `errors:` is missing", draft.first)] if lost else []
    files = tuple(name for name, _ in draft.files)
    if text == "No known data errors" and not files:
        return 0, (), []
    if match := re.fullmatch(r"(\d{1,18}) data errors, use '-v' for a list", text):
        return int(match[1]), (), []
    if text.startswith("Permanent errors have been detected") and files:
        return len(files), files, []
    if text.startswith("List of errors unavailable"):
        return None, (), []
    return None, files, [(f"line {place[0]} says of errors what is not known: {text[:60]!r}", place[0])]


def _scans(step: str, draft: _Draft) -> tuple[tuple[Scan, ...], list[tuple[str, int]]]:
    found: list[Scan] = []
    problems = []
    for key, text, first, last in draft.texts:
        if key in ("scan", "scrub"):
            read = scan(text, Evidence(step, "stdout", first, last))
            if read is None:
                problems.append((f"line {first} says of a scan what is not known: {text[:60]!r}", first))
            else:
                found.append(read)
    return tuple(found), problems


def count_of(text: str) -> Counter | None:
    """A counter as text, as JSON without -p has it too."""
    return counter(text) if re.fullmatch(_NUMBER, text) else None
