"""Keyslots: how hard a passphrase is to guess, and how many ways in there are."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runbook.formats import change, look
from runbook.model import Finding, Reference, Verdict

from .facts import Facts, Header, Keyslot
from .guessing import FAQ, HASHCAT, RFC9106, times

MAN = "https://man7.org/linux/man-pages/man8/"
CONVERT_KEY = Reference("cryptsetup-luksConvertKey(8)", MAN + "cryptsetup-luksConvertKey.8.html")
ADD_KEY = Reference("cryptsetup-luksAddKey(8)", MAN + "cryptsetup-luksAddKey.8.html")
CRYPTENROLL = Reference("systemd-cryptenroll(1)", "https://man7.org/linux/man-pages/man1/systemd-cryptenroll.1.html")
OWASP = Reference(
    "OWASP: password storage", "https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html"
)

#: cryptsetup's FAQ expects more than 10 000; cryptsetup itself makes none with fewer than 1000.
LEAST_ITERATIONS = 10_000
#: What RFC 9106 recommends where memory is scarce; and the least that OWASP lists.
SCARCE_KIB, LEAST_KIB = 64 * 1024, 7 * 1024


def backup(header: Header) -> str:
    """Whatever is changed in a header can end with a header that nobody can open."""
    return change(shlex.join(("cryptsetup", "luksHeaderBackup", header.device, "--header-backup-file", "HEADER.img")))


def restore(header: Header) -> str:
    return change(shlex.join(("cryptsetup", "luksHeaderRestore", header.device, "--header-backup-file", "HEADER.img")))


def _convert(header: Header, slot: Keyslot) -> str:
    words = ("cryptsetup", "luksConvertKey", "--key-slot", str(slot.number), "--pbkdf", "argon2id", header.device)
    return change(shlex.join(words))


def _stronger(header: Header, slots: list[Keyslot]) -> str:
    """LUKS1 knows only PBKDF2, so there the same passphrase is put in again, with more iterations."""
    if header.version == 1:
        advice = "Keep a header backup elsewhere, then enter each passphrase again, which counts its iterations anew:\n"
        lines = [
            change(shlex.join(("cryptsetup", "luksChangeKey", "--key-slot", str(slot.number), header.device)))
            for slot in slots
        ]
    else:
        advice = (
            "Keep a header backup elsewhere, then derive the key anew; it asks for the passphrase of that keyslot:\n"
        )
        lines = [_convert(header, slot) for slot in slots]
    return advice + "\n".join([backup(header), *lines])


def _are(slots: list[Keyslot]) -> str:
    """`keyslot 1`, `keyslots 0, 1 and 4`."""
    *some, last = [str(slot.number) for slot in slots]
    return f"keyslots {', '.join(some)} and {last}" if some else f"keyslot {last}"


def key_derivation(facts: Facts) -> Iterator[Finding]:
    """The weakest keyslot decides: whoever has the disk may choose which one to guess."""
    for header in facts.headers:
        slots = [slot for slot in header.usable if slot.guessable]
        few = [slot for slot in slots if slot.kdf == "pbkdf2" and slot.rounds < LEAST_ITERATIONS]
        small = [slot for slot in slots if _is_small(slot)]
        if few:
            yield _few_iterations(header, few)
        if small:
            yield _little_memory(header, small)
        rest = [slot for slot in slots if slot.kdf == "pbkdf2" and slot not in few]
        if rest and header.version != 1:
            yield _pbkdf2(header, rest)


def _few_iterations(header: Header, few: list[Keyslot]) -> Finding:
    weakest = min(few, key=lambda slot: slot.rounds)
    return Finding(
        "kdf-weak",
        Verdict.CRITICAL,
        f"{header.device}: {weakest.rounds} iterations of PBKDF2 in keyslot {weakest.number} (limit: "
        f"{LEAST_ITERATIONS})" + (f"; also few in {_are([s for s in few if s is not weakest])}" if few[1:] else ""),
        "Between a passphrase and the key there is a computation that makes every guess slow, and this one is nearly "
        f"nothing. {times(weakest)} Only a passphrase that nobody can guess in any case is safe here, such as a random "
        "key file.",
        _stronger(header, few),
        tuple(slot.evidence for slot in few[:5]),
        (FAQ, HASHCAT),
    )


def _little_memory(header: Header, small: list[Keyslot]) -> Finding:
    weakest = min(small, key=lambda slot: slot.memory_kib)
    return Finding(
        "kdf-weak",
        Verdict.CRITICAL if weakest.memory_kib < LEAST_KIB else Verdict.WARNING,
        f"{header.device}: {weakest.kdf} with {weakest.memory_kib} KiB of memory in keyslot {weakest.number}"
        f" (limits: warning below {SCARCE_KIB} KiB, critical below {LEAST_KIB})",
        "Argon2 makes guessing expensive by the memory that each guess needs. With so little, a graphics card has room "
        f"for very many at once. {times(weakest)}",
        _stronger(header, small),
        tuple(slot.evidence for slot in small[:5]),
        (RFC9106, OWASP),
    )


def _pbkdf2(header: Header, slots: list[Keyslot]) -> Finding:
    weakest = min(slots, key=lambda slot: slot.rounds)
    return Finding(
        "kdf-pbkdf2",
        Verdict.WARNING,
        f"{header.device}: PBKDF2 and not Argon2 in {_are(slots)} ({weakest.rounds} iterations of "
        f"{weakest.hash} in {weakest.number})",
        "PBKDF2 costs time but no memory, and graphics cards have thousands of units to spend. "
        f"{times(weakest)} Argon2id, the default of cryptsetup since 2.4.0, needs memory for each guess. If this slot "
        "holds a random key file, or if GRUB has to open it (GRUB up to 2.12 knows only PBKDF2), it may stay as it is.",
        _stronger(header, slots),
        tuple(slot.evidence for slot in slots[:5]),
        (CONVERT_KEY, FAQ, HASHCAT),
    )


def tokens(facts: Facts) -> Iterator[Finding]:
    """Keyslots that a token says to be opened by a random key: where that is true, few iterations are no weakness."""
    for header in facts.headers:
        quick = [slot for slot in header.usable if slot.random_key and (slot.kdf == "pbkdf2" or _is_small(slot))]
        if quick:
            kinds = ", ".join(dict.fromkeys(token for slot in quick for token in slot.tokens))
            yield Finding(
                "keyslot-token",
                Verdict.OK,
                f"{header.device}: {_are(quick)} would be quick to guess, and a token says that the key is random "
                f"({kinds})",
                "A TPM, a security key, Clevis or a recovery key has a key that nobody can guess, so "
                "systemd-cryptenroll asks for the fastest derivation there is. The token only says so: whoever knew "
                "a passphrase could have added it to any keyslot, and a passphrase that is put there later keeps it.",
                "Enrol anew what you are not sure of; see what belongs to which keyslot:\n"
                + look(shlex.join(("systemd-cryptenroll", header.device))),
                tuple(slot.evidence for slot in quick[:5]),
                (CRYPTENROLL,),
            )


def _is_small(slot: Keyslot) -> bool:
    return slot.kdf != "pbkdf2" and slot.memory_kib < SCARCE_KIB


def keyslots(facts: Facts) -> Iterator[Finding]:
    """How many ways in there are: none, one, or no room for another."""
    for header in facts.headers:
        usable, used = header.usable, len(header.slots)
        if len(header.damaged) == 2:
            continue
        if not usable:
            yield Finding(
                "keyslot-none",
                Verdict.CRITICAL,
                f"{header.device}: no keyslot opens the data",
                "The key of the data is nowhere on the disk any more. Once the device is closed, or the host is off, "
                "nobody can open it, with whatever passphrase. While it is open, the kernel still has the key.",
                "If it is open, copy the data away now, before anything else. If a header backup exists, restore it:\n"
                + restore(header),
                (header.evidence,),
                (FAQ,),
            )
        elif len(usable) == 1:
            yield Finding(
                "keyslot-single",
                Verdict.WARNING,
                f"{header.device}: one keyslot, number {usable[0].number}, and no other way in",
                "Who forgets this passphrase, or loses this key, has lost the data. A few damaged bytes in the area of "
                "this keyslot have the same effect.",
                "Add a second passphrase and keep it in another place, on paper; keep a header backup there, too:\n"
                + change(shlex.join(("cryptsetup", "luksAddKey", header.device)))
                + "\n"
                + backup(header),
                (usable[0].evidence,),
                (ADD_KEY, FAQ),
            )
        if used >= header.slots_total:
            yield Finding(
                "keyslots-full",
                Verdict.WARNING,
                f"{header.device}: all {header.slots_total} keyslots are in use",
                "There is no room for another passphrase, so even a change of one has to overwrite it in place, and "
                "nobody may know any more whom each of them belongs to. Any one of them opens the data.",
                "See which passphrase opens which (it asks for it, and changes nothing), then remove one that is not "
                "needed:\n"
                + look(shlex.join(("cryptsetup", "open", "--test-passphrase", "-v", header.device)))
                + "\n"
                + change(f"cryptsetup luksKillSlot {shlex.quote(header.device)} NUMBER"),
                tuple(slot.evidence for slot in header.slots[:8]),
                (ADD_KEY,),
            )
