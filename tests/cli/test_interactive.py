"""What a person at a terminal sees and does: progress, Ctrl-C, questions, prompts, a shell in a lab."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.base import COMMAND, HELPER, Base, Witness

#: For what should happen at once; generous, because the machine may be busy.
SOON = 20


@contextmanager
def terminal(base: Base, *words: str, **more: str) -> Iterator[pexpect.spawn[str]]:
    """The command on a terminal of 100 by 40."""
    environment = {**base.environment(**more), "TERM": more.get("TERM", "xterm-256color")}
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *words],
        cwd=str(base.path),
        env=environment,
        dimensions=(40, 100),
        timeout=SOON,
        encoding="utf-8",
    )
    try:
        yield child
    finally:
        child.close(force=True)


def rest(child: pexpect.spawn[str]) -> str:
    """All that is still said, without colours; waits for the end."""
    child.expect(pexpect.EOF)
    child.wait()
    return re.sub(r"\x1b\[[\d;]*m", "", child.before or "")


def test_progress_shows_each_step_begin_and_end(base: Base) -> None:
    base.runbook("two", [{"argv": ["sleep", "0.5"]}, {"argv": ["true"]}])
    with terminal(base, "run", "two") as child:
        child.expect("… a: 0.")
        child.expect("· a: exited 0 in 0.5")
        assert "✓ OK" in rest(child)


def test_colours_on_a_terminal(base: Base) -> None:
    base.runbook("talk", [{"argv": ["echo", "ill"]}], HELPER)
    with terminal(base, "run", "talk", NO_COLOR="") as child:
        child.expect("\x1b\\[31;1m✗ critical")


def test_no_colours_when_the_person_said_so(base: Base) -> None:
    base.runbook("talk", [{"argv": ["echo", "ill"]}], HELPER)
    with terminal(base, "run", "talk", "--quiet", NO_COLOR="1") as child:
        child.expect(pexpect.EOF)
        assert "\x1b[" not in (child.before or "")


def test_a_dumb_terminal_gets_plain_lines(base: Base) -> None:
    base.runbook("talk", [{"argv": ["echo", "ill"]}], HELPER)
    with terminal(base, "run", "talk", TERM="dumb") as child:
        child.expect(pexpect.EOF)
        assert "\x1b" not in (child.before or "")


def test_ctrl_c_once_ends_the_step_and_keeps_what_it_said(base: Base) -> None:
    base.runbook("slow", [{"argv": ["sh", "-c", "echo begun; sleep 60"]}, {"argv": ["true"], "after": ["a"]}])
    with terminal(base, "run", "slow", "--format", "json") as child:
        child.expect("… a")
        time.sleep(0.5)
        child.sendintr()
        said = rest(child)
        assert '"stdout": "begun\\n"' in said
        assert "b: exited 0" in said
        assert child.exitstatus == 130


def test_ctrl_c_twice_ends_the_run(base: Base) -> None:
    base.runbook("slow", [{"argv": ["sleep", "60"]}, {"argv": ["sleep", "61"], "after": ["a"]}])
    with terminal(base, "run", "slow") as child:
        child.expect("… a")
        child.sendintr()
        child.expect("… b")
        child.sendintr()
        assert "b interrupted" in rest(child)
        assert child.exitstatus == 130


def test_ctrl_c_thrice_ends_the_program_though_nothing_dies(base: Base) -> None:
    base.runbook("stubborn", [{"argv": ["sh", "-c", "trap '' INT TERM; while :; do sleep 1; done"]}])
    with terminal(base, "run", "stubborn") as child:
        child.expect("… a")
        for _ in range(3):
            child.sendintr()
            time.sleep(0.05)
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_us_ends_the_steps_first(base: Base, witness: Witness, number: signal.Signals) -> None:
    base.runbook("slow", [witness.step("exec sleep 60")])
    with terminal(base, "run", "slow") as child:
        (pid,) = witness.heard(SOON)
        child.kill(number)
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 128 + number
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(("answer", "made"), [("y", True), ("yes", True), ("n", False), ("", False)])
def test_a_change_is_asked_for_with_its_command_and_its_undo(base: Base, answer: str, made: bool) -> None:
    trace = str(base.path / "trace")
    base.runbook("change", [{"argv": ["touch", trace], "effect": "change", "undo": ["rm", trace]}])
    with terminal(base, "run", "change") as child:
        child.expect("CHANGES THIS HOST")
        child.expect(f"touch {trace}")
        child.expect(f"rm {trace}")
        child.sendline(answer)
        rest(child)
    assert (base.path / "trace").exists() is made


ASKING = ["bash", "-c", "read -p 'name: ' n; read -sp 'word: ' w; echo; echo $n has ${#w} letters"]


def test_a_known_prompt_is_answered_and_the_person_types_the_other(base: Base) -> None:
    base.runbook("login", [{"argv": ASKING, "terminal": True, "answers": {"name: $": "alice"}}])
    with terminal(base, "run", "login") as child:
        child.expect("word: ")
        child.sendline("hush")
        child.expect("alice has 4 letters")
        assert "hush" not in (child.before or "")
        rest(child)
        assert child.exitstatus == 0


def test_what_an_interactive_step_does_to_the_screen_is_neutralised(base: Base) -> None:
    base.runbook("odd", [{"argv": ["printf", "%b", r"a\033]0;title\007b\033[2Jc\n"], "terminal": True}])
    with terminal(base, "run", "odd") as child:
        child.expect("abc")
        assert "title" not in (child.before or "")


def test_a_sequence_that_comes_in_two_reads_is_neutralised_too(base: Base) -> None:
    parts = r"a\033]0;ti", r"tle\007b\033[", r"2Jc\033[3", r"1md\033[8;30;40me\n"
    argv = ["bash", "-c", 'for part; do printf "$part"; sleep 0.3; done', "-", *parts]
    base.runbook("odd", [{"argv": argv, "terminal": True}])
    with terminal(base, "run", "odd", NO_COLOR="") as child:
        child.expect("\x1b\\[31md\x1b\\[0me")
        assert (child.before or "").endswith("abc")
        assert "title" not in (child.before or "")


def test_an_interactive_step_has_no_colours_when_the_person_said_so(base: Base) -> None:
    base.runbook("odd", [{"argv": ["printf", "%b", r"\033[31mred\033[0m\n"], "terminal": True}])
    with terminal(base, "run", "odd", "--quiet", NO_COLOR="1") as child:
        child.expect(pexpect.EOF)
        assert "red" in (child.before or "")
        assert "\x1b" not in (child.before or "")


def test_a_prompt_can_be_edited(base: Base) -> None:
    base.runbook("ask", [{"argv": ["bash", "-c", "read -ep 'name: ' n; echo $n was said"], "terminal": True}])
    with terminal(base, "run", "ask") as child:
        child.expect("name: ")
        child.send("bbd\x1b[D\x1b[D\x7f\x7fa\r")
        child.expect("abd was said|bd was said")
        assert child.after == "abd was said"


def test_a_shell_in_a_lab_draws_but_sends_no_title_and_asks_nothing(base: Base) -> None:
    base.runbook("talk", [{"argv": ["true"]}])
    base.lab("talk", "printf 'a\\033]0;owned\\007b\\033[6nc\\033[1;1Hd\\n' >/run/evil\n")
    with terminal(base, "lab", "talk") as child:
        child.expect("you are root in lab lab-0")
        child.sendline("cat /run/evil; exit 0")
        child.expect("abc\x1b\\[1;1Hd")
        child.expect(pexpect.EOF)
        assert (child.before or "").endswith("\x1b[0m\x1b(B\x0f\x1b[?25h")


def test_a_shell_in_a_lab(base: Base) -> None:
    base.runbook("talk", [{"argv": ["true"]}])
    base.lab("talk", "echo here >/run/state\n")
    with terminal(base, "lab", "talk") as child:
        child.expect("you are root in lab lab-0")
        child.sendline("cat /run/state; stty size; exit 5")
        child.expect("here")
        child.expect("40 100")
        rest(child)
        assert child.exitstatus == 5


def test_in_a_kernel_lab_the_shell_is_roots_too_and_may_change_it(base: Base) -> None:
    base.runbook("talk", [{"argv": ["true"]}])
    base.lab("talk", "true\n", "kernel")
    with terminal(base, "lab", "talk") as child:
        child.expect("you are root in lab lab-0")
        child.sendline("id -u; touch /run/changed; hostname other; hostname; exit 0")
        child.expect_exact("\r0\r\nother\r\n")
        child.expect(pexpect.EOF)


@pytest.mark.parametrize(
    ("name", "lab", "words", "says"),
    [
        ("netns-inspect", "peer-down", "", "ns-app: up0 is up and has no carrier"),
        ("packet-capture", "accepted", " --set pcap=/run/websocket.pcap", "handshake-accepted"),
    ],
)
def test_a_runbook_says_the_same_in_the_labs_shell(base: Base, name: str, lab: str, words: str, says: str) -> None:
    with terminal(base, "lab", name, lab) as child:
        child.expect_exact(f"look at it from in here: runbook run {name}{words}\r\n")
        child.sendline(f"runbook run {name}{words} --quiet | cat; exit 0")
        child.expect_exact(f"lab {lab} · ")
        child.expect_exact(says)
        child.expect(pexpect.EOF)
        assert "not-permitted" not in (child.before or "")


def test_the_labs_are_listed(base: Base) -> None:
    assert (
        "thin-pool-full     A thin pool at 95 % (kernel; must show thin-pool-data critical)"
        in base.call("lab", "lvm-inspect", "--list").stdout.splitlines()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lvm-inspect"], "which lab?"),
        (["lvm-inspect", "laptpo"], "lvm-inspect has no lab called `laptpo`"),
        (["lvm-inspect", "laptop"], "needs a terminal"),
    ],
)
def test_a_shell_that_cannot_be_had_is_told_in_words(base: Base, words: list[str], said: str) -> None:
    done = base.call("lab", *words)
    assert said in done.stderr
    assert done.returncode == 64


def test_ctrl_c_at_a_question_is_a_no_and_ends_the_run(base: Base) -> None:
    base.runbook("change", [{"argv": ["touch", str(base.path / "trace")], "effect": "change"}, {"argv": ["true"]}])
    with terminal(base, "run", "change") as child:
        child.expect("Run it")
        child.sendintr()
        assert "interrupted" in rest(child)
        assert child.exitstatus == 130
    assert not (base.path / "trace").exists()


def test_after_a_step_was_interrupted_nothing_is_changed(base: Base) -> None:
    change = {"argv": ["touch", str(base.path / "trace")], "effect": "change"}
    base.runbook("change", [{"argv": ["sleep", "60"]}, change])
    with terminal(base, "run", "change", "--yes") as child:
        child.expect("… a")
        child.sendintr()
        assert "a, b interrupted" in rest(child)
        assert child.exitstatus == 130
    assert not (base.path / "trace").exists()


def test_what_was_typed_before_a_question_is_no_answer(base: Base) -> None:
    change = {"argv": ["touch", str(base.path / "trace")], "effect": "change"}
    base.runbook("change", [{"argv": ["sleep", "1"]}, change])
    with terminal(base, "run", "change") as child:
        child.expect("… a")
        child.sendline("y")
        child.expect("Run it")
        child.sendline("n")
        rest(child)
    assert not (base.path / "trace").exists()


def test_a_command_that_says_how_far_it_is_is_believed(base: Base) -> None:
    says = "for part in 10 55; do printf '\\r%s %%' $part >&2; sleep 0.4; done; echo done"
    base.runbook("far", [{"argv": ["sh", "-c", says]}])
    with terminal(base, "run", "far") as child:
        child.expect("… a: 0.[0-9]+ s · 55 %")
        assert "a: exited 0" in rest(child)


def test_progress_never_wraps(base: Base) -> None:
    base.runbook("missing", [{"argv": ["no-such-tool"]}, {"argv": ["sleep", "0.3"]}])
    with terminal(base, "run", "missing") as child:
        child.setwinsize(40, 50)
        child.expect(pexpect.EOF)
        drawn = re.findall(r"\x1b\[2K([^\r\n]*)", child.before or "")
        assert drawn
        assert max(map(len, drawn)) < 100
