"""Every dialect of HAProxy's log is counted, in one pass, whatever is in it; and nothing fills the memory or stalls."""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from runbook.probes.haproxy_log import CHUNK_BYTES, MOST_GROUPS, MOST_PATHS, Tally

#: As HAProxy 2.6.12 writes them.
HTTP = b'%s [23/Nov/2026:02:04:08.876] %s be/ws1 0/0/1/1/%s - - ---- 1/1/0/0/%s 0/0 %s"GET /c HTTP/1.1"%s'
SESSIONS = {
    "httplog": HTTP % (b"10.0.0.1:4", b"fe", b"8110 101 374", b"0", b"", b""),
    "httpslog": HTTP
    % (b"10.0.0.1:4", b"fe~", b"4 101 194", b"0", b"", b" 0/0000000000000000/0/0/0 -/TLSv1.3/TLS_AES_256"),
    "captures": HTTP
    % (b"10.0.0.1:4", b"fe", b"305 101 329", b"0", b"{10.77.2.2|websocket|Py/3 w/17.4} {Python w} ", b""),
    "ipv6": HTTP % (b"fd77:1::2:58526", b"fe", b"211 101 321", b"0", b"", b""),
    "redispatched": HTTP % (b"10.0.0.1:4", b"fe", b"8 101 37", b"+1", b"", b""),
}
PREFIXES = {
    "raw": b"",
    "syslog": b"<134>Nov 23 02:04:08 lb1 haproxy[2214]: ",
    "rsyslog": b"Nov 23 02:04:08 lb1 haproxy[2214]: ",
    "rfc5424": b"<134>1 2026-11-27T21:06:16.751431+00:00 - haproxy 22249 - - ",
    "iso": b"2026-11-27T21:06:16+0000 lb1 haproxy[2214]: ",
}


PROBE = [sys.executable, "-c", "import sys; from runbook.probes import main; sys.exit(main())", "haproxy-log"]


def tally(*lines: bytes) -> list[dict[str, Any]]:
    found = Tally(slow_ms=1000)
    found.take(b"".join(line + b"\n" for line in lines))
    return list(found.told("a log"))


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("dialect", SESSIONS)
def test_every_dialect_behind_every_prefix(dialect: str, prefix: str) -> None:
    told = tally(PREFIXES[prefix] + SESSIONS[dialect])
    assert (told[0]["http"], told[0]["unread"], told[1]["opened"]) == (1, 0, 1)


def test_a_session_in_tcp_mode_has_two_letters_and_no_status() -> None:
    told = tally(b"127.0.0.1:41308 [27/Nov/2026:21:06:16.782] raw t/s 1/0/0 815 cD 1/1/0/0/0 0/0")
    assert told[0]["tcp"] == 1
    assert (told[-1]["letters"], told[-1]["status"]) == ("cD", "")


def test_what_is_logged_early_has_no_life() -> None:
    told = tally(HTTP % (b"10.0.0.1:4", b"fe", b"+0 101 +132", b"0", b"", b""))
    assert (told[1]["opened"], told[1]["early"], told[1]["longest_ms"]) == (1, 1, -1)
    assert not [line for line in told if line["kind"] == "lifetime"]


def test_a_failed_handshake_is_no_session() -> None:
    told = tally(b"127.0.0.1:60688 [27/Nov/2026:21:06:16.774] secure/1: SSL handshake failure")
    assert (told[0]["http"], told[0]["unread"]) == (0, 0)
    assert told[-1]["mark"] == "SSL handshake failure"


@pytest.mark.parametrize(
    "line",
    [
        b'127.0.0.1 - - [27/Nov/2026:21:06:16 +0000] "GET /log HTTP/1.1" 200 1123 "" "" 53456 798 "clf" "b" "s"',
        b"10.0.0.1:4 [23/Nov/2026:02:04:08.876] fe be/ws1 0/0/1/1/8 my own format",
    ],
)
def test_a_line_of_another_format_is_counted_as_unread(line: bytes) -> None:
    told = tally(SESSIONS["httplog"], line)
    assert (told[0]["http"], told[0]["unread"], told[0]["first_unread"]["line"]) == (1, 1, 2)


def test_notices_are_neither() -> None:
    told = tally(b"Server be_ws/ws1 is DOWN, reason: Layer4 connection problem.", b"Proxy fe stopped (FE: 1).", b"")
    assert (told[0]["lines"], told[0]["http"], told[0]["unread"]) == (3, 0, 0)


def test_a_path_cannot_pretend_to_be_another_session() -> None:
    line = SESSIONS["httplog"].replace(b"/c HTTP", b"/[23/Nov/2026:02:04:08.876]%20fe%20be/x HTTP")
    told = tally(line)
    assert (told[0]["http"], told[0]["unread"]) == (1, 0)


def session(
    way: bytes = b"fe be/ws1", status: bytes = b"200", letters: bytes = b"----", rest: bytes = b'"GET /c HTTP/1.1"'
) -> bytes:
    line = b"x [23/Nov/2026:02:04:08.876] %s 0/0/1/1/8 %s 374 - - %s 1/1/0/0/0 0/0 %s"
    return line % (way, status, letters, rest)


def groups(told: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for line in told:
        if line["kind"] == "group":
            found[tuple(line[key] for key in ("frontend", "server", "status", "letters"))] += line["count"]
    return found


def test_a_log_of_nothing_but_differences_fills_no_memory_and_leaves_nothing_out() -> None:
    found = Tally(slow_ms=1000)
    line = SESSIONS["httplog"].decode()
    for number in range(2 * MOST_GROUPS):
        text = line.replace(" fe ", f" fe{number} ").replace("/c", f"/c{number}").replace("8110", str(number * 100))
        found.take(text.encode() + b"\n")
    assert len(found.groups) == MOST_GROUPS
    told = list(found.told("a log"))
    assert told[0]["left_out"] == 0
    assert sum(groups(told).values()) == 2 * MOST_GROUPS
    assert len(told) < 1_000


def test_many_good_ways_do_not_hide_a_bad_one() -> None:
    good = [session(b"fe be%d/ws1" % number) for number in range(MOST_GROUPS + 100)]
    bad = [session(b"fe down%d/<NOSRV>" % number, b"503", b"SC--") for number in range(MOST_GROUPS + 100)]
    told = tally(*good, *good, *bad)
    assert told[0]["left_out"] == 0
    counts = groups(told)
    assert next(iter(counts))[1:] == ("<NOSRV>", "503", "SC--")
    assert sum(count for key, count in counts.items() if key[3] == "SC--") == MOST_GROUPS + 100
    assert ("(others)", "<NOSRV>", "503", "SC--") in counts


def test_what_is_left_out_is_counted() -> None:
    lines = []
    for number in range(MOST_GROUPS + 900):
        letters = bytes([65 + number % 26, 65 + number // 26 % 26, 65 + number // 676 % 26]) + b"-"
        lines.append(session(b"fe be/s", b"503", letters))
    told = tally(*lines)
    assert told[0]["left_out"] == MOST_GROUPS + 900 - sum(groups(told).values()) > 0


@pytest.mark.parametrize("opened", [60, MOST_PATHS + 60])
@pytest.mark.parametrize("before", [False, True])
def test_a_refusal_on_one_of_many_paths_is_told(opened: int, before: bool) -> None:
    paths = [session(status=b"101", rest=b'"GET /w%d HTTP/1.1"' % number) for number in range(opened)]
    # Pages that are not there must not take up the room either.
    missing = [session(status=b"404", rest=b'"GET /none%d HTTP/1.1"' % number) for number in range(MOST_PATHS + 60)]
    last = [session(status=b"101", rest=b'"GET /last HTTP/1.1"')]
    refused = [session(status=b"403", rest=b'"GET /last HTTP/1.1"')] * 20
    told = tally(*missing, *refused, *paths, *last) if before else tally(*paths, *last, *missing, *refused)
    answers = [answer for line in told if line["kind"] == "path" for answer in line["answers"]]
    assert sum(answer[3] for answer in answers if answer[0][0] == "4") == 20
    assert told[1]["refusals_left_out"] == 0


def test_refusals_beyond_all_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runbook.probes.haproxy_log.MOST_PATHS", 1)
    monkeypatch.setattr("runbook.probes.haproxy_log.MOST_HASHES", 1)
    told = tally(*(session(status=b"403", rest=b'"GET /%d HTTP/1.1"' % number) for number in range(5)))
    assert told[1]["refusals_left_out"] == 3
    opened = [session(status=b"101", rest=b'"GET /w%d HTTP/1.1"' % number) for number in range(5)]
    told = tally(*opened, session(status=b"403", rest=b'"GET /w4 HTTP/1.1"'))
    assert told[1]["refusals_left_out"] == 1


def test_a_marked_refusal_is_told_once() -> None:
    one, two = b'"GET /chat HTTP/1.1"', b'{websocket} "GET /chat HTTP/1.1"'
    told = tally(session(status=b"101", rest=one), session(status=b"403", rest=two))
    (path,) = (line for line in told if line["kind"] == "path")
    assert path["answers"] == [["101", "ws1", "----", 1]]


def test_lives_are_bounded_and_a_series_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runbook.probes.haproxy_log.MOST_LIVES", 50)
    lines = []
    for number in range(400):
        lines.append(HTTP % (b"a", b"fe", b"%d 101 3" % (number * 100), b"0", b"", b""))
        lines.append(HTTP % (b"a", b"fe", b"60000 101 3", b"0", b"", b""))
    told = tally(*lines)
    (life,) = (line for line in told if line["kind"] == "lifetime")
    assert life["ms"] == 60_000
    assert life["count"] > 380


def test_names_of_a_megabyte_are_cut_with_a_mark() -> None:
    found = Tally(slow_ms=1000)
    for number in range(50):
        name, path = b"%d" % number + b"s" * 1_000_000, b'"GET /%d%s HTTP/1.1"' % (number, b"p" * 1_000_000)
        found.take(session(b"fe be/" + name, b"101", rest=path) + b"\n")
    assert max(len(part) for way in found.groups for part in way) < 250
    assert max(map(len, found.paths)) < 250
    assert "s\u2026" in {line["server"][-2:] for line in found.told("x") if line["kind"] == "group"}


def test_a_negative_life_is_none() -> None:
    told = tally(HTTP % (b"a", b"fe", b"-999999999999 101 3", b"0", b"", b""), SESSIONS["httplog"])
    assert (told[1]["opened"], told[1]["early"], told[1]["longest_ms"]) == (2, 1, 8110)
    assert all(line["ms"] >= 0 for line in told if line["kind"] == "lifetime")


@pytest.mark.parametrize(
    "rest",
    [
        b'{x [27/Nov/2026:21:06:16] y} "GET /c HTTP/1.1"',
        b'{x [27/Nov/2026:21:06:16.1] fe/1: SSL handshake failure} "GET /c HTTP/1.1"',
        b"{x [27/Nov/2026:21:06:16.1] fe/1: SSL handshake failure",
        b'{x [27/Nov/2026:21:06:16.1] fe b/s 0/0/0/0/1 503 1 - - SC-- 1/1/0/0/0 0/0} "GET / HTTP/1.1"',
    ],
)
def test_a_client_cannot_write_what_counts_as_another_line(rest: bytes) -> None:
    told = tally(session(rest=rest))
    assert (told[0]["http"], told[0]["unread"]) == (1, 0)
    assert groups(told) == {("fe", "ws1", "200", "----"): 1}


def test_a_line_counts_once_as_unread() -> None:
    told = tally(session(), b"x [27/Nov/2026:21:06:16] y [27/Nov/2026:21:06:16] z", session())
    assert (told[0]["unread"], told[0]["first_unread"]["line"]) == (1, 2)


def test_the_dates_are_the_first_and_the_last_not_those_of_the_first_and_last_line() -> None:
    dates = (b"25/Nov/2026", b"31/Dec/2025", b"27/Nov/2026", b"01/Jan/2026")
    told = tally(*(session().replace(b"23/Nov/2026", date) for date in dates))
    assert (told[0]["first"][:11], told[0]["last"][:11]) == ("31/Dec/2025", "27/Nov/2026")


def test_lines_that_end_as_windows_ends_them() -> None:
    told = tally(b"127.0.0.1:41308 [27/Nov/2026:21:06:16.782] raw t/s 1/0/0 815 cD 1/1/0/0/0 0/0\r", session() + b"\r")
    assert (told[0]["tcp"], told[0]["http"], told[0]["unread"]) == (1, 1, 0)


#: What a client, or whoever writes the log, may repeat without end.
PARTS = (
    b"?",
    b"/",
    b"[",
    b" ",
    b"1",
    b'"',
    b"a",
    b":",
    b"+",
    b"-",
    b'"A ',
    b'"A x?',
    b" [",
    b"/ ",
    b": ",
    b"A/",
    b"1 ",
)
DATES = (b" [23/Nov/2026:02:04:08.876] ", b" [23/Nov/2026:02:04:08")
OPENINGS = (b"", b'fe be/s 0/0/1/1/8 101 3 - - ---- 1/1/0/0/0 0/0 "GET /', b"fe be/s ", b"fe ", b"fe be/s 0/0/1/1/8 ")


@pytest.mark.parametrize("opening", OPENINGS)
def test_no_line_takes_longer_than_its_length_says(opening: bytes) -> None:
    for part in (*PARTS, *DATES):
        line = DATES[0] + opening + part * (200_000 // len(part))
        before = time.process_time()
        tally(line, line + b"!", line + b' HTTP/1.1"')
        assert time.process_time() - before < 1, (opening, part)


def run(path: Path) -> tuple[int, list[dict[str, Any]], str]:
    words = [
        sys.executable,
        "-c",
        "import sys; from runbook.probes import main; sys.exit(main())",
        "haproxy-log",
        str(path),
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_zipped_log_says_the_same(tmp_path: Path) -> None:
    lines = b"\n".join(SESSIONS.values())
    (tmp_path / "a").write_bytes(lines)
    (tmp_path / "b").write_bytes(gzip.compress(lines))
    (_, plain, _), (_, zipped, _) = run(tmp_path / "a"), run(tmp_path / "b")
    assert plain[1:] == zipped[1:]
    assert plain[0]["http"] == len(SESSIONS)


def test_a_log_that_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    missing = {"kind": "error", "log": str(tmp_path / "none"), "detail": "No such file or directory"}
    assert run(tmp_path / "none")[:2] == (1, [missing])
    assert run(tmp_path)[0] == 1
    os.mkfifo(tmp_path / "pipe")
    assert run(tmp_path / "pipe")[1][0]["detail"] == "Is not a regular file"


@pytest.mark.parametrize("damage", ["cut", "bits", "tail"])
def test_of_a_damaged_gzip_all_that_can_be_had_is_counted(tmp_path: Path, damage: str) -> None:
    lines = b"\n".join(session(b"fe be/s%d" % number, rest=os.urandom(40).hex().encode()) for number in range(20_000))
    data = gzip.compress(lines)
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "bits":
        # A stored block with a wrong length cannot be taken for anything else.
        data = data[: len(data) // 2] + b"\0\0\0\0\0\0" * 50 + data[len(data) // 2 :]
    else:
        data += b"no gzip"
    (tmp_path / "log.gz").write_bytes(data)
    code, told, complaint = run(tmp_path / "log.gz")
    assert (code, complaint) == (1, "")
    assert "gzip" in told[0]["broken"]
    assert told[0]["http"] > 9_000


def test_a_gzip_of_several_and_zeros_between(tmp_path: Path) -> None:
    one = gzip.compress(session() + b"\n")
    (tmp_path / "log.gz").write_bytes(one + bytes(100_000) + one + one + bytes(70_000))
    code, told, _ = run(tmp_path / "log.gz")
    assert (code, told[0]["http"], told[0]["broken"]) == (0, 3, "")


def test_a_line_longer_than_any_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (3 * CHUNK_BYTES) + b"\n" + SESSIONS["httplog"] + b"\n")
    _, told, _ = run(tmp_path / "a")
    assert (told[0]["http"], told[0]["overlong"]) == (1, 1)


def test_zeros_before_a_line_are_no_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2 * CHUNK_BYTES) + SESSIONS["httplog"] + b"\n")
    _, told, _ = run(tmp_path / "a")
    assert (told[0]["http"], told[0]["overlong"]) == (1, 0)


def test_a_large_log_is_read_in_bounded_memory_and_says_how_far_it_is(tmp_path: Path) -> None:
    source = random.Random(1)
    lines = []
    for _ in range(20_000):
        line = source.choice(list(SESSIONS.values()))
        lines.append(line.replace(b"fe", b"fe%d" % source.randrange(50)))
    block = b"\n".join(lines) + b"\n"
    with open(tmp_path / "log", "wb") as file:
        for _ in range(40):
            file.write(block)
    before = time.monotonic()
    with subprocess.Popen([*PROBE, str(tmp_path / "log")], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, progress = process.communicate()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    told = json.loads(out.splitlines()[0])
    assert (told["http"], told["lines"]) == (800_000, 800_000)
    assert b" %" in progress
    # Children of other tests count too: none of these is larger.
    assert peak < 250, f"{peak:.0f} MiB"
    assert time.monotonic() - before < 60


def test_fuzzed_logs_are_counted_without_a_traceback() -> None:
    source = random.Random(2026)
    text = b"\n".join([*SESSIONS.values(), b"x [23/Nov/2026:02:04:08.876] fe/1: SSL handshake failure"]) + b"\n"
    for _ in range(2_000):
        data = bytearray(text)
        for _ in range(source.randint(1, 20)):
            data[source.randrange(len(data))] = source.randrange(256)
        found = Tally(slow_ms=1000)
        found.take(bytes(data[: source.randrange(len(data))]))
        for line in found.told("x"):
            json.dumps(line)
