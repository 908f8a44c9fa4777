"""TCP flows of a capture: which segments were sent again, and the bytes in order for whoever wants to read them.

Whoever reads is also told what is missing between them.

What is a retransmission, a fast or spurious one, or only out of order, is decided as Wireshark does it (its guide, 7.5
TCP Analysis), so that both give the same counts.
"""

from __future__ import annotations

from typing import Any, Protocol

from runbook.probes.segments import Segment, reversed_key

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
#: What one kept segment costs besides its bytes.
_EACH = 200
_WRAP, _HALF = 1 << 32, 1 << 31

RETRANSMISSION, FAST, SPURIOUS, OUT_OF_ORDER, TWICE, KEEP_ALIVE = (
    "retransmission", "fast", "spurious", "out of order", "twice", "keep-alive",
)  # fmt: skip


def after(one: int, other: int) -> int:
    """How far `one` is after `other`, negative when it is before: sequence numbers begin again after 2**32 - 1."""
    return (one - other + _HALF) % _WRAP - _HALF


class Listener(Protocol):
    """Given the bytes of a direction in order, and told how many between them are not in the capture."""

    def take(self, data: bytes, frame: int, now: int) -> None: ...

    def missed(self, count: int, cut: bool) -> None: ...


class Budget:
    """How much may be kept over all flows together, in bytes: one flow's limit times the number of flows is a lot."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> bool:
        if count > self.left:
            return False
        self.left -= count
        return True

    def give(self, count: int) -> None:
        self.left += count


class Direction:
    """One of the two halves of a flow."""

    __slots__ = (
        "acknowledged", "again", "base", "duplicates", "expected", "finished", "flow", "identification", "last",
        "last_ns", "next_ns", "other", "reader", "segments", "started", "ttl", "waiting", "waiting_bytes", "window",
        "window_ack_ns",
    )  # fmt: skip

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        #: The number of its SYN, or the one before the first that was seen; -1 before anything was.
        self.base = -1
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
        #: What the last segment had that had no identification.
        self.last: tuple[int, ...] = ()
        self.segments = 0
        self.again = 0
        self.ttl = -1
        self.finished = False
        #: Given the bytes in order, as long as somebody wants them.
        self.reader: Listener | None = None
        #: By number: the bytes, how many were cut after them, frame and time.
        self.waiting: dict[int, tuple[bytes, int, int, int]] | None = None
        self.waiting_bytes = 0
        self.other: Direction = self


class Flow:
    """Both directions; `client` is the one that sent the SYN, or asks, or was seen first."""

    __slots__ = ("client", "closed", "http", "key", "round_trip_ns", "server", "sure", "syn_ns", "wants")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.client, self.server = Direction(self), Direction(self)
        self.client.other, self.server.other = self.server, self.client
        #: From the SYN to the client's first ACK, in ns; -1 where it was not seen. Captured on the server, the SYN's
        #: answer follows at once, and only the client's ACK has been all the way.
        self.round_trip_ns = -1
        self.syn_ns = -1
        self.closed = ""
        self.wants = True
        #: Whether it is known who is the client.
        self.sure = False
        #: What reads both directions together.
        self.http: Any = None

    def swap(self) -> None:
        """The one that was seen first is the server."""
        self.client, self.server = self.server, self.client
        self.key = reversed_key(self.key)
        if self.closed:
            words = self.closed.split()
            self.closed = f"{words[0]} of the {'server' if words[-1] == 'client' else 'client'}"


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
        if flags & SYN:
            direction.base, direction.started = sequence, (sequence + 1) % _WRAP
        else:
            direction.base = (sequence - 1) % _WRAP
    else:
        ahead = after(sequence, expected)
        if (
            identification > 0
            and identification == direction.identification
            and now - direction.last_ns < TWICE_NS
            and (size == 0 or ahead < 0)
        ):
            found = TWICE
        elif (
            identification < 0
            and size
            and ahead < 0
            and now - direction.last_ns < TWICE_NS
            and direction.last == (sequence, size, flags, acknowledged, window)
        ):
            # IPv6 has no identification; no timer and no duplicate acknowledgement sends the same again that soon.
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
    if identification < 0:
        direction.last = (sequence, size, flags, acknowledged, window)
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


def deliver(direction: Direction, segment: Segment, data: bytes, frame: int, now: int, budget: Budget) -> None:
    """Give the reader of this direction what this segment adds, in order; keep it while something before it is
    missing."""
    if direction.reader is None:
        return
    sequence = (segment.sequence + 1) % _WRAP if segment.flags & SYN else segment.sequence
    payload = data[segment.start : segment.start + segment.length]
    if direction.started < 0:
        direction.started = sequence
    _offer(direction, sequence, payload, segment.length - len(payload), frame, now, budget)
    waiting = direction.waiting
    while waiting and direction.reader is not None:
        ready = [number for number in waiting if after(number, direction.started) <= 0]
        if not ready:
            # What the other side has acknowledged was sent: the capture missed it, and waiting for it is vain.
            missed = direction.other.acknowledged >= 0 and after(direction.other.acknowledged, direction.started) > 0
            if not missed and len(waiting) < MOST_WAITING and direction.waiting_bytes < MOST_WAITING_BYTES:
                return
            first = min(waiting, key=lambda number: after(number, direction.started))
            if missed and after(first, direction.other.acknowledged) >= 0 and len(waiting) < MOST_WAITING:
                return
            _skip(direction, first)
            ready = [first]
        for number in ready:
            _resume(direction, number, budget)
    if direction.reader is None:
        forget(direction, budget)


def flush(direction: Direction, budget: Budget) -> None:
    """Nothing more comes: what waits for something missing is given now."""
    waiting = direction.waiting
    while waiting and direction.reader is not None:
        first = min(waiting, key=lambda number: after(number, direction.started))
        if after(first, direction.started) > 0:
            _skip(direction, first)
        _resume(direction, first, budget)
    forget(direction, budget)


def forget(direction: Direction, budget: Budget) -> None:
    """Drop what waits."""
    if direction.waiting:
        budget.give(direction.waiting_bytes)
    direction.waiting, direction.waiting_bytes = None, 0


def _skip(direction: Direction, to: int) -> None:
    reader = direction.reader
    count = after(to, direction.started)
    direction.started = to
    if reader is not None:
        reader.missed(count, False)


def _resume(direction: Direction, number: int, budget: Budget) -> None:
    waiting = direction.waiting
    if waiting is None:
        return
    kept, cut, frame, now = waiting.pop(number)
    size = len(kept) + _EACH
    direction.waiting_bytes -= size
    budget.give(size)
    _offer(direction, number, kept, cut, frame, now, budget)


def _offer(direction: Direction, sequence: int, payload: bytes, cut: int, frame: int, now: int, budget: Budget) -> None:
    """`cut` bytes after the payload were sent, and not kept in the capture."""
    reader = direction.reader
    if reader is None or not (payload or cut):
        return
    ahead = after(sequence, direction.started)
    if ahead > 0:
        if direction.waiting is None:
            direction.waiting = {}
        size = len(payload) + _EACH
        # Without room for it, it is missing like what the capture missed.
        if sequence not in direction.waiting and budget.take(size):
            direction.waiting_bytes += size
            direction.waiting[sequence] = (payload, cut, frame, now)
        return
    fresh = payload[-ahead:] if ahead else payload
    if fresh:
        direction.started = (direction.started + len(fresh)) % _WRAP
        reader.take(fresh, frame, now)
    if cut:
        end = (sequence + len(payload) + cut) % _WRAP
        count = after(end, direction.started)
        if count > 0:
            direction.started = end
            reader.missed(count, True)
