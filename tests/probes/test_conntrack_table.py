"""The table is counted from the kernel as conntrack(8) prints it, and from every format that it prints."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from runbook.probes.conntrack_table import MOST_ADDRESSES, MOST_STATES, Entries, Tally, _from_file
from tests.base import PLUGINS, rounds

PROBE = [sys.executable, "-c", "import sys; from runbook.probes import main; sys.exit(main())", "conntrack-table"]
#: A table of three, as conntrack 1.4.7 prints it.
LIST = """\
tcp      6 431999 ESTABLISHED src=10.88.1.2 dst=10.88.2.2 sport=41001 dport=80 src=10.88.2.2 dst=10.88.1.2 sport=80 \
dport=41001 [ASSURED] mark=0 use=1
udp      17 27 src=10.88.1.2 dst=10.88.2.2 sport=41012 dport=5999 [UNREPLIED] src=10.88.2.2 dst=10.88.1.2 sport=5999 \
dport=41012 mark=0 use=1
unknown  89 597 src=fd88::1 dst=fd88::2 [UNREPLIED] src=fd88::2 dst=fd88::1 mark=0 use=1
"""
EXTENDED = "".join(
    f"ipv{family} {line}\n" for family, line in zip(("4     2", "4     2", "6     10"), LIST.splitlines(), strict=True)
)
SAVED = """\
-A -t 431999 -u SEEN_REPLY,ASSURED -s 10.88.1.2 -d 10.88.2.2 -r 10.88.2.2 -q 10.88.1.2 -p tcp --sport 41001 --dport 80 \
--reply-port-src 80 --reply-port-dst 41001 --state ESTABLISHED
-A -t 26 -u UNSET -s 10.88.1.2 -d 10.88.2.2 -r 10.88.2.2 -q 10.88.1.2 -p udp --sport 41012 --dport 5999
-A -t 596 -u UNSET -s fd88::1 -d fd88::2 -r fd88::2 -q fd88::1 -p 89
"""
FLOW = (
    '<flow><meta direction="original"><layer3 protonum="2" protoname="ipv4"><src>{}</src><dst>{}</dst></layer3>'
    '<layer4 protonum="{}" protoname="{}"></layer4></meta><meta direction="independent">{}</meta></flow>'
)
XML = '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n' + "\n".join(
    [
        FLOW.format("10.88.1.2", "10.88.2.2", 6, "tcp", "<state>ESTABLISHED</state><assured/>"),
        FLOW.format("10.88.1.2", "10.88.2.2", 17, "udp", "<unreplied/>"),
        FLOW.format("fd88::1", "fd88::2", 89, "unknown", "<unreplied/>"),
        "</conntrack>\n",
    ]
)
COUNTED = Counter({("tcp", "ESTABLISHED"): 1, ("udp", ""): 1, ("89", ""): 1})


def counted(path: Path) -> Tally:
    tally = Tally()
    _from_file(tally, str(path))
    return tally


@pytest.mark.parametrize("text", [LIST, EXTENDED, SAVED, XML], ids=["list", "extended", "save", "xml"])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_format_says_the_same(text: str, zipped: bool, tmp_path: Path) -> None:
    (tmp_path / "table").write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    tally = counted(tmp_path / "table")
    assert (tally.entries, tally.unreplied, tally.assured, tally.unread) == (3, 2, 1, 0)
    assert tally.states == COUNTED
    assert tally.sources.most_common(1) == [(b"\x0a\x58\x01\x02", 2)]


def test_gre_names_its_time_outs_before_its_addresses(tmp_path: Path) -> None:
    line = "ipv4     2 gre      47 26 timeout=30, stream_timeout=180 src=10.88.1.2 dst=10.88.2.2 srckey=0x0 mark=0"
    (tmp_path / "table").write_text(line + "\n")
    tally = counted(tmp_path / "table")
    assert (tally.states, tally.unread) == (Counter({("gre", ""): 1}), 0)


def test_lines_that_are_none_are_counted_as_unread(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("root@host:~# conntrack -L\n" + LIST + "conntrack v1.4.7: 3 flow entries shown.\n")
    tally = counted(tmp_path / "table")
    assert (tally.entries, tally.unread) == (3, 1)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    details = {
        "none": "No such file or directory",
        "pipe": "Is not a regular file",
        ".": "Is a directory",
    }
    for name, detail in details.items():
        done = subprocess.run([*PROBE, str(tmp_path / name)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1
        told = {"kind": "error", "detail": detail, "file": str(tmp_path / name)}
        assert json.loads(done.stdout) == told
        assert not done.stderr


def of(tmp_path: Path, text: str | bytes) -> Tally:
    (tmp_path / "table").write_bytes(text if isinstance(text, bytes) else text.encode())
    return counted(tmp_path / "table")


HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n'


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ('<?xml version="1.0"?>\n<html><body>Error 500</body></html>\n', 0),
        (XML[:-40], 2),
        (XML[: len(XML) // 2], 1),
        (XML.removesuffix("</conntrack>\n"), 3),
        (HEAD + "nonsense" + XML.removeprefix(HEAD), 3),
        (XML.replace("10.88.1.2", "$(id)"), 1),
        (XML.replace('protonum="6"', 'protonum="' + "9" * 5000 + '"'), 2),
        (HEAD, 0),
    ],
)
def test_what_is_no_flow_in_xml_is_unread(text: str, entries: int, tmp_path: Path) -> None:
    tally = of(tmp_path, text)
    assert tally.entries == entries
    assert tally.unread >= 1


def test_xml_in_one_line_of_any_length(tmp_path: Path) -> None:
    flow = XML.splitlines()[2]
    tally = of(tmp_path, HEAD.replace("\n", "") + flow * 9_000 + "</conntrack>")
    assert (tally.entries, tally.unread) == (9_000, 0)


@pytest.mark.parametrize(
    "text",
    [
        " [NEW] tcp      6 120 SYN_SENT src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 [UNREPLIED] src=10.0.0.2\n",
        "[1396525265.123456]\t [UPDATE] tcp      6 60 SYN_RECV src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2\n",
        "[DESTROY] tcp      6 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1 [ASSURED]\n",
        XML.replace("<flow>", '<flow type="new"><when>x</when>'),
    ],
)
def test_events_are_no_entries(text: str, tmp_path: Path) -> None:
    tally = of(tmp_path, text)
    assert (tally.entries, tally.unread) == (0, 0)
    assert tally.events == text.count("<flow") + text.startswith((" ", "["))
    assert {"kind": "events", "count": tally.events} in list(tally.told("x"))


@pytest.mark.parametrize(
    "address", ["$(touch${IFS}/tmp/x)", "1.2.3.4;id", "1.2.3", "A" * 90_000, "fd00::1::2", "1.2.3.4"]
)
def test_only_an_address_is_one(address: str, tmp_path: Path) -> None:
    good = address == "1.2.3.4"
    for text in (LIST, SAVED):
        tally = of(tmp_path, text.replace("10.88.1.2", address))
        assert (tally.entries, tally.unread) == ((3, 0) if good else (1, 2))
        assert all(len(one) in (4, 16) for one in tally.sources)


def test_an_address_of_sixteen_letters_is_told_as_it_is(tmp_path: Path) -> None:
    told = list(of(tmp_path, "tcp 6 9 ESTABLISHED src=fd88:1:2:3::4:56 dst=fd88::1 sport=1\n").told("x"))
    assert [line["address"] for line in told if "address" in line] == ["fd88:1:2:3::4:56", "fd88::1"]


@pytest.mark.parametrize(
    "line",
    [
        b"tcp " + b"9" * 5_000 + b" 29 src=1.2.3.4 dst=1.2.3.5\n",
        b"9" * 5_000 + b" 6 29 src=1.2.3.4 dst=1.2.3.5\n",
        b"-A -u SEEN_REPLY -s 1.1.1.1 -d 2.2.2.2 -r 2.2.2.2 -q 1.1.1.1 -p \xff\xfe --sport 1\n",
        b"\xff\xfe 6 29 src=1.2.3.4 dst=1.2.3.5\n",
        b"x" * (3 << 20) + b" tcp 6 29 src=1.2.3.4 dst=1.2.3.5\n",
    ],
)
def test_a_line_of_nonsense_is_unread_and_the_rest_is_counted(line: bytes, tmp_path: Path) -> None:
    tally = of(tmp_path, line + LIST.encode())
    assert (tally.entries, tally.unread) == (3, 1)


def test_invented_states_fill_no_memory(tmp_path: Path) -> None:
    lines = "".join(f"tcp{number} 6 9 S{number} src=1.2.3.4 dst=1.2.3.5\n" for number in range(3 * MOST_STATES))
    tally = of(tmp_path, lines)
    assert len(tally.states) == MOST_STATES + 1
    assert (tally.entries, tally.states.total()) == (3 * MOST_STATES, 3 * MOST_STATES)


@pytest.mark.parametrize("damage", ["cut", "bits"])
def test_of_a_damaged_gzip_all_that_can_be_had_is_counted(damage: str, tmp_path: Path) -> None:
    lines = "".join(
        f"tcp 6 9 ESTABLISHED src=1.2.3.{n % 250} dst=1.2.3.5 id={os.urandom(20).hex()}\n" for n in range(20_000)
    )
    data = gzip.compress(lines.encode())
    middle = len(data) // 2
    data = data[:middle] if damage == "cut" else data[:middle] + bytes(300) + data[middle:]
    (tmp_path / "table.gz").write_bytes(data)
    done = subprocess.run([*PROBE, str(tmp_path / "table.gz")], capture_output=True, text=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (1, "")
    assert told[0]["entries"] > 9_000
    assert told[1]["kind"] == "broken"


#: What whoever writes the file may repeat without end, after what begins like a line or a flow.
PARTS = (
    "a 1 ",
    "-p",
    "-p ",
    "-p -p ",
    "A ",
    "1 ",
    "1",
    " ",
    "tcp",
    "[",
    "]",
    "src=",
    "src=1.2.3.4 ",
    "timeout=1, ",
    "\t",
    "\r",
    "<",
    ">",
)
OPENINGS = (
    "", "tcp 6 1 ", "ipv4 2 ", "tcp 6 1 S src=1.2.3.4 dst=", "-A -u X -s 1.1.1.1 -d 2.2.2.2 ", "[NEW] ", "[1", HEAD,
    HEAD + "<flow ", HEAD + '<flow><meta direction="original"><layer3',
)  # fmt: skip
FLOWS = (
    "<flow>",
    '<flow type="new"',
    '<meta direction="original"><layer3><src>1</src><dst>1</dst></layer3>',
    "</flo",
    "<state>",
)


@pytest.mark.parametrize("opening", OPENINGS)
def test_no_line_takes_longer_than_its_length_says(opening: str, tmp_path: Path) -> None:
    for part in (*PARTS, *FLOWS):
        text = opening + part * (200_000 // len(part))
        before = time.process_time()
        of(tmp_path, text + "\n" + text + "!\n</flow>\n")
        assert time.process_time() - before < 1, (opening, part)


def test_a_flood_of_invented_sources_fills_no_memory_and_hides_nobody() -> None:
    tally = Tally()
    for number in range(3 * MOST_ADDRESSES):
        tally.add("tcp", "SYN_SENT", struct.pack(">I", number), b"\x0a\0\0\x01", False, False)
        if not number % 3:
            tally.add("tcp", "SYN_SENT", b"\x0a\x09\x09\x09", b"\x0a\0\0\x01", False, False)
        if not number % 10_000:
            tally.thin()
    tally.thin()
    assert len(tally.sources) <= MOST_ADDRESSES
    (address, count), *_ = tally.sources.most_common(1)
    assert address == b"\x0a\x09\x09\x09"
    assert count >= MOST_ADDRESSES - tally.thinned


SCRIPT = r"""
set -e
ip link set lo up
iptables -A INPUT -m conntrack --ctstate INVALID -j DROP
ip6tables -A INPUT -m conntrack --ctstate INVALID -j DROP
for i in $(seq 50); do
    conntrack -I -p tcp -s 10.0.0.$i -d 10.9.9.9 --sport $((i+9)) --dport 80 --state SYN_SENT -t 120
    seen="-u ASSURED,SEEN_REPLY -t 300"
    conntrack -I -p tcp -s 10.0.1.$i -d 10.9.9.9 --sport $((i+9)) --dport 80 --state ESTABLISHED $seen
    conntrack -I -p udp -s 10.0.2.$i -d 10.9.9.9 --sport $((i+9)) --dport 53 -t 300 -m 7
    conntrack -I -p tcp -s fd00::$i -d fd00::ffff --sport $((i+9)) --dport 80 --state TIME_WAIT -u SEEN_REPLY -t 300
    conntrack -I -p 89 -s 10.0.3.$i -d 10.9.9.9 -t 300
done >/dev/null 2>&1
"$PYTHON" -c 'import sys; from runbook.probes import main; sys.exit(main())' conntrack-table
echo ---
conntrack -L -f ipv4 2>/dev/null
conntrack -L -f ipv6 2>/dev/null
"""


def parts(lines: list[dict[str, Any]]) -> tuple[Any, ...]:
    table = lines[0]
    states = {(line["protocol"], line["state"]): line["count"] for line in lines if line["kind"] == "state"}
    targets = {line["address"]: line["count"] for line in lines if line["kind"] == "target"}
    return table["entries"], table["unreplied"], table["assured"], states, targets


@pytest.mark.skipif(not shutil.which("conntrack") and "CI" not in os.environ, reason="needs conntrack")
def test_the_kernel_is_counted_as_conntrack_prints_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(PLUGINS)}
    words = ["unshare", "-Urn", "sh", "-c", SCRIPT]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    told, _, listed = done.stdout.partition("---\n")
    (tmp_path / "listed").write_text(listed)
    tally = counted(tmp_path / "listed")
    assert tally.entries >= 200
    lines = [json.loads(line) for line in told.splitlines()]
    assert parts(lines) == parts(list(tally.told("the kernel")))


def message(attributes: bytes, family: int = 2) -> bytes:
    return struct.pack("=IHHII", 20 + len(attributes), 1 << 8, 2, 1, 0) + bytes([family, 0, 0, 0]) + attributes


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def entry(state: int = 3, extra: bytes = b"") -> bytes:
    addresses = attribute(1, b"\x0a\0\0\x01") + attribute(2, b"\x0a\0\0\x02")
    ports = attribute(1, b"\x06") + attribute(2, b"\x04\0") + attribute(3, b"\0\x50")
    tuple_ = attribute(0x8001, addresses) + attribute(0x8002, ports)
    status = attribute(3, struct.pack(">I", 14))
    info = attribute(0x8004, attribute(0x8001, attribute(1, bytes([state]))))
    return message(
        attribute(0x8001, tuple_) + attribute(0x8002, tuple_) + extra + status + attribute(7, bytes(4)) + info
    )


DONE = struct.pack("=IHHII", 20, 3, 2, 1, 0) + bytes(4)


def test_attributes_of_equal_length_in_another_order_are_seen() -> None:
    tally = Tally()
    # A mark before the status in one, after it (as the time-out here) in the other: the length is the same.
    one, other = entry(3, attribute(8, bytes(4))), entry(1)
    padded = other[:16] + other[16:] + attribute(8, bytes(4))
    other = struct.pack("=I", len(padded)) + padded[4:]
    assert Entries(tally).take(one + other + one + other + DONE)
    assert tally.states == Counter({("tcp", "ESTABLISHED"): 2, ("tcp", "SYN_SENT"): 2})
    assert (tally.entries, tally.assured) == (4, 4)


def test_the_kernel_refuses_in_words() -> None:
    with pytest.raises(OSError, match="Operation not permitted"):
        Entries(Tally()).take(struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1))


def test_broken_answers_end() -> None:
    source = random.Random(2026)
    whole = entry() + entry(2) + DONE
    for _ in range(rounds(2_000, 10_000)):
        data = bytearray(whole)
        for _ in range(source.randint(1, 8)):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            Entries(Tally()).take(bytes(data[: source.randrange(len(data) + 1)]))
        except OSError:
            continue
