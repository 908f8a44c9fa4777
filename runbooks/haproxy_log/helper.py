"""Says how the sessions of HAProxy's log ended, who ended them, and whether a time-out ends the websockets.

captures ─▶ parse ─▶ Facts ─▶ judge: the websockets first, then the ways of failing, then what is not known
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runbook.formats.refusals import why_not_read
from runbook.helpers import Captures
from runbook.model import Finding, Verdict

from .facts import OTHERS, Facts, Group, NotRead, not_read, read
from .letters import FAULTS, Fault, explained, is_documented

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


def parse(captures: Captures) -> Facts | NotRead | None:
    """What was counted, in the file or else the journal; None when nothing was, of which the engine tells."""
    log, journal = captures.ran("log"), captures.ran("journal")
    if log is None:
        return None
    refused = not_read(log)
    if refused is None:
        return read(log, captures)
    if journal is not None and captures.parameters["log"] == USUAL:
        return read(journal, captures, refused)
    return refused


def judge(facts: Facts | NotRead | None) -> Iterator[Finding]:
    if facts is None:
        return
    if isinstance(facts, NotRead):
        yield _not_read(facts, "")
        return
    found = [*_websockets(facts), *_faults(facts), *_not_known(facts)]
    yield from found
    if all(finding.verdict is Verdict.OK for finding in found):
        yield _healthy(facts)


def _not_read(refused: NotRead, more: str) -> Finding:
    command = "runbook run haproxy-log"
    if refused.name != USUAL:
        command += f" --set log={shlex.quote(refused.name)}"
    explanation, advice = why_not_read(refused.name, refused.detail, command)
    return Finding(
        "not-read",
        Verdict.UNKNOWN,
        f"{refused.name} could not be read: {refused.detail}",
        explanation + more,
        advice,
        (refused.evidence,),
    )


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
    timed_out = [group for group in facts.groups if group.status == "101" and group.letters[:2] in ("cD", "sD")]
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
    ways = sorted((group for group in facts.groups if group.letters), key=lambda group: -group.count)[:QUOTED]
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


def _timed_out(facts: Facts, ended: list[Group]) -> Finding:
    count = sum(group.count for group in ended)
    # Of so many different lives as not to be kept apart there is none.
    lives = [life for life in facts.lifetimes if life.letters[:2] in ("cD", "sD")]
    most = max(lives, key=lambda life: life.count, default=None)
    after = f", after {_seconds(most.ms)} most often" if most is not None else ""
    series = ""
    if most is not None and most.count > 1:
        series = (
            f" {most.count} of them lived {_seconds(most.ms)}, to a tenth of a second: that is the time-out, or the "
            "last word and it."
        )
    elif most is not None:
        series = f" It lived {_seconds(most.ms)}; one alone proves no round number."
    return Finding(
        "tunnel-timeout",
        Verdict.WARNING,
        f"{count} of {_number(facts.websockets.opened, 'websocket')} ended by a time-out of HAProxy{after}",
        f"{explained(most.letters if most is not None else ended[0].letters)}. For an open websocket that is `timeout "
        "tunnel`, or, where there is none, the shorter of `timeout client` and `timeout server`: nobody said anything "
        f"for so long.{series}",
        "Say something more often than that, by a ping from client or server; or give it longer:\n"
        "    timeout tunnel 1h   # changes haproxy.cfg",
        tuple(one.evidence for one in (lives or ended)[:QUOTED]),
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
        if group.letters[:2] == "--"
        and (group.status in STRIPPED or (group.mark == "websocket" and group.status != "101"))
    ]
    answers = [
        (path, status, server, count)
        for path in facts.paths
        for status, server, letters, count in path.answers
        if letters[:2] == "--" and status not in ("101", *STRIPPED) and status[:1] in ("4", "5") and server != "<NOSRV>"
    ]
    count = sum(group.count for group in groups) + sum(answer[3] for answer in answers)
    if not count:
        return
    asked = facts.websockets.opened + count
    ways = [f"{group.status} by {group.place} x {group.count}" for group in groups]
    ways += [f"{status} by {server} for {path.path} x {times}" for path, status, server, times in answers]
    ways = [way.replace(OTHERS, "others") for way in ways]
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
    failed = [group for group in facts.groups if not group.letters]
    if failed:
        yield _no_session(facts, failed)
    unknown = [group for group in facts.groups if group.letters and not is_documented(group.letters)]
    if unknown:
        yield _unknown_ending(facts, unknown)


def _fault(group: Group) -> Fault | None:
    if not group.letters or not is_documented(group.letters):
        return None
    # A websocket that was opened has its own findings: that its client leaves is what it is for, and a time-out of
    # HAProxy has its own finding.
    if group.status == "101" and (group.letters[:1] in ("C", "-") or group.letters[:2] in ("cD", "sD")):
        return None
    return next((fault for fault in FAULTS if fault.holds(group)), None)


def _no_session(facts: Facts, groups: list[Group]) -> Finding:
    count = sum(group.count for group in groups)
    of = facts.sessions + count
    places = [f"{group.mark} at {group.place.replace(OTHERS, 'others')} x {group.count}" for group in groups]
    return Finding(
        "not-begun",
        _weight(facts, count, of, False),
        f"{_number(count, 'connection')} of {of} failed before there was a session: {', '.join(places[:QUOTED])}",
        "Scanners leave many of these at every public address. When it is much, or began on a day, clients and proxy "
        "do not agree on TLS: a certificate that ran out, versions or ciphers that one of them has no more; or they "
        "do not speak what the port expects (`accept-proxy`).",
        "See what a client is told there:\n    openssl s_client -connect PROXY:443 -servername NAME </dev/null",
        tuple(group.evidence for group in groups[:QUOTED]),
    )


def _unknown_ending(facts: Facts, groups: list[Group]) -> Finding:
    count = sum(group.count for group in groups)
    letters = ", ".join(list(dict.fromkeys(group.letters for group in groups))[:QUOTED])
    return Finding(
        "unread",
        Verdict.UNKNOWN,
        f"{count} of {_number(facts.sessions, 'session')} ended as HAProxy's manual does not know it: {letters}",
        "The first letter says who ended the session, the second in which state. A version of HAProxy that is newer "
        "than this runbook may have more of them, or the log is damaged or in a format of its own.",
        "Look them up in the manual of that version, 8.5:\n    haproxy -v",
        tuple(group.evidence for group in groups[:QUOTED]),
    )


def _failing(facts: Facts, fault: Fault, groups: list[Group]) -> Finding:
    count = sum(group.count for group in groups)
    percent = 100 * count / facts.sessions if facts.sessions else 0.0
    letters = dict.fromkeys(group.letters for group in groups)
    places = dict.fromkeys(f"{group.place} ({group.status or 'TCP'}) x {group.count}" for group in groups)
    more = f", and {len(places) - QUOTED} more" if len(places) > QUOTED else ""
    said = ". ".join(explained(word) for word in list(letters)[:QUOTED])
    weight = _weight(facts, count, facts.sessions, fault.most)
    return Finding(
        fault.code,
        max(weight, Verdict.WARNING) if fault.always else weight,
        f"{count} of {_number(facts.sessions, 'session')} ({_percent(percent)}) {fault.words}: "
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
    limit = min(facts.warning_percent, facts.critical_percent)
    return Verdict.WARNING if percent >= limit or of < FEWEST_SESSIONS else Verdict.OK


def _not_known(facts: Facts) -> Iterator[Finding]:
    refused = facts.instead_of
    missing = refused is not None and refused.detail == "No such file or directory"
    if refused is not None and not missing:
        more = " HAProxy's journal was read instead" + ("." if facts.sessions else ", and has no session.")
        yield _not_read(refused, more)
    if not facts.sessions and (refused is None or missing):
        yield _no_sessions(facts)
    parts = [
        (facts.unread, f"{_number(facts.unread, 'line')} of sessions could not be read"),
        (facts.overlong, f"{_number(facts.overlong, 'line')} longer than 4 MiB left out"),
        (facts.left_out, f"{_number(facts.left_out, 'session')} ended in more ways than are told apart"),
        (
            facts.websockets.refusals_left_out,
            f"{_number(facts.websockets.refusals_left_out, 'refusal')} left out, of more paths than are kept",
        ),
        (facts.broken, f"the log could not be read to its end: {facts.broken}"),
    ]
    if any(holds for holds, _ in parts):
        form = (
            "The lines look like a session's and are in a format of their own (`log-format`), cut short, or damaged. "
            if facts.unread
            else ""
        )
        yield Finding(
            "unread",
            Verdict.UNKNOWN,
            "; ".join(words for holds, words in parts if holds),
            f"{form}What is said here is said of the others only: a fault may be among what was not read.",
            evidence=(facts.evidence,),
        )


def _no_sessions(facts: Facts) -> Finding:
    here = f"{_number(facts.lines, 'line')} of {facts.name}"
    if facts.instead_of is not None:
        summary = f"There is no {facts.instead_of.name}, and no session in {here}"
        why = (
            "HAProxy does not run here, writes its log elsewhere, or this user may not see the journal of other users' "
            "programs: for that it takes root, or the group `adm` or `systemd-journal`. "
        )
        cure = "See where it logs to, and whether it says anything:\n    grep -n log /etc/haproxy/haproxy.cfg\n    " + (
            "sudo journalctl -u haproxy | tail\nA log that lies elsewhere is named:\n"
            "    runbook run haproxy-log --set log=FILE\n"
        )
    elif not facts.size:
        summary, why, cure = f"{facts.name} is empty", "Nothing was logged yet, or it has just been rotated. ", ""
    else:
        summary, why, cure = f"No session in {here}", "It may be another program's log. ", ""
    return Finding(
        "no-sessions",
        Verdict.UNKNOWN,
        summary,
        f"{why}HAProxy writes a line for each session when it is told so; here httplog, httpslog and tcplog are read. "
        "Without `option httplog` a line is only that somebody connected, or how a server's health changed.",
        f"{cure}Tell it so in haproxy.cfg, in `defaults`:\n    log global\n    option httplog",
        (facts.evidence,),
    )


def _percent(percent: float) -> str:
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def _seconds(ms: int) -> str:
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
