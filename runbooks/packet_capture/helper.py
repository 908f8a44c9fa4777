"""Says what each websocket's GET was answered, and puts lost segments and resets second.

captures ─▶ parse ─▶ Facts ─▶ judge: the handshakes, the resets, what was sent again, and what is not known
"""

from __future__ import annotations

from collections.abc import Iterator

from runbook.helpers import Captures
from runbook.model import Evidence, Finding, Verdict

from .facts import Facts, Handshake, Reset, read

__all__ = ["judge", "parse"]

#: So many segments at least make a share of them mean anything.
FEWEST_SEGMENTS = 100
#: Linux sends a segment again after 200 ms at the earliest (tcp_rto_min), however short the path is.
TIMER_MS = 200
#: How soon a reset must follow what it answers, in ms, where the round trip is not known.
SOON_MS = 50
#: How many are quoted for one finding.
QUOTED = 5


def parse(captures: Captures) -> Facts | None:
    """What was seen; None when the probe was not run to its end, of which the engine tells."""
    capture = captures.ran("capture")
    return None if capture is None else read(capture, captures.number("warning"), captures.number("critical"))


def judge(facts: Facts | None) -> Iterator[Finding]:
    if facts is None:
        return
    yield from _handshakes(facts)
    yield from _resets(facts)
    yield from _again(facts)
    yield from _not_known(facts)


def _handshakes(facts: Facts) -> Iterator[Finding]:
    if not facts.handshakes:
        yield _none(facts)
    accepted = [shake for shake in facts.handshakes if shake.accepted]
    unanswered = [shake for shake in facts.handshakes if not shake.status]
    rejected = [shake for shake in facts.handshakes if shake.status and not shake.accepted]
    groups: dict[str, list[Handshake]] = {}
    for shake in rejected:
        groups.setdefault(_why(shake)[0], []).append(shake)
    for shakes in groups.values():
        yield _rejected(shakes)
    if unanswered:
        yield _unanswered(unanswered)
    if accepted:
        slowest = max(accepted, key=lambda shake: shake.seconds)
        again = sum(shake.sent_again for shake in accepted)
        lost = f" On these flows {again} segments were sent again, and the answer came all the same." if again else ""
        yield Finding(
            "handshake-accepted",
            Verdict.OK,
            f"{_number(len(accepted), 'websocket')} opened: 101 with the right accept, the slowest after "
            f"{slowest.seconds * 1000:.1f} ms",
            f"The first is {accepted[0].where}, answered in frame {accepted[0].answer_frame}.{lost}",
            evidence=_lines(accepted),
        )


def _none(facts: Facts) -> Finding:
    hidden = []
    if facts.tls:
        hidden.append(
            f"{_number(facts.tls, 'flow')} of TLS, into which a capture does not see: a wss:// would be there"
        )
    if facts.http2:
        hidden.append(f"{_number(facts.http2, 'flow')} of HTTP/2, where a websocket has no GET of its own")
    return Finding(
        "no-handshake",
        Verdict.UNKNOWN,
        f"No request for a websocket among {_number(facts.flows, 'TCP flow')}",
        f"Of {_number(facts.packets, 'packet')} {facts.tcp} are TCP. There is no GET with `Upgrade: websocket`, nor "
        "one with a Sec-WebSocket header. It may have been sent before the capture began, on another interface, or "
        "never." + (f" Besides there are {'; and '.join(hidden)}." if hidden else ""),
        "Capture where the request has no TLS, before you ask for the websocket:\n"
        "    tcpdump -i any -s 0 -w websocket.pcap 'tcp port 80'\n"
        "Or make the handshake yourself and see every stage of it:\n"
        "    runbook run websocket-handshake --set url=ws://SERVER/PATH",
        (facts.evidence,),
    )


def _why(shake: Handshake) -> tuple[str, str]:
    """What the answer was, and what that means."""
    if shake.status == 101:
        if shake.accept == "right":
            return (
                "101 without `Upgrade: websocket`",
                "A client must refuse that; what is missing was taken out on the way back.",
            )
        return (
            "101 with a wrong accept" if shake.accept else "101 without an accept",
            "It is no answer to this request's key. Every client closes the connection then, and a log has an "
            "ordinary 101.",
        )
    if not shake.asks:
        return (
            f"{shake.status} to a GET without its Upgrade",
            "The GET has a websocket's other headers and no `Upgrade: websocket`: at this point of the path it has "
            "been taken out already. The fault is before the place of this capture: look at the hop that sent this "
            "GET.",
        )
    meanings = {
        400: "Somebody could not read the request, or missed a header or the version of it.",
        401: "The server wants a login.",
        403: "This client, Origin or path is refused.",
        404: "The request reached a server that does not have this path.",
        426: "Who answered saw no Upgrade. The GET in this capture has one, so it is taken out behind this point.",
        502: "A proxy answers: its server's answer was none, or no HTTP.",
        503: "A proxy answers: it has no server that is up.",
        504: "A proxy answers: its server did not answer in time.",
        505: "Who answered got the request in HTTP/1.0, which knows no upgrade: a hop behind this point speaks that.",
    }
    meaning = meanings.get(shake.status, "It is an ordinary page, and no websocket.")
    return f"{shake.status} {shake.reason}".strip(), meaning


def _rejected(shakes: list[Handshake]) -> Finding:
    first = shakes[0]
    what, meaning = _why(first)
    frames = ", ".join(f"{shake.frame} → {shake.answer_frame}" for shake in shakes[:QUOTED])
    more = f" and {len(shakes) - QUOTED} more" if len(shakes) > QUOTED else ""
    server = f" `Server: {first.answer['server']}`." if "server" in first.answer else ""
    location = f" It sends the client to {first.answer['location']}." if "location" in first.answer else ""
    return Finding(
        "handshake-rejected",
        Verdict.CRITICAL,
        f"{_number(len(shakes), 'request')} for a websocket answered with {what}: {first.where}; frames {frames}{more}",
        f"{meaning}{server}{location} The answer came after {first.seconds * 1000:.1f} ms: whatever else this capture "
        "shows, the network brought the question there and the answer back.",
        f"Read both in Wireshark, with the filter `frame.number in {{{first.frame}, {first.answer_frame}}}`, and ask "
        "both sides of the proxy:\n    runbook run websocket-handshake --set url=ws://SERVER:PORT/PATH --set "
        "via=ws://PROXY/PATH",
        _lines(shakes),
    )


def _unanswered(shakes: list[Handshake]) -> Finding:
    first = shakes[0]
    ends = {shake.end for shake in shakes if shake.end}
    end = f" The flow ended with {' or '.join(sorted(ends))}." if ends else " The flow has no end in this capture."
    return Finding(
        "handshake-unanswered",
        Verdict.CRITICAL,
        f"{_number(len(shakes), 'request')} for a websocket without an answer: {first.where}",
        f"The GET is whole, and no answer follows in the same flow.{end} A RST of the server means that the server, "
        "or something that speaks for it, gave up; a FIN of the client that it waited in vain; none of both that the "
        "capture ended first.",
        "See what the flow does after the GET: in Wireshark, Follow, TCP Stream, on that frame.",
        _lines(shakes),
    )


def _resets(facts: Facts) -> Iterator[Finding]:
    foreign = [reset for reset in facts.resets if _foreign(reset)]
    if foreign:
        first = foreign[0]
        signs = []
        if first.ttl != first.usual_ttl:
            signs.append(f"its TTL is {first.ttl}, and the sender's other packets have {first.usual_ttl}")
        if not first.fits:
            signs.append(
                "its sequence number is neither the next of the sender nor what the other side has acknowledged"
            )
        yield Finding(
            "reset-foreign",
            Verdict.WARNING,
            f"{len(foreign)} of {_number(facts.transport.resets, 'reset')} do not fit their flow: frame {first.frame} "
            f"from {first.source}",
            f"{'; '.join(signs).capitalize()}. So it may have been made by something on the path: a firewall, a load "
            "balancer, an intrusion detection. That a reset has the right TTL proves nothing, for whoever stands "
            "next to the server has that too.",
            "Capture on the server as well. If it never sent that reset, something between did.",
            tuple(reset.evidence for reset in foreign[:QUOTED]),
        )
    timed = [reset for reset in facts.resets if _timed(reset)]
    if timed:
        first = timed[0]
        path = f", on a path of {first.round_trip_ms:.1f} ms" if first.round_trip_ms >= 0 else ""
        yield Finding(
            "reset-timer-driven",
            Verdict.OK,
            f"{_number(len(timed), 'reset')} came {first.last_new_ms:.0f} ms or so after the last new segment{path}: "
            f"frame {first.frame}",
            "Such a reset answers a segment that was sent again by a timer, and Linux waits 200 ms at least before it "
            "does that. The delay is the timer's and not the network's: the other side had closed already.",
            evidence=tuple(reset.evidence for reset in timed[:QUOTED]),
        )


def _foreign(reset: Reset) -> bool:
    return (reset.usual_ttl >= 0 and reset.ttl != reset.usual_ttl) or not reset.fits


def _timed(reset: Reset) -> bool:
    soon = max(SOON_MS, 2 * reset.round_trip_ms)
    return reset.other_again > 0 and reset.last_new_ms >= TIMER_MS and 0 <= reset.answer_ms <= soon


def _again(facts: Facts) -> Iterator[Finding]:
    transport = facts.transport
    if not transport.again:
        return
    few = transport.segments < FEWEST_SEGMENTS
    verdict = Verdict.OK
    if not few and transport.percent >= facts.warning_percent:
        verdict = Verdict.CRITICAL if transport.percent >= facts.critical_percent else Verdict.WARNING
    refused = any(shake.status and not shake.accepted for shake in facts.handshakes)
    second = " It is not why a websocket was refused: that answer came, lost segments and all." if refused else ""
    small = f" Of fewer than {FEWEST_SEGMENTS} segments a share says nothing." if few else ""
    kinds = (
        f"{transport.fast} of them fast, {transport.spurious} for nothing; {transport.out_of_order} more came out of "
        "order"
    )
    worst = f" Most on {'; '.join(text for text, _ in facts.worst[:3])}." if facts.worst else ""
    yield Finding(
        "retransmissions",
        verdict,
        f"{transport.again} of {_number(transport.segments, 'segment')} ({transport.percent:.2g} %) were sent again "
        f"(limit: warning from {facts.warning_percent:g} %)",
        f"{kinds}. Lost segments make a connection slow; they change no answer.{second}{small}{worst}",
        "See which way loses:\n    ss -ti | grep -B1 retrans",
        (transport.evidence, *(place for _, place in facts.worst[:QUOTED])),
    )


def _not_known(facts: Facts) -> Iterator[Finding]:
    missing = not facts.handshakes or any(not shake.status for shake in facts.handshakes)
    why = []
    if facts.broken:
        why.append(f"the file {facts.broken}")
    if facts.cut:
        why.append(f"{_number(facts.cut, 'packet')} of {facts.packets} were cut when they were captured")
    if facts.unread:
        why.append(f"{_number(facts.unread, 'packet')} could not be read at all")
    if why:
        yield Finding(
            "truncated-capture",
            Verdict.UNKNOWN if facts.broken or facts.unread or missing else Verdict.OK,
            "; ".join(why).capitalize(),
            "What is in the missing part nobody knows: a handshake, or its answer, may be there. What is said above "
            "holds for what was kept.",
            "Capture whole packets, and end tcpdump with Ctrl-C, so that it writes the last ones:\n"
            "    tcpdump -s 0 -U -w all.pcap",
            (facts.evidence,),
        )


def _lines(shakes: list[Handshake]) -> tuple[Evidence, ...]:
    return tuple(shake.evidence for shake in shakes[:QUOTED])


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
