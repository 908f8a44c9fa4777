"""disk-encryption beyond its samples: the recordings as an expert reads them, two readers that agree, and damage."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runbook.archive import Recording
from runbook.catalog import find
from runbook.formats import Unread
from runbook.helpers import Captures, Unreadable
from runbook.helpers.loading import _Package
from runbook.model import Capture, Ending, Run, Runbook, Source, Verdict
from runbook.pipeline import replay
from runbook.probes import luks_headers
from tests.base import rounds
from tests.recordings import samples_of

ROUNDS = rounds(400, 10_000)
PROBE = "headers"
OK, WARNING, CRITICAL, UNKNOWN = Verdict.OK, Verdict.WARNING, Verdict.CRITICAL, Verdict.UNKNOWN


@cache
def the_runbook() -> Runbook:
    return find("disk-encryption", "/").load()


@cache
def package() -> _Package:
    return _Package(the_runbook().folder, the_runbook().files)


def part(name: str) -> ModuleType:
    """A module of the runbook's folder, as the engine loads it."""
    return package().load(name)


@cache
def samples() -> dict[str, tuple[Recording, dict[str, Verdict]]]:
    return samples_of(the_runbook())


def judged(name: str, captures: tuple[Capture, ...] | None = None) -> Run:
    recorded, _ = samples()[name]
    chosen = recorded.captures if captures is None else captures
    return replay(the_runbook(), chosen, recorded.parameters, recorded.host, Source("sample", name))


def edited(name: str, edits: dict[str, Callable[[bytes], bytes]]) -> Run:
    """The sample with the standard output of some steps edited; every edit must change something."""
    recorded, _ = samples()[name]
    captures = []
    for capture in recorded.captures:
        if (edit := edits.get(capture.step)) is not None:
            assert edit(capture.stdout) != capture.stdout, capture.step
            capture = replace(capture, stdout=edit(capture.stdout))
        captures.append(capture)
    return judged(name, tuple(captures))


def codes(run: Run) -> dict[str, Verdict]:
    return {finding.code: finding.verdict for finding in reversed(run.findings)}


# --------------------------------------------------------------------------- what an expert reads off the recordings

#: Sample, and what was written down by hand when it was recorded, from how it was set up. Where the runbook says more
#: than that expert, it is by the table of codes: a lone keyslot, LUKS1 and PBKDF2 are always worth a warning.
READINGS = {
    "luks1-many-iterations": ("ok", {"luks1", "keyslot-single"}),
    "luks1-cbc": ("fail", {"kdf-weak", "cipher-weak", "luks1", "keyslot-single"}),
    "luks2-few-iterations": ("fail", {"kdf-weak", "keyslot-single"}),
    "luks2-labelled": ("ok", {"keyslot-single"}),
    "luks2-little-memory": ("fail", {"kdf-weak", "keyslot-single"}),
    "luks2-short-key": ("warn", {"key-short", "keyslot-single"}),
    "header-in-a-file": ("ok", {"kdf-pbkdf2", "keyslot-single"}),
    "header-in-a-file-luks1": ("ok", {"luks1", "keyslot-single"}),
    "keyslots-of-all-kinds": ("fail", {"kdf-weak"}),
    "seven-weak-keyslots": ("fail", {"kdf-weak", "luks1"}),
    "workqueues-stored": ("ok", {"workqueues", "kdf-pbkdf2", "keyslot-single"}),
    "all-flags": ("ok", {"workqueues", "discards", "kdf-pbkdf2", "keyslot-single"}),
    "flag-for-this-time": ("ok", {"workqueues", "kdf-pbkdf2", "keyslot-single"}),
    "luks1-flags": ("ok", {"workqueues", "discards", "luks1", "keyslot-single"}),
    "luks-on-lvm": ("ok", {"workqueues", "kdf-pbkdf2", "keyslot-single"}),
    "laptop": ("ok", {"luks1", "discards", "keyslot-single"}),
    "laptop-with-zfs": ("ok", {"luks1", "discards", "keyslot-single"}),
}


@pytest.mark.parametrize("name", READINGS)
def test_the_recordings_are_read_as_an_expert_reads_them(name: str) -> None:
    expert, expected = READINGS[name]
    run = judged(name)
    assert set(codes(run)) == expected
    assert (run.verdict is CRITICAL) == (expert == "fail")


def test_the_weakest_keyslot_is_named_and_only_those_that_open_the_data_count() -> None:
    (finding,) = judged("keyslots-of-all-kinds").findings
    assert finding.summary == "/dev/ubdb: 1000 iterations of PBKDF2 in keyslot 5 (limit: 10000)"
    run = judged("seven-weak-keyslots")
    assert "also few in keyslots 1, 2, 4, 5, 6 and 7" in next(f.summary for f in run.findings if f.code == "kdf-weak")


def test_a_keyslot_that_a_tpm_opens_may_have_few_iterations() -> None:
    """systemd-cryptenroll gives its random keys the fastest key derivation there is."""

    def enrolled(data: bytes) -> bytes:
        return data.replace(b"\tKeyslot:    31", b"\tKeyslot:    5\n\tKeyslot:    31")

    assert set(codes(edited("keyslots-of-all-kinds", {"header": enrolled}))) == {"healthy", "keyslot-token"}


def test_a_device_that_cannot_be_opened_is_known_by_what_is_mounted_from_it() -> None:
    """As in containers, which see the host's disks in /sys and may not open them."""
    closed = b'{"device": "/dev/ubda", "error": "Operation not permitted"}\n{"end": 1}\n'
    assert codes(edited("not-encrypted", {PROBE: lambda _: closed})) == {"no-luks": OK}
    other = closed.replace(b"ubda", b"ubdb")
    assert codes(edited("not-encrypted", {PROBE: lambda _: other})) == {"unreadable": UNKNOWN}


def test_crypttab_says_where_a_header_is() -> None:
    recorded, _ = samples()["detached"]
    table = b"# name device key options\nvault_crypt /dev/ubda none luks,header=/boot/vault.img,discard\nx\n"
    captures = tuple(
        replace(capture, stdout=table) if capture.step == "crypttab" else capture for capture in recorded.captures
    )
    run = judged("detached", captures)
    finding = next(finding for finding in run.findings if finding.code == "header-elsewhere")
    assert "/etc/crypttab says that it is /boot/vault.img" in finding.explanation
    assert "--set device=/boot/vault.img" in finding.advice


def test_a_device_that_was_formatted_anew_while_it_was_open() -> None:
    """The key of what is mounted is in the kernel only, and another header under it looks well."""
    recorded, _ = samples()["luks2-argon2"]
    (probe,) = [capture.stdout for capture in recorded.captures if capture.step == PROBE]
    other = probe.replace(b"00000000-0000-4000-8000-000000000001", b"00000000-0000-4000-8000-00000000000f")
    device = json.loads(other.splitlines()[0])["device"].encode()
    run = edited("detached", {PROBE: lambda _: other.replace(device, b"/dev/ubda")})
    (finding,) = [finding for finding in run.findings if finding.code == "header-elsewhere"]
    assert finding.verdict is CRITICAL
    assert "formatted anew while it was open" in finding.explanation
    assert "Do not close it" in finding.advice


#: As the kernel's table or a header names it, and what a cryptographer says of it.
CIPHERS = {
    "aes-xts-plain64": {},
    "capi:xts(aes)-plain64": {},
    "serpent-xts-plain64": {},
    "xchacha12,aes-adiantum-plain64": {},
    "aes-xts-plain": {"cipher-weak": WARNING},
    "aes-cbc-essiv:sha256": {"cipher-weak": WARNING},
    "capi:cbc(aes)-essiv:sha256": {"cipher-weak": WARNING},
    "aes-lrw-benbi": {"cipher-weak": WARNING},
    "aes-cbc-plain64": {"cipher-weak": CRITICAL},
    "aes-ecb": {"cipher-weak": CRITICAL},
    "capi:ecb(aes)-null": {"cipher-weak": CRITICAL},
    "aes-cbc-null": {"cipher-weak": CRITICAL},
    "AES-CBC-PLAIN": {"cipher-weak": CRITICAL},
    "des3_ede-cbc-essiv:sha256": {"cipher-weak": CRITICAL},
    "cipher_null-ecb": {"cipher-weak": CRITICAL},
    "capi:ecb(cipher_null)-null": {"cipher-weak": CRITICAL},
    "aes-ctr-plain64": {"cipher-unknown": UNKNOWN},
    "capi:authenc(hmac(sha256),xts(aes))-random": {"cipher-unknown": UNKNOWN},
}


@pytest.mark.parametrize("cipher", CIPHERS)
def test_what_is_said_of_a_cipher(cipher: str) -> None:
    def named(data: bytes) -> bytes:
        return data.replace(b"aes-ctr-plain64", cipher.encode())

    run = judged("counter-mode") if cipher == "aes-ctr-plain64" else edited("counter-mode", {"one": named})
    assert {code: verdict for code, verdict in codes(run).items() if code.startswith("cipher")} == CIPHERS[cipher]


def test_a_part_of_the_data_that_is_not_encrypted_is_seen() -> None:
    """LUKS2 may have several segments; cryptsetup makes them while it encrypts in place, and anybody can by hand."""

    def longer(data: bytes) -> bytes:
        lines = data.replace(b'"segments": ["0"]', b'"segments": ["0", "1"]').splitlines(keepends=True)
        at = next(number for number, line in enumerate(lines) if b'"segment"' in line)
        more = {"device": json.loads(lines[at])["device"], "segment": "1", "type": "linear"}
        return b"".join([*lines[: at + 1], json.dumps(more).encode() + b"\n", *lines[at + 1 :]])

    run = edited("recovery-key", {"one": longer})
    assert codes(run)["cipher-weak"] is CRITICAL


# ------------------------------------------------------------------------------------ the probe, and the two readers


def cryptsetup(*words: str, secret: bytes = b"first") -> None:
    subprocess.run(["cryptsetup", *words], input=secret, check=True, capture_output=True)


def format_(path: Path, *words: str, size: int = 32 << 20) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    cheap = () if "luks1" in words else ("--pbkdf", "argon2id", "--pbkdf-memory", "65536", "--pbkdf-parallel", "1")
    rounds_ = ("--pbkdf-force-iterations", "1000" if "luks1" in words else "4")
    cryptsetup("luksFormat", "-q", *cheap, *rounds_, *words, str(path), "-")
    return path


def probed(path: Path) -> str:
    code = "import sys; from runbook.probes import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "luks-headers", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def by_probe(path: Path) -> Any:
    unread: list[Unread] = []
    (header,), ended = part("probe_lines").told(probed(path), PROBE, {}, unread)
    assert ended
    assert unread == []
    return header


def by_dump(path: Path) -> Any:
    done = subprocess.run(["cryptsetup", "luksDump", str(path)], capture_output=True, text=True, check=True)
    return part("luks_dump").header(str(path), done.stdout, "header")


def plain(header: Any) -> dict[str, Any]:
    """What a header says, without where it is said."""
    found = {each.name: getattr(header, each.name) for each in fields(header) if "evidence" not in each.name}
    found["slots"] = [{e.name: getattr(s, e.name) for e in fields(s) if e.name != "evidence"} for s in header.slots]
    return found


HEADERS: dict[str, tuple[str, ...]] = {
    "luks1": ("--type", "luks1"),
    "luks1-sha1-cbc": ("--type", "luks1", "--hash", "sha1", "--cipher", "aes-cbc-essiv:sha256", "--key-size", "256"),
    "luks2": ("--type", "luks2"),
    "luks2-sector": ("--type", "luks2", "--sector-size", "4096", "--label", "one two", "--subsystem", "three"),
    "luks2-short": ("--type", "luks2", "--key-size", "256"),
    "luks2-large-area": ("--type", "luks2", "--luks2-metadata-size", "64k"),
    "luks2-other-hash": ("--type", "luks2", "--hash", "sha512"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_the_probe_reads_what_cryptsetup_prints(tmp_path: Path, case: str) -> None:
    path = format_(tmp_path / "disk", *HEADERS[case])
    assert plain(by_probe(path)) == plain(by_dump(path))


def test_a_label_makes_no_lines_of_its_own(tmp_path: Path) -> None:
    """As it does in cryptsetup's text, which the reader of that text then refuses."""
    path = format_(tmp_path / "disk", "--type", "luks2")
    label = b"a\x1b[31mb\nVersion: 1"
    with path.open("r+b") as file:
        for offset in (0, 16384):
            file.seek(offset)
            head = bytearray(file.read(16384))
            head[24 : 24 + len(label)] = label
            head[448:512] = bytes(64)
            head[448:480] = hashlib.sha256(head).digest()
            file.seek(offset)
            file.write(head)
    header = by_probe(path)
    assert (header.label, header.version, header.damaged) == ("a\\x1b[31mb\nVersion: 1", 2, ())
    with pytest.raises(Unreadable, match="two lines `Version`"):
        by_dump(path)


def test_tokens_unbound_keyslots_and_a_begun_reencryption_are_read_by_both(tmp_path: Path) -> None:
    path = format_(tmp_path / "disk", "--type", "luks2")
    key = tmp_path / "key"
    key.write_bytes(b"second")
    few = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    cryptsetup("luksAddKey", "-q", *few, "--key-file", "-", str(path), str(key))
    cryptsetup("luksAddKey", "-q", "--unbound", "--key-size", "256", *few, "--key-slot", "9", str(path), str(key))
    token = b'{"type": "clevis", "keyslots": ["0", "1"], "jwe": {}}'
    cryptsetup("token", "import", "--token-id", "3", str(path), secret=token)
    header = by_probe(path)
    assert plain(header) == plain(by_dump(path))
    assert [(slot.number, slot.kdf, slot.unbound, slot.tokens) for slot in header.slots] == [
        (0, "argon2id", False, ("clevis",)),
        (1, "pbkdf2", False, ("clevis",)),
        (9, "pbkdf2", True, ()),
    ]
    begun = format_(tmp_path / "begun", "--type", "luks2")
    cryptsetup("reencrypt", "-q", "--init-only", "--key-file", "-", "--force-offline-reencrypt", *few, str(begun))
    header = by_probe(begun)
    assert plain(header) == plain(by_dump(begun))
    assert header.requirements
    assert any(slot.kind == "reencrypt" for slot in header.slots)


def test_a_header_in_a_file_of_its_own(tmp_path: Path) -> None:
    header = tmp_path / "header"
    with header.open("wb") as file:
        file.truncate(16 << 20)
    disk = format_(tmp_path / "disk", "--type", "luks2", "--header", str(header))
    assert probed(disk) == '{"end": 1}\n'
    assert by_probe(header).usable


def test_nothing_is_written_to_a_damaged_header_which_cryptsetup_repairs(tmp_path: Path) -> None:
    """And nothing secret, nor what nobody needs, is told."""
    path = format_(tmp_path / "disk", "--type", "luks2")
    whole = hashlib.sha256(path.read_bytes()).digest()
    with path.open("r+b") as file:
        file.write(bytes(4096))
    damaged = hashlib.sha256(path.read_bytes()).digest()
    header = by_probe(path)
    assert header.damaged == ("primary",)
    assert header.usable
    assert hashlib.sha256(path.read_bytes()).digest() == damaged
    subprocess.run(["cryptsetup", "luksDump", str(path)], capture_output=True, check=True)
    assert hashlib.sha256(path.read_bytes()).digest() != damaged
    assert by_probe(path).damaged == ()
    assert whole != damaged
    told = probed(path)
    assert all(word not in told for word in ("salt", "digest", "area", "stripes"))


def test_every_damage_to_a_header_is_seen(tmp_path: Path) -> None:
    """A checksum is over all of it, so one turned bit anywhere in a copy is known; and none ends in a traceback."""
    path = format_(tmp_path / "disk", "--type", "luks2")
    with path.open("rb") as file:
        head = file.read(32768)
    dice = random.Random(2026)
    for _ in range(ROUNDS // 2):
        at, bit = dice.randrange(len(head)), 1 << dice.randrange(8)
        # There is room for 64 bytes of checksum, and SHA-256 has 32.
        if 480 <= at % 16384 < 512:
            continue
        broken = bytearray(head)
        broken[at] ^= bit
        lines = _read(tmp_path / "broken", bytes(broken))
        states = (lines[0]["primary"], lines[0]["secondary"])
        copy = at // 16384
        assert states[copy] in ("damaged", "missing"), at
        assert states[1 - copy] == "good", at
    for _ in range(ROUNDS // 2):
        broken = bytearray(head[: dice.choice((len(head), dice.randrange(len(head))))])
        for _ in range(dice.randrange(200)):
            if broken:
                broken[dice.randrange(len(broken))] = dice.randrange(256)
        text = "".join(json.dumps({"device": "d", **line}) + "\n" for line in _read(tmp_path / "broken", bytes(broken)))
        part("probe_lines").told(text + '{"end": 1}\n', PROBE, {}, [])


def test_a_luks1_header_is_read_or_refused(tmp_path: Path) -> None:
    path = format_(tmp_path / "disk", "--type", "luks1")
    with path.open("rb") as file:
        head = file.read(4096)
    dice = random.Random(2026)
    for _ in range(ROUNDS):
        broken = bytearray(head[: dice.choice((len(head), dice.randrange(700)))])
        for _ in range(dice.randrange(5)):
            if broken:
                broken[dice.randrange(min(len(broken), 600))] ^= 1 << dice.randrange(8)
        text = "".join(json.dumps({"device": "d", **line}) + "\n" for line in _read(tmp_path / "broken", bytes(broken)))
        unread: list[Unread] = []
        headers, _ = part("probe_lines").told(text + '{"end": 1}\n', PROBE, {}, unread)
        assert len(headers) + len(unread) <= 1


def _read(path: Path, data: bytes) -> list[dict[str, Any]]:
    path.write_bytes(data)
    with path.open("rb", buffering=0) as file:
        return list(luks_headers._read(file.fileno()))


def test_what_cannot_be_opened_is_told() -> None:
    assert json.loads(probed(Path("/nonexistent")).splitlines()[0])["error"] == "No such file or directory"
    assert json.loads(probed(Path("/")).splitlines()[0])["error"] == "Is a directory"


def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (line, end) = probed(tmp_path / "pipe").splitlines()
    assert json.loads(line)["error"] == "it is neither a device with blocks nor a file"
    assert end == '{"end": 1}'


def _forged(path: Path, edit: Callable[[bytes], bytes], algorithm: bytes = b"sha256") -> None:
    """Both copies with another text, and a checksum that is right for it."""
    with path.open("r+b") as file:
        for offset in (0, 16384):
            file.seek(offset)
            head = bytearray(file.read(16384))
            area = edit(bytes(head[4096:]))[: 16384 - 4096]
            head[4096:] = area.ljust(16384 - 4096, b"\0")
            head[72:104] = algorithm.ljust(32, b"\0")
            head[448:512] = bytes(64)
            known = algorithm.decode()
            right = hashlib.new(known, head)
            total = right.digest(64) if known.startswith("shake") else right.digest()  # type: ignore[call-arg]
            head[448 : 448 + len(total)] = total
            file.seek(offset)
            file.write(head)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"key_size":64', b'"key_size":' + b"9" * 400),
        (b'"key_size":64', b'"key_size":-64'),
        (b'"key_size":64', b'"key_size":[]'),
        (b'"keyslots":{', b'"keyslots":[' + b"[" * 9000),
        (b'"memory":65536', b'"memory":' + b"7" * 30),
    ],
)
def test_a_header_that_makes_no_sense_is_said_to_make_none(tmp_path: Path, old: bytes, new: bytes) -> None:
    """Whoever can write to a disk can write this, checksum and all; no device may keep another one from being read."""
    path = format_(tmp_path / "disk", "--type", "luks2")
    _forged(path, lambda text: text.replace(old, new))
    good = format_(tmp_path / "good", "--type", "luks2")
    unread: list[Unread] = []
    text = probed(path).replace('{"end": 1}\n', "") + probed(good)
    headers, ended = part("probe_lines").told(text, PROBE, {}, unread)
    assert ended
    assert str(good) in {header.device for header in headers}
    assert unread or any(header.damaged for header in headers)


def test_a_checksum_of_no_fixed_length_is_a_damaged_copy(tmp_path: Path) -> None:
    path = format_(tmp_path / "disk", "--type", "luks2")
    _forged(path, lambda text: text, b"shake_128")
    assert by_probe(path).damaged == ("primary", "secondary")


def test_a_device_whose_header_another_one_on_top_shows_is_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """sysfs of a host with a multipath device over two paths, and one disk by itself with the same header (a clone)."""
    disk = format_(tmp_path / "disk", "--type", "luks2")
    for node in ("sda", "sdb", "sdc", "dm-0"):
        (tmp_path / "sys" / node / "holders").mkdir(parents=True)
        (tmp_path / "sys" / node / "size").write_text("65536\n")
    (tmp_path / "sys/dm-0/dm").mkdir()
    (tmp_path / "sys/dm-0/dm/name").write_text("mpatha\n")
    for node in ("sda", "sdb"):
        (tmp_path / "sys" / node / "holders" / "dm-0").mkdir()
    monkeypatch.setattr(luks_headers, "SYSFS", str(tmp_path / "sys"))
    devices = luks_headers._devices()
    assert devices == {"sda": "/dev/sda", "sdb": "/dev/sdb", "sdc": "/dev/sdc", "dm-0": "/dev/mapper/mpatha"}
    told = dict(luks_headers._once(dict.fromkeys(devices, str(disk))))
    assert list(told) == [str(disk)]
    shown = [bool(lines) for _, lines in luks_headers._once(dict.fromkeys(devices, str(disk)))]
    assert dict(zip(devices, shown, strict=True)) == {"sda": False, "sdb": False, "sdc": True, "dm-0": True}


# ------------------------------------------------------------------------------------------------------------- damage


def broken(data: bytes, dice: random.Random) -> bytes:
    """Cut short, lines lost or out of order, or a few bits turned."""
    how = dice.randrange(4)
    if how == 0:
        return data[: dice.randrange(len(data) + 1)]
    if how == 1:
        found = bytearray(data)
        for _ in range(dice.randint(1, 5)):
            found[dice.randrange(len(found))] ^= 1 << dice.randrange(8)
        return bytes(found)
    lines = data.split(b"\n")
    if how == 2:
        dice.shuffle(lines)
    else:
        del lines[dice.randrange(len(lines))]
    return b"\n".join(lines)


STEPS = ("header", "one", PROBE, "dmsetup-table", "dmsetup-info", "lsblk", "blkid")


@pytest.mark.parametrize("step", STEPS)
def test_damaged_output_ends_in_facts_or_in_words(step: str) -> None:
    dice = random.Random(step)
    names = [
        name
        for name, (recorded, _) in sorted(samples().items())
        if any(capture.step == step and capture.stdout for capture in recorded.captures)
    ]
    for _ in range(ROUNDS):
        name = dice.choice(names)
        captures = tuple(
            replace(capture, stdout=broken(capture.stdout, dice)) if capture.step == step else capture
            for capture in samples()[name][0].captures
        )
        run = judged(name, captures)
        assert run.findings, name
        for finding in run.findings:
            assert "Traceback" not in finding.explanation, (name, finding)
            assert ".py:" not in finding.summary, (name, finding)


#: What tells of every header; the others only add to it.
WHOLE = ("header", "one", PROBE)


@pytest.mark.parametrize("how", ["cut", "line"])
def test_a_header_that_is_not_whole_is_never_well(how: str) -> None:
    """Trouble does not become ok for what is missing; and what was ok is not said so of a part."""
    for name, (recorded, expected) in samples().items():
        for place, capture in enumerate(recorded.captures):
            if capture.step not in WHOLE or not capture.stdout:
                continue
            if capture.step == "header" and any(other.step == "one" for other in recorded.captures):
                continue  # The probe says it all, and the text is only for recordings that have nothing else.
            lines = capture.stdout.splitlines(keepends=True)
            for number in range(len(lines)):
                left = b"".join(lines[:number] if how == "cut" else lines[:number] + lines[number + 1 :])
                captures = list(recorded.captures)
                captures[place] = replace(capture, stdout=left)
                run = judged(name, tuple(captures))
                lost = lines[number].strip()
                # Hexadecimal lines and such as say nothing of how hard it is to guess may be missing.
                if max(expected.values()) > OK or (how == "cut" and number < _last(lines)):
                    assert run.verdict > OK, (name, number, lost)


def _last(lines: list[bytes]) -> int:
    """The last line of a header that has to be there: the first of the last digest, or the end of a probe's lines."""
    digests = [number for number, line in enumerate(lines) if line.startswith((b"\tDigest:", b"Key Slot 7"))]
    return digests[-1] if digests else len(lines) - 1


def test_what_is_open_and_not_shown_is_not_passed_over() -> None:
    run = edited("no-workqueue", {"dmsetup-table": lambda data: b""})
    assert codes(run) == {"unreadable": UNKNOWN, "workqueues": OK}
    run = edited("no-workqueue", {"dmsetup-table": lambda data: data[:60]})
    assert run.verdict is UNKNOWN


def test_a_key_that_somebody_pasted_is_no_key_bits_wrong() -> None:
    """`dmsetup table` hides keys as zeros, two for a byte; the length of what stands there is that of the key."""
    mapping = part("reading")._mapping("x: 0 8 crypt aes-xts-plain64 " + "0" * 128 + " 0 8:3 4096", "t", 1, {}, {})
    assert (mapping.key_bits, mapping.options) == (512, ())
    mapping = part("reading")._mapping("x: 0 8 crypt cipher_null-ecb - 0 8:3 0", "t", 1, {}, {})
    assert mapping.key_bits == 0
    mapping = part("reading")._mapping(
        "a b: 0 8 crypt capi:xts(aes)-plain64 :32:logon:me 0 8:3 0 1 x:1", "t", 1, {}, {}
    )
    assert (mapping.name, mapping.key_bits, mapping.options) == ("a b", 256, ("x:1",))


# ------------------------------------------------------------------------------------------------------ time to guess


@pytest.mark.parametrize(
    ("kdf", "rounds_", "memory", "hash_name", "per_second"),
    [
        # One block of SHA-256 at 999 iterations was measured at 8 865 700 a second; 64 bytes are two blocks.
        ("pbkdf2", 999, 0, "sha256", 8_865_700 / 2),
        ("pbkdf2", 999, 0, "sha512", 3_120_900),
        ("pbkdf2", 1_500_000, 0, "sha256", 2952),
        # 4 passes over 1 GiB, each block written and one read for it.
        ("argon2id", 4, 1 << 20, "", 1008e9 / (8 << 30)),
    ],
)
def test_guesses_a_second(kdf: str, rounds_: int, memory: int, hash_name: str, per_second: float) -> None:
    slot = replace(by_number("luks2-argon2"), kdf=kdf, rounds=rounds_, memory_kib=memory, hash=hash_name)
    assert part("guessing").guesses_per_second(slot) == pytest.approx(per_second, rel=0.01)


def by_number(name: str) -> Any:
    """The first keyslot of the first header."""
    recorded, _ = samples()[name]
    facts: Any = part("helper").parse(Captures(recorded.captures, recorded.parameters))
    return facts.headers[0].slots[0]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "seconds"),
        (30, "a minute"),
        (90, "2 minutes"),
        (3600, "1 hour"),
        (11_800, "3 hours"),
        (86_400 * 204, "200 days"),
        (31_557_600, "1 year"),
        (31_557_600 * 1234.0, "1 200 years"),
        (1e30, "more than a million years"),
    ],
)
def test_a_length_of_time(seconds: float, said: str) -> None:
    assert part("guessing").duration(seconds) == said


def test_a_step_that_did_not_run_is_no_health() -> None:
    recorded, _ = samples()["luks2-argon2"]
    for step in (PROBE, "dmsetup-table"):
        captures = tuple(
            replace(capture, ending=Ending.NOT_PERMITTED, exit_code=None, stdout=b"")
            if capture.step == step
            else capture
            for capture in recorded.captures
        )
        assert judged("luks2-argon2", captures).verdict is UNKNOWN
