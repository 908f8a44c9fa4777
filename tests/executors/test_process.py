"""The executor of this host: rights, files that cannot be run, bounds of memory and descriptors, and what it leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runbook.executors.process import ProcessExecutor, program
from runbook.model import Ending, Needs
from tests.executors.driving import begin, command, drive, marked, run, runner, said, sh


@pytest.mark.parametrize("needs", ["root=True", "capabilities=('sys_admin',)"])
def test_an_ordinary_user_lacks_a_right_and_is_told_the_line_that_has_it(mark: str, needs: str) -> None:
    code = f"""
import os, sys
from runbook.executors.process import ProcessExecutor
from runbook.model import Needs
from tests.executors.driving import command, run
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
capture = run(ProcessExecutor(), command(sys.argv[1], "ls", "-l", "a b", needs=Needs({needs})))
print(capture.ending, capture.exit_code, capture.detail)
"""
    words = said(runner(mark, code, mark))
    assert words.startswith("not-permitted None needs ")
    assert words.endswith("; this one command: sudo ls -l 'a b'\n")


UNUSABLE = {
    "no-such-interpreter": ("#!/no/such/interpreter\n", Ending.NOT_FOUND, "the interpreter of"),
    "carriage-return": ("#!/bin/sh\r\necho hi\r\n", Ending.NOT_FOUND, "the interpreter of"),
    "no-first-line": ("echo hi\n", Ending.NOT_FOUND, "Exec format error"),
    "empty": ("", Ending.NOT_FOUND, "Exec format error"),
    "interpreter-is-a-folder": ("#!/etc\n", Ending.NOT_PERMITTED, "Permission denied"),
}


@pytest.mark.parametrize(("text", "ending", "why"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_executable_file_that_cannot_be_run(
    here: ProcessExecutor, mark: str, tmp_path: Path, text: str, ending: Ending, why: str
) -> None:
    script = tmp_path / "script"
    script.write_text(text)
    script.chmod(0o755)
    capture = run(here, command(mark, str(script)))
    assert (capture.ending, capture.exit_code) == (ending, None)
    assert why in capture.detail
    assert str(script) in capture.detail


def test_a_program_is_looked_for_on_the_path_of_the_command_itself(here: ProcessExecutor, mark: str) -> None:
    elsewhere = command(mark, "true")
    nowhere = type(elsewhere)("step", "", ("true",), (("PATH", "/etc"),))
    assert run(here, nowhere).detail == "true is not on /etc"
    assert program(elsewhere, ("true",)).startswith("/")


def test_a_hundred_thousand_words(here: ProcessExecutor, mark: str) -> None:
    capture = run(here, sh(mark, "echo $#"))
    assert capture.stdout == b"0\n"
    words = ("word",) * 100_000
    capture = run(here, command(mark, "sh", "-c", "echo $#; echo ${100000}", "sh", *words))
    assert capture.stdout == b"100000\nword\n"


@pytest.mark.parametrize("words", [("x" * 1024 * 1024,), ("word",) * 1_000_000], ids=["one-long", "many"])
def test_more_words_than_the_kernel_takes(here: ProcessExecutor, mark: str, words: tuple[str, ...]) -> None:
    capture = run(here, command(mark, "echo", *words))
    assert (capture.ending, capture.detail) == (Ending.NOT_PERMITTED, "echo: Argument list too long")


def test_a_gibibyte_costs_no_memory(mark: str) -> None:
    code = """
import sys
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import command, run
with ProcessExecutor(cap=65536) as executor:
    capture = run(executor, command(sys.argv[1], "head", "-c", "1G", "/dev/zero"))
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(capture.exit_code, len(capture.stdout) + capture.dropped, peak // 1024)
"""
    code_, count, mebibytes = map(int, said(runner(mark, code, mark)).split())
    assert (code_, count) == (0, 1024**3)
    assert mebibytes < 100


def test_no_descriptor_is_left_open(mark: str) -> None:
    with ProcessExecutor() as executor:
        run(executor, sh(mark, "true"))
        before = os.listdir("/proc/self/fd")
        for script in ("echo hi", "sleep 60 & exit", "kill -KILL $$"):
            run(executor, sh(mark, script))
        run(executor, command(mark, "no-such-command"))
        run(executor, command(mark, "/etc/passwd"))
        begin(executor.execute(sh(mark, "echo up; sleep 60")), b"up").close()
        assert os.listdir("/proc/self/fd") == before


def test_without_free_descriptors_the_error_says_so_and_nothing_leaks(mark: str) -> None:
    code = """
import os, resource, sys
from runbook.errors import ExecutionError
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import run, sh
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
with ProcessExecutor() as executor:
    run(executor, sh(sys.argv[1], "true"))
    opened = len(os.listdir("/proc/self/fd"))
    for free in range(12):
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened + free, hard))
        try:
            print(run(executor, sh(sys.argv[1], "true")).ending)
        except ExecutionError as error:
            print("Too many open files" in str(error))
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(len(os.listdir("/proc/self/fd")) - opened)
"""
    lines = said(runner(mark, code, mark)).split()
    assert set(lines[:-1]) == {"True", "exited"}
    assert lines[-1] == "0"


def test_more_than_a_thousand_descriptors_are_open_already(mark: str) -> None:
    code = """
import os, resource, sys
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import begin, run, sh
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
with ProcessExecutor() as executor:
    print(run(executor, sh(sys.argv[1], "exit 3")).exit_code)
    begin(executor.execute(sh(sys.argv[1], "echo up; sleep 60")), b"up").close()
"""
    assert said(runner(mark, code, mark)) == "3\n"


def test_closing_the_executor_ends_all_that_it_runs(mark: str) -> None:
    executor = ProcessExecutor()
    running = [begin(executor.execute(sh(mark, "trap '' TERM; echo up; sleep 60; :")), b"up") for _ in range(3)]
    executor.close()
    assert marked(mark) == set()
    assert {drive(steps)[1].ending for steps in running} == {Ending.SIGNALLED}
    executor.close()


def test_closing_an_executor_that_ran_nothing() -> None:
    executor = ProcessExecutor()
    executor.close()
    assert executor.host().kernel == os.uname().release


def test_a_command_of_several_needs_names_the_missing_one(here: ProcessExecutor, mark: str) -> None:
    capture = run(here, command(mark, "true", needs=Needs(commands=("sh", "no-such-command", "ls"))))
    assert capture.detail.startswith("no-such-command is not on /usr/local/sbin:")
