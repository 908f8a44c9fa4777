"""TCP flows of a capture: which segments were sent again, and the bytes in order for whoever wants to read them.

What is a retransmission, a fast or spurious one, or only out of order, is decided as Wireshark does it (its guide, 7.5
TCP Analysis), so that both give the same counts.
"""

from __future__ import annotations

from collections.abc import Callable

from runbook.probes.segments import Segment

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
#: A segment that comes this late after the one that it should have preceded was lost; Wireshark's limit, in ns,
#: where the
#: flow's round trip is not known.
OUT_OF_ORDER_NS = 3_000_000
#: How late a fast retransmission may come after the duplicate acknowledgement that asked for it, in ns.
FAST_NS = 20_000_000
#: The same packet seen twice, on its way in and out, is no retransmission: it has the same identification, and comes
#: within
#: this time, in ns.
TWICE_NS = 1_000_000
#: How much of a direction is kept until what is missing comes, in bytes and segments.
MOST_WAITING, MOST_WAITING_BYTES = 64, 128 * 1024
_WRAP, _HALF = 1 << 32, 1 << 31

RETRANSMISSION, FAST, SPURIOUS, OUT_OF_ORDER, TWICE, KEEP_ALIVE = (
    "retransmission", "fast", "spurious", "out of order", "twice", "keep-alive",
)  # fmt: skip


def after(one: int, other: int) -> int:
    """How far `one` is after `other`, negative when it is before: sequence numbers begin again after 2**32 - 1."""
    return (one - other + _HALF) % _WRAP - _HALF


class Direction:
    """One of the two halves of a flow."""

    __slots__ = (
        "acknowledged", "again", "duplicates", "expected", "finished", "flow", "identification", "last_ns", "next_ns",
        "other", "reader", "segments", "started", "ttl", "waiting", "waiting_bytes", "window", "window_ack_ns",
    )  # fmt: skip

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        #: The sequence number after all that was sent, and -1 before anything was.
        self.started = -1
        self.expected = -1
        #: When that was sent.
        self.next_ns = 0
        self.last_ns = 0
        self.acknowledged = -1
        self.duplicates = 0
        self.window_ack_ns = 0
        self.window = -1
        self.identification = -1
        self.segments = 0
        self.again = 0
        self.ttl = -1
        self.finished = False
        #: Given the bytes in order, as long as somebody wants them.
        self.reader: Callable[[Direction, bytes, int, int], None] | None = None
        self.waiting: dict[int, tuple[bytes, int, int]] | None = None
        self.waiting_bytes = 0
        self.other: Direction = self


class Flow:
    """Both directions; `client` is the one that sent the SYN, or was seen first."""

    __slots__ = ("client", "closed", "key", "round_trip_ns", "server", "syn_ns", "wants")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.client, self.server = Direction(self), Direction(self)
        self.client.other, self.server.other = self.server, self.client
        #: From the SYN to the SYN's answer, in ns; -1 where it was not seen.
        self.round_trip_ns = -1
        self.syn_ns = -1
        self.closed = ""
        self.wants = True


def classify(direction: Direction, segment: Segment, now: int) -> str:
    """What this segment is besides new, or an empty text; takes it in."""
    _, _, sequence, acknowledged, flags, _, length, _, identification, window = segment
    other = direction.other
    size = length + (1 if flags & (SYN | FIN) else 0)
    found = ""
    expected = direction.expected
    if expected < 0:
        direction.expected = (sequence + size) % _WRAP
        direction.next_ns = now
        direction.started = sequence
    else:
        ahead = after(sequence, expected)
        if (
            identification > 0
            and identification == direction.identification
            and now - direction.last_ns < TWICE_NS
            and (size == 0 or ahead < 0)
        ):
            found = TWICE
        elif size and ahead < 0:
            if length <= 1 and ahead == -1 and not flags & (SYN | FIN | RST):
                found = KEEP_ALIVE
            else:
                found = _again(direction, other, segment, size, now)
        if not found or found in (RETRANSMISSION, FAST, SPURIOUS, OUT_OF_ORDER):
            end = (sequence + size) % _WRAP
            if after(end, expected) > 0:
                direction.expected = end
                direction.next_ns = now
    if size:
        direction.segments += found != TWICE
        if found in (RETRANSMISSION, FAST, SPURIOUS):
            direction.again += 1
    direction.identification = identification
    direction.last_ns = now
    if flags & ACK and found != TWICE:
        if acknowledged == direction.acknowledged and window == direction.window and not size and not flags & RST:
            direction.duplicates += 1
            direction.window_ack_ns = now
        elif direction.acknowledged < 0 or after(acknowledged, direction.acknowledged) > 0:
            direction.acknowledged = acknowledged
            direction.duplicates = 0
            direction.window_ack_ns = now
        direction.window = window
    return found


def _again(direction: Direction, other: Direction, segment: Segment, size: int, now: int) -> str:
    """Which kind of not new it is (Wireshark's tcp_analyze_sequence_number, in its order)."""
    sequence = segment.sequence
    if other.acknowledged >= 0 and segment.length and after(sequence + size, other.acknowledged) <= 0:
        return SPURIOUS
    if other.duplicates >= 2 and sequence == other.acknowledged and now - other.window_ack_ns < FAST_NS:
        return FAST
    limit = direction.flow.round_trip_ns if direction.flow.round_trip_ns > 0 else OUT_OF_ORDER_NS
    if now - direction.next_ns < limit and after(sequence + size, direction.expected) != 0:
        return OUT_OF_ORDER
    return RETRANSMISSION


def deliver(direction: Direction, segment: Segment, data: bytes, frame: int, now: int) -> None:
    """Give the reader of this direction what this segment adds, in order; keep it while something before it is "
    "missing."""
    reader = direction.reader
    if reader is None:
        return
    sequence = (segment.sequence + 1) % _WRAP if segment.flags & SYN else segment.sequence
    payload = data[segment.start : segment.start + segment.length]
    if direction.started < 0:
        direction.started = sequence
    _offer(direction, sequence, payload, frame, now)
    waiting = direction.waiting
    while waiting and direction.reader is not None:
        ready = [number for number in waiting if after(number, direction.started) <= 0]
        if not ready:
            # What the other side has acknowledged was sent: the capture missed it, and waiting for it is vain.
            missed = direction.other.acknowledged >= 0 and after(direction.other.acknowledged, direction.started) > 0
            if not missed and len(waiting) < MOST_WAITING and direction.waiting_bytes < MOST_WAITING_BYTES:
                return
            ready = [min(waiting, key=lambda number: after(number, direction.started))]
            if missed and after(ready[0], direction.other.acknowledged) >= 0 and len(waiting) < MOST_WAITING:
                return
            direction.started = ready[0]
        for number in ready:
            kept, kept_frame, kept_ns = waiting.pop(number)
            direction.waiting_bytes -= len(kept)
            _offer(direction, number, kept, kept_frame, kept_ns)
    if direction.reader is None:
        direction.waiting, direction.waiting_bytes = None, 0


def _offer(direction: Direction, sequence: int, payload: bytes, frame: int, now: int) -> None:
    reader = direction.reader
    if reader is None or not payload:
        return
    ahead = after(sequence, direction.started)
    if ahead > 0:
        if direction.waiting is None:
            direction.waiting = {}
        if sequence not in direction.waiting:
            direction.waiting_bytes += len(payload)
            direction.waiting[sequence] = (payload, frame, now)
        return
    fresh = payload[-ahead:] if ahead else payload
    if fresh:
        direction.started = (direction.started + len(fresh)) % _WRAP
        reader(direction, fresh, frame, now)
