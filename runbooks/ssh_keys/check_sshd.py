"""What this host's sshd is set to: passwords, root, SHA-1, and settings that undo what keys are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from runbook.formats import change
from runbook.model import Evidence, Finding, Reference, Verdict

from .facts import Facts

CONFIG = Reference("sshd_config(5)", "https://man7.org/linux/man-pages/man5/sshd_config.5.html")
RELEASE_88 = Reference("OpenSSH 8.8: RSA with SHA-1 is off", "https://www.openssh.com/txt/release-8.8")
SHA1 = ("ssh-rsa", "ssh-dss", "ssh-rsa-cert-v01@openssh.com", "ssh-dss-cert-v01@openssh.com")


def _lets_code_in(value: str) -> bool:
    """Whether a user may set what makes a program load other code; a list of patterns, `!` for what is left out."""
    if value in ("yes", "no"):
        return value == "yes"
    patterns = value.split(",")
    return any(
        any(fnmatchcase(name, pattern) for pattern in patterns if not pattern.startswith("!"))
        and not any(fnmatchcase(name, pattern[1:]) for pattern in patterns if pattern.startswith("!"))
        for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "BASH_ENV")
    )


#: Settings that nobody should have, when they are that, and what they allow.
CARELESS: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    ("permitemptypasswords", "yes".__eq__, "accounts without a password can be logged into"),
    ("pubkeyauthentication", "no".__eq__, "no key is taken at all"),
    ("strictmodes", "no".__eq__, "whoever may write to an authorized_keys may decide who logs in"),
    ("permituserenvironment", _lets_code_in, "a user can set LD_PRELOAD and such, and get around a forced command"),
    ("hostbasedauthentication", "yes".__eq__, "root of another host says who its users are, and is believed"),
    ("ignorerhosts", "no".__eq__, "a .rhosts or .shosts in a home decides who may log in"),
    ("ignorerhosts", "shosts-only".__eq__, "a .shosts in a home decides who may log in"),
)


def _set(*settings: str) -> str:
    """The first value that sshd reads is the one that counts, so the file has to be the first of all."""
    names = "|".join(setting.split()[0] for setting in settings)
    return (
        "Put it into a file that is read before the others, test, and reload; keep a second session open meanwhile:\n"
        + "\n".join(
            change(f"echo '{setting}' | sudo tee -a /etc/ssh/sshd_config.d/00-runbook.conf") for setting in settings
        )
        + "\n    sudo sshd -t\n"
        + change("sudo systemctl reload ssh")
        + f"\n    sudo sshd -T | grep -iE '^({names}) '\n"
        "If the last command shows the old value, then sshd_config does not begin with an Include of that folder: "
        "write it at the top of sshd_config itself."
    )


def passwords(facts: Facts) -> Iterator[Finding]:
    """In sshd's own way, or through PAM; without PAM nothing stands behind the second on Linux."""
    names = ("passwordauthentication", "kbdinteractiveauthentication", "usepam")
    own, asked, pam = (facts.setting(name) for name in names)
    lines = [own[1]] if own is not None and own[0] == "yes" else []
    if asked is not None and pam is not None and (asked[0], pam[0]) == ("yes", "yes"):
        lines += [asked[1], pam[1]]
    if lines:
        through = "" if own is not None and own[0] == "yes" else ", through PAM (KbdInteractiveAuthentication)"
        yield Finding(
            "sshd-password-authentication",
            Verdict.WARNING,
            f"sshd takes passwords{through}",
            "Every sshd on the internet is tried with lists of passwords all day. One weak password of one account "
            "is enough; a key cannot be guessed. If PAM asks for a second factor here, it is another matter.",
            "First make sure that your key works. Then:\n"
            + _set("PasswordAuthentication no", "KbdInteractiveAuthentication no"),
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
    weak = [name for name in (found[0].split(",") if found else ()) if name in SHA1]
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
    for name, is_careless, why in CARELESS:
        said = facts.setting(name)
        if said is not None and is_careless(said[0]):
            found.append((name, said[0], why, said[1]))
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
