"""The cgroup of a command: it is in there before it is itself, nothing outlives it, and none is left over."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.executors import cgroup
from runbook.executors.launcher import GIVE_UP_SECONDS
from runbook.executors.process import ProcessExecutor
from runbook.model import Ending
from tests.executors.driving import (
    PROMPTLY,
    begin,
    cgroups,
    marked,
    run,
    runner,
    said,
    survivors,
    unconfined,
    without_cgroups,
)

#: Forks and ends, for ever: by the time its pid is known it is another.
CHAIN = "import os\nwhile True:\n  if os.fork(): os._exit(0)"


@pytest.fixture
def home() -> str:
    """Where cgroups can be made; root can wherever version 2 is mounted for writing."""
    found = cgroup.home()
    if found is None:
        pytest.skip("there is no cgroup here in which we may make others")
    return found


@pytest.fixture
def group(home: str) -> Iterator[cgroup.Group]:
    made = cgroup.make(home)
    assert made is not None
    yield made
    if os.path.exists(made.path):
        made.end(PROMPTLY)


def own(said: bytes) -> str:
    """The name of the cgroup that a command says it is in, by `grep ^0: /proc/self/cgroup`."""
    return os.path.basename(said.decode().splitlines()[0])


def gone(name: str) -> bool:
    """Whether this cgroup is removed, in a while at the latest."""
    deadline = time.monotonic() + PROMPTLY
    while name in cgroups() and time.monotonic() < deadline:
        time.sleep(0.02)
    return name not in cgroups()


def child(group: cgroup.Group, code: str) -> int:
    """The pid of a process born in this cgroup, which runs this Python code and holds nothing of ours."""
    pid = group.fork()
    if pid == 0:
        try:
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", f"print('up', flush=True)\n{code}"])
        finally:
            os._exit(1)
    return pid


def await_end(pid: int) -> int:
    handle = os.pidfd_open(pid)
    assert select.select([handle], [], [], PROMPTLY)[0]
    os.close(handle)
    return os.waitpid(pid, 0)[1]


def test_a_command_is_in_a_cgroup_of_its_own_and_it_goes_with_it(home: str, here: ProcessExecutor, mark: str) -> None:
    first, second = (own(run(here, unconfined(mark, "grep ^0: /proc/self/cgroup")).stdout) for _ in range(2))
    assert first.startswith(cgroup.PREFIX)
    assert first != second
    assert not {first, second} & cgroups()


def test_a_child_is_born_in_it(group: cgroup.Group) -> None:
    pid = child(group, "import time; time.sleep(60)")
    assert Path(group.path, "cgroup.procs").read_text().split() == [str(pid)]
    assert group.kill()
    assert await_end(pid) == signal.SIGKILL


@pytest.mark.parametrize("how", ["kill", "_kill_each"], ids=["at-once", "before-5.14"])
@pytest.mark.parametrize("code", ["import time; time.sleep(60)", CHAIN], ids=["one", "never-the-same"])
def test_whatever_is_in_it_dies(group: cgroup.Group, monkeypatch: pytest.MonkeyPatch, how: str, code: str) -> None:
    pid = child(group, code)
    if code == CHAIN:
        await_end(pid)
    monkeypatch.setattr(group, "kill", getattr(group, how))
    group.end(PROMPTLY)
    assert not os.path.exists(group.path)
    if code != CHAIN:
        assert await_end(pid) == signal.SIGKILL


def test_before_linux_5_14_none_forks_while_they_are_killed(group: cgroup.Group) -> None:
    assert group._kill_each()
    assert Path(group.path, "cgroup.freeze").read_text() == "1\n"


def test_it_goes_with_those_that_were_made_in_it(group: cgroup.Group) -> None:
    below = Path(group.path, "below", "more")
    below.mkdir(parents=True)
    pid = child(group, "import time; time.sleep(60)")
    (below / "cgroup.procs").write_text(str(pid))
    group.end(PROMPTLY)
    assert not os.path.exists(group.path)
    assert await_end(pid) == signal.SIGKILL


def test_what_nobody_holds_is_ended_at_the_next_start_and_what_is_held_is_not(
    home: str, group: cgroup.Group, mark: str
) -> None:
    left = cgroup.make(home)
    assert left is not None
    ended, living = child(left, CHAIN), child(group, "import time; time.sleep(60)")
    await_end(ended)
    left.close()
    with ProcessExecutor() as executor:
        run(executor, unconfined(mark, "true"))
    # Another launcher of this host may have been the first to find it, and be at it still.
    assert gone(os.path.basename(left.path))
    assert os.waitpid(living, os.WNOHANG) == (0, 0)
    group.end(PROMPTLY)
    await_end(living)


def test_a_command_that_kills_all_that_watch_it_leaves_nothing(home: str, mark: str) -> None:
    with ProcessExecutor() as executor:
        script = f"""grep ^0: /proc/self/cgroup
setsid sh -c 'trap "" TERM; sleep 60; :' & env -i setsid python3 -c '{CHAIN}' {mark} &
kill -KILL $(cut -d ' ' -f 4 /proc/$PPID/stat) $PPID; sleep 60"""
        capture = run(executor, unconfined(mark, script))
    assert capture.ending is Ending.SIGNALLED
    assert survivors(mark) == set()
    assert own(capture.stdout) not in cgroups()


def test_a_supervisor_that_was_killed_leaves_no_cgroup(home: str, mark: str) -> None:
    with ProcessExecutor() as executor:
        script = "grep ^0: /proc/self/cgroup; setsid sleep 60 & kill -KILL $PPID; sleep 60"
        capture = run(executor, unconfined(mark, script))
        assert survivors(mark) == set()
        # At once, and not only when its launcher ends.
        assert gone(own(capture.stdout))


def test_a_command_that_left_its_cgroup_is_ended_all_the_same(home: str, here: ProcessExecutor, mark: str) -> None:
    script = f"echo $$ >{home}/cgroup.procs; grep ^0: /proc/self/cgroup; setsid sleep 60 & echo up; sleep 60"
    steps = begin(here.execute(unconfined(mark, script)), b"up")
    began = time.monotonic()
    steps.close()
    assert marked(mark) == set()
    assert time.monotonic() - began < GIVE_UP_SECONDS


def test_where_none_can_be_made_commands_run_and_nothing_complains(mark: str) -> None:
    code = """
import sys
from runbook.executors import cgroup
from runbook.executors.process import ProcessExecutor
from tests.executors.driving import begin, marked, run, sh, unconfined
with ProcessExecutor() as executor:
    print(cgroup.home(), run(executor, unconfined(sys.argv[1], "grep ^0: /proc/self/cgroup; exit 3")))
    begin(executor.execute(sh("other" + sys.argv[1], "setsid sleep 60 & echo up; sleep 60")), b"up").close()
    print(marked("other" + sys.argv[1]))
"""
    found, left = said(runner(mark, code, mark, before=without_cgroups())).splitlines()
    assert found.startswith("None Capture(")
    assert "exit_code=3" in found
    assert cgroup.PREFIX not in found
    assert left == "set()"


def test_what_lies_outside_of_our_cgroups_is_not_ours(group: cgroup.Group, mark: str) -> None:
    code = "from runbook.executors import cgroup; print(cgroup.home())"
    inside = f'echo $$ >{group.path}/cgroup.procs && exec unshare --cgroup "$@"'
    if os.geteuid() != 0:
        pytest.skip("only root makes a namespace of cgroups")
    # Its own is `/` there; what is mounted begins above that.
    assert said(runner(mark, code, before=["sh", "-c", inside, "sh"])) == "None\n"
