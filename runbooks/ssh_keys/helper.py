"""Audits a folder of keys, and sshd, by what can be read without any passphrase.

captures ─▶ reading.parse ─▶ facts.Facts ─┬▶ judge: check_keys, check_sshd; then what could not be seen
                                          └▶ draw
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runbook.formats import Branch, tree, unread_findings
from runbook.model import Evidence, Finding, Verdict

from .check_keys import KEYGEN, authorized, certificates, key_types, passphrases, rights
from .check_sshd import careless, passwords, root, sha1
from .facts import Facts, PrivateKey
from .reading import parse

__all__ = ["draw", "judge", "parse"]

CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    rights,
    key_types,
    passphrases,
    authorized,
    certificates,
    careless,
    root,
    passwords,
    sha1,
)
NAMES = {"ssh-ed25519": "Ed25519", "ssh-rsa": "RSA", "ssh-dss": "DSA"}


def judge(facts: Facts) -> Iterator[Finding]:
    """Every trouble and every remark; that all is well only when everything was seen and there is no trouble."""
    found = [finding for check in CHECKS for finding in check(facts)]
    found += unread_findings(facts.unread)
    yield from found
    if any(finding.verdict is not Verdict.OK for finding in found):
        return
    if facts.missing is not None or (facts.ended and not facts.private and not facts.lists):
        yield Finding(
            "no-keys",
            Verdict.OK,
            f"There are no keys in {facts.path}",
            "So this account logs in nowhere with a key, and nobody logs into it with one."
            + (" The folder is not there at all." if facts.missing is not None else ""),
            "Make one:\n    ssh-keygen -t ed25519 -a 100   # changes this host",
            (facts.missing,) if facts.missing is not None else (Evidence("keys", "stdout", 1, 1),),
            (KEYGEN,),
        )
    elif facts.ended:
        sshd = (
            " sshd takes keys only, and no root; what a Match block in its configuration says otherwise, for some "
            "users or addresses, it does not show."
            if facts.settings is not None
            else ""
        )
        yield Finding(
            "healthy",
            Verdict.OK,
            f"Nothing is wrong with {len(facts.private)} private keys and {len(facts.authorized)} that may log in",
            "Every private key has a passphrase that is slow to guess, and only you can read it; nobody else can "
            f"decide who logs in.{sshd} Whether a passphrase is good, and where copies of the keys are, no command can "
            "see.",
            evidence=(Evidence("keys", "stdout", 1, 1),),
            references=(KEYGEN,),
        )


def draw(facts: Facts) -> str:
    """The folder with its keys, and who may log in."""
    if facts.folder is None:
        return ""
    branches = [Branch(key.file, "", (_kind(key.type, key.bits), *_lock(key))) for key in facts.private]
    branches += [
        Branch(
            one.file,
            "",
            (f"certificate “{one.id}”", "for a host" if one.host else ", ".join(one.principals) or "any user"),
        )
        for one in facts.certificates
    ]
    for one in facts.lists:
        mine = [key for key in facts.authorized if key.file == one.file]
        keys = tuple(
            Branch(key.comment or "(no comment)", "", (_kind(key.type, key.bits), *key.options)) for key in mine[:20]
        )
        more = (Branch(f"… {len(mine) - 20} more"),) if len(mine) > 20 else ()
        branches.append(Branch(one.file, "", (f"{one.place.mode:04o}", f"{len(mine)} may log in"), keys + more))
    return tree((Branch(facts.path, "", (f"{facts.folder.mode:04o}",), tuple(branches)),))


def _kind(type_: str, bits: int) -> str:
    name = NAMES.get(type_, "ECDSA" if type_.startswith("ecdsa") else type_.removesuffix("@openssh.com"))
    return f"{name} {bits}" if name in ("RSA", "DSA", "ECDSA") and bits else name or "unknown type"


def _lock(key: PrivateKey) -> tuple[str, ...]:
    if key.on_a_token:
        return (f"{key.place.mode:04o}", "on a security key")
    rounds = f", {key.rounds} rounds" if key.rounds > 1 else ""
    return (f"{key.place.mode:04o}", f"passphrase, {key.kdf}{rounds}" if key.encrypted else "! no passphrase")
