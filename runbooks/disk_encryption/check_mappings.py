"""What is open: the flags it runs with, what they leak or spare, and mappings whose header is somewhere else."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runbook.formats import change, look
from runbook.model import Evidence, Finding, Reference, Verdict

from .check_keys import MAN, restore
from .facts import Facts, Header, Mapping

CLOUDFLARE = Reference(
    "Cloudflare: Speeding up Linux disk encryption", "https://blog.cloudflare.com/speeding-up-linux-disk-encryption/"
)
DM_CRYPT = Reference("Linux: dm-crypt", "https://docs.kernel.org/admin-guide/device-mapper/dm-crypt.html")
OPEN = Reference("cryptsetup-open(8): --allow-discards, --perf-*", MAN + "cryptsetup-open.8.html")
HEADER = Reference("cryptsetup(8): detached headers", MAN + "cryptsetup.8.html")

WORKQUEUES = ("no_read_workqueue", "no_write_workqueue", "same_cpu_crypt", "submit_from_crypt_cpus", "high_priority")


def _about(facts: Facts) -> Iterator[tuple[str, tuple[str, ...], Evidence]]:
    """What a device is called, what it is set to, and the line that shows it: open ones, then headers that store it."""
    mine = [mapping for header in facts.headers for mapping in facts.open_as(header)]
    for mapping in mine if facts.asked_for else facts.mappings:
        yield mapping.name, mapping.options, mapping.evidence
    for header in facts.headers:
        flags = tuple(flag.replace("-", "_") for flag in header.flags)
        if flags and not any(set(flags) <= set(mapping.options) for mapping in facts.open_as(header)):
            yield f"the header of {header.device}", flags, header.flags_evidence


def workqueues(facts: Facts) -> Iterator[Finding]:
    set_ = [
        (name, [option for option in options if option in WORKQUEUES], line) for name, options, line in _about(facts)
    ]
    told = [(name, options, line) for name, options, line in set_ if options]
    if told:
        yield Finding(
            "workqueues",
            Verdict.OK,
            "; ".join(f"{name}: {', '.join(options)}" for name, options, _ in told[:6]),
            "By default dm-crypt hands every request to another thread, which encrypts it and passes it on. With "
            "no_read_workqueue and no_write_workqueue (Linux 5.9) it is done at once, where it came from. That helps "
            "fast disks with many small requests, and can hurt others. Measure it here before you keep it.",
            "See what encryption costs on this host, in memory only, and what the flags do in a lab:\n"
            + look("runbook run disk-encryption-speed")
            + "\n"
            + look("runbook run disk-encryption-speed --lab three-ways"),
            tuple(line for _, _, line in told[:6]),
            (CLOUDFLARE, DM_CRYPT, OPEN),
        )


def discards(facts: Facts) -> Iterator[Finding]:
    told = [(name, line) for name, options, line in _about(facts) if "allow_discards" in options]
    if told:
        yield Finding(
            "discards",
            Verdict.OK,
            f"Discards are passed on: {', '.join(name for name, _ in told[:6])}",
            "The file system may tell the disk which blocks are free (TRIM), which keeps an SSD fast. The price: "
            "whoever has the disk sees which blocks are in use, so how much data there is, and often which file "
            "system. What is in them stays secret.",
            "If that is too much, open it without discards, and see crypttab for `discard`:\n"
            + change("cryptsetup refresh NAME"),
            tuple(line for _, line in told[:6]),
            (OPEN, DM_CRYPT),
        )


def header_elsewhere(facts: Facts) -> Iterator[Finding]:
    """An open LUKS device without a header on it: that is meant, or it was overwritten; only its owner knows which."""
    if facts.asked_for or not facts.looked:
        return
    for mapping in facts.mappings:
        if not mapping.format.startswith("LUKS") or facts.header_of(mapping) is not None:
            continue
        if (other := next((h for h in facts.headers if h.device == mapping.device), None)) is not None:
            yield _overwritten(mapping, other)
            continue
        stated = dict(facts.stated).get(mapping.name)
        where = f" /etc/crypttab says that it is {stated}." if stated else " /etc/crypttab names no file for it."
        look_at = stated or "HEADER.img"
        yield Finding(
            "header-elsewhere",
            Verdict.UNKNOWN,
            f"{mapping.name} is open as {mapping.format}; {mapping.device or 'the device'} below it has no LUKS header",
            "Either its header is kept apart, in a file or on a stick, or it was overwritten. In the second case the "
            f"data is lost when the device is closed.{where} Its keyslots could not be judged.",
            "Look at the header that you know of:\n"
            + look(f"sudo runbook run disk-encryption --set device={shlex.quote(look_at)}")
            + "\nIf there is none, do not close the device and do not restart the host: copy the data away first.",
            (mapping.evidence,),
            (HEADER,),
        )


def _overwritten(mapping: Mapping, other: Header) -> Finding:
    return Finding(
        "header-elsewhere",
        Verdict.CRITICAL,
        f"{mapping.name} is open, and the header on {other.device} below it is another one's (UUID {other.uuid})",
        "The device has been formatted anew while it was open. The key of the data that you see is only in the kernel "
        "now: once the device is closed, or the host is off, nobody can open that data again.",
        "Do not close it and do not restart the host: copy the data away first. Then restore a header backup, if "
        "there is one:\n" + restore(other),
        (mapping.evidence, other.evidence),
        (HEADER,),
    )


def plain(facts: Facts) -> Iterator[Finding]:
    """Without a header there is nothing to guess slowly, nor to lose."""
    found: list[Mapping] = [mapping for mapping in facts.mappings if mapping.format == "PLAIN"]
    if found and not facts.asked_for:
        yield Finding(
            "plain",
            Verdict.OK,
            f"Encrypted without LUKS: {', '.join(mapping.name for mapping in found[:6])}",
            "Plain dm-crypt keeps nothing on the disk. For a swap with a new random key at each start that is right. "
            "With a passphrase it is weak: there is no salt, and a guess costs one hash.",
            evidence=tuple(mapping.evidence for mapping in found[:6]),
            references=(OPEN,),
        )
