"""ssh-keys: what ssh-keygen says of the same keys, nothing of what is private in any output, and damaged input."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from runbook.archive import Recording
from runbook.catalog import find
from runbook.model import Run, Runbook, Source, Verdict
from runbook.pipeline import replay
from runbook.probes import ssh_keys
from tests.base import Base, rounds
from tests.recordings import samples_of

ROUNDS = rounds(300, 10_000)
SECRET = "correct horse battery"

#: What is made, and whether it gets the passphrase.
KEYS: dict[str, tuple[tuple[str, ...], bool]] = {
    "ed25519": (("-t", "ed25519"), False),
    "ed25519-enc": (("-t", "ed25519", "-a", "100"), True),
    "rsa": (("-t", "rsa", "-b", "1024"), False),
    "rsa-enc": (("-t", "rsa", "-b", "3072", "-a", "17"), True),
    "ecdsa": (("-t", "ecdsa", "-b", "384"), False),
    "ecdsa-enc": (("-t", "ecdsa", "-b", "521"), True),
    "pem-rsa": (("-t", "rsa", "-b", "2048", "-m", "PEM"), False),
    "pem-rsa-enc": (("-t", "rsa", "-b", "2048", "-m", "PEM"), True),
    "pem-ecdsa": (("-t", "ecdsa", "-b", "256", "-m", "PEM"), False),
    "pkcs8-rsa": (("-t", "rsa", "-b", "2048", "-m", "PKCS8"), False),
    "pkcs8-ecdsa": (("-t", "ecdsa", "-b", "521", "-m", "PKCS8"), False),
    "pkcs8-rsa-enc": (("-t", "rsa", "-b", "2048", "-m", "PKCS8"), True),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .ssh with a key of every kind; every second public part is gone, so that the header alone has to tell."""
    made = tmp_path_factory.mktemp("home") / ".ssh"
    made.mkdir(mode=0o700)
    for name, (words, encrypted) in KEYS.items():
        passphrase = SECRET if encrypted else ""
        command = ["ssh-keygen", "-q", "-N", passphrase, "-C", f"{name} (a) b", "-f", str(made / name), *words]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    lines = [(made / f"{name}.pub").read_text() for name in ("ed25519", "rsa", "ecdsa-enc")]
    (made / "authorized_keys").write_text("# mine\n\n" + 'from="10.0.0.0/8,\\"x",restrict ' + "".join(lines))
    (made / "known_hosts").write_text(f"example.org,192.0.2.1 {lines[0]}@revoked *.lab {lines[1]}broken\n")
    return made


def told(folder: Path) -> list[dict[str, Any]]:
    code = "import sys; from runbook.probes import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "ssh-keys", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def listed(path: Path) -> tuple[int, str]:
    """Bits and fingerprint, as ssh-keygen prints them."""
    done = subprocess.run(["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True)
    bits, fingerprint, *_ = done.stdout.split()
    return int(bits), fingerprint


@pytest.mark.parametrize("name", KEYS)
def test_a_header_says_what_ssh_keygen_says(folder: Path, name: str) -> None:
    words, encrypted = KEYS[name]
    (key,) = (line for line in told(folder) if line["kind"] == "private" and line["file"] == name)
    bits, fingerprint = listed(folder / f"{name}.pub")
    assert key["encrypted"] is encrypted
    assert key.get("fingerprint", fingerprint) == fingerprint
    hidden = encrypted and key["format"] != "openssh"
    assert key.get("bits", 0) == (0 if hidden else bits)
    if key["format"] == "openssh":
        rounds_ = int(words[words.index("-a") + 1]) if "-a" in words else None
        assert key["type"] in (folder / f"{name}.pub").read_text()
        assert rounds_ is None or key["rounds"] == rounds_
    elif encrypted:
        assert (key["kdf"], key["rounds"]) in (("md5", 1), ("pbkdf2", 2048))


def test_lists_of_keys_are_read_with_their_options(folder: Path) -> None:
    lines = told(folder)
    keys = [line for line in lines if line["kind"] == "authorized"]
    assert [(key["line"], key["options"], key["bits"]) for key in keys] == [
        (3, ["from", "restrict"], 256),
        (4, [], 1024),
        (5, [], 521),
    ]
    assert keys[0]["comment"] == "ed25519 (a) b"
    assert keys[0]["fingerprint"] == listed(folder / "ed25519.pub")[1]
    (hosts,) = (line for line in lines if line["kind"] == "known-hosts")
    assert (hosts["keys"], hosts["hashed"], hosts["weak"], hosts["unread"]) == (2, 0, [2], [3])


def private_parts(path: Path) -> list[bytes]:
    """What of a private key's file nobody may see: of OpenSSH's format all behind the public part, else the numbers."""
    body = "".join(path.read_text().partition("-----\n")[2].partition("-----END")[0].split("\n\n")[-1].split())
    data = base64.b64decode(body)
    if data.startswith(b"openssh-key-v1\0"):
        blob = base64.b64decode(path.with_name(f"{path.name}.pub").read_text().split()[1])
        return [data[data.index(blob) + len(blob) + 4 :]]
    # DER begins with what is public (a modulus); the private numbers are in the second half of RSA's, in all of EC's.
    return [data[len(data) // 2 :]]


def test_nothing_private_is_in_any_output(folder: Path, tmp_path: Path) -> None:
    """Neither as bytes, hexadecimal or base64, in whatever place of a group, nor the passphrase."""
    base = Base(tmp_path)
    outputs = [json.dumps(told(folder)).encode()]
    for format_ in ("text", "json", "markdown"):
        words = ["run", "ssh-keys", "--set", f"directory={folder}", "--format", format_]
        done = subprocess.run(
            [sys.executable, "-m", "runbook", *words],
            cwd=tmp_path,
            env=base.environment(XDG_STATE_HOME=str(tmp_path / "state")),
            capture_output=True,
            check=False,
        )
        assert b"pkcs8-ecdsa" in done.stdout
        outputs += [done.stdout, done.stderr]
    outputs += [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    said = b"\n".join(outputs)
    assert SECRET.encode() not in said
    for name in KEYS:
        for part in private_parts(folder / name):
            public = base64.b64decode((folder / f"{name}.pub").read_text().split()[1]) + f"{name} (a) b".encode()
            # Type, public part and comment stand behind it a second time.
            for at in range(len(part) - 12):
                window = part[at : at + 12]
                if at % 4 == 0 and window not in public:
                    assert window not in said, (name, at)
                    assert window.hex().encode() not in said, (name, at)
                if at % 3 == 0 and window not in public:
                    assert base64.b64encode(window) not in said, (name, at)
        text = (folder / name).read_text().splitlines()
        for line in text[len(text) // 2 : -1]:
            assert line.encode() not in said, name


def test_of_a_key_no_more_is_decoded_than_its_header(folder: Path) -> None:
    """Up to the group of four letters in which the public part ends, and so two bytes more at most."""
    for name in KEYS:
        text = (folder / name).read_bytes()
        body = text.partition(b"-----\n")[2]
        header = ssh_keys._Header(body)
        if b"OPENSSH" in text[:60]:
            ssh_keys._openssh(header)
            public = base64.b64decode((folder / f"{name}.pub").read_text().split()[1])
            whole = base64.b64decode(b"".join(body.partition(b"-----END")[0].split()))
            assert header._at == whole.index(public) + len(public)


# -------------------------------------------------------------------------------------------------------------- damage


def test_a_damaged_file_is_told_and_not_fallen_over(folder: Path, tmp_path: Path) -> None:
    dice = random.Random(2026)
    names = [*KEYS, "authorized_keys", "known_hosts", "rsa.pub"]
    place = tmp_path / ".ssh"
    place.mkdir()
    for _ in range(ROUNDS):
        name = dice.choice(names)
        data = bytearray((folder / name).read_bytes())
        if dice.random() < 0.5:
            data = data[: dice.randrange(len(data) + 1)]
        for _ in range(dice.randrange(6) if data else 0):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        (place / name).write_bytes(data)
        for line in ssh_keys._file(str(place), name):
            json.dumps(line)
        (place / name).unlink()


def test_what_is_no_key_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / ".ssh"
    place.mkdir()
    os.mkfifo(place / "agent.pipe")
    (place / "config").write_text("Host *\n")
    (place / "dangling").symlink_to("nothing")
    (place / "sub").mkdir()
    (place / "huge").write_bytes(b"x" * (5 << 20))
    (place / "a\x1b[31m\n.pub").write_text("ssh-ed25519 AAAA comment\n")
    lines = told(place)
    assert [line["kind"] for line in lines] == ["folder", "public", "end"]
    assert lines[1]["error"]
    assert told(tmp_path / "none")[0]["error"] == "No such file or directory"


@cache
def the_runbook() -> Runbook:
    return find("ssh-keys", "/").load()


@cache
def samples() -> dict[str, tuple[Recording, dict[str, Verdict]]]:
    return samples_of(the_runbook())


def judged(name: str, edit: Callable[[str, bytes], bytes] = lambda step, data: data) -> Run:
    recorded, _ = samples()[name]
    captures = tuple(replace(capture, stdout=edit(capture.step, capture.stdout)) for capture in recorded.captures)
    return replay(the_runbook(), captures, recorded.parameters, recorded.host, Source("sample", name))


def broken(data: bytes, dice: random.Random) -> bytes:
    found = bytearray(data[: dice.randrange(len(data) + 1)] if dice.random() < 0.5 else data)
    for _ in range(dice.randrange(6) if found else 0):
        found[dice.randrange(len(found))] ^= 1 << dice.randrange(8)
    return bytes(found)


#: Settings that are changed from those of `good-keys`, and what has to be said then.
SETTINGS = {
    "kbdinteractiveauthentication yes": {"healthy": Verdict.OK},
    "kbdinteractiveauthentication yes\nusepam yes": {"sshd-password-authentication": Verdict.WARNING},
    "passwordauthentication yes": {"sshd-password-authentication": Verdict.WARNING},
    "pubkeyauthentication no": {"sshd-careless": Verdict.CRITICAL},
    "hostbasedauthentication yes": {"sshd-careless": Verdict.CRITICAL},
    "ignorerhosts shosts-only": {"sshd-careless": Verdict.CRITICAL},
    "permituserenvironment LANG,LC_*": {"healthy": Verdict.OK},
    "permituserenvironment *,!LD_*": {"sshd-careless": Verdict.CRITICAL},
    "permituserenvironment L*,!LD_*": {"healthy": Verdict.OK},
    "permitrootlogin without-password": {"sshd-root-login": Verdict.WARNING},
    "pubkeyacceptedalgorithms ssh-ed25519,ssh-dss-cert-v01@openssh.com": {"sshd-sha1": Verdict.WARNING},
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_what_is_said_of_a_setting(settings: str) -> None:
    wanted = dict(line.split(" ", 1) for line in settings.splitlines())

    def changed(step: str, data: bytes) -> bytes:
        if step != "sshd":
            return data
        lines = [line.split(" ", 1) for line in data.decode().splitlines()]
        assert wanted.keys() <= {name for name, *_ in lines}
        return "".join(f"{name} {wanted.get(name, ''.join(rest))}\n" for name, *rest in lines).encode()

    run = judged("good-keys", changed)
    assert {finding.code: finding.verdict for finding in run.findings} == SETTINGS[settings]


def test_the_advised_setting_is_the_first_that_sshd_reads() -> None:
    """Of two values sshd takes the first, so the advice has to work where another file already has one."""
    advice = next(f.advice for f in judged("bad-keys").findings if f.code == "sshd-root-login")
    assert "tee -a /etc/ssh/sshd_config.d/00-runbook.conf" in advice
    assert "sshd -T | grep -iE '^(PermitRootLogin) '" in advice


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        (("-v1", "PBE-MD5-DES"), "PBES1"),
        (("-v1", "PBE-SHA1-3DES"), "PKCS#12"),
        (("-v2", "aes-256-cbc"), "2048 iterations of PBKDF2"),
        (("-v2", "aes-256-cbc", "-iter", "200000"), ""),
        (("-scrypt",), ""),
    ],
)
def test_what_a_passphrase_of_pkcs8_is_worth(folder: Path, tmp_path: Path, scheme: tuple[str, ...], said: str) -> None:
    """Made by openssl, with text in front of it as PKCS#12 gives it."""
    place = tmp_path / ".ssh"
    place.mkdir(mode=0o700)
    words = ["openssl", "pkcs8", "-topk8", "-in", str(folder / "pkcs8-rsa"), "-passout", "pass:x", *scheme]
    legacy = ("-provider", "legacy", "-provider", "default") if "PBE-MD5-DES" in scheme else ()
    made = subprocess.run([*words, *legacy], capture_output=True, check=True).stdout
    (place / "key").write_bytes(b"Bag Attributes\n    localKeyID: 01\n" + made)
    (place / "key").chmod(0o600)
    (place / "bom").write_bytes(b"\xef\xbb\xbf" + (folder / "ed25519").read_bytes())
    (place / "bom").chmod(0o600)
    (place / "win.ppk").write_text("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n")
    lines = told(place)
    keys = {line["file"]: line for line in lines if line["kind"] == "private"}
    assert (keys["bom"]["type"], keys["bom"]["encrypted"]) == ("ssh-ed25519", False)
    assert "PuTTY" in keys["win.ppk"]["error"]
    assert keys["key"]["encrypted"] is True
    printed = "".join(json.dumps(line) + "\n" for line in lines if line.get("file") != "win.ppk").encode()
    run = judged("good-keys", lambda step, data: printed if step == "keys" else data)
    weak = [finding.summary for finding in run.findings if finding.code == "kdf-weak"]
    assert [said in summary for summary in weak] == ([True] if said else [])
    assert run.verdict is Verdict.WARNING


def test_a_file_name_of_several_lines_is_one_command(tmp_path: Path, folder: Path) -> None:
    place = tmp_path / ".ssh"
    place.mkdir(mode=0o700)
    (place / "a\n    rm -rf 'x'").write_bytes((folder / "ed25519").read_bytes())
    (place / "a\n    rm -rf 'x'").chmod(0o600)
    printed = "".join(json.dumps(line) + "\n" for line in told(place)).encode()
    run = judged("good-keys", lambda step, data: printed if step == "keys" else data)
    advice = next(finding.advice for finding in run.findings if finding.code == "unencrypted-key")
    (command,) = (line.strip() for line in advice.splitlines() if line.startswith("    "))
    shown = subprocess.run(["bash", "-c", f"printf %s\\\\n {command}"], capture_output=True, text=True, check=True)
    assert shown.stdout.endswith("/a\n    rm -rf 'x'\n")


@pytest.mark.parametrize("step", ["keys", "sshd"])
def test_damaged_lines_end_in_facts_or_in_words(step: str) -> None:
    dice = random.Random(step)
    names = [
        name for name in sorted(samples()) if any(c.step == step and c.stdout for c in samples()[name][0].captures)
    ]
    for _ in range(ROUNDS):
        run = judged(dice.choice(names), lambda s, data: broken(data, dice) if s == step and data else data)
        assert run.findings
        assert not any("Traceback" in finding.explanation for finding in run.findings)
        assert not any(".py:" in finding.summary for finding in run.findings)


@pytest.mark.parametrize("name", ["good-keys", "bad-keys", "no-keys"])
def test_what_is_cut_short_is_never_well(name: str) -> None:
    """Of sshd's settings up to the last that is looked at."""
    recorded, _ = samples()[name]
    for step in ("keys", "sshd"):
        whole = next(capture.stdout for capture in recorded.captures if capture.step == step)
        lines = whole.splitlines(keepends=True)
        last = next((n for n, line in enumerate(lines) if line.startswith(b"permituserenvironment")), len(lines) - 1)
        for count in range(last + 1):
            left = b"".join(lines[:count])
            run = judged(name, lambda s, data, step=step, left=left: left if s == step else data)  # type: ignore[misc]
            assert run.verdict > Verdict.OK, (step, count)


def test_no_private_key_is_in_this_repository() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    begin = b"-----BEGIN " + b"OPENSSH PRIVATE KEY"
    for name in done.stdout.split(b"\0"):
        path = root / os.fsdecode(name)
        if name and path.is_file():
            assert begin not in path.read_bytes(), path
