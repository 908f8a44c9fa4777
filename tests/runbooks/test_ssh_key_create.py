"""ssh-key-create in its labs, on a real terminal: prompt by prompt as a person would, and killed at each step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest

from runbook.archive import of_sample, sample_paths
from runbook.catalog import find
from runbook.loader.sample import load_sample
from runbook.model import Source, Verdict
from runbook.pipeline import replay
from tests.base import COMMAND, PLUGINS, Base

PASSPHRASE, PASSWORD = "correct horse battery", "throw-away"
#: A lab has to boot, and to turn a passphrase into a key with 100 rounds.
PATIENCE = 90


@contextmanager
def terminal(base: Base, *words: str) -> Iterator[pexpect.spawn[str]]:
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *words],
        cwd=str(base.path),
        env=base.environment(XDG_STATE_HOME=str(base.path / "state"), NO_COLOR="1", TERM="dumb"),
        dimensions=(60, 200),
        timeout=PATIENCE,
        encoding="utf-8",
    )
    try:
        yield child
    finally:
        child.close(force=True)


def type_key(child: pexpect.spawn[str]) -> None:
    child.expect(r"Enter passphrase[^\n]*: ")
    child.sendline(PASSPHRASE)
    child.expect("Enter same passphrase again: ")
    child.sendline(PASSPHRASE)


def type_agent(child: pexpect.spawn[str]) -> None:
    child.expect("Enter passphrase for [^\n]*: ")
    child.sendline(PASSPHRASE)
    child.expect("Identity added")


def type_host(child: pexpect.spawn[str], answer: str = "yes") -> None:
    """The question is a person's: the fingerprint stands there, and nobody has answered."""
    child.expect(r"fingerprint is SHA256:\S{43}")
    child.expect(r"\(yes/no/\[fingerprint\]\)\? $")
    with pytest.raises(pexpect.TIMEOUT):
        child.expect(r"\w", timeout=1)
    child.sendline(answer)


def rest(child: pexpect.spawn[str]) -> str:
    child.expect(pexpect.EOF)
    child.wait()
    said: str = child.before or ""
    assert PASSPHRASE not in said
    assert PASSWORD not in said
    return said


def test_a_fresh_host(base: Base) -> None:
    with terminal(base, "run", "ssh-key-create", "--lab", "fresh-host") as child:
        type_key(child)
        type_agent(child)
        type_host(child)
        child.expect("'s password: ")
        child.sendline(PASSWORD)
        child.expect("Number of key")
        said = rest(child)
    assert "ok  key-ready: alice@127.0.0.1 lets /root/.ssh/id_ed25519 in" in said
    assert child.exitstatus == 0
    for path in (base.path / "state").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()


def test_a_key_that_is_there_stays(base: Base) -> None:
    with terminal(base, "run", "ssh-key-create", "--lab", "key-exists") as child:
        said = rest(child)
    assert "warning  key-exists" in said
    assert "4 skipped" in said
    assert child.exitstatus == 1


def test_a_wrong_password(base: Base) -> None:
    with terminal(base, "run", "ssh-key-create", "--lab", "wrong-password") as child:
        type_key(child)
        type_agent(child)
        type_host(child)
        for _ in range(3):
            child.expect("'s password: ")
            child.sendline(PASSWORD)
        said = rest(child)
    assert "critical  password-refused" in said
    assert "runbook run ssh-key-create --undo" in said
    assert child.exitstatus == 2


def test_a_host_key_that_has_changed(base: Base) -> None:
    """Nobody is asked, and no password is sent."""
    with terminal(base, "run", "ssh-key-create", "--lab", "host-key-changed") as child:
        type_key(child)
        type_agent(child)
        said = rest(child)
    assert "critical  host-key-changed" in said
    assert "password:" not in said
    assert child.exitstatus == 2


def test_a_host_key_that_the_person_does_not_accept(base: Base) -> None:
    with terminal(base, "run", "ssh-key-create", "--lab", "fresh-host") as child:
        type_key(child)
        type_agent(child)
        # ssh-copy-id asks by ssh twice: once to see whether the key is there already.
        type_host(child, "no")
        type_host(child, "no")
        said = rest(child)
    assert "critical  host-key-refused" in said
    assert child.exitstatus == 2


class Shell:
    """The shell of a lab, in which the runbook runs as on a host, with its journal."""

    RUN = "runbook run ssh-key-create --quiet"

    def __init__(self, child: pexpect.spawn[str]) -> None:
        self.child = child
        self.said = 0
        child.expect("lab fresh-host.*# ")
        child.sendline(f"export PYTHONPATH={PLUGINS} XDG_STATE_HOME=/run/state NO_COLOR=1 TERM=dumb PS1=; stty -echo")
        self.say("")

    def begin(self, command: str) -> str:
        """Type it; gives what is shown behind it in the end."""
        self.said += 1
        self.child.sendline(f"{command or 'true'}; echo ENDED-''{self.said}-")
        return f"ENDED-{self.said}-"

    def say(self, command: str) -> str:
        """What a command says."""
        self.child.expect_exact(self.begin(command))
        return self.child.before or ""

    def begin_and_be_killed(self, step: str) -> None:
        """A run that is killed when its journal says that this step has begun; types what comes before."""
        watch = (
            '( until grep -qs \'"begun": "STEP"\' /run/state/runbook/journals/*/*.jsonl; do sleep 0.05; done; '
            "kill -9 $(cat /run/pid) ) 2>/dev/null &"
        )
        self.say(f"rm -rf /run/state; {watch.replace('STEP', step)} true")
        end = self.begin(f"sh -c 'echo $$ >/run/pid; exec {self.RUN} --set host=alice@127.0.0.1 --yes'")
        self._type(("create", "agent", "copy", "login"), until=step)
        self.child.expect_exact(end)
        self.say("stty sane -echo")

    def _type(self, steps: tuple[str, ...], until: str = "") -> None:
        for step in steps:
            if step == until:
                return
            if step == "create":
                type_key(self.child)
            elif step == "agent":
                type_agent(self.child)
            elif step == "copy":
                self._type_copy()

    def _type_copy(self) -> None:
        while True:
            found = self.child.expect([r"\[fingerprint\]\)\? $", "'s password: $", "Number of key", "key-ready"])
            if found > 1:
                return
            self.child.sendline(("yes", PASSWORD)[found])

    def resume(self, step: str) -> str:
        end = self.begin(f"{self.RUN} --resume --yes")
        steps = ("create", "agent", "copy", "login")
        self._type(steps[steps.index(step) :])
        self.child.expect_exact(end)
        return self.child.before or ""

    def undo(self) -> str:
        end = self.begin(f"{self.RUN} --undo --yes")
        while True:
            asked: list[Any] = [end, "'s password: $", r"\[fingerprint\]\)\? $", "Enter passphrase for key[^\n]*: $"]
            found = self.child.expect(asked)
            if not found:
                return self.child.before or ""
            self.child.sendline(("", PASSWORD, "yes", PASSPHRASE)[found])

    def left(self) -> str:
        """What is left of it: files, keys in the agent, lines on the server."""
        said = self.say("ls /root/.ssh | grep -v known_hosts; ssh-add -l; cat /run/alice/.ssh/authorized_keys; true")
        return re.sub(r"\s+", " ", said).strip()


NOTHING = re.compile(
    r"The agent has no identities\.( cat: /run/alice/\.ssh/authorized_keys: No such file or directory)?"
)


def test_killed_at_each_step_it_can_be_taken_back_and_gone_on_with(base: Base) -> None:
    with terminal(base, "lab", "ssh-key-create", "fresh-host") as child:
        shell = Shell(child)
        for step in ("create", "agent", "copy", "login"):
            shell.begin_and_be_killed(step)
            said = shell.undo()
            assert "NOT taken back" not in said, (step, said)
            assert NOTHING.fullmatch(shell.left()), (step, shell.left())
            shell.begin_and_be_killed(step)
            said = shell.resume(step)
            assert "begun then" in said or step == "create" or "key-ready" in said, (step, said)
            left = shell.left()
            assert left.startswith("id_ed25519 id_ed25519.pub 256 SHA256:"), (step, left)
            assert left.count("ssh-ed25519 ") == 1, (step, left)
            shell.undo()
            assert NOTHING.fullmatch(shell.left()), (step, shell.left())


def test_what_is_cut_short_is_never_ready() -> None:
    runbook = find("ssh-key-create", "/").load()
    for path in sample_paths(runbook.folder):
        recorded = of_sample(load_sample(path, runbook))
        for place in range(len(recorded.captures)):
            captures = recorded.captures[:place]
            run = replay(runbook, captures, recorded.parameters, recorded.host, Source("sample", path))
            assert run.verdict > Verdict.OK, (Path(path).name, place)
