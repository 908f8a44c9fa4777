"""What identifies a host or a person becomes a token, always the same; everything else stays."""

from __future__ import annotations

import json
import random

import pytest

from runbook.redaction import Redactor

NAMES = ["my-laptop.corp.example.com"]
VG_UUID, LV_UUID = "fXy7Pq-1a2b-3c4d-5e6f-7g8h-9i0j-kLmNoP", "ABCDEF-abcd-efAB-CDEF-abcd-efAB-CDEFab"
LUKS_UUID = "3f2a0b1c-4d5e-6f70-8192-a3b4c5d6e7f8"
TOKEN_UUID = "00000000-0000-4000-8000-000000000001"
KEY = "SHA256:" + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"


def redacted(text: str, names: list[str] = NAMES, users: tuple[str, ...] = ("alice",)) -> str:
    return Redactor(names, users).redact(text.encode()).decode()


REPLACED = [
    (LUKS_UUID, TOKEN_UUID),
    (f"/dev/mapper/luks-{LUKS_UUID.upper()}", f"/dev/mapper/luks-{TOKEN_UUID}"),
    ("3aaa0122:29827cfa:5331ad66:ca767371", "00000000:00004000:80000000:00000001"),
    (
        "CRYPT-LUKS2-3f2a0b1c4d5e6f708192a3b4c5d6e7f8-sda3_crypt",
        f"CRYPT-LUKS2-{TOKEN_UUID.replace('-', '')}-sda3_crypt",
    ),
    ("Machine ID: 3f2a0b1c4d5e6f708192a3b4c5d6e7f8", f"Machine ID: {TOKEN_UUID.replace('-', '')}"),
    (VG_UUID, "000001-0000-0000-0000-0000-0000-000000"),
    (f"LVM-{(VG_UUID + LV_UUID).replace('-', '')}-tpool", f"LVM-000001{'0' * 26}000002{'0' * 26}-tpool"),
    ("UUID=ABCD-1234", "UUID=0000-0001"),
    ('"uuid":"ABCD-1234"', '"uuid":"0000-0001"'),
    ('"uuid": "ABCD-1234"', '"uuid": "0000-0001"'),
    ("/dev/disk/by-uuid/ABCD-1234", "/dev/disk/by-uuid/0000-0001"),
    ("sda1 vfat   FAT32 EFI   ABCD-1234", "sda1 vfat   FAT32 EFI   0000-0001"),
    ("UUID=01D3B1E2C4F5A6B7", "UUID=0000000000000001"),
    ("PARTUUID=1a2b3c4d-01", "PARTUUID=00000001-01"),
    ("Disk identifier: 0x1a2b3c4d", "Disk identifier: 0x00000001"),
    ('"wwn":"0x5002538e40a1b2c3"', '"wwn":"0x0000000000000001"'),
    ("/dev/disk/by-id/wwn-0x5002538e40a1b2c3", "/dev/disk/by-id/wwn-0x0000000000000001"),
    ("nvme-eui.0025385b71b12345", "nvme-eui.0000000000000001"),
    ("link/ether 52:54:00:AA:bb:cc brd", "link/ether 02:00:00:00:00:01 brd"),
    ("52:54:00:aa:bb:cc: no carrier", "02:00:00:00:00:01: no carrier"),
    ("8.8.8.8", "203.0.113.8"),
    ("8.8.8.8/32 via 8.8.8.1", "203.0.113.8/32 via 203.0.113.1"),
    ("8.8.8.8:443", "203.0.113.8:443"),
    ("IP 8.8.8.8.53 > 10.0.0.1.1234", "IP 203.0.113.8.53 > 10.0.0.1.1234"),
    ("It is 8.8.8.8.", "It is 203.0.113.8."),
    ("8.8.8.8-8.8.8.9", "203.0.113.8-203.0.113.9"),
    ("::ffff:8.8.8.8", "::ffff:203.0.113.8"),
    ("2a00:1450:4001:81b::200e", "2001:db8:0:1::200e"),
    ("[2a00:1450:4001:81b::200e]:443", "[2001:db8:0:1::200e]:443"),
    ("2a00:1450:4001:81b::/64", "2001:db8:0:1::/64"),
    ("2a00:1450:4001:81b::1: echo reply", "2001:db8:0:1::1: echo reply"),
    ("2a00:1450:4001:81b:3c9f:11aa:22bb:33cc", "2001:db8:0:1::1:1"),
    ("fe80::5054:ff:feaa:bbcc%eth0", "fe80::ff:fe00:1%eth0"),
    ("fd12:3456:789a:1:5054:ff:feaa:bbcc", "fd12:3456:789a:1:0:ff:fe00:1"),
    (KEY, "SHA256:" + "0" * 42 + "1"),
    ("MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", "MD5:" + ":".join(["00"] * 15 + ["01"])),
    ('"serial":"S3Z9NB0K123456A"', '"serial":"SERIAL000000001"'),
    ('"serial": "WD 12"', '"serial": "SERIAL0001"'),
    ('"serial":"S3Z9NB0K  "', '"serial":"SERIAL0001 "'),
    ('SERIAL="S3Z9NB0K"', 'SERIAL="SERIAL0001"'),
    ("ID_SERIAL_SHORT=S3Z9NB0K", "ID_SERIAL_SHORT=SERIAL0001"),
    ("Serial Number:    S3Z9NB0K", "Serial Number:    SERIAL0001"),
    ('"serial_number": "S3Z9NB0K"', '"serial_number": "SERIAL0001"'),
    ("/dev/disk/by-id/ata-Samsung_SSD_860_S3Z9NB0K-part1", "/dev/disk/by-id/ata-Samsung_SSD_860_SERIAL0001-part1"),
    ("/dev/disk/by-id/nvme-Samsung_970_S3Z9NB0K_1", "/dev/disk/by-id/nvme-Samsung_970_SERIAL0001_1"),
    ("/home/bob/x", "/home/user1/x"),
    ("/home/user.name", "/home/user1"),
    ("/run/media/bob/STICK", "/run/media/user1/STICK"),
    ("alice  pts/0", "user1  pts/0"),
    ("my-laptop", "host1"),
    ("my-laptop-vg", "host1-vg"),
    ("/dev/mapper/my--laptop--vg-root", "/dev/mapper/host1--vg-root"),
    ("MY-LAPTOP", "host1"),
    ("my-laptop.corp.example.com", "host1.domain1.example"),
    ("search corp.example.com", "search domain1.example"),
]


@pytest.mark.parametrize(("text", "token"), REPLACED)
def test_what_identifies_is_replaced_in_its_shape(text: str, token: str) -> None:
    assert redacted(text) == token


KEPT = [
    *("2.03.16", "6.1.0-13-amd64", "1.02.185 (2022-05-18)", "Linux 6.1.176", "2.02.168.1", "v1.2.3.4", "1.3.6.1.4.1.9"),
    *(
        "256060514304",
        "238.5G",
        "<2.62g",
        "0x1f",
        "deadbeef",
        "12:34:56",
        "2026-11-23T12:34:56.789Z",
        "2026-11-23 12:34",
    ),
    *("2024:01:02:03:04:05", "Thu Nov 26 01:19:50 2026", "254:0", "1024-2048", "11.77", "100.00"),
    *("127.0.0.1", "10.1.2.3", "192.168.1.1/24", "172.31.0.1", "169.254.1.1", "100.64.0.1", "255.255.255.0", "0.0.0.0"),
    *("192.0.2.7", "198.51.100.7", "203.0.113.7", "224.0.0.251", "999.1.1.1", "300.8.8.8"),
    *("::1", "::", "2001:db8::7", "fe80::1", "fd12:3456::1", "ff02::1", "std::vector", "a::b", "dead:beef"),
    *("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", "33:33:00:00:00:01"),
    *('"serial":null', '"serial": null', '"serial": 2024010101', "serial: null", "Serial Number: Not Specified"),
    *("Serial: 8250/16550 driver", "serial8250: ttyS0", '"serial":""', "serial-getty@ttyS0"),
    *("00000000-0000-0000-0000-000000000000", "this-name-has-many-hyphens", "full--backup--of--2026"),
    *("/home", "/home/", "/home/lost+found", "/home/.snapshots", "/media/cdrom", "mylaptop", "malice", "alice2"),
]


@pytest.mark.parametrize("text", KEPT)
def test_what_identifies_nobody_stays(text: str) -> None:
    assert redacted(text) == text


def test_the_same_thing_is_the_same_token_in_every_text() -> None:
    redactor = Redactor()
    first = redactor.redact(b"8.8.8.8 1.1.1.1")
    assert redactor.redact(b"1.1.1.1 9.9.9.9 8.8.8.8") == b"198.51.100.1 192.0.2.9 203.0.113.8"
    assert first == b"203.0.113.8 198.51.100.1"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"x {VG_UUID} ", f"LVM-{VG_UUID.replace('-', '')}{LV_UUID.replace('-', '')}"),
        (LUKS_UUID, f"CRYPT-LUKS2-{LUKS_UUID.replace('-', '')}-x"),
        (LUKS_UUID, LUKS_UUID.upper()),
        ("52:54:00:aa:bb:cc", "52:54:00:AA:BB:CC"),
        ("52:54:00:aa:bb:cc", "fe80::5054:ff:feaa:bbcc"),
        ("2a00:1450::5", "2A00:1450:0:0:0:0:0:5"),
        ("UUID=ABCD-1234", "by-uuid/ABCD-1234"),
        ('"serial":"S3Z9NB0K"', "/by-id/ata-X_S3Z9NB0K-part1"),
        ("/home/alice", "alice"),
        ("my-laptop", "MY--LAPTOP"),
    ],
)
def test_two_spellings_of_one_thing_count_as_one(one: str, other: str) -> None:
    redactor = Redactor(NAMES, ["alice"])
    redactor.redact(one.encode())
    redactor.redact(other.encode())
    both = Redactor(NAMES, ["alice"])
    alone = both.redact(other.encode())
    assert redactor.redact(other.encode()) == alone


def test_different_things_are_different_tokens() -> None:
    addresses = [f"8.{number // 200}.{number % 200}.1" for number in range(600)]
    macs = [f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(600)]
    homes = [f"/home/someone{number}" for number in range(300)]
    things = [*addresses, *macs, *homes]
    tokens = redacted("\n".join(things)).split("\n")
    assert len(set(tokens)) == len(things)


def test_a_user_of_a_home_and_a_user_by_name_are_two() -> None:
    assert redacted("/home/bob alice bob") == "/home/user1 user2 bob"


def test_what_was_replaced_is_told_in_its_order() -> None:
    redactor = Redactor()
    redactor.redact(b"52:54:00:aa:bb:cc 8.8.8.8 8.8.8.8")
    assert redactor.replaced == [("52:54:00:aa:bb:cc", "02:00:00:00:00:01"), ("8.8.8.8", "203.0.113.8")]


@pytest.mark.parametrize("name", ["", "pc", "localhost", "debian", "root", "linux.local"])
def test_a_name_that_names_nobody_is_left_alone(name: str) -> None:
    text = "root on the pc called debian linux at localhost local"
    assert redacted(text, [name], (name,)) == text


def test_the_columns_of_a_table_stay_below_their_headings() -> None:
    table = (
        "Local            Peer         State\n8.8.8.8:443      10.0.0.1:5   ESTAB\n10.0.0.1:4       10.0.0.1:5   ESTAB"
    )
    assert redacted(table).split("\n") == [
        "Local            Peer         State",
        "203.0.113.8:443  10.0.0.1:5   ESTAB",
        "10.0.0.1:4       10.0.0.1:5   ESTAB",
    ]


def test_a_token_too_long_for_its_column_moves_only_what_it_must() -> None:
    assert redacted("8.8.8.8:443   10.0.0.1:5   ESTAB") == "203.0.113.8:443 10.0.0.1:5 ESTAB"


def test_a_shorter_token_leaves_the_next_column_where_it_was() -> None:
    assert redacted("my-laptop   up   /home/christopher   ok") == "host1       up   /home/user1         ok"


def test_a_document_stays_the_same_document() -> None:
    document = {
        "disks": [{"serial": None, "uuid": LUKS_UUID, "size": 1}, {"serial": "S3Z9NB0K", "mac": 5}],
        "serial": 7,
    }
    changed = json.loads(redacted(json.dumps(document, indent=1)))
    assert changed["disks"][0] == {"serial": None, "uuid": TOKEN_UUID, "size": 1}
    assert changed["disks"][1] == {"serial": "SERIAL0001", "mac": 5}
    assert changed["serial"] == 7


PIECES = [
    *(text for text, _ in REPLACED),
    *KEPT,
    "\n",
    " ",
    "  ",
    "   ",
    "\t",
    ",",
    '"',
    ": ",
    "=",
    "-",
    "x",
    "\\xff",
    "\0",
]


def test_redacting_again_changes_nothing() -> None:
    chance = random.Random(2026)
    for _ in range(1000):
        text = "".join(chance.choice((*PIECES, " ", "\n", "  ")) for _ in range(chance.randint(1, 12))).encode()
        text += chance.choice((b"", b"\xff\xfe"))
        redactor = Redactor(NAMES, ["alice"])
        once = redactor.redact(text)
        assert redactor.redact(once) == once
        assert Redactor(NAMES, ["alice"]).redact(once) == once
        assert once.count(b"\n") == text.count(b"\n")


def test_any_bytes_can_be_redacted() -> None:
    chance = random.Random(7)
    for _ in range(300):
        noise = chance.randbytes(200)
        assert Redactor(NAMES).redact(noise + b" 8.8.8.8").endswith(b" 203.0.113.8")
