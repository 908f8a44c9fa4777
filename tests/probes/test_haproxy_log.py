"""Every dialect of HAProxy's log is counted, in one pass, whatever stands before a line; and nothing fills the "
"memory."""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runbook.probes.haproxy_log import CHUNK_BYTES, MOST_GROUPS, Tally

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


def test_a_log_of_nothing_but_differences_fills_no_memory() -> None:
    found = Tally(slow_ms=1000)
    line = SESSIONS["httplog"].decode()
    for number in range(2 * MOST_GROUPS):
        text = line.replace(" fe ", f" fe{number} ").replace("/c", f"/c{number}").replace("8110", str(number * 100))
        found.take(text.encode() + b"\n")
    assert len(found.groups) == MOST_GROUPS
    assert found.left_out == MOST_GROUPS


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
    (tmp_path / "cut.gz").write_bytes(gzip.compress(os.urandom(100_000))[:5_000])
    code, told, _ = run(tmp_path / "cut.gz")
    assert code == 1
    assert told[0].get("broken") or told[0]["kind"] == "error"


def test_a_line_longer_than_any_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (3 * CHUNK_BYTES) + b"\n" + SESSIONS["httplog"] + b"\n")
    _, told, _ = run(tmp_path / "a")
    assert told[0]["http"] == 1
    assert told[0]["overlong"] >= 1


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
