"""Keys, lists of keys, and what sshd is set to; a private key by its header only."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.formats import Unread
from runbook.model import Evidence


@dataclass(frozen=True, slots=True)
class Place:
    """Rights of a file or folder: `mode` in octal, as in chmod(1)."""

    mode: int
    uid: int

    def writable_by_others(self) -> bool:
        return bool(self.mode & 0o022)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key's header. `bits` is 0 where nothing says it; `rounds` are the key derivation's, 0 without one."""

    file: str
    place: Place
    format: str
    type: str
    bits: int
    encrypted: bool
    kdf: str
    rounds: int
    fingerprint: str
    evidence: Evidence

    @property
    def on_a_token(self) -> bool:
        """Whether the file is only a handle: the key itself is in a security key (FIDO)."""
        return self.type.startswith("sk-")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate; `until` in seconds since the epoch, None for ever. Without principals it is good for every "
    "user."""

    file: str
    host: bool
    id: str
    principals: tuple[str, ...]
    until: int | None
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Authorized:
    """A line of authorized_keys; `expires` as it is written there."""

    file: str
    line: int
    type: str
    bits: int
    fingerprint: str
    options: tuple[str, ...]
    comment: str
    expires: str
    evidence: Evidence

    @property
    def where(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True, slots=True)
class KeyList:
    """An authorized_keys file as a file; `invalid` are lines that sshd passes over."""

    file: str
    place: Place
    invalid: tuple[tuple[int, str, Evidence], ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Facts:
    """`folder` is None when it could not be looked into. `settings` are sshd's, by lower-case name, each with its line.

    They are None when sshd was not asked, or is not here.
    """

    path: str = ""
    folder: Place | None = None
    home: Place | None = None
    missing: Evidence | None = None
    private: tuple[PrivateKey, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    lists: tuple[KeyList, ...] = ()
    authorized: tuple[Authorized, ...] = ()
    weak_hosts: tuple[tuple[str, int, Evidence], ...] = ()
    now: int = 0
    ended: bool = False
    settings: tuple[tuple[str, str, Evidence], ...] | None = None
    unread: tuple[Unread, ...] = ()

    def setting(self, name: str) -> tuple[str, Evidence] | None:
        return next(((value, line) for key, value, line in self.settings or () if key == name), None)
