"""The keys in a folder such as ~/.ssh, by what their headers and public parts say: one JSON line for each.

    {"kind": "folder", "path": "/home/alice/.ssh", "mode": "0700", "uid": 1000, "home_mode": "0755", "home_uid": 1000}
    {"kind": "private", "file": "id_ed25519", "mode": "0600", "uid": 1000, "format": "openssh", "type": "ssh-ed25519",
     "bits": 256, "fingerprint": "SHA256:…", "encrypted": true, "cipher": "aes256-ctr", "kdf": "bcrypt", "rounds": 24}
    {"kind": "public", "file": "id_ed25519.pub", "type": "ssh-ed25519", "bits": 256, "fingerprint": "SHA256:…"}
    {"kind": "certificate", "file": "x-cert.pub", "host": false, "id": "alice", "principals": ["alice"], "from": 0, …}
    {"kind": "authorized", "file": "authorized_keys", "mode": "0600", "uid": 1000, "line": 3, "type": "ssh-rsa", …}
    {"kind": "known-hosts", "file": "known_hosts", "keys": 9, "hashed": 9, "weak": [4], "unread": []}
    {"kind": "end", "files": 7, "now": 1794}

Of a private key's file no more is decoded than its header: cipher, key derivation and public part, which all stand in
front of what is private. No passphrase is asked for or tried. Formats: PROTOCOL.key, PROTOCOL.certkeys and sshd(8) of
OpenSSH; RFC 4253, 6.6 (keys); RFC 1421 (PEM); RFC 8017, 5915, 5958 and 8018 (what is in it).
"""

from __future__ import annotations

import argparse
import base64
import binascii
import errno
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from typing import Any

#: Larger files hold no key; a known_hosts may be larger than any key.
LARGEST_BYTES = 4 << 20
#: At most so many files of a folder, and lines of a file, are told.
MOST = 2000
#: A key's header and public part, in base64; RSA with 16384 bits needs 2800 bytes.
_HEADER = 8192

Line = dict[str, Any]
_OPENSSH = b"openssh-key-v1\0"
_CURVES = {"nistp256": 256, "nistp384": 384, "nistp521": 521}
#: Text may stand in front of PEM: `Bag Attributes` of PKCS#12, or a curve's parameters.
_BEGIN = re.compile(rb"^(?:\xef\xbb\xbf|[ \t]*)-----BEGIN ([A-Z0-9 ]{0,40}?)PRIVATE KEY-----", re.MULTILINE)
#: Private keys that OpenSSH has no use for, before ssh-keygen -i or puttygen made them its own.
_FOREIGN = ((b"PuTTY-User-Key-File-", "PuTTY"), (b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY", "ssh.com"))
_KEY = re.compile(
    r"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r"(?:-cert-v01@openssh\.com)?|[a-z0-9-]{1,40}-cert-v01@openssh\.com|sk-[a-z0-9-]{1,40}-cert-v01@openssh\.com"
)
#: Of object identifiers: RSA, elliptic curves and which, Ed25519, PBES2, PBKDF2, PBES1, PKCS#12's own, scrypt.
_OIDS = {
    "2a864886f70d010101": "ssh-rsa",
    "2a8648ce3d0201": "ecdsa",
    "2b6570": "ssh-ed25519",
    "2a8648ce380401": "ssh-dss",
    "2a8648ce3d030107": "256",
    "2b81040022": "384",
    "2b81040023": "521",
    "2a864886f70d01050d": "pbes2",
    "2a864886f70d01050c": "pbkdf2",
    **{f"2a864886f70d0105{last}": "pbes1" for last in ("01", "03", "04", "06", "0a", "0b")},
    **{f"2a864886f70d010c010{last}": "pkcs12" for last in range(1, 7)},
    "2b06010401da47040b": "scrypt",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="a folder with keys, such as ~/.ssh")


def run(arguments: argparse.Namespace) -> int:
    """Tell every key of the folder; 0 when every file could be read, else 1 (a line without a key is no failure)."""
    whole = True
    for line in _lines(arguments.folder):
        whole = whole and not ("error" in line and line["kind"] in ("folder", "file"))
        print(json.dumps(line), flush=True)
    return int(not whole)


def _lines(folder: str) -> Iterator[Line]:
    try:
        found, home = os.stat(folder), os.stat(os.path.join(folder, ".."))
        names = sorted(os.listdir(folder))
    except OSError as error:
        yield {"kind": "folder", "path": folder, "error": os.strerror(error.errno or 0)}
        return
    modes = {"mode": _mode(found), "uid": found.st_uid, "home_mode": _mode(home), "home_uid": home.st_uid}
    yield {"kind": "folder", "path": folder, **modes}
    for name in names[:MOST]:
        yield from _file(folder, name)
    if len(names) > MOST:
        yield {"kind": "file", "file": folder, "error": f"more than {MOST} files"}
    yield {"kind": "end", "files": len(names), "now": int(time.time())}


def _file(folder: str, name: str) -> Iterator[Line]:
    """What is known of one file; nothing of what is no key nor a list of keys."""
    shown = os.fsencode(name).decode("utf-8", "replace")
    try:
        # Not to wait for a pipe's other end, and no socket: an agent's may be here.
        descriptor = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT, errno.ELOOP):
            yield {"kind": "file", "file": shown, "error": os.strerror(error.errno or 0)}
        return
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        return
    with os.fdopen(descriptor, "rb") as file:
        about: Line = {"file": shown, "mode": _mode(found), "uid": found.st_uid}
        head = file.read(_HEADER)
        if not name.startswith(("authorized_keys", "known_hosts")) and (begin := _BEGIN.search(head)) is not None:
            yield {"kind": "private", **about, **_private(begin[1].decode(), head[begin.end() :])}
            return
        for start, whose in _FOREIGN:
            if head.startswith(start):
                yield {"kind": "private", **about, "error": f"a private key in the format of {whose} is not read here"}
                return
        if found.st_size > LARGEST_BYTES:
            if name.startswith(("authorized_keys", "known_hosts")):
                yield {"kind": "file", "file": shown, "error": "it is too large"}
            return
        text = (head + file.read()).decode("utf-8", "replace")
    lines = text.split("\n")
    if name.startswith("authorized_keys"):
        yield from ({"kind": "authorized", **about, **line} for line in _authorized(lines))
    elif name.startswith("known_hosts"):
        yield {"kind": "known-hosts", **about, **_known_hosts(lines)}
    elif name.endswith(".pub"):
        yield _public(about, lines[0].strip())


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"


# -------------------------------------------------------------------------------------------------------- private keys


class _Cut(ValueError):
    """The header ends before it should, or is none."""


class _Header:
    """Bytes of a base64 text, decoded no further than they are asked for: behind the header the private part begins."""

    def __init__(self, text: bytes) -> None:
        self._text = re.sub(rb"[\s]+", b"", text.partition(b"-----END")[0])
        self._at = 0

    def take(self, count: int) -> bytes:
        if count < 0 or count > _HEADER:
            raise _Cut("it is longer than a header may be")
        first, last = self._at // 3 * 4, -(-(self._at + count) // 3) * 4
        try:
            decoded = base64.b64decode(self._text[first:last], validate=True)
        except binascii.Error:
            raise _Cut("it is not base64") from None
        found = decoded[self._at % 3 : self._at % 3 + count]
        if len(found) < count:
            raise _Cut("it is cut short")
        self._at += count
        return found

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def der(self, tag: int) -> int:
        """The length of the DER value of this tag that begins here; what is in it comes next."""
        found, length = self.take(2)
        if found != tag:
            raise _Cut("it is not what its name says")
        if length < 0x80:
            return length
        return int.from_bytes(self.take(length & 0x7F), "big") if length & 0x7F <= 4 else _HEADER + 1

    def oid(self) -> str:
        return _OIDS.get(self.take(self.der(6)).hex(), "")

    def bits_of_integer(self) -> int:
        """Of a large number, how many bits it has; no more of it than the first byte is looked at."""
        length = self.der(2)
        first = self.take(1)[0]
        if first == 0 and length > 1:
            length, first = length - 1, self.take(1)[0]
        return (length - 1) * 8 + first.bit_length()


def _private(label: str, body: bytes) -> Line:
    """What the header of a private key says; `label` stands before PRIVATE KEY in its first line."""
    label = label.strip()
    try:
        if label == "OPENSSH":
            return {"format": "openssh", **_openssh(_Header(body))}
        if label in ("RSA", "EC", "DSA"):
            return {"format": "pem", **_pem(label, body)}
        if label in ("", "ENCRYPTED"):
            return {"format": "pkcs8", **_pkcs8(label == "ENCRYPTED", _Header(body))}
    except _Cut as error:
        return {"error": f"its header cannot be read: {error}"}
    return {"error": f"a {label} private key is unknown"}


def _openssh(header: _Header) -> Line:
    """PROTOCOL.key: magic, cipher, kdf, its options (salt and rounds), how many keys, and the public ones."""
    if header.take(len(_OPENSSH)) != _OPENSSH:
        raise _Cut("it is not what its name says")
    cipher, kdf = (header.string().decode("ascii", "replace") for _ in range(2))
    options = header.string()
    if header.number() != 1:
        raise _Cut("it holds more than one key")
    told: Line = {"encrypted": cipher != "none", "cipher": cipher, "kdf": kdf, **_blob(header.string())}
    if kdf == "bcrypt" and len(options) >= 8:
        told["rounds"] = int.from_bytes(options[-4:], "big")
    return told


def _pem(label: str, body: bytes) -> Line:
    """RFC 1421 headers, if it is encrypted; else what stands first in it."""
    told: Line = {"type": {"RSA": "ssh-rsa", "EC": "ecdsa", "DSA": "ssh-dss"}[label], "kdf": "", "cipher": ""}
    if b"Proc-Type: 4,ENCRYPTED" in body[:400]:
        cipher = re.search(rb"DEK-Info: ([A-Z0-9-]{1,40})", body[:400])
        # One round of MD5 (EVP_BytesToKey, as PEM_do_header of OpenSSL has it).
        return {**told, "encrypted": True, "cipher": cipher[1].decode() if cipher else "", "kdf": "md5", "rounds": 1}
    header = _Header(body)
    header.der(0x30)
    header.take(header.der(2))
    if label == "EC":
        # Of the private number nothing but its length: 32, 48 or 66 bytes.
        bits = {32: 256, 48: 384, 66: 521}.get(header.der(4), 0)
        return {**told, "encrypted": False, "bits": bits}
    return {**told, "encrypted": False, "bits": header.bits_of_integer()}


def _pkcs8(encrypted: bool, header: _Header) -> Line:
    header.der(0x30)
    if encrypted:
        header.der(0x30)
        scheme = header.oid()
        if scheme != "pbes2":
            return {"type": "", "encrypted": True, "cipher": "", "kdf": scheme or "unknown"}
        header.der(0x30)
        header.der(0x30)
        kdf = header.oid()
        header.der(0x30)
        header.take(header.der(4))
        rounds = int.from_bytes(header.take(header.der(2)), "big")
        return {"type": "", "encrypted": True, "cipher": "", "kdf": kdf or "unknown", "rounds": rounds}
    header.take(header.der(2))
    header.der(0x30)
    kind = header.oid()
    told: Line = {"type": kind, "encrypted": False, "cipher": "", "kdf": ""}
    if kind == "ssh-ed25519":
        return {**told, "bits": 256}
    if kind == "ecdsa":
        return {**told, "bits": int(header.oid() or 0)}
    if kind == "ssh-rsa":
        header.take(header.der(5))
        header.der(4)
        header.der(0x30)
        header.take(header.der(2))
        return {**told, "bits": header.bits_of_integer()}
    return told


# ---------------------------------------------------------------------------------------------------------- public keys


def _parts(blob: bytes) -> list[bytes]:
    """The strings that a public key is made of (RFC 4251, 5); raises _Cut when it does not end where it should."""
    found, at = [], 0
    while at < len(blob):
        length = int.from_bytes(blob[at : at + 4], "big")
        if at + 4 + length > len(blob) or len(blob) - at < 4:
            raise _Cut("its last part is cut short")
        found.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _blob(blob: bytes) -> Line:
    """Type, size and fingerprint of a public key."""
    parts = _parts(blob)
    kind = parts[0].decode("ascii", "replace") if parts else ""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return {"type": kind, "bits": _bits(kind, parts), "fingerprint": f"SHA256:{digest}"}


def _bits(kind: str, parts: list[bytes]) -> int:
    try:
        if kind == "ssh-rsa":
            return int.from_bytes(parts[2], "big").bit_length()
        if kind == "ssh-dss":
            return int.from_bytes(parts[1], "big").bit_length()
        if "nistp" in kind:
            return _CURVES[parts[1].decode("ascii", "replace")]
    except (IndexError, KeyError):
        raise _Cut("a part of the key is missing") from None
    if "ed25519" in kind:
        return 256
    raise _Cut(f"the type {kind[:40]!r} is unknown")


def _encoded(kind: str, text: str) -> bytes:
    """The bytes of a key's text; its type stands in them a second time and has to be the same."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _Cut("it is not base64") from None
    if blob[4 : 4 + len(kind)] != kind.encode() or int.from_bytes(blob[:4], "big") != len(kind):
        raise _Cut("the key in it has another type")
    return blob


def _public(about: Line, text: str) -> Line:
    words = text.split(None, 2)
    told = {"kind": "public", "file": about["file"]}
    if len(words) < 2 or not _KEY.fullmatch(words[0]):
        return {**told, "error": "it is no public key"}
    try:
        blob = _encoded(words[0], words[1])
        if "-cert-v01@" in words[0]:
            return {**told, "kind": "certificate", "type": words[0], **_certificate(words[0], blob)}
        return {**told, **_blob(blob)}
    except _Cut as error:
        return {**told, "error": str(error)}


def _certificate(kind: str, blob: bytes) -> Line:
    """PROTOCOL.certkeys: type, nonce, the key's own parts, serial, kind, id, principals, validity, options, …"""
    plain = kind.replace("-cert-v01@openssh.com", "")
    own = {"ssh-rsa": 2, "ssh-dss": 4, "ssh-ed25519": 1}.get(plain, 2 if plain.startswith("ecdsa") else 3)
    own = 2 if plain == "sk-ssh-ed25519" else own
    at = 0

    def string() -> bytes:
        nonlocal at
        length = int.from_bytes(blob[at : at + 4], "big")
        if at + 4 + length > len(blob):
            raise _Cut("it is cut short")
        at += 4 + length
        return blob[at - length : at]

    for _ in range(2 + own):
        string()
    at += 8
    role = int.from_bytes(blob[at : at + 4], "big")
    at += 4
    name = string().decode("utf-8", "replace")
    principals = [part.decode("utf-8", "replace") for part in _parts(string())]
    if at + 16 > len(blob):
        raise _Cut("it is cut short")
    begin, end = (int.from_bytes(blob[at + 8 * n : at + 8 * n + 8], "big") for n in range(2))
    forever = end == (1 << 64) - 1
    until = None if forever else end
    return {"host": role == 2, "id": name[:200], "principals": principals[:50], "from": begin, "until": until}


# ------------------------------------------------------------------------------------------------- lists of public keys


def _authorized(lines: list[str]) -> Iterator[Line]:
    """sshd(8), AUTHORIZED_KEYS FILE FORMAT: options, type, key, comment; empty lines and comments are none."""
    count = 0
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        count += 1
        if count > MOST:
            yield {"line": number, "error": f"more than {MOST} keys"}
            return
        yield {"line": number, **_entry(text)}
    if not count:
        yield {"line": 0}


def _entry(text: str) -> Line:
    words = text.split(None, 2)
    options: list[str] = []
    if not _KEY.fullmatch(words[0]):
        options, text = _options(text)
        words = text.split(None, 2)
    if len(words) < 2 or not _KEY.fullmatch(words[0]):
        return {"error": "there is no key in it"}
    told: Line = {"options": [option.partition("=")[0].lower()[:40] for option in options[:50]]}
    expiry = next((option for option in options if option.lower().startswith("expiry-time=")), "")
    if expiry:
        told["expires"] = re.sub(r"[^0-9Zz]", "", expiry.partition("=")[2])[:16]
    try:
        told |= _blob(_encoded(words[0], words[1]))
    except _Cut as error:
        return {"error": str(error)}
    return {**told, "comment": words[2][:200] if len(words) > 2 else ""}


def _options(text: str) -> tuple[list[str], str]:
    """Options with commas between them; in quotes are blanks, commas, and quotes behind a backslash."""
    options, start, at, quoted = [], 0, 0, False
    while at < len(text) and (quoted or text[at] not in " \t"):
        if text[at] == "\\" and text[at + 1 : at + 2] == '"':
            at += 1
        elif text[at] == '"':
            quoted = not quoted
        elif text[at] == "," and not quoted:
            options.append(text[start:at])
            start = at + 1
        at += 1
    return [*options, text[start:at]], text[at:].strip()


def _known_hosts(lines: list[str]) -> Line:
    """sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: how many keys, how many with a hashed name, and weak ones by line."""
    keys = hashed = 0
    weak, unread = [], []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith("@"):
            words = words[1:]
        try:
            found = _blob(_encoded(words[1], words[2]))
        except (_Cut, IndexError):
            unread.append(number)
            continue
        keys += 1
        hashed += words[0].startswith("|1|")
        if found["type"] == "ssh-dss" or (found["type"] == "ssh-rsa" and found["bits"] < 2048):
            weak.append(number)
    return {"keys": keys, "hashed": hashed, "weak": weak[:50], "unread": unread[:50]}
