"""A command on a terminal of its own: known prompts are answered, the person types the rest."""

from __future__ import annotations

import os
import signal
import termios
import time
from collections.abc import Iterator

import pytest

from runbook.executors.executor import Interrupted
from runbook.executors.keyboard import RelayKeyboard, TerminalKeyboard
from runbook.executors.process import ProcessExecutor
from runbook.model import Capture, Command, Ending
from tests.executors.driving import PROMPTLY, begin, drive, interrupt, marked, run, runner, said, sh

Pair = tuple[int, int]


def on_terminal(mark: str, script: str, *answers: tuple[str, str], timeout: float = 20.0) -> Command:
    return sh(mark, script, terminal=True, answers=answers, timeout=timeout)


@pytest.fixture
def keyboard() -> RelayKeyboard:
    return RelayKeyboard()


@pytest.fixture
def watched(keyboard: RelayKeyboard) -> Iterator[ProcessExecutor]:
    """An executor with a person at a keyboard."""
    with ProcessExecutor(keyboard) as executor:
        yield executor


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A terminal with a person at it: where they type, and the terminal."""
    master, slave = os.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_all_three_streams_are_a_terminal_and_it_controls_the_command(here: ProcessExecutor, mark: str) -> None:
    capture = run(here, on_terminal(mark, "test -t 0 && test -t 1 && test -t 2 && echo yes >/dev/tty"))
    assert (capture.exit_code, capture.stdout, capture.stderr) == (0, b"yes\r\n", b"")


def test_both_streams_are_one_in_their_order(here: ProcessExecutor, mark: str) -> None:
    assert run(here, on_terminal(mark, "echo a; echo b >&2; echo c")).stdout == b"a\r\nb\r\nc\r\n"


def test_output_comes_while_the_command_runs_and_ticks_meanwhile(here: ProcessExecutor, mark: str) -> None:
    steps = begin(here.execute(on_terminal(mark, "echo first; sleep 0.8; echo last")), b"first")
    outputs, capture = drive(steps)
    assert [output.data for output in outputs].count(b"") >= 2
    assert capture.stdout == b"first\r\nlast\r\n"


def test_only_the_three_standard_descriptors_are_open(here: ProcessExecutor, mark: str) -> None:
    assert run(here, on_terminal(mark, "ls /proc/self/fd")).stdout.split() == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("script", "ending", "code", "detail"),
    [
        ("exit 7", Ending.EXITED, 7, "exited 7"),
        ("kill -KILL $$", Ending.SIGNALLED, None, "killed by SIGKILL"),
        (
            "trap 'exit 3' TERM; while :; do sleep 0.05; done",
            Ending.TIMED_OUT,
            None,
            "ended after its time-out of 0.4 s",
        ),
    ],
)
def test_endings(here: ProcessExecutor, mark: str, script: str, ending: Ending, code: int | None, detail: str) -> None:
    capture = run(here, on_terminal(mark, script, timeout=0.4))
    assert (capture.ending, capture.exit_code, capture.detail) == (ending, code, detail)


def test_where_nobody_watches_the_size_is_the_usual_one(here: ProcessExecutor, mark: str) -> None:
    assert run(here, on_terminal(mark, "stty size")).stdout == b"24 80\r\n"


def test_the_size_is_the_persons_and_follows_it(watched: ProcessExecutor, keyboard: RelayKeyboard, mark: str) -> None:
    keyboard.resize(100, 30)
    script = "trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.05; done"
    steps = begin(watched.execute(on_terminal(mark, script)), b"30 100")
    keyboard.resize(120, 40)
    assert drive(steps)[1].stdout == b"30 100\r\n40 120\r\n"


NAME = "printf 'Name: '; read name; echo \"hello $name\""
ANSWERED = {
    "one": (NAME, [("Name: ", "Ada")], b"Name: Ada\r\nhello Ada\r\n"),
    "two": (f"{NAME}; {NAME}", [("Name: ", "Ada")], b"Name: Ada\r\nhello Ada\r\n" * 2),
    "in-pieces": (
        "printf Na; sleep 0.1; printf 'me: '; read name; echo $name",
        [("Name: ", "Ada")],
        b"Name: Ada\r\nAda\r\n",
    ),
    "pattern": (
        "printf 'Sure [y/N]? '; read a; echo got $a",
        [(r"\[y/n\]|\[y/N\]", "y")],
        b"Sure [y/N]? y\r\ngot y\r\n",
    ),
    "not-echoed": ("stty -echo; printf 'Pass: '; read a; echo got $a", [("Pass: ", "s3")], b"Pass: got s3\r\n"),
    "both-at-once": (
        "stty -echo; printf 'A? B? '; read a; read b; echo $a $b",
        [("A\\? ", "1"), ("B\\? ", "2")],
        b"A? B? 1 2\r\n",
    ),
}


@pytest.mark.parametrize(("script", "answers", "expected"), ANSWERED.values(), ids=ANSWERED)
def test_known_prompts_are_answered(
    here: ProcessExecutor, mark: str, script: str, answers: list[tuple[str, str]], expected: bytes
) -> None:
    capture = run(here, on_terminal(mark, script, *answers, timeout=PROMPTLY))
    assert (capture.ending, capture.stdout) == (Ending.EXITED, expected)


def test_a_prompt_after_much_output_is_answered(here: ProcessExecutor, mark: str) -> None:
    capture = run(here, on_terminal(mark, f"seq 20000; {NAME}", ("Name: ", "Ada"), timeout=PROMPTLY))
    assert capture.stdout.endswith(b"\r\n20000\r\nName: Ada\r\nhello Ada\r\n")


def test_a_prompt_that_nobody_answers_is_ended_in_time(here: ProcessExecutor, mark: str) -> None:
    capture = run(here, on_terminal(mark, NAME, ("Password: ", "x"), timeout=0.4))
    assert (capture.ending, capture.stdout) == (Ending.TIMED_OUT, b"Name: ")


def test_the_person_types_what_is_not_known(watched: ProcessExecutor, keyboard: RelayKeyboard, mark: str) -> None:
    steps = begin(watched.execute(on_terminal(mark, NAME)), b"Name: ")
    keyboard.press(b"Ad")
    keyboard.press(b"a\n")
    assert drive(steps)[1].stdout == b"Name: Ada\r\nhello Ada\r\n"


def test_ctrl_c_is_for_the_command(watched: ProcessExecutor, keyboard: RelayKeyboard, mark: str) -> None:
    # A shell that is about to fork could lose it.
    steps = begin(watched.execute(on_terminal(mark, "echo up; exec sleep 60")), b"up")
    keyboard.press(b"\x03")
    assert drive(steps)[1].detail == "killed by SIGINT"


def test_the_terminal_of_the_person_hands_on_every_key(pair: Pair, mark: str) -> None:
    master, slave = pair
    with ProcessExecutor(TerminalKeyboard(slave)) as executor:
        steps = begin(executor.execute(on_terminal(mark, "stty raw -echo; echo up; head -c 5 | od -An -tx1")), b"up")
        os.write(master, b"\x03\x04\r\x1a\x7f")
        assert drive(steps)[1].stdout.split() == [b"up", b"03", b"04", b"0d", b"1a", b"7f"]


def test_the_persons_leaving_does_not_end_the_command(mark: str) -> None:
    reading, writing = os.pipe()
    with ProcessExecutor(Gone(reading)) as executor:
        os.close(writing)
        assert run(executor, on_terminal(mark, "sleep 0.3; echo done")).stdout == b"done\r\n"
    os.close(reading)


class Gone(RelayKeyboard):
    """A keyboard at the end of its keys."""

    def __init__(self, reading: int) -> None:
        self._reading = reading

    def fileno(self) -> int:
        return self._reading

    def size(self) -> tuple[int, int]:
        return 80, 24


def end(how: str, executor: ProcessExecutor, mark: str) -> Capture | None:
    steps = begin(executor.execute(on_terminal(mark, "echo up; sleep 60", timeout=0.5)), b"up")
    if how == "closed":
        steps.close()
        return None
    return interrupt(steps) if how == "interrupted" else drive(steps)[1]


@pytest.mark.parametrize("how", ["timed-out", "interrupted", "closed"])
def test_the_terminal_of_the_person_is_put_back(pair: Pair, mark: str, how: str) -> None:
    before = termios.tcgetattr(pair[1])
    with ProcessExecutor(TerminalKeyboard(pair[1])) as executor:
        capture = end(how, executor, mark)
    assert termios.tcgetattr(pair[1]) == before
    # The shell may still say that its child was ended.
    assert capture is None or (str(capture.ending), capture.stdout[:4]) == (how, b"up\r\n")


HOSTILE = {
    "ignores-all": "trap '' TERM HUP INT; echo up; sleep 60; :",
    "left-its-session": "(trap '' TERM HUP; setsid sh -c '(setsid sleep 60 &) ; sleep 60' &) ; echo up; sleep 60",
    "stopped": "echo up; kill -STOP $$; sleep 60",
    "goes-on-talking": "trap '' TERM; echo up; while :; do echo more; sleep 0.02; done",
}


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE)
def test_at_its_time_out_the_whole_tree_goes(here: ProcessExecutor, mark: str, script: str) -> None:
    capture = run(here, on_terminal(mark, script, timeout=0.5))
    assert marked(mark) == set()
    assert capture.ending is Ending.TIMED_OUT
    assert capture.stdout.startswith(b"up\r\n")


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE)
def test_closing_ends_the_whole_tree_at_once(here: ProcessExecutor, mark: str, script: str) -> None:
    steps = begin(here.execute(on_terminal(mark, script)), b"up")
    began = time.monotonic()
    steps.close()
    assert marked(mark) == set()
    assert time.monotonic() - began < PROMPTLY


@pytest.mark.parametrize(
    "grandchild",
    ["sleep 60", "trap '' HUP; while :; do echo x; sleep 0.03; done", "trap '' HUP; setsid sleep 60 </dev/tty"],
)
def test_a_grandchild_that_holds_the_terminal_does_not_hold_the_step(
    here: ProcessExecutor, mark: str, grandchild: str
) -> None:
    began = time.monotonic()
    capture = run(here, on_terminal(mark, f"({grandchild}) & echo said; exit 3"))
    assert marked(mark) == set()
    assert (capture.exit_code, b"said\r\n" in capture.stdout) == (3, True)
    assert time.monotonic() - began < PROMPTLY


def test_what_is_over_the_cap_is_shown_but_not_kept(mark: str) -> None:
    with ProcessExecutor(cap=1000) as executor:
        outputs, capture = drive(executor.execute(on_terminal(mark, "head -c 5000 /dev/zero")))
    assert (len(capture.stdout), capture.dropped) == (1000, 4000)
    assert sum(len(output.data) for output in outputs) == 5000


def test_much_output_costs_neither_memory_nor_patience(mark: str) -> None:
    code = """
import sys
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import command, run
with ProcessExecutor(cap=65536) as executor:
    capture = run(executor, command(sys.argv[1], "head", "-c", "32M", "/dev/zero", terminal=True, timeout=15.0))
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(capture.ending, len(capture.stdout) + capture.dropped, peak // 1024)
"""
    ending, count, mebibytes = said(runner(mark, code, mark)).split()
    assert (ending, int(count)) == ("exited", 32 * 1024**2)
    assert int(mebibytes) < 60


def test_a_person_who_types_more_than_is_read_does_not_stop_the_clock(mark: str) -> None:
    code = """
import sys, threading
from runbook.executors.keyboard import RelayKeyboard
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import begin, drive, sh
keyboard = RelayKeyboard()
with ProcessExecutor(keyboard) as executor:
    steps = begin(executor.execute(sh(sys.argv[1], "echo up; sleep 60", terminal=True, timeout=1.0)), b"up")
    threading.Thread(target=keyboard.press, args=(b"yes\\n" * 100_000,), daemon=True).start()
    print(drive(steps)[1].ending)
"""
    assert said(runner(mark, code, mark)) == "timed-out\n"


def test_no_descriptor_is_left_open(here: ProcessExecutor, mark: str) -> None:
    run(here, on_terminal(mark, "exit 0"))
    before = os.listdir("/proc/self/fd")
    run(here, on_terminal(mark, NAME, ("Name: ", "Ada")))
    begin(here.execute(on_terminal(mark, "echo up; sleep 60")), b"up").close()
    assert os.listdir("/proc/self/fd") == before


def test_an_interrupted_command_that_ignores_it_is_killed(here: ProcessExecutor, mark: str) -> None:
    steps = begin(here.execute(on_terminal(mark, HOSTILE["ignores-all"])), b"up")
    steps.throw(Interrupted())
    assert interrupt(steps).ending is Ending.INTERRUPTED


def test_the_hangup_reaches_what_runs_in_the_foreground(here: ProcessExecutor, mark: str) -> None:
    capture = run(here, on_terminal(mark, "trap 'echo hung up; exit' HUP; echo up; kill -HUP $$; sleep 60"))
    assert capture.stdout == b"up\r\nhung up\r\n"
    assert capture.detail != f"killed by {signal.SIGHUP.name}"
