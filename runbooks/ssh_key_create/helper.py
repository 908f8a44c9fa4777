"""Says how far the making of a key came, from what each step printed on its terminal.

captures ─▶ parse ─▶ Facts (the steps that ran, line by line) ─▶ judge: the first step that failed, and why
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from runbook.formats import change, look
from runbook.helpers import Captures
from runbook.model import Capture, Ending, Evidence, Finding, Reference, Verdict

__all__ = ["judge", "parse"]

MAN = "https://man7.org/linux/man-pages/man1/"
KEYGEN = Reference("ssh-keygen(1)", MAN + "ssh-keygen.1.html")
SSH = Reference("ssh(1): verifying host keys", MAN + "ssh.1.html")
SSHD = Reference("sshd(8): authorized_keys", "https://man7.org/linux/man-pages/man8/sshd.8.html")
#: Each needs the one before it, and the first needs `free`.
CHAIN = ("create", "copy", "login")
UNDO = "What was done can be taken back:\n" + change("runbook run ssh-key-create --undo")


@dataclass(frozen=True, slots=True)
class Stage:
    """A step that ran: whether it exited 0, and the lines that it showed, without control characters."""

    step: str
    succeeded: bool
    lines: tuple[str, ...]

    def find(self, pattern: str) -> Evidence | None:
        """The last line with this in it."""
        found = [number for number, line in enumerate(self.lines, start=1) if re.search(pattern, line)]
        return Evidence(self.step, "stdout", found[-1], found[-1]) if found else None

    def said(self, pattern: str = r"\S") -> tuple[Evidence, ...]:
        """The last line with this in it, or the last of all."""
        found = self.find(pattern) or self.find(r"\S")
        return (found,) if found is not None else ()


@dataclass(frozen=True, slots=True)
class Facts:
    """`free`, `create`, `agent`, `copy`, `login`: None where a step did not run to its own end."""

    file: str
    host: str
    port: int
    free: Stage | None
    create: Stage | None
    agent: Stage | None
    copy: Stage | None
    login: Stage | None
    not_recorded: str = ""


def parse(captures: Captures) -> Facts:
    """What each step showed."""
    return Facts(
        file=str(captures.parameters["file"]),
        host=str(captures.parameters["host"]),
        port=int(captures.number("port")),
        **{step: _stage(captures.ran(step)) for step in ("free", *CHAIN, "agent")},
        not_recorded=_not_recorded(captures),
    )


def _not_recorded(captures: Captures) -> str:
    """The first step whose turn it was, and of which nothing is there; a run itself leaves none out."""
    for step, before in zip(CHAIN, ("free", *CHAIN), strict=False):
        earlier, capture = captures.ran(before), captures.get(step)
        if earlier is None or not earlier.succeeded:
            return "" if earlier is not None or before != "free" else before
        if capture is None or capture.ending is Ending.SKIPPED:
            return step
    return ""


def _stage(capture: Capture | None) -> Stage | None:
    if capture is None:
        return None
    text = capture.stdout.decode("utf-8", "replace")
    lines = tuple(re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", line) for line in text.split("\n"))
    return Stage(capture.step, capture.succeeded, lines)


def judge(facts: Facts) -> Iterator[Finding]:
    """What stopped it, or that all is done; nothing of a step that did not end, which the engine tells."""
    if facts.free is not None and not facts.free.succeeded:
        yield _exists(facts, facts.free)
    if facts.create is not None and not facts.create.succeeded:
        yield _not_created(facts, facts.create)
    if facts.agent is not None:
        yield from _agent(facts, facts.agent)
    if facts.copy is not None and not facts.copy.succeeded:
        yield _not_copied(facts, facts.copy)
    if facts.login is not None:
        yield _login(facts, facts.login)
    if facts.not_recorded:
        yield Finding(
            "unreadable",
            Verdict.UNKNOWN,
            f"Nothing is recorded of step {facts.not_recorded}, so it is not known how far it came",
        )


def _exists(facts: Facts, stage: Stage) -> Finding:
    return Finding(
        "key-exists",
        Verdict.WARNING,
        f"There is something at {facts.file} already, and it stays as it is",
        "A key that is overwritten is lost, on every server that knows it. So nothing was changed, and nothing copied.",
        "Use the key that is there:\n"
        + change(shlex.join(("ssh-copy-id", "-i", facts.file, "-p", str(facts.port), facts.host)))
        + "\nor make one with another name:\n"
        + change(f"runbook run ssh-key-create {shlex.quote(f'--set=host={facts.host}')} --set file=ANOTHER"),
        stage.said(),
        (KEYGEN,),
    )


def _not_created(facts: Facts, stage: Stage) -> Finding:
    there = stage.find("already exists")
    return Finding(
        "not-created",
        Verdict.CRITICAL,
        f"No key was made at {facts.file}" + ("; there is one already" if there else ""),
        "ssh-keygen says why. Nothing was copied.",
        (
            "Perhaps a run that was cut off has left it. Take that back, and begin again:\n"
            + change("runbook run ssh-key-create --undo")
            if there
            else "See whether the folder is there and yours:\n"
            + look(shlex.join(("ls", "-ld", facts.file.rpartition("/")[0] or "/")))
        ),
        (there,) if there else stage.said("denied|No such file|do not match|failed|too short"),
        (KEYGEN,),
    )


def _agent(facts: Facts, stage: Stage) -> Iterator[Finding]:
    if not stage.succeeded:
        yield Finding(
            "not-loaded",
            Verdict.WARNING,
            f"The agent did not take {facts.file}",
            "The key works all the same; the passphrase is asked for at each login.",
            "Try once more:\n" + change(shlex.join(("ssh-add", facts.file))),
            stage.said(),
            (Reference("ssh-add(1)", MAN + "ssh-add.1.html"),),
        )
    elif (none := stage.find("there is no agent")) is not None:
        yield Finding(
            "no-agent",
            Verdict.OK,
            "There is no agent, so the passphrase is asked for at each login",
            "An agent keeps the key open in memory, for as long as you are logged in.",
            "Start one in your shell, and load the key:\n"
            + change('eval "$(ssh-agent)"')
            + "\n"
            + change(shlex.join(("ssh-add", facts.file))),
            (none,),
            (Reference("ssh-agent(1)", MAN + "ssh-agent.1.html"),),
        )


def _not_copied(facts: Facts, stage: Stage) -> Finding:
    kept = f"The key at {facts.file} is made and stays. "
    if changed := stage.find("IDENTIFICATION HAS CHANGED"):
        return Finding(
            "host-key-changed",
            Verdict.CRITICAL,
            f"{facts.host} shows another key of its own than last time",
            "Either the server was installed anew, or somebody is in between and would get your password. ssh sent "
            f"nothing. {kept}",
            "Ask the server's owner for its fingerprint, by another way than this connection. Only if it was installed "
            "anew, forget the old one and go on:\n"
            + change(shlex.join(("ssh-keygen", "-R", _name(facts))))
            + "\n"
            + change("runbook run ssh-key-create --resume"),
            tuple(filter(None, (changed, stage.find("SHA256:")))),
            (SSH,),
        )
    if refused := stage.find("Host key verification failed"):
        return Finding(
            "host-key-refused",
            Verdict.CRITICAL,
            f"The key that {facts.host} showed as its own was not accepted",
            f"So nothing was sent to it. {kept}",
            "Compare the fingerprint with what the server's owner sees there:\n"
            + look("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
            + "\nand go on:\n"
            + change("runbook run ssh-key-create --resume"),
            tuple(filter(None, (stage.find("SHA256:"), refused))),
            (SSH,),
        )
    if denied := stage.find("Permission denied"):
        return Finding(
            "password-refused",
            Verdict.CRITICAL,
            f"{facts.host} did not accept the password",
            f"Or it takes no passwords at all: the line says in brackets what it takes. {kept}",
            "Go on when you know the password:\n"
            + change("runbook run ssh-key-create --resume")
            + "\nor give the line to somebody who can put it into authorized_keys there:\n"
            + look(shlex.join(("cat", f"{facts.file}.pub")))
            + f"\n{UNDO}",
            (denied,),
            (SSHD,),
        )
    return Finding(
        "not-copied",
        Verdict.CRITICAL,
        f"The public part could not be copied to {facts.host}",
        f"ssh says why. {kept}",
        "Go on when the server can be reached:\n" + change("runbook run ssh-key-create --resume") + f"\n{UNDO}",
        stage.said("ERROR|ssh: "),
        (SSHD,),
    )


def _name(facts: Facts) -> str:
    """The server as known_hosts has it."""
    host = facts.host.rpartition("@")[2]
    return host if facts.port == 22 else f"[{host}]:{facts.port}"


def _login(facts: Facts, stage: Stage) -> Finding:
    accepted, authenticated = stage.find("Server accepts key"), stage.find("^Authenticated to")
    if stage.succeeded and accepted is not None and authenticated is not None:
        return Finding(
            "key-ready",
            Verdict.OK,
            f"{facts.host} lets {facts.file} in",
            "The key is made, its public part is on the server, and a login with this key and no other has succeeded.",
            "Look at it, and at what else may log in there:\n" + look("runbook run ssh-keys"),
            (accepted, authenticated),
            (KEYGEN,),
        )
    return Finding(
        "login-failed",
        Verdict.CRITICAL,
        f"The public part is on {facts.host}, and it does not accept the key",
        "As a rule its sshd takes no keys (PubkeyAuthentication), or does not trust the file, because others may write "
        "to the home, .ssh or authorized_keys (StrictModes). Its log says which.",
        "On the server:\n"
        + look("sudo journalctl -u ssh -n 20")
        + "\n"
        + look("sudo runbook run ssh-keys")
        + f"\n{UNDO}",
        stage.said("Permission denied|did not accept|^ssh: "),
        (SSHD,),
    )
