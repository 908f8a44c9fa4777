"""What happens in a run, as numbered frames that any number of readers follow, each at their own pace.

A frame is one JSON object, `{"n": 7, "type": …}`, numbered from 1 without gaps. All that is not output is kept; of
output the last `WINDOW_BYTES`. A reader that falls behind further misses output, and sees it: each such frame says how
much of its stream came before it (`at`, in characters). So a slow reader costs the run nothing, and nobody else.
"""

from __future__ import annotations

import asyncio
import json
import threading
from bisect import bisect_right
from contextlib import suppress
from operator import itemgetter

#: How much output is kept for readers that are behind, in bytes of frames.
WINDOW_BYTES = 8 * 1024 * 1024
#: What a frame costs beside its own bytes.
FRAME_COST = 200
#: How much a reader takes at once, in bytes.
BATCH_BYTES = 256 * 1024

Frame = tuple[int, str]
_number = itemgetter(0)


class Bell:
    """Wakes all who wait for it in the event loop `loop`; rung by any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._rung = asyncio.Event()
        #: Whether the loop has been asked already, so that many rings in a row cost it one call.
        self._asked = False

    def ring(self) -> None:
        with self._lock:
            asked, self._asked = self._asked, True
        if not asked:
            # After the loop has ended there is nobody to wake.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        with self._lock:
            self._asked = False
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    async def wait(self, seconds: float) -> None:
        """Until it is rung, or for so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), seconds)


class Log:
    """The frames of one run. Written by one thread or several, read in the event loop `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, window: int = WINDOW_BYTES) -> None:
        self._bell = Bell(loop)
        self._window = window
        self._lock = threading.Lock()
        self._last = 0
        self._events: list[Frame] = []
        #: Output, of which those before `_first` are given up.
        self._output: list[Frame] = []
        self._first = 0
        self._kept = 0
        self.ended = False

    def add(self, kind: str, **words: object) -> None:
        """Append a frame; `ended` is the last one."""
        with self._lock:
            if self.ended:
                return
            self._last += 1
            frame = (self._last, json.dumps({"n": self._last, "type": kind, **words}, ensure_ascii=False))
            if kind == "output":
                self._output.append(frame)
                self._kept += len(frame[1]) + FRAME_COST
                self._give_up()
            else:
                self._events.append(frame)
            self.ended = kind == "end"
        self._bell.ring()

    def _give_up(self) -> None:
        while self._kept > self._window and self._first < len(self._output) - 1:
            self._kept -= len(self._output[self._first][1]) + FRAME_COST
            self._output[self._first] = (self._output[self._first][0], "")
            self._first += 1
        if self._first > 1024 and self._first > len(self._output) // 2:
            del self._output[: self._first]
            self._first = 0

    def after(self, number: int) -> list[Frame]:
        """The frames after this one that are still there, in order, as many as a reader takes at once."""
        with self._lock:
            event = bisect_right(self._events, number, key=_number)
            output = max(self._first, bisect_right(self._output, number, key=_number))
            found: list[Frame] = []
            room = BATCH_BYTES
            while room > 0 and (event < len(self._events) or output < len(self._output)):
                is_event = output == len(self._output) or (
                    event < len(self._events) and self._events[event][0] < self._output[output][0]
                )
                frame = self._events[event] if is_event else self._output[output]
                event, output = event + is_event, output + (not is_event)
                found.append(frame)
                room -= len(frame[1])
            return found

    async def follow(self, number: int, seconds: float) -> list[Frame] | None:
        """As `after`, but waits until there is one, or for so long; None when no more will come."""
        # In this order, or an end in between would be missed.
        ended = self.ended
        frames = self.after(number)
        if frames or ended:
            return frames or None
        await self._bell.wait(seconds)
        return self.after(number)

    @property
    def size(self) -> int:
        """How much memory it takes, about, in bytes."""
        return self._kept + sum(len(text) + FRAME_COST for _, text in self._events)
