"""The format: its version, the cipher of the data and the length of its key, and what was begun and not ended."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from runbook.formats import change
from runbook.model import Evidence, Finding, Reference, Verdict

from .check_keys import MAN, backup, restore
from .facts import Facts, Header
from .guessing import FAQ, HASHCAT, times

CONVERT = Reference("cryptsetup-convert(8)", MAN + "cryptsetup-convert.8.html")
REENCRYPT = Reference("cryptsetup-reencrypt(8)", MAN + "cryptsetup-reencrypt.8.html")
REPAIR = Reference("cryptsetup-repair(8)", MAN + "cryptsetup-repair.8.html")
CIPHERS = Reference(
    "cryptsetup FAQ, 5.14 to 5.16: CBC, plain and XTS",
    "https://gitlab.com/cryptsetup/cryptsetup/-/wikis/FrequentlyAskedQuestions#5-security-aspects",
)


def luks1(facts: Facts) -> Iterator[Finding]:
    for header in facts.headers:
        if header.version != 1:
            continue
        weakest = min((slot for slot in header.usable), key=lambda slot: slot.rounds, default=None)
        guess = f" {times(weakest)}" if weakest is not None else ""
        yield Finding(
            "luks1",
            Verdict.WARNING,
            f"{header.device}: LUKS1, the format before cryptsetup 2.1.0 ({weakest.rounds if weakest else 'no'} "
            f"iterations of PBKDF2-{weakest.hash if weakest else ''} in its weakest keyslot)"
            if weakest
            else f"{header.device}: LUKS1, the format before cryptsetup 2.1.0",
            "LUKS1 works and is still maintained. But it derives keys with PBKDF2 only, which graphics cards are good "
            f"at, has one header and no copy of it, and cannot store flags for opening.{guess}",
            "Keep a header backup elsewhere. The device must be closed to be converted, a root file system from a "
            "rescue system; then derive the keys anew. Not where GRUB has to open it: up to 2.12 it reads LUKS2 only "
            "with PBKDF2.\n"
            + "\n".join(
                (
                    backup(header),
                    change(shlex.join(("cryptsetup", "convert", "--type", "luks2", header.device))),
                    change(shlex.join(("cryptsetup", "luksConvertKey", "--pbkdf", "argon2id", header.device))),
                )
            ),
            (header.evidence, *(slot.evidence for slot in header.usable[:1])),
            (CONVERT, FAQ, HASHCAT),
        )


#: What is known to be sound, in dm-crypt's words; of everything else this runbook says so, or that it does not know it.
SOUND = re.compile(
    r"(?:aes|serpent|twofish|camellia)-xts-plain64(?:be)?|xchacha(?:12|20),aes-adiantum-plain64"
    r"|(?:aes|serpent|twofish|camellia)-xts-essiv:sha256"
)


def _words(cipher: str) -> str:
    """`capi:xts(aes)-plain64` is aes-xts-plain64 in the words of the kernel's interface; case does not matter."""
    found = re.fullmatch(r"capi:([a-z0-9_]+)\(([a-z0-9_,]+)\)-(.+)", cipher.lower())
    return f"{found[2]}-{found[1]}-{found[3]}" if found else cipher.lower()


def _weakness(cipher: str) -> tuple[Verdict, str] | None:
    """Why a cipher protects less than it seems to, and how bad it is; None where it is sound, or not known."""
    words = _words(cipher)
    name, _, mode = words.partition("-")
    chaining, _, iv = mode.partition("-")
    if "null" in name or "null" in chaining or words == "linear":
        return Verdict.CRITICAL, "it encrypts nothing: the data can be read from the disk"
    if chaining == "ecb" or iv == "null":
        return Verdict.CRITICAL, "equal blocks are equal on the disk, so patterns in the data show"
    if name in ("des", "des3_ede"):
        return Verdict.CRITICAL, "DES has keys that can be guessed, and blocks that are too small for a disk"
    if chaining == "cbc" and iv.startswith("plain"):
        return Verdict.CRITICAL, "a file that was made for it can be recognised from outside (watermarking)"
    if chaining in ("cbc", "lrw"):
        return Verdict.WARNING, "whoever can write to the disk can flip bits of the data where they want to"
    if chaining == "xts" and iv == "plain":
        return Verdict.WARNING, "its counter has 32 bits and begins again after 2 TiB, so places share it"
    return None


def cipher_weak(facts: Facts) -> Iterator[Finding]:
    """Of every segment of each header, and of what is open."""
    unknown: list[tuple[str, str, Evidence]] = []
    for device, cipher, evidence in _ciphers(facts):
        weakness = _weakness(cipher)
        if weakness is None:
            if not SOUND.fullmatch(_words(cipher)):
                unknown.append((device, cipher, evidence))
            continue
        verdict, why = weakness
        yield Finding(
            "cipher-weak",
            verdict,
            f"{device}: {cipher}",
            f"Of {cipher}: {why}. The default is aes-xts-plain64, since cryptsetup 1.6.0. This is not about guessing "
            "a passphrase: it helps nobody to have a long one.",
            "Keep a backup of the data and of the header, then encrypt it again in place (LUKS2). It takes hours, and "
            "can be continued after an interruption:\n"
            + change(f"cryptsetup reencrypt --cipher aes-xts-plain64 --key-size 512 {shlex.quote(device)}"),
            (evidence,),
            (CIPHERS, REENCRYPT),
        )
    if unknown:
        named = "; ".join(f"{one}: {cipher}" for one, cipher, _ in unknown[:4])
        yield Finding(
            "cipher-unknown",
            Verdict.UNKNOWN,
            f"A cipher that this runbook cannot judge: {named}",
            "It may be sound, as some with integrity (dm-integrity) are. Common ones are aes-xts-plain64 and, where "
            "the processor has no AES, xchacha12,aes-adiantum-plain64.",
            "See what the kernel knows of it:\n    cat /proc/crypto",
            tuple(line for *_, line in unknown[:4]),
            (CIPHERS,),
        )


def _ciphers(facts: Facts) -> Iterator[tuple[str, str, Evidence]]:
    for header in facts.headers:
        if len(header.damaged) < 2:
            yield header.device, header.cipher, header.cipher_evidence
            # While the data is encrypted, or decrypted, in place a part of it is not; that has a finding of its own.
            plain = "linear" if _begun(header) else ""
            yield from ((header.device, cipher, line) for cipher, line in header.more_ciphers if cipher != plain)
    mine = [mapping for header in facts.headers for mapping in facts.open_as(header)]
    for mapping in mine if facts.asked_for else facts.mappings:
        own = facts.header_of(mapping)
        if own is None or mapping.cipher not in (own.cipher, *(cipher for cipher, _ in own.more_ciphers)):
            yield f"/dev/mapper/{mapping.name}", mapping.cipher, mapping.evidence


def key_short(facts: Facts) -> Iterator[Finding]:
    """XTS splits its key in two, so 256 bits of it are AES-128."""
    for header in facts.headers:
        if "-xts-" in _words(header.cipher) and 0 < header.key_bits < 512:
            half = header.key_bits // 2
            yield Finding(
                "key-short",
                Verdict.WARNING,
                f"{header.device}: a key of {header.key_bits} bits for XTS, which is {_name(header)}-{half} "
                "(limit: 512 bits)",
                f"XTS uses one half of the key for the data and the other for the position. {half} bits cannot be "
                "guessed: at a million million guesses a second, all of them would take 10 million million million "
                "years. It is a matter of policy, and of the margin against what is not known yet. The passphrase is "
                "what gives way first.",
                "If a policy asks for 256 bits, encrypt again in place (LUKS2; a backup first):\n"
                + change(shlex.join(("cryptsetup", "reencrypt", "--key-size", "512", header.device))),
                (header.cipher_evidence,),
                (CIPHERS, REENCRYPT),
            )


def _name(header: Header) -> str:
    return header.cipher.partition("-")[0].upper()


def header_damaged(facts: Facts) -> Iterator[Finding]:
    """LUKS2 has its header twice, each copy with a checksum; the second stands in for the first."""
    for header in facts.headers:
        if not header.damaged:
            continue
        both = len(header.damaged) == 2
        yield Finding(
            "header-damaged",
            Verdict.CRITICAL if both else Verdict.WARNING,
            f"{header.device}: {'both copies' if both else f'the {header.damaged[0]} copy'} of the header "
            f"{'are' if both else 'is'} damaged",
            "Something wrote over it: another tool that took the device for an empty one, or a failing disk. "
            + (
                "With the header the only way to the data is lost. If it is open, the kernel still has the key: do "
                "not close it, do not restart the host, and copy the data away first."
                if both
                else "The other copy is whole, and cryptsetup uses it and repairs this one."
            ),
            "Restore a header backup, if there is one:\n" + restore(header)
            if both
            else "See what else was written over, then let it be repaired and keep a header backup:\n"
            + change(shlex.join(("cryptsetup", "repair", header.device)))
            + "\n"
            + backup(header),
            (header.evidence,),
            (REPAIR, FAQ),
        )


#: What a header may ask of whoever opens it, besides a re-encryption.
REQUIREMENTS = ("inline-hw-tags", "opal")


def _begun(header: Header) -> bool:
    return any("reencrypt" in word for word in header.requirements) or any(
        slot.kind == "reencrypt" for slot in header.slots
    )


def reencrypting(facts: Facts) -> Iterator[Finding]:
    for header in facts.headers:
        other = [w for w in header.requirements if "reencrypt" not in w and w not in REQUIREMENTS]
        if other:
            yield Finding(
                "unreadable",
                Verdict.UNKNOWN,
                f"{header.device}: its header asks for something that this runbook does not know: "
                f"{', '.join(other[:4])}",
                "What protects the data then may be something else than what was judged here.",
                evidence=(header.flags_evidence,),
                references=(REENCRYPT,),
            )
        if _begun(header):
            yield Finding(
                "reencrypting",
                Verdict.WARNING,
                f"{header.device}: a re-encryption was begun and is not ended",
                "One part of the data has the new key, another the old one; where the border is, only the header "
                "knows. Tools that do not know this state refuse the device.",
                "Continue it, with the device open or closed:\n"
                + change(shlex.join(("cryptsetup", "reencrypt", "--resume-only", header.device))),
                (header.flags_evidence,),
                (REENCRYPT,),
            )
