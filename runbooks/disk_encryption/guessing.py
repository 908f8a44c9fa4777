"""How long a passphrase would stand against one graphics card, by the cost of one guess; orders of magnitude, no more.

Sources: the time for all guesses is 2^n times that of one (cryptsetup FAQ, 5.9), half of it on average. PBKDF2 costs
hash operations, and a card's rate was measured: hashcat 6.2.6, RTX 4090, modes 10900 and 12100, 999 iterations. LUKS
wants a key of 64 bytes, of which SHA-256 makes 32 at a time and SHA-512 all, so a guess takes as many rounds again.
Argon2 costs memory: every pass writes each block of it, and reads one for each (RFC 9106, 3.1), so a card that moves
1008 GB/s (RTX 4090) does no more than that.
"""

from __future__ import annotations

from math import log2

from runbook.model import Reference

from .facts import Keyslot

HASHCAT = Reference(
    "hashcat 6.2.6 on an RTX 4090", "https://gist.github.com/Chick3nman/32e662a5bb63bc4f51b847bb422222fd"
)
FAQ = Reference(
    "cryptsetup FAQ, 5.9 and 5.10: passphrases and iterations",
    "https://gitlab.com/cryptsetup/cryptsetup/-/wikis/FrequentlyAskedQuestions#5-security-aspects",
)
RFC9106 = Reference("RFC 9106: Argon2", "https://www.rfc-editor.org/rfc/rfc9106")

#: Iterations a second for one block of output.
HASHES = {"sha256": 8_865_700 * 999.0, "sha512": 3_120_900 * 999.0}
BLOCK_BYTES = {"sha256": 32, "sha512": 64}
BYTES_PER_SECOND = 1008e9

#: Passphrases by how many bits of chance are in them; only if dice or a machine chose them.
EXAMPLES = (("eight random lower-case letters", 8 * log2(26)), ("six words drawn from a list of 7776", 6 * log2(7776)))


def guesses_per_second(slot: Keyslot) -> float:
    """At most so many on one card; a hash that nobody measured here is taken for SHA-256."""
    if slot.kdf == "pbkdf2":
        blocks = max(1, -(-slot.key_bits // 8 // BLOCK_BYTES.get(slot.hash, 32)))
        return HASHES.get(slot.hash, HASHES["sha256"]) / max(slot.rounds, 1) / blocks
    return BYTES_PER_SECOND / (2 * max(slot.memory_kib, 1) * 1024 * max(slot.rounds, 1))


def times(slot: Keyslot) -> str:
    """`At 44 000 guesses a second on one RTX 4090, eight random lower-case letters stand 27 days on average, six …`"""
    rate = guesses_per_second(slot)
    (letters, weak), (words, strong) = ((what, duration(2**bits / 2 / rate)) for what, bits in EXAMPLES)
    guesses = f"{_round(rate)} guesses a second"
    return f"At about {guesses} on one RTX 4090, {letters} stand {weak} on average, {words} {strong}."


def duration(seconds: float) -> str:
    """A length of time in the largest unit that it fills: `3 hours`, `200 days`, `more than a million years`."""
    for unit, length in (("year", 31_557_600), ("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = seconds / length
            return (
                "more than a million years" if count > 1e6 else f"{_round(count)} {unit}{'s' * (_round(count) != '1')}"
            )
    return "a minute" if seconds >= 10 else "seconds"


def _round(number: float) -> str:
    """With two digits that mean something; a space between thousands."""
    if number < 1:
        return f"{number:.1g}"
    scale = 10 ** max(len(str(int(number))) - 2, 0)
    return f"{round(number / scale) * scale:,}".replace(",", " ")
