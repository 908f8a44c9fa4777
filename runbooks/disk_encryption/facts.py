"""LUKS headers as they are on disk, and the encrypted devices that the kernel has open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbook.formats import BlockDevice, Unread
from runbook.model import Evidence

#: Tokens whose keyslots are opened by a random key, so that guessing is no way in: systemd-cryptenroll(1) asks for the
#: fastest key derivation there is (cryptsetup_set_minimal_pbkdf in its source); clevis stores a random key, too.
RANDOM_KEY_TOKENS = ("systemd-tpm2", "systemd-fido2", "systemd-pkcs11", "systemd-recovery", "clevis")


@dataclass(frozen=True, slots=True)
class Keyslot:
    """One keyslot in use. `kdf` is pbkdf2, argon2i or argon2id; `rounds` are its iterations, or Argon2's time cost.

    `kind` is luks2, or reencrypt for what only a re-encryption uses; an `unbound` one does not open the data. `tokens`
    are the types of those that open it.
    """

    number: int
    kdf: str
    rounds: int
    memory_kib: int
    hash: str
    key_bits: int
    kind: str
    unbound: bool
    tokens: tuple[str, ...]
    evidence: Evidence

    @property
    def opens_data(self) -> bool:
        return not self.unbound and self.kind != "reencrypt"

    @property
    def random_key(self) -> bool:
        """Whether a token says that what opens it was made by a machine, and not thought of by a person."""
        return any(token in RANDOM_KEY_TOKENS for token in self.tokens)

    @property
    def guessable(self) -> bool:
        return self.opens_data and not self.random_key


@dataclass(frozen=True, slots=True)
class Header:
    """A LUKS header; `cipher` and `key_bits` are those of the data, `more_ciphers` those of its other segments.

    `flags` are what it asks for when it is opened. `damaged` are those of the two
    copies of LUKS2 (primary, secondary) that are gone or whose checksum is wrong.
    """

    device: str
    version: int
    uuid: str
    label: str
    cipher: str
    key_bits: int
    sector_bytes: int
    slots: tuple[Keyslot, ...]
    slots_total: int
    flags: tuple[str, ...]
    requirements: tuple[str, ...]
    damaged: tuple[str, ...]
    evidence: Evidence
    cipher_evidence: Evidence
    flags_evidence: Evidence
    more_ciphers: tuple[tuple[str, Evidence], ...] = ()

    @property
    def usable(self) -> tuple[Keyslot, ...]:
        return tuple(slot for slot in self.slots if slot.opens_data)


@dataclass(frozen=True, slots=True)
class Mapping:
    """An encrypted device that is open. `format` is LUKS1, LUKS2, PLAIN, … or empty where nothing tells it.

    `device` is what lies below, where lsblk shows it; `options` are dm-crypt's own words, such as `allow_discards`.
    """

    name: str
    format: str
    uuid: str
    device: str
    cipher: str
    key_bits: int
    options: tuple[str, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Facts:
    """`asked_for` is the device that was named, if one was: then there is no other. `not_luks` is why it is none.

    `stated` are paths of headers by the name of the mapping, as /etc/crypttab gives them. `looked` says whether every
    device of this host was looked at.
    """

    headers: tuple[Header, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    disks: tuple[BlockDevice, ...] = ()
    stated: tuple[tuple[str, str], ...] = ()
    asked_for: str = ""
    not_luks: Evidence | None = None
    looked: bool = False
    device_mapper: bool | None = None
    unread: tuple[Unread, ...] = ()

    def header_of(self, mapping: Mapping) -> Header | None:
        """The header that a mapping was opened by; where the kernel knows its UUID, none with another one."""
        below = [header for header in self.headers if header.device == mapping.device]
        if not mapping.uuid:
            return below[0] if below else None
        same = [header for header in self.headers if header.uuid == mapping.uuid]
        found = [*(header for header in below if header in same), *same]
        return found[0] if found else None

    def open_as(self, header: Header) -> Iterator[Mapping]:
        yield from (mapping for mapping in self.mappings if self.header_of(mapping) is header)
