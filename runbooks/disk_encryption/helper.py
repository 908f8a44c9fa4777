"""Says how well each LUKS device is protected, and what that means in time to guess a passphrase.

captures ─▶ reading.parse ─▶ facts.Facts ─┬▶ judge: keyslots, format, what is open; then what could not be seen
        luks_dump, probe_lines            └▶ drawing.draw
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

from runbook.formats import look, unread_findings
from runbook.model import Evidence, Finding, Verdict

from .check_format import cipher_weak, header_damaged, key_short, luks1, reencrypting
from .check_keys import backup, key_derivation, keyslots, tokens
from .check_mappings import HEADER, discards, header_elsewhere, plain, workqueues
from .drawing import draw
from .facts import Facts
from .guessing import FAQ
from .reading import parse

__all__ = ["draw", "judge", "parse"]

CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    key_derivation,
    header_damaged,
    cipher_weak,
    luks1,
    keyslots,
    key_short,
    tokens,
    reencrypting,
    header_elsewhere,
    plain,
    workqueues,
    discards,
)


def judge(facts: Facts) -> Iterator[Finding]:
    """Every trouble and every remark; that all is well only when everything was seen and there is no trouble."""
    if facts.not_luks is not None:
        yield _not_luks(facts, facts.not_luks)
        return
    found = [finding for check in CHECKS for finding in check(facts)]
    found += unread_findings(facts.unread)
    yield from found
    if all(finding.verdict is Verdict.OK for finding in found):
        if facts.headers:
            yield _healthy(facts)
        elif facts.looked and facts.device_mapper is not None and not facts.asked_for:
            yield _no_luks(facts)


def _not_luks(facts: Facts, line: Evidence) -> Finding:
    return Finding(
        "not-luks",
        Verdict.UNKNOWN,
        f"{facts.asked_for} has no LUKS header",
        "Nothing in it says that it is LUKS: it is not encrypted, or with plain dm-crypt, or its header is kept apart, "
        "or was overwritten.",
        "See what is known of it, or look at all devices:\n"
        + look(shlex.join(("blkid", "-p", facts.asked_for)))
        + "\n"
        + look("sudo runbook run disk-encryption"),
        (line,),
        (HEADER,),
    )


def _no_luks(facts: Facts) -> Finding:
    kernel = " This kernel has no device mapper, so it could open none either." if facts.device_mapper is False else ""
    return Finding(
        "no-luks",
        Verdict.OK,
        "No device here is encrypted with LUKS",
        f"None has a LUKS header, and none is open. Whoever has a disk of this host can read it.{kernel}",
        references=(FAQ,),
    )


def _healthy(facts: Facts) -> Finding:
    names = ", ".join(header.device for header in facts.headers[:6])
    more = f" and {len(facts.headers) - 6} more" if len(facts.headers) > 6 else ""
    return Finding(
        "healthy",
        Verdict.OK,
        f"Nothing is wrong with {names}{more}",
        "LUKS2, keys derived with Argon2 but for what tokens open, a cipher without known weakness, and more than "
        "one way in. Whether there is a copy of the header no command can see, and without it the data is lost.",
        "Keep one, in another place; whoever has it can try the passphrases of that day:\n"
        + "\n".join(backup(header) for header in facts.headers[:3]),
        tuple(header.evidence for header in facts.headers[:6]),
        (FAQ,),
    )
