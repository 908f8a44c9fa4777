"""What every executor must do, whatever it runs commands on: the contract, run over each kind."""

from __future__ import annotations

import threading
import time

import pytest

from runbook.executors.executor import GRACE_SECONDS, Executor, Interrupted
from runbook.labs.start import LAB_SETS
from runbook.model import Capture, Ending, Needs
from tests.executors.conftest import CAP
from tests.executors.driving import ENVIRONMENT, PROMPTLY, begin, command, drive, interrupt, marked, run, sh

#: Long enough for a command to have begun, on a machine that is busy, in seconds.
TIME_OUT = 2.0
ALL_BYTES = "".join(f"\\{byte:03o}" for byte in range(256))

#: A process that lives on in its second thread; the first has ended by the system call exit (60 on x86-64, else 93).
LEADERLESS = """import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)"""

#: Ways to outlive the end of a command. Each says `up` once it is there.
HOSTILE = {
    "ignores-sigterm": "trap '' TERM; echo up; sleep 60; sleep 60",
    "left-its-session": "(trap '' TERM HUP; setsid sh -c '(setsid sleep 60 &) ; sleep 60' &) ; echo up; sleep 60",
    "dropped-its-environment": "env -i setsid sh -c \"trap '' TERM; sleep 60; :\" $MARK & echo up; sleep 60",
    "stopped": "sh -c 'kill -STOP $$; sleep 60' & echo up; kill -STOP $$; sleep 60",
    "thirty-children": 'for n in 0 1 2 3 4 5 6 7 8 9; do for m in a b c; do (trap "" TERM; sleep 60; :) & done; done;'
    "echo up; wait",
    "never-the-same-process": "python3 -c 'import os\nwhile True:\n  if os.fork(): os._exit(0)' & echo up; sleep 60; :",
    "without-its-first-thread": f"python3 -c '{LEADERLESS}' & sleep 0.4; echo up; sleep 60",
    "closed-its-output": "(exec setsid sh -c 'trap \"\" TERM; sleep 60; :' >/dev/null 2>&1 &) ; echo up; sleep 60",
}


def test_output_comes_while_the_command_runs(executor: Executor, mark: str) -> None:
    steps = begin(executor.execute(sh(mark, "echo first; sleep 0.8; echo last")), b"first")
    began = time.monotonic()
    outputs, capture = drive(steps)
    assert b"".join(output.data for output in outputs) == b"last\n"
    assert time.monotonic() - began > 0.2
    assert capture.stdout == b"first\nlast\n"


def test_a_silent_command_ticks(executor: Executor, mark: str) -> None:
    outputs, _ = drive(executor.execute(command(mark, "sleep", "0.5")))
    assert [output.data for output in outputs].count(b"") >= 2


def test_every_byte_of_both_streams_is_kept(executor: Executor, mark: str) -> None:
    capture = run(executor, sh(mark, f"printf '{ALL_BYTES}'; printf '{ALL_BYTES}\\0\\377' >&2"))
    assert capture.stdout == bytes(range(256))
    assert capture.stderr == bytes(range(256)) + b"\0\xff"


def test_what_is_streamed_is_what_is_captured(executor: Executor, mark: str) -> None:
    outputs, capture = drive(executor.execute(sh(mark, "seq 2000; seq 3000 >&2; seq 1000")))
    for stream, kept in (("stdout", capture.stdout), ("stderr", capture.stderr)):
        assert b"".join(output.data for output in outputs if output.stream == stream) == kept
    assert len(capture.stdout.splitlines()) == 3000


def test_outputs_name_their_step(executor: Executor, mark: str) -> None:
    outputs, capture = drive(executor.execute(sh(mark, "echo hi", step="greet")))
    assert {output.step for output in outputs} == {capture.step} == {"greet"}


def test_one_endless_line(executor: Executor, mark: str) -> None:
    capture = run(executor, sh(mark, "head -c 60000 /dev/zero | tr '\\0' x"))
    assert capture.stdout == b"x" * 60000


def test_many_writes_of_one_byte(executor: Executor, mark: str) -> None:
    capture = run(executor, sh(mark, "dd if=/dev/zero bs=1 count=20000 status=none"))
    assert capture.stdout == bytes(20000)


@pytest.mark.parametrize("code", [0, 1, 2, 126, 127, 255])
def test_exit_codes(executor: Executor, mark: str, code: int) -> None:
    capture = run(executor, sh(mark, f"exit {code}"))
    assert (capture.ending, capture.exit_code) == (Ending.EXITED, code)


@pytest.mark.parametrize("name", ["HUP", "TERM", "KILL", "PIPE", "SEGV", "USR1"])
def test_death_by_a_signal(executor: Executor, mark: str, name: str) -> None:
    capture = run(executor, sh(mark, f"echo hi; kill -{name} $$; sleep 60"))
    assert (capture.ending, capture.exit_code, capture.stdout) == (Ending.SIGNALLED, None, b"hi\n")
    assert f"SIG{name}" in capture.detail


@pytest.mark.parametrize("name", ["no-such-command", "/no/such/command", "./no-such-command"])
def test_a_command_that_is_not_there(executor: Executor, mark: str, name: str) -> None:
    capture = run(executor, command(mark, name, "word"))
    assert (capture.ending, capture.exit_code, capture.argv) == (Ending.NOT_FOUND, None, (name, "word"))
    assert name in capture.detail


def test_another_command_it_needs_that_is_not_there(executor: Executor, mark: str) -> None:
    capture = run(executor, sh(mark, "echo ran", needs=Needs(commands=("ls", "no-such-command"))))
    assert (capture.ending, capture.stdout) == (Ending.NOT_FOUND, b"")
    assert "no-such-command" in capture.detail


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc"])
def test_a_file_that_is_not_executable(executor: Executor, mark: str, path: str) -> None:
    capture = run(executor, command(mark, path))
    assert (capture.ending, capture.exit_code) == (Ending.NOT_PERMITTED, None)
    assert path in capture.detail


def test_words_arrive_as_they_are(executor: Executor, mark: str) -> None:
    words = ("a b", "", "$HOME", "*", "-n", "--", "\\n", "'\"`", "é€", "\udcff", "x\ny")
    capture = run(executor, command(mark, "printf", "%s\\0", *words))
    assert capture.stdout == b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)


def test_the_environment_is_the_planned_one_and_nothing_else(executor: Executor, mark: str) -> None:
    capture = run(executor, command(mark, "env"))
    planned = {**ENVIRONMENT, "MARK": mark}
    found = dict(line.split("=", 1) for line in capture.stdout.decode().splitlines())
    # A kernel lab adds what its kernel needs, and nothing else.
    assert {name: value for name, value in found.items() if name not in (*LAB_SETS, "TMPDIR")} == planned


def test_nothing_can_be_read_from_stdin(executor: Executor, mark: str) -> None:
    capture = run(executor, sh(mark, "readlink /proc/self/fd/0; exec cat", timeout=PROMPTLY))
    assert (capture.exit_code, capture.stdout) == (0, b"/dev/null\n")


def test_there_is_no_terminal_to_ask_on(executor: Executor, mark: str) -> None:
    assert run(executor, sh(mark, ": </dev/tty")).exit_code != 0


def test_only_the_three_standard_descriptors_are_open(executor: Executor, mark: str) -> None:
    # 3 is the folder that ls reads.
    assert run(executor, command(mark, "ls", "/proc/self/fd")).stdout.split() == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize(("script", "expected"), [("pwd", b"/\n"), ("umask", b"0022\n")])
def test_the_process_state_is_the_same_everywhere(executor: Executor, mark: str, script: str, expected: bytes) -> None:
    assert run(executor, sh(mark, script)).stdout == expected


def test_no_signal_is_blocked_or_ignored(executor: Executor, mark: str) -> None:
    capture = run(executor, command(mark, "grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"))
    assert [int(line.split()[1], 16) for line in capture.stdout.splitlines()] == [0, 0]


def test_a_capture_knows_when_and_how_long(executor: Executor, mark: str) -> None:
    before = time.time()
    capture = run(executor, command(mark, "sleep", "0.5"))
    assert before - 1 < capture.started < time.time() + 1
    assert 0.2 < capture.seconds < PROMPTLY


def test_at_its_time_out_a_command_may_clean_up(executor: Executor, mark: str) -> None:
    script = "trap 'echo cleaned up; exit 3' TERM; echo up; while :; do sleep 0.05; done"
    capture = run(executor, sh(mark, script, timeout=TIME_OUT))
    assert (capture.ending, capture.exit_code, capture.stdout) == (Ending.TIMED_OUT, None, b"up\ncleaned up\n")
    assert f"{TIME_OUT:g} s" in capture.detail


def test_a_command_that_ends_in_time_is_not_timed_out(executor: Executor, mark: str) -> None:
    assert run(executor, command(mark, "sleep", "0.2", timeout=PROMPTLY)).ending is Ending.EXITED


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE)
def test_at_its_time_out_the_whole_tree_goes(executor: Executor, mark: str, script: str) -> None:
    began = time.monotonic()
    capture = run(executor, sh(mark, script, timeout=TIME_OUT))
    assert marked(mark) == set()
    assert (capture.ending, capture.stdout) == (Ending.TIMED_OUT, b"up\n")
    assert time.monotonic() - began < TIME_OUT + GRACE_SECONDS + PROMPTLY


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE)
def test_closing_ends_the_whole_tree_at_once(executor: Executor, mark: str, script: str) -> None:
    steps = begin(executor.execute(sh(mark, script)), b"up")
    began = time.monotonic()
    steps.close()
    assert marked(mark) == set()
    assert time.monotonic() - began < PROMPTLY


def test_an_interrupted_command_keeps_what_it_said(executor: Executor, mark: str) -> None:
    script = "trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.05; done"
    capture = interrupt(begin(executor.execute(sh(mark, script)), b"up"))
    assert (capture.ending, capture.exit_code, capture.stdout) == (Ending.INTERRUPTED, None, b"up\nbye\n")


def test_an_interrupted_command_that_does_not_listen_is_killed(executor: Executor, mark: str) -> None:
    steps = begin(executor.execute(sh(mark, HOSTILE["ignores-sigterm"])), b"up")
    steps.throw(Interrupted())
    assert interrupt(steps).ending is Ending.INTERRUPTED
    assert marked(mark) == set()


@pytest.mark.parametrize(
    "grandchild",
    ["sleep 60", "while :; do echo still; sleep 0.03; done", "yes", "trap '' TERM; setsid sleep 60"],
    ids=["silent", "chatty", "flooding", "in-another-session"],
)
def test_a_grandchild_that_holds_the_output_does_not_hold_the_step(
    executor: Executor, mark: str, grandchild: str
) -> None:
    began = time.monotonic()
    capture = run(executor, sh(mark, f"echo said; ({grandchild}) & exit 3"))
    assert marked(mark) == set()
    assert (capture.ending, capture.exit_code) == (Ending.EXITED, 3)
    assert capture.stdout.startswith(b"said\n")
    assert "still held its output" in capture.detail
    assert time.monotonic() - began < PROMPTLY


def test_all_that_a_command_said_last_is_kept_though_its_output_is_held(executor: Executor, mark: str) -> None:
    capture = run(executor, sh(mark, "sleep 60 & head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2"))
    assert (len(capture.stdout), len(capture.stderr), capture.dropped) == (60000, 60000, 0)


def test_a_command_that_becomes_a_daemon_leaves_none(executor: Executor, mark: str) -> None:
    began = time.monotonic()
    capture = run(executor, sh(mark, "setsid sh -c 'sleep 60; :' </dev/null >/dev/null 2>&1 & echo started"))
    assert marked(mark) == set()
    assert (capture.exit_code, capture.stdout) == (0, b"started\n")
    assert time.monotonic() - began < PROMPTLY


@pytest.mark.parametrize("more", [0, 1, 1_000_000])
def test_output_over_the_cap_is_cut_and_counted(executor: Executor, mark: str, more: int) -> None:
    capture = run(executor, sh(mark, f"head -c {CAP + more} /dev/zero; head -c 7 /dev/zero >&2"))
    assert (capture.exit_code, len(capture.stdout), len(capture.stderr)) == (0, CAP, 7)
    assert (capture.dropped, capture.truncated) == (more, more > 0)


def test_each_stream_has_a_cap_of_its_own(executor: Executor, mark: str) -> None:
    capture = run(executor, sh(mark, f"head -c {CAP + 5} /dev/zero; head -c {CAP + 6} /dev/zero >&2"))
    assert (len(capture.stdout), len(capture.stderr), capture.dropped) == (CAP, CAP, 11)


def test_a_command_that_never_stops_talking_is_timed_out(executor: Executor, mark: str) -> None:
    outputs, capture = drive(executor.execute(command(mark, "yes", timeout=TIME_OUT)))
    assert (capture.ending, len(capture.stdout)) == (Ending.TIMED_OUT, CAP)
    assert sum(len(output.data) for output in outputs) == CAP


def test_twenty_commands_at_once(executor: Executor, mark: str) -> None:
    captures: dict[int, Capture] = {}

    def work(number: int) -> None:
        captures[number] = run(executor, sh(mark, f"echo {number}; sleep 0.2; exit {number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: capture.exit_code for number, capture in captures.items()} == {n: n for n in range(20)}
    assert all(capture.stdout == b"%d\n" % number for number, capture in captures.items())


def test_closing_one_command_leaves_the_others_alone(executor: Executor, mark: str) -> None:
    closed = begin(executor.execute(sh(mark, "echo up; sleep 60")), b"up")
    other = begin(executor.execute(sh(mark, "echo up; sleep 0.3; echo done")), b"up")
    closed.close()
    assert drive(other)[1].stdout == b"up\ndone\n"


def test_the_host_is_the_one_where_commands_run(executor: Executor, mark: str) -> None:
    said = run(executor, sh(mark, "uname -n; uname -r; uname -m")).stdout.decode().split()
    host = executor.host()
    assert [host.name, host.kernel, host.arch] == said
    assert host.os
