"""Nothing outlives its step, nor the engine; and however the engine was started, commands start the same."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from runbook.executors import launch, session
from runbook.executors.launch import CLOSE_SECONDS, Launcher
from runbook.executors.process import ProcessExecutor
from runbook.model import Ending
from tests.executors.driving import (
    PROMPTLY,
    begin,
    marked,
    run,
    runner,
    said,
    survivors,
    unconfined,
    without_cgroups,
)

#: An engine that runs three commands; each leaves its session and its environment, ignores SIGTERM and goes on forking.
BUSY = """
import sys, threading
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import run, sh, unconfined
executor = ProcessExecutor()
script = '''trap '' TERM HUP INT
env -i setsid sh -c "while :; do sleep 0.01 & sleep 60 & sleep 0.05; done" $MARK &
setsid sh -c '(setsid sleep 60 &) ; sleep 60' & echo up; sleep 60; :'''
for _ in range(3):
    threading.Thread(target=run, args=(executor, unconfined(sys.argv[1], script))).start()
print("up", flush=True)
"""


def test_when_the_engine_is_killed_everything_goes_at_any_moment(mark: str) -> None:
    for _ in range(6):
        engine = runner(mark, BUSY, mark)
        with engine:
            assert engine.stdout is not None
            engine.stdout.readline()
            time.sleep(random.uniform(0, 0.3))
            engine.kill()
        assert survivors(mark) == set()


def test_when_the_engine_is_killed_a_folder_to_remove_goes_too(mark: str, tmp_path: Path) -> None:
    code = """
import os, sys, time
from runbook.executors.launch import Launcher
nothing = os.open("/dev/null", os.O_RDWR)
words = ("sh", "-c", "trap '' TERM; setsid sleep 60 & sleep 60")
process = Launcher().start("/bin/sh", words, {"MARK": sys.argv[1]}, (nothing,) * 3, remove=sys.argv[2])
print("up", flush=True)
time.sleep(60)
"""
    folder = tmp_path / "private"
    folder.mkdir()
    with runner(mark, code, mark, str(folder)) as engine:
        assert engine.stdout is not None
        engine.stdout.readline()
        time.sleep(0.1)
        engine.kill()
    assert survivors(mark) == set()
    assert not folder.exists()


def test_when_a_supervisor_is_killed_its_tree_goes_and_the_next_command_runs(here: ProcessExecutor, mark: str) -> None:
    script = "(setsid sh -c 'trap \"\" TERM; sleep 60; :' &) ; kill -KILL $PPID; sleep 60"
    # A command that is confined may not.
    assert run(here, unconfined(mark, script)).ending is Ending.SIGNALLED
    assert survivors(mark) == set()
    assert run(here, unconfined(mark, "exit 3")).exit_code == 3


def test_a_chain_of_forks_and_exits_that_a_killed_supervisor_left_goes_without_a_cgroup(
    mark: str, tmp_path: Path
) -> None:
    # The pipe shows whether one is there, which is another before its pid could be looked at.
    code = """
import os, sys, time
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import run, sh, unconfined
os.mkfifo(sys.argv[2])
reading = os.open(sys.argv[2], os.O_RDONLY | os.O_NONBLOCK)
chain = "import os\\nfor n in range(3): os.fork()\\nwhile os.fork() == 0: pass"
with ProcessExecutor() as executor:
    for _ in range(5):
        script = f"exec 3>{sys.argv[2]}; printf '{chain}' | python3 & sleep 0.2; kill -9 $PPID"
        run(executor, unconfined(sys.argv[1], script))
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            try:
                os.read(reading, 1)
                break
            except BlockingIOError:
                time.sleep(0.01)
        else:
            print("left")
"""
    assert said(runner(mark, code, mark, str(tmp_path / "held"), before=without_cgroups())) == ""


def test_when_the_launcher_is_killed_its_commands_still_end_with_their_step(mark: str) -> None:
    with ProcessExecutor() as executor:
        script = "kill -KILL $(cut -d ' ' -f 4 /proc/$PPID/stat); setsid sleep 60 & echo said; sleep 60"
        capture = run(executor, unconfined(mark, script, timeout=0.5))
    assert capture.stdout == b"said\n"
    assert survivors(mark) == set()


#: Asks for the launcher of the command, which is the parent of its supervisor.
LAUNCHER = "$(cut -d ' ' -f 4 /proc/$PPID/stat)"

#: Ways of a command to stop those that watch it.
STOPPING = {
    "supervisor": "kill -STOP $PPID; sleep 60",
    "launcher": f"kill -STOP {LAUNCHER}; sleep 60",
    "both": f"kill -STOP {LAUNCHER} $PPID; sleep 60",
    "again-and-again": f"l={LAUNCHER}; trap '' TERM; while :; do kill -STOP $l $PPID; done",
    "one-killed-one-stopped": f"kill -KILL {LAUNCHER}; kill -STOP $PPID; sleep 60",
    "many-at-once": f"l={LAUNCHER}; for n in 1 2 3 4; do setsid sh -c 'while :; do kill -STOP $0 $1; done' $l $PPID & "
    "done; sleep 60",
}


@pytest.mark.parametrize("script", STOPPING.values(), ids=STOPPING)
def test_whomever_a_command_stops_its_time_out_ends_it(mark: str, script: str) -> None:
    began = time.monotonic()
    with ProcessExecutor() as executor:
        capture = run(executor, unconfined(mark, f"setsid sleep 60 & {script}", timeout=0.5))
        assert capture.ending is Ending.TIMED_OUT
        assert marked(mark) == set()
        # Its grace, and the patience with what does not die, twice; and a busy machine.
        assert time.monotonic() - began < 0.5 + 1 + 2 + 2 + 1


def test_a_command_that_kills_one_and_stops_the_other_for_ever_ends_with_the_run(mark: str) -> None:
    script = f"""l={LAUNCHER}
for n in 1 2 3 4 5 6; do setsid sh -c 'trap "" TERM; while :; do kill -STOP $0; done' $l & done
until grep -q '^State:.T' /proc/$l/status; do :; done; kill -KILL $PPID; sleep 60"""
    with ProcessExecutor() as executor:
        assert run(executor, unconfined(mark, script)).ending is Ending.SIGNALLED
        began = time.monotonic()
    assert survivors(mark) == set()
    assert time.monotonic() - began < CLOSE_SECONDS


def test_a_launcher_that_stays_stopped_is_killed_in_the_end(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Launcher, "_wake", lambda _: None)
    monkeypatch.setattr(launch, "unstop", lambda _: None)
    monkeypatch.setattr(launch, "CLOSE_SECONDS", 0.3)
    with ProcessExecutor() as executor:
        os.kill(int(run(executor, unconfined(mark, f"echo {LAUNCHER}")).stdout), signal.SIGSTOP)
        began = time.monotonic()
    assert time.monotonic() - began < PROMPTLY


def test_after_a_command_stopped_the_launcher_the_next_one_runs(mark: str) -> None:
    with ProcessExecutor() as executor:
        assert run(executor, unconfined(mark, f"kill -STOP {LAUNCHER}; exit 3")).exit_code == 3
        assert run(executor, unconfined(mark, "exit 4", timeout=10.0)).exit_code == 4


@pytest.mark.parametrize(
    "script", [f"kill -STOP {LAUNCHER} $PPID", f"l={LAUNCHER}; kill -STOP $PPID; kill -KILL $l"], ids=["both", "killed"]
)
def test_when_the_engine_is_killed_whom_a_command_stopped_goes_too(mark: str, script: str) -> None:
    code = """
import sys, time
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import begin, sh, unconfined
script = "setsid sleep 60 & " + sys.argv[2] + "; echo up; sleep 60"
steps = begin(ProcessExecutor().execute(unconfined(sys.argv[1], script)), b"up")
print("up", flush=True)
time.sleep(60)
"""
    with runner(mark, code, mark, script) as engine:
        assert engine.stdout is not None
        engine.stdout.readline()
        engine.kill()
    assert survivors(mark, 2) == set()


def test_a_command_that_was_given_up_before_it_began_does_not_begin_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Launcher, "_wake", lambda _: None)
    launcher = Launcher()
    launcher.begin()
    assert launcher._process is not None
    os.kill(launcher._process.pid, signal.SIGSTOP)
    with open(os.devnull, "r+b") as nothing:
        process = launcher.start("/bin/true", ("true",), {}, (nothing.fileno(),) * 3)
    process.order("kill")
    os.kill(launcher._process.pid, signal.SIGCONT)
    process.close()
    launcher.close()
    assert (process.gone, process.supervisor) == (True, None)


def test_a_command_that_had_not_begun_is_not_said_to_be_left_behind(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProcessExecutor() as executor:
        launcher = int(run(executor, unconfined(mark, f"echo {LAUNCHER}")).stdout)
        monkeypatch.setattr(Launcher, "_wake", lambda _: None)
        monkeypatch.setattr(session, "GRACE_SECONDS", 0.1)
        monkeypatch.setattr(session, "UNKILLABLE_SECONDS", 0.1)
        os.kill(launcher, signal.SIGSTOP)
        capture = run(executor, unconfined(mark, f"touch {tmp_path}/trace", timeout=0.2))
        os.kill(launcher, signal.SIGCONT)
    assert capture.detail == "ended after its time-out of 0.2 s; it had not begun"
    assert not (tmp_path / "trace").exists()


def test_no_descriptor_of_the_engine_reaches_a_command(mark: str) -> None:
    code = """
import os, sys
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import command, run
for _ in range(50):
    os.set_inheritable(os.open("/etc/passwd", os.O_RDONLY), True)
with ProcessExecutor() as executor:
    print(run(executor, command(sys.argv[1], "ls", "/proc/self/fd")).stdout.split())
"""
    assert said(runner(mark, code, mark)) == "[b'0', b'1', b'2', b'3']\n"


ODD = {
    "signals-blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "children-ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "all-ignored": "[signal.signal(n, signal.SIG_IGN) for n in signal.valid_signals() - {9, 19}]",
    "no-umask": "os.umask(0o777)",
    "last-in-turn": "os.nice(19)",
    "few-descriptors": "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))",
    "standard-streams-closed": "os.closerange(0, 3)",
    "in-another-folder": "os.chdir('/usr')",
    "orphan-of-its-group": "os.setsid()",
}


@pytest.mark.parametrize("oddity", ODD.values(), ids=ODD)
def test_however_the_engine_was_started_commands_start_the_same(mark: str, tmp_path: Path, oddity: str) -> None:
    code = f"""
import os, resource, signal, sys
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import run, sh, unconfined
written = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
{oddity}
script = "umask; pwd; grep -E '^Sig(Blk|Ign):' /proc/self/status; ls /proc/self/fd; exit 3"
with ProcessExecutor() as executor:
    capture = run(executor, unconfined(sys.argv[1], script, timeout=5))
os.write(written, b"%d " % (capture.exit_code or 0) + b" ".join(capture.stdout.split()))
"""
    engine = runner(mark, code, mark, str(tmp_path / "said"))
    engine.communicate(timeout=60)
    nothing = "0" * 16
    expected = f"3 0022 / SigBlk: {nothing} SigIgn: {nothing} 0 1 2 3"
    assert (tmp_path / "said").read_text() == expected


def test_a_command_cannot_tell_the_launcher_from_a_session_of_its_own(here: ProcessExecutor, mark: str) -> None:
    # Its process group and session are its own (proc(5): fields 5 and 6 of stat), and it has no terminal (7).
    capture = run(here, unconfined(mark, "echo $$; cut -d ' ' -f 5-7 /proc/$$/stat"))
    pid = capture.stdout.split()[0]
    assert capture.stdout.split()[1:] == [pid, pid, b"0"]


def test_fifty_killed_trees_leave_nothing(here: ProcessExecutor, mark: str) -> None:
    script = "echo up; (setsid sh -c 'trap \"\" TERM; sleep 60 & sleep 60' &) ; sleep 60"
    for _ in range(50):
        steps = begin(here.execute(unconfined(mark, script)), b"up")
        time.sleep(random.uniform(0, 0.02))
        steps.close()
        assert marked(mark) == set()


def test_orphans_that_have_ended_are_collected(here: ProcessExecutor, mark: str) -> None:
    script = """for n in 1 2 3 4 5; do (sh -c 'exit 0' &) ; done; sleep 0.3
grep -l "^PPid:.$PPID\\$" /proc/[0-9]*/status; echo $$"""
    found, _, myself = run(here, unconfined(mark, script)).stdout.decode().strip().rpartition("\n")
    assert found == f"/proc/{myself}/status"
