"""What this host and this user can do."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from runbook.executors import here
from runbook.executors.here import find, lab_around, missing_right, refuse, this_host
from runbook.model import Command, Ending, Needs


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """`first` and `second`, each with a file `tool`: only the one in `second` may be executed."""
    for name, mode in (("first", 0o644), ("second", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").write_text("#!/bin/sh\n")
        (tmp_path / name / "tool").chmod(mode)
    return tmp_path


def test_a_program_is_the_first_executable_of_its_name(folders: Path) -> None:
    assert find("tool", f"{folders}/none:{folders}/first:{folders}/second") == f"{folders}/second/tool"


def test_where_none_is_executable_the_first_is_found_all_the_same(folders: Path) -> None:
    assert find("tool", f"{folders}/none:{folders}/first") == f"{folders}/first/tool"


def test_a_folder_of_that_name_is_no_program(folders: Path) -> None:
    assert find("second", str(folders)) is None


def test_a_program_with_a_slash_is_that_file(folders: Path) -> None:
    assert find(f"{folders}/first/tool", "/usr/bin") == f"{folders}/first/tool"
    assert find(f"{folders}/none/tool", "/usr/bin") is None


@pytest.mark.parametrize(("program", "path"), [("./tool", "/usr/bin"), ("tool", ""), ("tool", ".:/usr/bin:")])
def test_nothing_is_found_in_the_folder_where_the_engine_was_started(
    folders: Path, monkeypatch: pytest.MonkeyPatch, program: str, path: str
) -> None:
    monkeypatch.chdir(folders / "second")
    assert find(program, path) is None


def test_a_relative_program_is_relative_to_the_root(folders: Path) -> None:
    program = f"{folders}/second/tool".lstrip("/")
    assert find(f"./{program}", "/usr/bin") == f"./{program}"


def test_whoever_needs_nothing_lacks_nothing() -> None:
    assert missing_right(Needs()) is None


def test_a_capability_that_nobody_has_is_lacking() -> None:
    assert missing_right(Needs(capabilities=("no_such_thing",))) == "the capability CAP_NO_SUCH_THING"


def test_a_command_that_can_be_started_is_not_refused() -> None:
    assert refuse(Command("step", "", ("sh", "-c", "exit 1"), (("PATH", "/usr/bin:/bin"),))) is None


def test_a_refusal_says_where_it_looked() -> None:
    capture = refuse(Command("step", "", ("no-such-command",), (("PATH", "/usr/bin:/bin"),)))
    assert capture is not None
    assert (capture.ending, capture.detail) == (Ending.NOT_FOUND, "no-such-command is not on /usr/bin:/bin")


def test_this_host_is_named_as_uname_names_it() -> None:
    host, names = this_host(), os.uname()
    assert (host.name, host.kernel, host.arch) == (names.nodename, names.release, names.machine)
    assert host.os


@pytest.mark.parametrize("error", [OSError("no os-release"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")])
def test_a_host_without_a_readable_name_is_some_linux(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def unreadable() -> dict[str, str]:
        raise error

    monkeypatch.setattr(platform, "freedesktop_os_release", unreadable)
    assert this_host().os == "Linux"


def test_a_file_alone_makes_no_lab_of_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "runbook-lab"
    mark.write_text("peer-down\n")
    monkeypatch.setattr(here, "LAB_MARK", str(mark))
    assert lab_around() == ""
    with open("/proc/self/uid_map") as file:
        assert file.read().split()[2] != "1"


def test_one_user_alone_makes_no_lab_either(tmp_path: Path) -> None:
    code = "from runbook.executors import here; here.LAB_MARK = PLACE; print(here.lab_around() or 'none')"
    (tmp_path / "mark").write_text("peer-down\n")
    for name, expected in (("mark", "peer-down"), ("nothing", "none")):
        words = ["unshare", "--user", "--map-root-user", sys.executable, "-c"]
        place = str(tmp_path / name)
        done = subprocess.run([*words, code.replace("PLACE", repr(place))], capture_output=True, text=True, timeout=30)
        assert done.stdout.strip() == expected, done.stderr
