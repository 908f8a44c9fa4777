"""What this host's sshd is set to: passwords, root, SHA-1, and settings that undo what keys are for."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.formats import change
from runbook.model import Evidence, Finding, Reference, Verdict

from .facts import Facts

CONFIG = Reference("sshd_config(5)", "https://man7.org/linux/man-pages/man5/sshd_config.5.html")
RELEASE_88 = Reference("OpenSSH 8.8: RSA with SHA-1 is off", "https://www.openssh.com/txt/release-8.8")
SHA1 = ("ssh-rsa", "ssh-dss", "ssh-rsa-cert-v01@openssh.com", "ssh-dss-cert-v01@openssh.com")
#: Settings that nobody should have, their value, and what they allow.
CARELESS = (
    ("permitemptypasswords", "yes", "accounts without a password can be logged into"),
    ("strictmodes", "no", "whoever may write to an authorized_keys may decide who logs in"),
    ("permituserenvironment", "yes", "a user can set LD_PRELOAD and such, and get around a forced command"),
    ("ignorerhosts", "no", "a .rhosts in a home decides who may log in"),
)


def _set(setting: str) -> str:
    return (
        "Put it into a file of its own, test, and reload; keep a second session open meanwhile:\n"
        + change(f"echo '{setting}' | sudo tee /etc/ssh/sshd_config.d/50-local.conf")
        + "\n    sudo sshd -t\n"
        + change("sudo systemctl reload ssh")
    )


def passwords(facts: Facts) -> Iterator[Finding]:
    found = [facts.setting(name) for name in ("passwordauthentication", "kbdinteractiveauthentication")]
    lines = [line for value, line in filter(None, found) if value == "yes"]
    if found[0] is not None and found[0][0] == "yes":
        yield Finding(
            "sshd-password-authentication",
            Verdict.WARNING,
            "sshd takes passwords",
            "Every sshd on the internet is tried with lists of passwords all day. One weak password of one account "
            "is enough; "
            "a key cannot be guessed.",
            "First make sure that your key works. Then:\n" + _set("PasswordAuthentication no"),
            tuple(lines),
            (CONFIG,),
        )


def root(facts: Facts) -> Iterator[Finding]:
    found = facts.setting("permitrootlogin")
    if found is None or found[0] == "no":
        return
    value, line = found
    everything = value == "yes"
    yield Finding(
        "sshd-root-login",
        Verdict.CRITICAL if everything else Verdict.WARNING,
        f"sshd lets root log in (PermitRootLogin {value})",
        (
            "With a password, too: the one account that every attacker knows, and that may do everything."
            if everything
            else "With a key only, which is sshd's default. Who did something as root cannot be told then; with "
            "accounts of their own and sudo it can."
        ),
        _set("PermitRootLogin no"),
        (line,),
        (CONFIG,),
    )


def sha1(facts: Facts) -> Iterator[Finding]:
    found = facts.setting("pubkeyacceptedalgorithms") or facts.setting("pubkeyacceptedkeytypes")
    weak = [
        name
        for name in (found[0].split(",") if found else ())
        if name in ("ssh-rsa", "ssh-dss", "ssh-rsa-cert-v01@openssh.com")
    ]
    if found is not None and weak:
        yield Finding(
            "sshd-sha1",
            Verdict.WARNING,
            f"sshd takes signatures with SHA-1: {', '.join(weak)}",
            "Two texts with the same SHA-1 can be made. RSA keys do not need it: they sign with rsa-sha2-256 or -512 "
            "since OpenSSH 7.2, and SHA-1 is off since 8.8, unless somebody turned it on for an old client.",
            "Find the line, and the client that it was for:\n"
            "    grep -rn PubkeyAccepted /etc/ssh/sshd_config /etc/ssh/sshd_config.d",
            (found[1],),
            (RELEASE_88, CONFIG),
        )


def careless(facts: Facts) -> Iterator[Finding]:
    found: list[tuple[str, str, str, Evidence]] = []
    for name, value, why in CARELESS:
        said = facts.setting(name)
        if said is not None and said[0] == value:
            found.append((name, value, why, said[1]))
    if found:
        yield Finding(
            "sshd-careless",
            Verdict.CRITICAL,
            f"sshd is set to {', '.join(f'{name} {value}' for name, value, _, _ in found)}",
            "So " + "; and ".join(why for _, _, why, _ in found) + ".",
            "Take the lines out; the defaults are right:\n"
            f"    grep -rniE '{'|'.join(name for name, *_ in found)}' /etc/ssh/sshd_config /etc/ssh/sshd_config.d",
            tuple(line for *_, line in found),
            (CONFIG,),
        )
