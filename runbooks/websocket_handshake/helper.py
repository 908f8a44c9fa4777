"""Reads how far each handshake came, says which hop ended it, and puts lost segments second.

What decides is the answer to one GET. So the order is: was anybody reached, what did they answer, is it an answer to
this request, how long did the websocket live; and only then what the transport did.

    captures ─▶ parse ─▶ Facts ─▶ judge: the handshakes one by one, then one against the other, then the segments
"""

from __future__ import annotations

from collections.abc import Iterator

from runbook.helpers import Captures, Unreadable
from runbook.model import Evidence, Finding, Verdict

from .answers import explained
from .facts import Facts, Handshake, Segments, Stage, read_handshake, read_segments

__all__ = ["judge", "parse"]

#: So many segments at least make a share of them mean anything; and the shares that are worth a word, in per cent.
FEWEST_SEGMENTS, WARNING_PERCENT = 100, 1.0


def parse(captures: Captures) -> Facts:
    """Both handshakes, as far as they were made, and how many segments were sent meanwhile."""
    handshakes = []
    for step, parameter in (("direct", "url"), ("via", "via")):
        capture = captures.ran(step)
        if capture is None:
            continue
        if capture.exit_code not in (0, 1) or not capture.stdout:
            raise Unreadable("the probe told nothing", step, stream="stderr")
        handshakes.append(read_handshake(capture, str(captures.parameters.get(parameter, ""))))
    return Facts(tuple(handshakes), read_segments(captures), captures.number("slow"))


def judge(facts: Facts) -> Iterator[Finding]:
    """Every handshake by itself, and what the two of them say together."""
    for handshake in facts.handshakes:
        yield from _one(handshake, facts)
    yield from _compared(facts)
    if facts.handshakes and facts.segments is not None:
        yield from _lost(facts.segments, facts)


def _one(handshake: Handshake, facts: Facts) -> Iterator[Finding]:
    failed = handshake.failed
    if failed is not None and failed.name != "idle":
        yield explained(handshake, failed)
    else:
        yield _opened(handshake)
        if failed is not None:
            yield _ended_in_silence(handshake, failed)
        if handshake.seconds > facts.slow_seconds:
            yield _slow(handshake, facts)
    yield from _unverified(handshake)


def _opened(handshake: Handshake) -> Finding:
    connect, ping = handshake.stage("connect"), handshake.stage("ping")
    place = f"{connect.text('address')} ({connect.text('family')})" if connect else ""
    there_and_back = f", a frame went there and back in {ping.seconds * 1000:.1f} ms" if ping else ""
    return Finding(
        "handshake",
        Verdict.OK,
        f"{handshake.words}: the websocket was opened in {handshake.seconds * 1000:.0f} ms{there_and_back}",
        f"Answered by {place} with 101, and Sec-WebSocket-Accept is the answer to our key.",
        evidence=handshake.lines("response", "accept", "ping"),
    )


def _ended_in_silence(handshake: Handshake, failed: Stage) -> Finding:
    return Finding(
        "closed-idle",
        Verdict.WARNING,
        f"{handshake.words}: ended after {failed.seconds:.1f} s of silence: {failed.detail}",
        "Somebody on the way ends a connection on which nothing is said. The round number is the trace: HAProxy's "
        "`timeout tunnel` (where there is none, `timeout client` or `timeout server`), nginx's `proxy_read_timeout` "
        "(60 s), a load balancer's idle time-out, a firewall's table of connections.",
        "Say something more often than that: a ping every 20 s from the client or the server, or a longer time-out:\n"
        "    timeout tunnel 1h   # changes haproxy.cfg",
        evidence=handshake.lines("idle"),
    )


def _slow(handshake: Handshake, facts: Facts) -> Finding:
    stages = [stage for stage in handshake.stages if stage.name not in ("ping", "idle", "transport")]
    longest = max(stages, key=lambda stage: stage.seconds)
    connect = handshake.stage("connect")
    other = f"; to connect took {connect.seconds * 1000:.1f} ms" if connect and connect is not longest else ""
    return Finding(
        "slow",
        Verdict.WARNING,
        f"{handshake.words}: {handshake.seconds:.1f} s, of which {longest.seconds:.1f} s for `{longest.name}`{other} "
        f"(limit: {facts.slow_seconds:g} s)",
        "When to connect is quick and the answer is slow, the network is not the reason: the server, or the proxy that "
        "waits for it, is.",
        evidence=handshake.lines(longest.name),
    )


def _unverified(handshake: Handshake) -> Iterator[Finding]:
    tls = handshake.stage("tls")
    if tls is not None and tls.told.get("verified") is False:
        yield Finding(
            "tls-failed",
            Verdict.CRITICAL,
            f"{handshake.words}: no client would trust this certificate: {tls.detail}",
            "A browser stops here and says only that the connection failed. The stages after it were looked at all the "
            f"same. The certificate is for {', '.join(tls.texts('names')) or 'names that were not told'}.",
            "Look at it as clients do:\n    openssl s_client -connect HOST:443 -servername HOST </dev/null",
            evidence=handshake.lines("tls"),
        )


def _compared(facts: Facts) -> Iterator[Finding]:
    """Which side it is, where both were asked: the way without the proxy tells."""
    by_step = {handshake.step: handshake for handshake in facts.handshakes}
    direct, via = by_step.get("direct"), by_step.get("via")
    if direct is None or via is None or not via.refused:
        return
    both = (*direct.lines(direct.last), *via.lines(via.last))
    if not direct.refused:
        yield Finding(
            "proxy-at-fault",
            Verdict.CRITICAL,
            f"The proxy is at fault: directly the websocket is opened, by way of the proxy it ends at `{via.last}`",
            "Both were asked for the same websocket at the same time, by the same client. What differs is the proxy, "
            "its configuration, and what stands between it and the server.",
            "Look at what the proxy makes of the request, and at its log for this very second:\n"
            "    haproxy -c -f /etc/haproxy/haproxy.cfg\n"
            "    journalctl -u haproxy --since -2min",
            both,
        )
    elif direct.answer == via.answer:
        yield Finding(
            "server-at-fault",
            Verdict.CRITICAL,
            f"The server is at fault: it gives the same answer without the proxy ({direct.answer})",
            "The proxy only passes on what the server says.",
            "Look at the server itself: its log, the path, the Origin that it allows.",
            both,
        )


def _lost(segments: Segments, facts: Facts) -> Iterator[Finding]:
    if segments.sent < FEWEST_SEGMENTS or segments.percent < WARNING_PERCENT:
        return
    refused = any(handshake.refused for handshake in facts.handshakes)
    second = " It is not why the websocket is refused: the answer above came, lost segments and all." if refused else ""
    yield Finding(
        "retransmissions",
        Verdict.WARNING,
        f"{segments.again} of {segments.sent} segments ({segments.percent:.1f} %) were sent again meanwhile",
        "All of this host's connections are counted, not only these. Lost segments make a websocket slow; they change "
        f"no answer.{second}",
        "See which connections lose:\n    ss -ti | grep -B1 retrans",
        (Evidence("counters-before", "stdout", 1, 3), Evidence("counters-after", "stdout", 1, 3)),
    )
