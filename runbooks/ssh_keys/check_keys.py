"""Private keys, the public keys that may log in, certificates, and the rights of the files that hold them."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator

from runbook.formats import change, look
from runbook.model import Evidence, Finding, Reference, Verdict

from .facts import Facts, PrivateKey

MAN = "https://man7.org/linux/man-pages/man1/"
KEYGEN = Reference("ssh-keygen(1)", MAN + "ssh-keygen.1.html")
SSHD = Reference("sshd(8): authorized_keys", "https://man7.org/linux/man-pages/man8/sshd.8.html")
NIST = Reference("NIST SP 800-57, part 1: strength of keys", "https://doi.org/10.6028/NIST.SP.800-57pt1r5")
RELEASE_10 = Reference("OpenSSH 10.0: DSA is gone", "https://www.openssh.com/txt/release-10.0")
FORMAT = Reference("OpenSSH: PROTOCOL.key", "https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key")

#: NIST: 2048 bits are worth 112, until 2030; 3072 are worth 128, as is Ed25519.
RSA_WARNING, RSA_CRITICAL = 3072, 2048
#: What ssh-keygen has given a key since there is its own format; 24 since OpenSSH 9.4.
LEAST_ROUNDS = 16
#: For PBKDF2, which a graphics card counts a thousand times faster than bcrypt_pbkdf; OpenSSL gives 2048.
LEAST_ITERATIONS = 100_000


def path(facts: Facts, file: str) -> str:
    return f"{facts.path.rstrip('/')}/{file}"


def _command(words: tuple[str, ...]) -> str:
    """In one line, also where a file's name has lines of its own; as shlex.join else."""
    return " ".join(
        "$'" + "".join(c if c.isprintable() and c not in "\\'" else f"\\U{ord(c):08x}" for c in word) + "'"
        if re.search(r"[\x00-\x1f\x7f-\x9f]", word)
        else shlex.quote(word)
        for word in words
    )


def home(facts: Facts) -> str:
    return facts.path.rstrip("/").rpartition("/")[0] or "/"


def _new_key() -> str:
    return (
        "Make a new one beside it, put its public part where the old one is, and only then delete the old one:\n"
        + change("ssh-keygen -t ed25519 -a 100")
    )


def key_types(facts: Facts) -> Iterator[Finding]:
    """RSA that is short, DSA, ECDSA; of private keys, and of those that may log in here."""
    found: list[tuple[str, str, int, Evidence]] = [
        (path(facts, key.file), key.type, key.bits, key.evidence) for key in facts.private
    ]
    found += [(path(facts, one.where), one.type, one.bits, one.evidence) for one in facts.authorized]
    rsa = [(where, bits, line) for where, kind, bits, line in found if kind == "ssh-rsa" and bits]
    yield from _short([entry for entry in rsa if entry[1] < RSA_CRITICAL], Verdict.CRITICAL)
    yield from _short([entry for entry in rsa if RSA_CRITICAL <= entry[1] < RSA_WARNING], Verdict.WARNING)
    yield from _dsa(found)
    ecdsa = [(where, line) for where, kind, _, line in found if kind.startswith("ecdsa")]
    if ecdsa:
        yield Finding(
            "ecdsa-key",
            Verdict.OK,
            f"ECDSA: {', '.join(where for where, _ in ecdsa[:4])}",
            "It is accepted everywhere and not broken. A signature needs a random number, though, and one bad number "
            "gives the key away; Ed25519 needs none.",
            evidence=tuple(line for _, line in ecdsa[:4]),
            references=(KEYGEN,),
        )


def _short(rsa: list[tuple[str, int, Evidence]], verdict: Verdict) -> Iterator[Finding]:
    if rsa:
        places = ", ".join(f"{where} ({bits} bits)" for where, bits, _ in rsa[:4])
        more = f" and {len(rsa) - 4} more" if rsa[4:] else ""
        yield Finding(
            "rsa-short",
            verdict,
            f"RSA that is too short: {places}{more} (limits: warning below {RSA_WARNING}, critical below "
            f"{RSA_CRITICAL})",
            "An RSA key is broken by factoring, which gets cheaper every year. 2048 bits are worth about 112 bits of "
            "strength, 3072 about 128, as much as Ed25519, whose keys are shorter and faster. ssh-keygen makes 3072 "
            "since 8.0.",
            _new_key(),
            tuple(line for _, _, line in rsa[:4]),
            (NIST, KEYGEN),
        )


def _dsa(found: list[tuple[str, str, int, Evidence]]) -> Iterator[Finding]:
    dsa = [(where, line) for where, kind, _, line in found if kind == "ssh-dss"]
    if dsa:
        yield Finding(
            "dsa-key",
            Verdict.CRITICAL,
            f"DSA: {', '.join(where for where, _ in dsa[:4])}",
            "DSA in ssh has 1024 bits and SHA-1. sshd refuses it since 7.0 unless it is told otherwise, and OpenSSH "
            "10.0 has no code for it any more.",
            _new_key(),
            tuple(line for _, line in dsa[:4]),
            (RELEASE_10, NIST),
        )


def passphrases(facts: Facts) -> Iterator[Finding]:
    """Keys that anybody can use who can read them, and passphrases that are quick to guess."""
    bare = [key for key in facts.private if not key.encrypted and not key.on_a_token]
    if bare:
        names = ", ".join(path(facts, key.file) for key in bare[:4]) + (
            f" and {len(bare) - 4} more" if bare[4:] else ""
        )
        yield Finding(
            "unencrypted-key",
            Verdict.WARNING,
            f"Without a passphrase: {names}",
            "Whoever gets this file, from a backup, a lost laptop or a program that reads your home, is you on every "
            "host that knows the key. For a key that a service uses there may be no other way; then its line in "
            "authorized_keys should have `restrict`, `from=` and `command=`.",
            "Give it a passphrase; the key stays the same, and an agent asks for it once a day:\n"
            + "\n".join(
                change(_command(("ssh-keygen", "-p", "-a", "100", "-f", path(facts, key.file)))) for key in bare[:4]
            ),
            tuple(key.evidence for key in bare[:4]),
            (KEYGEN,),
        )
    for key in facts.private:
        if key.encrypted and (why := _quick(key)):
            yield Finding(
                "kdf-weak",
                Verdict.WARNING,
                f"{path(facts, key.file)}: {why}",
                "Between a passphrase and the key there is a computation that makes every guess slow. The format of "
                "OpenSSH has bcrypt for it, 24 rounds by default (16 before 9.4); the older formats next to nothing. "
                "Whoever gets the file guesses as fast as that allows.",
                "Write it again with more rounds; it asks for the passphrase, and the key stays the same:\n"
                + _again(facts, key),
                (key.evidence,),
                (FORMAT, KEYGEN),
            )


def _again(facts: Facts, key: PrivateKey) -> str:
    return change(_command(("ssh-keygen", "-p", "-a", "100", "-f", path(facts, key.file))))


def _quick(key: PrivateKey) -> str:
    """Why a passphrase is quick to guess; empty where it is not."""
    if key.kdf == "md5":
        return "the old PEM format, with one round of MD5"
    if key.kdf == "bcrypt" and key.rounds < LEAST_ROUNDS:
        return f"bcrypt with {key.rounds} rounds (limit: {LEAST_ROUNDS})"
    if key.kdf == "pbkdf2" and key.rounds < LEAST_ITERATIONS:
        return f"PKCS#8 with {key.rounds} iterations of PBKDF2 (limit: {LEAST_ITERATIONS})"
    return {
        "pbes1": "PKCS#8 with a key derivation of 1993 (PBES1), made of MD5 or SHA-1",
        "pkcs12": "PKCS#8 with the key derivation of PKCS#12, which graphics cards are good at",
    }.get(key.kdf, "")


def rights(facts: Facts) -> Iterator[Finding]:
    """What ssh refuses (a private key that others may read), and what sshd does (StrictModes)."""
    if facts.folder is None:
        return
    owners = {0, facts.folder.uid}
    open_ = [key for key in facts.private if key.place.mode & 0o077 or key.place.uid not in owners]
    if open_:
        key = open_[0]
        named = ", ".join(f"{path(facts, one.file)} ({one.place.mode:04o})" for one in open_[:4])
        yield Finding(
            "key-mode",
            Verdict.CRITICAL,
            f"Others may use a private key: {named}",
            "ssh refuses it (“UNPROTECTED PRIVATE KEY FILE”), and rightly: every account of this host that may read "
            "it could have copied it. If this is a host with others on it, the key is no secret any more.",
            "Take the rights away; if others were here, make a new key instead:\n"
            + change(_command(("chmod", "600", path(facts, key.file)))),
            tuple(k.evidence for k in open_[:4]),
            (KEYGEN,),
        )
    if facts.folder.mode & 0o077:
        verdict = "write" if facts.folder.writable_by_others() else "look"
        yield Finding(
            "directory-mode",
            Verdict.WARNING,
            f"Others may {verdict} into {facts.path} ({facts.folder.mode:04o}, limit: 0700)",
            "Who may write into it can put an authorized_keys there and log in as you; so sshd ignores yours then. "
            "Who may only look sees which hosts you know and which keys you have.",
            "Close it:\n" + change(_command(("chmod", "700", facts.path))),
            (Evidence("keys", "stdout", 1, 1),),
            (SSHD,),
        )
    for one in facts.lists:
        loose = one.place.writable_by_others() or one.place.uid not in owners
        above = facts.home is not None and (facts.home.writable_by_others() or facts.home.uid not in owners)
        if loose or above:
            what = f"{path(facts, one.file)} ({one.place.mode:04o})" if loose else home(facts)
            yield Finding(
                "authorized-keys-mode",
                Verdict.CRITICAL,
                f"Others may write to {what}",
                "Whoever may write there decides who logs in. sshd checks it (StrictModes) and ignores the whole "
                "file, so no key in it works; the log says “bad ownership or modes”.",
                "Take the rights away:\n"
                + change(_command(("chmod", "go-w", path(facts, one.file), facts.path, home(facts))))
                + "\nand see whose they are:\n"
                + look(_command(("ls", "-ld", path(facts, one.file), facts.path))),
                (one.evidence,),
                (SSHD,),
            )


def authorized(facts: Facts) -> Iterator[Finding]:
    """Keys that are there twice, and lines that hold none."""
    by_key: dict[str, list[str]] = defaultdict(list)
    lines: dict[str, list[Evidence]] = defaultdict(list)
    for one in facts.authorized:
        by_key[one.fingerprint].append(one.where)
        lines[one.fingerprint].append(one.evidence)
    twice = [fingerprint for fingerprint, places in by_key.items() if len(places) > 1]
    if twice:
        yield Finding(
            "authorized-keys-duplicate",
            Verdict.WARNING,
            f"The same key twice: {'; '.join(' and '.join(by_key[key][:3]) for key in twice[:3])}",
            "sshd takes the first line that fits. If you delete that one to lock somebody out, the second lets them "
            "in; and options that stand in the second never apply.",
            "Keep one of the two, the one with the stricter options.",
            tuple(line for key in twice[:3] for line in lines[key][:3]),
            (SSHD,),
        )
    invalid = [(one.file, *entry) for one in facts.lists for entry in one.invalid]
    if invalid:
        file, number, why, _ = invalid[0]
        yield Finding(
            "authorized-keys-invalid",
            Verdict.WARNING,
            f"{len(invalid)} line{'s' * (len(invalid) > 1)} without a key that sshd can use; {path(facts, file)}, "
            f"line {number}: {why}",
            "sshd passes over such a line and says nothing. Often a long line was broken in two by an editor or a "
            "mail.",
            "Look at the line, and paste the key again from its .pub file, in one line:\n"
            + look(_command(("sed", "-n", f"{number}p", path(facts, file)))),
            tuple(line for *_, line in invalid[:5]),
            (SSHD,),
        )


def certificates(facts: Facts) -> Iterator[Finding]:
    for one in facts.certificates:
        if one.until is not None and facts.now and one.until < facts.now:
            days = (facts.now - one.until) // 86400
            yield Finding(
                "certificate-expired",
                Verdict.WARNING,
                f"{path(facts, one.file)}: its certificate “{one.id}” ended {days} days ago",
                "No server takes it any more, and ssh offers it first all the same, which counts as one of the "
                "attempts that a server allows.",
                "Have it signed again, or delete it; see what it says:\n"
                + look(_command(("ssh-keygen", "-L", "-f", path(facts, one.file)))),
                (one.evidence,),
                (KEYGEN,),
            )
        elif not one.host and not one.principals:
            yield Finding(
                "certificate-for-all",
                Verdict.WARNING,
                f"{path(facts, one.file)}: its certificate “{one.id}” names no user",
                "A certificate without principals is good for every account of every host that trusts its signer, "
                "root's too.",
                "Have it signed with the names it is for:\n" + look("ssh-keygen -s CA -I ID -n USER -V +52w KEY.pub"),
                (one.evidence,),
                (KEYGEN,),
            )
