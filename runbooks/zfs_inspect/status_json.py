"""Reads `zpool status -j -p` of OpenZFS 2.3 and later, whose numbers are exact and whose dates are seconds since 1970.

Numbers are strings unless `--json-int` was given, without -p they are rounded and dates are ctime(3)'s: all are read.

    {"output_version":{"command":"zpool status","vers_major":0,"vers_minor":1},
     "pools":{"tank":{"name":"tank","state":"ONLINE","scan_stats":{"function":"SCRUB","state":"FINISHED", …},
       "vdevs":{"tank":{"name":"tank","vdev_type":"root", …,"vdevs":{"mirror-0":{…}}}},"error_count":"0"}}}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runbook.formats import JsonObject, Record, Unread, json_document
from runbook.helpers import Unreadable
from runbook.model import Capture, Evidence

from .facts import CACHE, DATA, DEDUP, LOGS, SPARES, SPECIAL, Counter, Moment, Pool, Scan, Vdev
from .scans import moment_of, size
from .status_text import POOL_STATES, STATES, count_of
from .tree import faults, kind_of

#: Where a pool's object keeps its devices. "l2cache" and "logs" are what the text calls cache and logs.
SECTIONS = {"logs": LOGS, "log": LOGS, "l2cache": CACHE, "spares": SPARES, "special": SPECIAL, "dedup": DEDUP}
#: What JSON calls a state, and text does not; HEALTHY stands in the examples of zpool-status(8).
RENAMED = {"HEALTHY": "ONLINE", "CANT_OPEN": "UNAVAIL", "CLOSED": "UNAVAIL", "UNKNOWN": "UNAVAIL"}
#: What the text has for an aux of JSON.
AUX = {
    "OPEN_FAILED": "cannot open",
    "CORRUPT_DATA": "corrupted data",
    "NO_REPLICAS": "insufficient replicas",
    "BAD_GUID_SUM": "missing device",
    "BAD_LABEL": "invalid label",
    "SPARED": "currently in use",
    "ERR_EXCEEDED": "too many errors",
    "IO_FAILURE": "experienced I/O failures",
    "BAD_LOG": "bad intent log",
    "EXTERNAL": "external device fault",
}
#: The aux of a device that could not be opened, by which libzfs calls it FAULTED (zpool_state_to_name).
FAULTED_BY = ("CORRUPT_DATA", "BAD_LOG")
SCAN_STATES = {"FINISHED": "finished", "CANCELED": "canceled", "SCANNING": "running"}


def pools(capture: Capture, unread: list[Unread]) -> tuple[Pool, ...]:
    """Every pool in this document. Raises Unreadable where it is none, or not one of `zpool status`."""
    document = json_document(capture)
    found = document.get("pools") if isinstance(document, JsonObject) else None
    if not isinstance(found, JsonObject):
        raise Unreadable(f"`{capture.step}` printed JSON without `pools`", capture.step)
    made = []
    for key, value in found.items():
        if not isinstance(value, JsonObject):
            raise Unreadable(f"pool {key} of `{capture.step}` is not an object", capture.step, found.first_line)
        pool, problems = _pool(key, value)
        for reason in problems:
            unread.append(Unread(f"of pool {pool.name}, {reason}", _line(value)))
        made.append(pool)
    return tuple(made)


def _line(record: Record) -> Evidence:
    """The line where it begins: the whole of it would be the whole answer."""
    return Evidence(record.step, "stdout", record.first_line, record.first_line)


def _pool(key: str, value: JsonObject) -> tuple[Pool, list[str]]:
    name, state = value.text("name") or key, value.text("state")
    problems = [] if state in POOL_STATES else [f"the state is {state!r}"]
    roots = list(_below(value, "vdevs", DATA))
    root = roots[0] if len(roots) == 1 else None
    tops = root.children if root else ()
    for field, section in SECTIONS.items():
        # "dedup" is a section only where its values are devices; with -D there is a table of that kind too.
        tops += tuple(vdev for vdev in _below(value, field, section) if vdev.state)
    if root is None:
        problems.append("`vdevs` does not hold one root")
    else:
        if not root.state:
            root = Vdev(root.name, "root", DATA, state, root.read, root.write, root.checksum, "", root.evidence)
        problems += [reason for reason, _ in faults(state, root, tops, value.first_line)]
    problems += [
        f"the state of {vdev.name} is {vdev.state!r}"
        for top in tops
        for vdev in top.family()
        if vdev.state not in STATES
    ]
    count = _integer(value.text("error_count"))
    if count is None and state not in ("FAULTED", "UNAVAIL", "SUSPENDED"):
        problems.append("`error_count` is missing")
    scans, trouble = _scans(value)
    status = value.text("status")
    return (
        Pool(
            name=name,
            state=state,
            status="" if status == "OK" else status,
            action=value.text("action"),
            scans=scans,
            root=root,
            tops=tops,
            error_count=count,
            files=_files(value),
            evidence=_line(value),
            error_evidence=(_line(value),),
            whole=not problems and not trouble,
        ),
        problems + trouble,
    )


def _files(value: JsonObject) -> tuple[str, ...]:
    files = value.get("errlist")
    return tuple(str(file) for file in files) if isinstance(files, list) else ()


def _below(value: JsonObject, field: str, section: str) -> Iterator[Vdev]:
    inner = value.get(field)
    for name, entry in inner.items() if isinstance(inner, JsonObject) else ():
        if isinstance(entry, JsonObject):
            yield _vdev(name, entry, section)


def _vdev(key: str, value: JsonObject, section: str) -> Vdev:
    name = value.text("name") or key
    state = RENAMED.get(value.text("state"), value.text("state"))
    aux = value.text("aux")
    if state == "UNAVAIL" and aux in FAULTED_BY:
        state = "FAULTED"
    named, kind = kind_of(name), value.text("vdev_type")
    return Vdev(
        name=name,
        kind="root" if kind == "root" else named if named != "disk" else {"raidz": "raidz1"}.get(kind, _kind(kind)),
        section=section,
        state=state,
        read=_counter(value, "read_errors"),
        write=_counter(value, "write_errors"),
        checksum=_counter(value, "checksum_errors"),
        note=_note(value, aux),
        evidence=_line(value),
        children=tuple(_below(value, "vdevs", section)),
    )


def _kind(kind: str) -> str:
    return kind if kind in ("mirror", "replacing", "spare", "indirect", "draid") else "disk"


def _note(value: JsonObject, aux: str) -> str:
    """What the text has behind the counters, where it matters."""
    if was := value.text("was"):
        return f"was {was}"
    configured, native = (_integer(value.text(f"{which}_ashift")) for which in ("configured", "physical"))
    if configured is not None and native is not None and configured < 32 and native < 32:
        return f"block size: {1 << configured}B configured, {1 << native}B native"
    return AUX.get(aux, aux.lower().replace("_", " ")) if aux != "NONE" else ""


def _counter(value: JsonObject, field: str) -> Counter | None:
    return count_of(value.text(field))


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,20}", text) else None


# -------------------------------------------------------------------------------------------------------------- scans


def _scans(value: JsonObject) -> tuple[tuple[Scan, ...], list[str]]:
    """`scan_stats`, which is only there once there was a scan, and in it a rebuild of each vdev."""
    stats = value.get("scan_stats")
    if not isinstance(stats, JsonObject):
        return (), [] if stats is None else ["`scan_stats` is not an object"]
    problems: list[str] = []
    found = []
    function = stats.text("function")
    if function in ("SCRUB", "RESILVER"):
        found.append(_scan(function.lower(), stats, problems))
    elif function not in ("", "NONE", "ERRORSCRUB"):
        problems.append(f"`scan_stats` has the function {function!r}")
    rebuilds = stats.get("rebuild_stats")
    for rebuild in rebuilds.values() if isinstance(rebuilds, JsonObject) else ():
        if isinstance(rebuild, JsonObject):
            found.append(_scan("resilver", rebuild, problems))
    return tuple(found), problems


def _scan(kind: str, stats: JsonObject, problems: list[str]) -> Scan:
    word = {"COMPLETE": "FINISHED", "ACTIVE": "SCANNING"}.get(stats.text("state"), stats.text("state"))
    state = SCAN_STATES.get(word, "")
    if not state:
        problems.append(f"the state of its {kind} is {word!r}")
    if state == "running" and stats.text("scrub_pause") not in ("", "0", "-"):
        state = "paused"
    start, end = (_moment(stats.text(f"{which}_time")) for which in ("start", "end"))
    seconds = None
    if start and end and start.epoch_seconds is not None and end.epoch_seconds is not None:
        seconds = max(end.epoch_seconds - start.epoch_seconds, 0)
    issued, total, skipped = (size(stats.text(name)) for name in ("issued", "to_examine", "skipped"))
    whole = (total or 0) - (skipped or 0)
    repaired = size(stats.text("processed") or stats.text("rebuilt"))
    errors = _integer(stats.text("errors"))
    if errors is None:
        problems.append(f"its {kind} does not say how many errors there were")
    return Scan(
        kind=kind,
        state=state or "canceled",
        text=f"{kind} {state}",
        evidence=_line(stats),
        moment=end if state in ("finished", "canceled") else start,
        repaired_bytes=repaired,
        seconds=seconds if state == "finished" else None,
        errors=errors,
        done_percent=100 * (issued or 0) / whole if state in ("running", "paused") and whole > 0 else None,
    )


def _moment(text: str) -> Moment | None:
    """Seconds since 1970 with -p, a local date without."""
    if re.fullmatch(r"\d{9,11}", text):
        return Moment(text, epoch_seconds=int(text))
    return moment_of(text)
