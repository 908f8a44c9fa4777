"""Says how the sessions of HAProxy's log ended, who ended them, and whether a time-out ends the websockets.

captures ─▶ parse ─▶ Facts ─▶ judge: the websockets first, then the ways of failing, then what is not known
"""

from __future__ import annotations

from collections.abc import Iterator

from runbook.helpers import Captures
from runbook.model import Finding, Verdict

from .facts import Facts, Group, Lifetime, read
from .letters import FAULTS, Fault, explained

__all__ = ["judge", "parse"]

#: Where Debian's rsyslog writes it. A host without rsyslog has the log in the journal alone.
USUAL = "/var/log/haproxy.log"
#: So many sessions at least make a small share of them mean anything.
FEWEST_SESSIONS = 100
#: What servers say to a request that lost its upgrade on the way: 426 (RFC 9110, 15.5.22), and 505 to an HTTP/1.0 hop.
STRIPPED = ("426", "505")
#: So many equal lives are a series, and so large a part of all websockets, when no letter says that it was a time-out.
SERIES, SERIES_PART, SERIES_MS = 5, 0.5, 1000
#: How many ways are quoted for one finding.
QUOTED = 5


def parse(captures: Captures) -> Facts | None:
    """What was counted, in the file or else the journal; None when nothing was, of which the engine tells."""
    log, journal = captures.ran("log"), captures.ran("journal")
    if log is not None and log.exit_code and journal is not None and captures.parameters["log"] == USUAL:
        return read(journal, captures)
    return None if log is None else read(log, captures)


def judge(facts: Facts | None) -> Iterator[Finding]:
    if facts is None:
        return
    found = [*_websockets(facts), *_faults(facts), *_not_known(facts)]
    yield from found
    if all(finding.verdict is Verdict.OK for finding in found):
        yield _healthy(facts)


def _healthy(facts: Facts) -> Finding:
    sockets = facts.websockets
    lives = (
        f", they lived {_seconds(sockets.shortest_ms)} to {_seconds(sockets.longest_ms)}"
        if sockets.longest_ms >= 0
        else ""
    )
    return Finding(
        "healthy",
        Verdict.OK,
        f"{_number(sockets.opened, 'websocket')} opened{lives}; {_number(facts.sessions, 'session')} in all",
        f"From {facts.first} to {facts.last} in {facts.name}. The log of a websocket is written when it is closed, so "
        "those that are open are not in it; and a wrong Sec-WebSocket-Accept is logged as 101 too. Whether a "
        "websocket opens now, only the client's side tells.",
        "To see that, make a handshake:\n    runbook run websocket-handshake --set url=ws://SERVER:PORT/PATH --set "
        "via=ws://PROXY/PATH",
        (sockets.evidence,),
    )


def _websockets(facts: Facts) -> Iterator[Finding]:
    sockets = facts.websockets
    refused = list(_refused(facts))
    if facts.sessions and not sockets.opened and not refused:
        yield _none(facts)
    timed_out = [life for life in facts.lifetimes if life.letters[1:2] == "D" and life.letters[:1] in ("c", "s")]
    if timed_out:
        yield _timed_out(facts, timed_out)
    else:
        yield from _series(facts)
    yield from refused
    if sockets.slow:
        yield Finding(
            "slow",
            Verdict.WARNING,
            f"{sockets.slow} of {_number(sockets.opened, 'websocket')} waited {facts.slow_seconds:g} s or longer for "
            f"the 101, the slowest {_seconds(sockets.slowest_ms)}",
            "That is the time before the answer (TR, Tw, Tc and Tr of the log), not the life of the websocket. A "
            "large Tr is the server's; a large Tc is the way to it; Tw is HAProxy's queue.",
            "Look at the four timers before the last one of that line: TR/Tw/Tc/Tr/Ta, in ms.",
            (sockets.evidence,),
        )


def _none(facts: Facts) -> Finding:
    tcp = (
        f" {_number(facts.tcp, 'session')} went through in TCP mode, where HAProxy does not look whether it is a "
        "websocket."
        if facts.tcp
        else ""
    )
    ways = facts.groups[:QUOTED]
    return Finding(
        "no-websockets",
        Verdict.UNKNOWN,
        f"No websocket among {_number(facts.sessions, 'session')}: no answer was 101",
        "Either nobody asked for one in this time, or all who asked were refused, or they are still open: the line "
        f"of a websocket is written when it is closed.{tcp} The log does not say which request asked for an upgrade. "
        f"The answers were: {', '.join(_way(group) for group in ways)}.",
        "Let the log say who asks, in the frontend, and write the line when it is opened:\n"
        "    http-request capture req.hdr(Upgrade) len 16\n"
        "    option logasap\n"
        "Or ask for one yourself:\n    runbook run websocket-handshake --set url=ws://PROXY/PATH",
        tuple(group.evidence for group in ways),
    )


def _way(group: Group) -> str:
    return f"{group.status or 'TCP'} {group.letters or group.mark} x {group.count}"


def _timed_out(facts: Facts, lives: list[Lifetime]) -> Finding:
    ended = [group for group in facts.groups if group.status == "101" and group.letters[:2] in ("cD", "sD")]
    count = sum(group.count for group in ended)
    most = max(lives, key=lambda life: life.count)
    series = (
        f" {most.count} of them lived {_seconds(most.ms)}, to a tenth of a second: that is the time-out, or the last "
        "word and it."
        if most.count > 1
        else f" It lived {_seconds(most.ms)}; one alone proves no round number."
    )
    return Finding(
        "tunnel-timeout",
        Verdict.WARNING,
        f"{count} of {_number(facts.websockets.opened, 'websocket')} ended by a time-out of HAProxy, after "
        f"{_seconds(most.ms)} most often",
        f"{explained(most.letters)}. For an open websocket that is `timeout tunnel`, or, where there is none, the "
        f"shorter of `timeout client` and `timeout server`: nobody said anything for so long.{series}",
        "Say something more often than that, by a ping from client or server; or give it longer:\n"
        "    timeout tunnel 1h   # changes haproxy.cfg",
        tuple(life.evidence for life in lives[:QUOTED]),
    )


def _series(facts: Facts) -> Iterator[Finding]:
    """Equal lives without a letter of ours: somebody else's time-out."""
    known = facts.websockets.opened - facts.websockets.early
    by_life: dict[int, int] = {}
    for life in facts.lifetimes:
        by_life[life.ms] = by_life.get(life.ms, 0) + life.count
    ms, count = max(by_life.items(), key=lambda item: item[1], default=(0, 0))
    if count < SERIES or ms < SERIES_MS or count < SERIES_PART * known:
        return
    yield Finding(
        "tunnel-timeout",
        Verdict.WARNING,
        f"{count} of {_number(known, 'websocket')} lived {_seconds(ms)}, to a tenth of a second",
        "People do not leave so evenly. HAProxy's own letters do not say that it was a time-out of its own, so "
        "somebody else's is: the server's, a load balancer's, or a proxy before HAProxy.",
        f"Look for {_seconds(ms)} in the configuration of what stands on either side, or see who ends it:\n"
        f"    runbook run websocket-handshake --set url=ws://PROXY/PATH --set idle={ms // 1000 + 2}s",
        tuple(life.evidence for life in facts.lifetimes if life.ms == ms),
    )


def _refused(facts: Facts) -> Iterator[Finding]:
    """Answers of servers to a websocket's request: 426 or 505, marked by a captured header, or on such a path."""
    groups = [
        group
        for group in facts.groups
        if group.letters == "----"
        and (group.status in STRIPPED or (group.mark == "websocket" and group.status != "101"))
    ]
    answers = [
        (path, status, server, count)
        for path in facts.paths
        for status, server, letters, count in path.answers
        if letters == "----" and status not in ("101", *STRIPPED) and status[:1] in ("4", "5") and server != "<NOSRV>"
    ]
    count = sum(group.count for group in groups) + sum(answer[3] for answer in answers)
    if not count:
        return
    asked = facts.websockets.opened + count
    ways = [f"{group.status} by {group.place} x {group.count}" for group in groups]
    ways += [f"{status} by {server} for {path.path} x {times}" for path, status, server, times in answers]
    stripped = any(group.status in STRIPPED for group in groups)
    yield Finding(
        "not-upgraded",
        _weight(facts, count, asked, True),
        f"{count} of {asked} requests for a websocket were refused by the server: {', '.join(ways[:QUOTED])}",
        "The letters are ----: for HAProxy all was well, it passed on what the server said."
        + (
            " A 426 says that the request arrived there without its Upgrade header, and a 505 that it came in "
            "HTTP/1.0, which nginx speaks unless told otherwise. Somebody on the way did that: HAProxy's "
            "configuration or a proxy after it, not the client."
            if stripped
            else " It is the server's own decision: its login, its list of Origins, its paths."
        ),
        "Ask for one yourself, on both sides of the proxy:\n"
        "    runbook run websocket-handshake --set url=ws://SERVER:PORT/PATH --set via=ws://PROXY/PATH",
        (*(group.evidence for group in groups[:QUOTED]), *(answer[0].evidence for answer in answers[:QUOTED])),
    )


def _faults(facts: Facts) -> Iterator[Finding]:
    ways: dict[str, list[Group]] = {}
    for group in facts.groups:
        fault = _fault(group)
        if fault is not None:
            ways.setdefault(fault.code, []).append(group)
    for fault in FAULTS:
        if fault.code in ways:
            yield _failing(facts, fault, ways[fault.code])


def _fault(group: Group) -> Fault | None:
    # A websocket that was opened has its own findings; that somebody closes one is what they are for.
    if group.status == "101" or not group.letters:
        return None
    return next((fault for fault in FAULTS if fault.holds(group)), None)


def _failing(facts: Facts, fault: Fault, groups: list[Group]) -> Finding:
    count = sum(group.count for group in groups)
    percent = 100 * count / facts.sessions if facts.sessions else 0.0
    letters = dict.fromkeys(group.letters for group in groups)
    places = dict.fromkeys(f"{group.place} ({group.status or 'TCP'}) x {group.count}" for group in groups)
    more = f", and {len(places) - QUOTED} more" if len(places) > QUOTED else ""
    said = ". ".join(explained(word) for word in list(letters)[:QUOTED])
    return Finding(
        fault.code,
        _weight(facts, count, facts.sessions, fault.most),
        f"{count} of {_number(facts.sessions, 'session')} ({percent:.2g} %) {fault.words}: "
        f"{', '.join(list(places)[:QUOTED])}{more}",
        f"{fault.meaning} {said}.",
        fault.advice,
        tuple(group.evidence for group in groups[:QUOTED]),
    )


def _weight(facts: Facts, count: int, of: int, most: bool) -> Verdict:
    percent = 100 * count / of if of else 0.0
    if percent >= facts.critical_percent and most:
        return Verdict.CRITICAL
    # Where there are few sessions one of them is a large share, and where there are many a small one may be a thousand.
    return Verdict.WARNING if percent >= facts.warning_percent or of < FEWEST_SESSIONS else Verdict.OK


def _not_known(facts: Facts) -> Iterator[Finding]:
    start = (facts.evidence,)
    if not facts.sessions:
        yield Finding(
            "no-sessions",
            Verdict.UNKNOWN,
            f"No session in {_number(facts.lines, 'line')} of {facts.name}",
            "It is empty, is another log, or has another format than httplog, httpslog or tcplog, which HAProxy "
            "writes when told so. Without `option httplog` a line is only that somebody connected, or how a server's "
            "health changed.",
            "Say so in haproxy.cfg, in `defaults`:\n    log global\n    option httplog",
            start,
        )
    if facts.unread or facts.broken:
        what = f"{_number(facts.unread, 'line')} of sessions could not be read" if facts.unread else ""
        end = f"the log could not be read to its end: {facts.broken}" if facts.broken else ""
        yield Finding(
            "unread",
            Verdict.UNKNOWN,
            "; ".join(part for part in (what, end) if part),
            "They look like a session's and are in a format of their own (`log-format`), cut short, or damaged. What "
            "is said here is said of the others only.",
            evidence=start,
        )


def _seconds(ms: int) -> str:
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
