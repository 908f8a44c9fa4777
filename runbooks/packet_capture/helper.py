"""Says what each websocket's GET was answered, and puts lost segments and resets second.

captures ─▶ parse ─▶ Facts ─▶ judge: the handshakes, the resets, what was sent again, and what is not known
"""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats.files import not_read
from runbook.helpers import Captures
from runbook.model import Evidence, Finding, Verdict

from .facts import Answers, Facts, Handshake, NoCapture, Reset, read

__all__ = ["judge", "parse"]

#: So many segments at least make a share of them mean anything.
FEWEST_SEGMENTS = 100
#: Linux sends a segment again after 200 ms at the earliest (tcp_rto_min), however short the path is.
TIMER_MS = 200
#: How soon a reset must follow what it answers, in ms, where the round trip is not known.
SOON_MS = 50
#: Whose answer is not known for these reasons, as the probe says them.
UNSEEN = {
    "one way": "the capture has packets of one side of that flow only",
    "hole": "a part of what the server said is not in the capture",
    "no HTTP": "the server said something that cannot be read as HTTP/1",
    "given up": "more flows were open at once than are kept, and this one was given up",
    "ports again": "the same ports were used again before the capture shows an end",
    "file ends": "the file breaks off first",
}
#: How many are quoted for one finding.
QUOTED = 5


def parse(captures: Captures) -> Facts | NoCapture | None:
    """What was seen; None when the probe was not run to its end, of which the engine tells."""
    capture = captures.ran("capture")
    return None if capture is None else read(capture, captures.number("warning"), captures.number("critical"))


def judge(facts: Facts | NoCapture | None) -> Iterator[Finding]:
    if facts is None:
        return
    if isinstance(facts, NoCapture):
        yield not_read(
            "no-capture",
            facts.file,
            facts.reason,
            "A capture is what `tcpdump -w`, dumpcap and Wireshark write: pcap or pcapng, plain or gzip. Make one:\n"
            "    tcpdump -i any -s 0 -U -w websocket.pcap 'tcp port 80'",
            facts.evidence,
        )
        return
    yield from _handshakes(facts)
    yield from _resets(facts)
    yield from _again(facts)
    yield from _not_known(facts)


def _handshakes(facts: Facts) -> Iterator[Finding]:
    if not facts.answers:
        yield _none(facts)
    accepted = [one for one in facts.answers if one.first.accepted]
    groups: dict[str, list[Answers]] = {}
    unanswered: list[Answers] = []
    unseen: list[Answers] = []
    for one in facts.answers:
        if one.first.status and not one.first.accepted:
            groups.setdefault(_why(one.first)[0], []).append(one)
        elif not one.first.status:
            (unseen if _unseen(facts, one.first) else unanswered).append(one)
    for group in groups.values():
        yield _rejected(group)
    if unanswered:
        yield _unanswered(unanswered)
    if unseen:
        yield _answer_unknown(facts, unseen)
    if accepted:
        first = _shakes(accepted)[0]
        again = sum(one.sent_again for one in accepted)
        lost = f" On these flows {again} segments were sent again, and the answer came all the same." if again else ""
        hidden = _hidden(facts)
        yield Finding(
            "handshake-accepted",
            Verdict.OK,
            f"{_number(_count(accepted), 'websocket')} opened: 101 with the right accept, the slowest after "
            f"{max(one.slowest for one in accepted) * 1000:.1f} ms",
            f"The first is {first.where}, answered in frame {first.answer_frame}.{lost}"
            + (f" Not seen is what is in {' and in '.join(hidden)}." if hidden else "")
            + _before(facts),
            evidence=_lines(accepted),
        )


def _hidden(facts: Facts) -> list[str]:
    """Where a handshake may be that nobody can see here; TLS is everywhere, so that this is a remark."""
    hidden = []
    if facts.tls:
        hidden.append(
            f"{_number(facts.tls, 'flow')} of TLS, into which a capture does not see: a wss:// would be there"
        )
    if facts.http2:
        hidden.append(f"{_number(facts.http2, 'flow')} of HTTP/2, where a websocket has no GET of its own")
    if facts.tunnels:
        hidden.append(f"{_number(facts.tunnels, 'packet')} of a tunnel, which are not unpacked here")
    return hidden


def _before(facts: Facts) -> str:
    """Every capture begins in the middle of something, so that this is a remark too."""
    if not facts.alone:
        return ""
    return f" {_number(facts.alone, 'answer')} in it can be to a GET that was sent before the capture began."


def _none(facts: Facts) -> Finding:
    hidden = _hidden(facts)
    return Finding(
        "no-handshake",
        Verdict.UNKNOWN,
        f"No request for a websocket among {_number(facts.flows, 'TCP flow')}",
        f"Of {_number(facts.packets, 'packet')} {facts.tcp} are TCP. No GET with `Upgrade: websocket` was seen, nor "
        "one with a Sec-WebSocket header. It may have been sent before the capture began, on another interface, or "
        "never." + (f" Besides there are {'; and '.join(hidden)}." if hidden else "") + _before(facts),
        "Capture where the request has no TLS, before you ask for the websocket:\n"
        "    tcpdump -i any -s 0 -w websocket.pcap 'tcp port 80'\n"
        "Or make the handshake yourself and see every stage of it:\n"
        "    runbook run websocket-handshake --set url=ws://SERVER/PATH",
        (facts.evidence,),
    )


def _why(shake: Handshake) -> tuple[str, str]:
    """What the answer was, and what that means."""
    if shake.status == 101:
        return (
            shake.refusal,
            "A client must fail this connection (RFC 6455, 4.1), and a log has an ordinary 101. "
            + (
                "The request had no key that one could accept: somebody took it out, or it was no websocket's."
                if not shake.key
                else "The accept is no answer to this request's key."
                if shake.accept != "right"
                else "What is missing was taken out on the way back."
                if not shake.unasked
                else "The server, or somebody before it, answers another request than this."
            ),
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


def _rejected(group: list[Answers]) -> Finding:
    shakes = _shakes(group)
    first = shakes[0]
    what, meaning = _why(first)
    frames = ", ".join(f"{shake.frame} → {shake.answer_frame}" for shake in shakes[:QUOTED])
    count = _count(group)
    more = f" and {count - QUOTED} more" if count > QUOTED else ""
    # A back-tick of the server's would end the code span.
    server = f" `Server: {_unticked(first.answer['server'])}`." if "server" in first.answer else ""
    location = f" It sends the client to {first.answer['location']}." if "location" in first.answer else ""
    return Finding(
        "handshake-rejected",
        Verdict.CRITICAL,
        f"{_number(count, 'request')} for a websocket answered with {what}: {first.where}; frames {frames}{more}",
        f"{meaning}{server}{location} The answer came after {first.seconds * 1000:.1f} ms: whatever else this capture "
        "shows, the network brought the question there and the answer back.",
        f"Read both in Wireshark, with the filter `frame.number in {{{first.frame}, {first.answer_frame}}}`, and ask "
        "both sides of the proxy:\n    runbook run websocket-handshake --set url=ws://SERVER:PORT/PATH --set "
        "via=ws://PROXY/PATH",
        _lines(group),
    )


def _unanswered(group: list[Answers]) -> Finding:
    shakes = _shakes(group)
    ends = {shake.end for shake in shakes if shake.end}
    end = f" The flow ended with {' or '.join(sorted(ends))}." if ends else " The flow has no end in this capture."
    return Finding(
        "handshake-unanswered",
        Verdict.CRITICAL,
        f"{_number(_count(group), 'request')} for a websocket without an answer: {shakes[0].where}",
        f"The GET is whole, and no answer follows in the same flow.{end} A RST of the server means that the server, "
        "or something that speaks for it, gave up; a FIN of the client that it waited in vain; none of both that the "
        "capture ended first.",
        "See what the flow does after the GET: in Wireshark, Follow, TCP Stream, on that frame.",
        _lines(group),
    )


def _unseen(facts: Facts, shake: Handshake) -> str:
    """Why there may be an answer that was not seen."""
    return shake.unseen or ("file ends" if facts.broken and not shake.end else "")


def _answer_unknown(facts: Facts, group: list[Answers]) -> Finding:
    shakes = _shakes(group)
    reasons = dict.fromkeys(_unseen(facts, shake) for shake in shakes)
    return Finding(
        "answer-unknown",
        Verdict.UNKNOWN,
        f"{_number(_count(group), 'request')} for a websocket whose answer was not seen: {shakes[0].where}",
        f"Whether it was answered, and what, this capture does not tell: "
        f"{'; '.join(UNSEEN.get(reason, reason) for reason in reasons)}.",
        "Capture both directions of all packets, whole, on one interface:\n"
        "    tcpdump -i any -s 0 -U -B 16384 -w websocket.pcap 'tcp port 80'\n"
        "At its end tcpdump says how many packets the kernel dropped; that should be 0.",
        _lines(group),
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
            f"{facts.transport.strange_resets} of {_number(facts.transport.resets, 'reset')} do not fit their flow: "
            f"frame {first.frame} "
            f"from {first.source}",
            f"{_sentence('; '.join(signs))}. So it may have been made by something on the path: a firewall, a load "
            "balancer, an intrusion detection. That a reset has the right TTL proves nothing, for whoever stands "
            "next to the server has that too.",
            "Capture on the server as well. If it never sent that reset, something between did.",
            tuple(reset.evidence for reset in foreign[:QUOTED]),
        )
    timed = [reset for reset in facts.resets if _timed(reset)]
    if timed:
        first = timed[0]
        told, all_of_them = len(facts.resets), facts.transport.resets
        among = f", of {told} out of {all_of_them} that were looked at," if told < all_of_them else ""
        path = f", on a path of {first.round_trip_ms:.1f} ms" if first.round_trip_ms >= 0 else ""
        yield Finding(
            "reset-timer-driven",
            Verdict.OK,
            f"{_number(len(timed), 'reset')}{among} came {first.last_new_ms:.0f} ms or so after the last new segment"
            f"{path}: "
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
    if not few and transport.percent >= facts.critical_percent:
        verdict = Verdict.CRITICAL
    elif not few and transport.percent >= facts.warning_percent:
        verdict = Verdict.WARNING
    limit = (
        f"limit: warning from {facts.warning_percent:g} %"
        if facts.warning_percent <= facts.critical_percent
        else f"limit: critical from {facts.critical_percent:g} %"
    )
    refused = any(one.first.status and not one.first.accepted for one in facts.answers)
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
        f"{transport.again} of {_number(transport.segments, 'segment')} ({_percent(transport.percent)} %) were "
        "sent again "
        f"({limit})",
        f"{kinds}. Lost segments make a connection slow; they change no answer.{second}{small}{worst}",
        "See which way loses:\n    ss -ti | grep -B1 retrans",
        (transport.evidence, *(place for _, place in facts.worst[:QUOTED])),
    )


def _not_known(facts: Facts) -> Iterator[Finding]:
    """What may hide a handshake is unknown. Packets that were cut elsewhere, in TLS or after the answer, hide none."""
    missing = not facts.answers or any(not one.first.status for one in facts.answers)
    strange = [link for link in facts.links if link.startswith("link type ")]
    hides = []
    cures = []
    if facts.broken:
        hides.append(f"the file {facts.broken}")
    if facts.cut_http:
        hides.append(f"HTTP was cut in {_number(facts.cut_http, 'place')} when it was captured")
    if facts.holes:
        hides.append(f"parts of HTTP are missing in {_number(facts.holes, 'place')}")
    if facts.one_way:
        hides.append(f"{_number(facts.one_way, 'flow')} of HTTP with packets of one side only")
    if facts.fragments:
        hides.append(f"{_number(facts.fragments, 'fragment')} of IP packets, which are not put together here")
        cures.append("Fragments are put together by Wireshark; look there.")
    if facts.given_up:
        hides.append(f"{_number(facts.given_up, 'open flow')} given up, for there were more than are kept")
        cures.append("Filter the capture to the port of the websocket: tcpdump -r OLD -w NEW 'tcp port 80'.")
    if facts.left_out:
        hides.append(f"{_number(facts.left_out, 'handshake')} not counted, for there were more kinds than are kept")
    if facts.unread:
        hides.append(f"{_number(facts.unread, 'packet')} could not be read at all")
    if strange:
        cures.append(
            f"{', '.join(strange).capitalize()} is not read here, only Ethernet, Linux cooked, raw IP and loopback "
            "(the numbers are those of tcpdump.org/linktypes.html): capture on another interface, or with `-i any`."
        )
    why = hides
    if facts.cut:
        why = [*hides, f"{_number(facts.cut, 'packet')} of {facts.packets} were cut when they were captured"]
    if facts.broken or facts.cut or facts.holes or facts.one_way or (facts.unread and not strange):
        cures.append(
            "Capture whole packets in both directions, and end tcpdump with Ctrl-C, so that it writes the last ones:\n"
            "    tcpdump -s 0 -U -w all.pcap"
        )
    if why:
        yield Finding(
            "truncated-capture",
            Verdict.UNKNOWN if hides or missing else Verdict.OK,
            _sentence("; ".join(why)),
            "What is in the missing part nobody knows: a handshake, or its answer, may be there. What is said above "
            "holds for what was read."
            if hides or missing
            else "They are not among the questions and answers of HTTP, so that they hide no handshake.",
            " ".join(cures),
            (facts.evidence,),
        )


def _shakes(group: list[Answers]) -> list[Handshake]:
    """Those that are told, in their order in the capture."""
    return sorted((shake for one in group for shake in one.shakes), key=lambda shake: shake.frame)


def _count(group: list[Answers]) -> int:
    return sum(one.count for one in group)


def _lines(group: list[Answers]) -> tuple[Evidence, ...]:
    return tuple(shake.evidence for shake in _shakes(group)[:QUOTED])


def _unticked(text: str) -> str:
    return text.replace("`", "'")


def _sentence(text: str) -> str:
    """`capitalize` would make all others small: `http`."""
    return text[:1].upper() + text[1:]


def _percent(share: float) -> str:
    """Two digits at least, and never a power of ten."""
    return f"{share:.0f}" if share >= 10 else f"{share:.2g}" if share >= 0.01 else "less than 0.01"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
