"""The frames of a run: every reader gets all of them in order, and who is too slow sees what it missed."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from typing import Any

from runbook.server import stream
from runbook.server.stream import Log
from tests.server.serving import finished


def output(log: Log, at: int, text: str) -> None:
    log.add("output", step="a", stream="stdout", at=at, pieces=[("", text)])


def read(frames: list[tuple[int, str]] | None) -> list[dict[str, Any]]:
    return [json.loads(text) for _, text in frames or []]


async def followed(log: Log, pause: float = 0.0, after: int = 0) -> list[dict[str, Any]]:
    """All that a reader gets who pauses for so long, at most, after each batch."""
    got: list[dict[str, Any]] = []
    while (frames := await log.follow(after, 5.0)) is not None:
        got += read(frames)
        after = got[-1]["n"]
        await asyncio.sleep(random.random() * pause)
    return got


def write(log: Log, count: int) -> None:
    at = 0
    for number in range(count):
        if number % 100 == 0:
            log.add("started", step=str(number))
        output(log, at, f"{number}\n")
        at += len(f"{number}\n")
    log.add("end")


def test_a_hundred_readers_get_every_frame_in_order() -> None:
    async def main() -> list[list[dict[str, Any]]]:
        log = Log(asyncio.get_running_loop())
        writer = threading.Thread(target=write, args=(log, 5000))
        readers = [asyncio.create_task(followed(log, 0.01)) for _ in range(100)]
        writer.start()
        found = await asyncio.gather(*readers)
        writer.join()
        return found

    for got in finished(main()):
        assert [frame["n"] for frame in got] == list(range(1, 5052))
        text = "".join(frame["pieces"][0][1] for frame in got if frame["type"] == "output")
        assert text == "".join(f"{number}\n" for number in range(5000))


def test_who_falls_behind_misses_output_and_sees_it_but_no_event() -> None:
    async def main() -> tuple[list[dict[str, Any]], Log]:
        log = Log(asyncio.get_running_loop(), window=20_000)
        write(log, 5000)
        return await followed(log), log

    got, log = finished(main())
    assert [frame["step"] for frame in got if frame["type"] == "started"] == [str(n) for n in range(0, 5000, 100)]
    outputs = [frame for frame in got if frame["type"] == "output"]
    assert 10 < len(outputs) < 200
    # All of it was 23890 characters, of which the last are there.
    assert outputs[0]["at"] + sum(len(frame["pieces"][0][1]) for frame in outputs) == 23890
    assert outputs[-1]["pieces"] == [["", "4999\n"]]
    assert log.size < 40_000


def test_what_is_given_up_leaves_memory_too() -> None:
    log = Log(asyncio.new_event_loop(), window=100_000)
    for number in range(20_000):
        output(log, number, "x" * 50)
    assert len(log._output) < 3000
    assert log.size <= 100_000


def test_a_reader_goes_on_where_it_was() -> None:
    async def main() -> None:
        log = Log(asyncio.get_running_loop())
        write(log, 50)
        whole = await followed(log)
        for after in (0, 1, 25, 51, 52, 1000):
            assert await followed(log, after=after) == whole[after:]

    finished(main())


def test_one_that_waits_hears_of_the_next_frame_at_once_and_of_none_in_time() -> None:
    async def main() -> None:
        log = Log(asyncio.get_running_loop())
        assert await log.follow(0, 0.01) == []
        waiting = asyncio.create_task(log.follow(0, 5.0))
        await asyncio.sleep(0.01)
        log.add("started", step="a")
        assert [frame["step"] for frame in read(await asyncio.wait_for(waiting, 1.0))] == ["a"]
        log.add("end")
        assert len(read(await log.follow(1, 5.0))) == 1
        assert await log.follow(2, 5.0) is None

    finished(main())


def test_a_batch_is_bounded() -> None:
    log = Log(asyncio.new_event_loop())
    for number in range(20):
        output(log, number, "x" * 60_000)
    taken = sum(len(text) for _, text in log.after(0))
    assert stream.BATCH_BYTES <= taken < stream.BATCH_BYTES + 70_000


def test_nothing_follows_the_end() -> None:
    log = Log(asyncio.new_event_loop())
    log.add("end")
    log.add("note", text="late")
    assert [frame["type"] for frame in read(log.after(0))] == ["end"]
