"""README's first command from a clean clone, and again without a network; the package from pip."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def execute(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(argv, cwd=cwd, env=clean, capture_output=True, text=True, timeout=300, check=False)


def execute_offline(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Without a network, and without anything that pip may have put by on this machine."""
    no_pip = [word for name in os.environ if name.startswith("PIP_") for word in ("-u", name)]
    nothing_kept = ["PIP_CONFIG_FILE=/dev/null", "PIP_NO_CACHE_DIR=1"]
    return execute("env", *no_pip, *nothing_kept, "unshare", "--map-root-user", "--net", *argv, cwd=cwd)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree as git has it, in another folder, set up by its first run; what that said is in `first`."""
    folder = tmp_path_factory.mktemp("clean") / "a clone"
    done = execute("git", "clone", "--quiet", ROOT, folder, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    first = execute("scripts/run", "lvm-inspect", cwd=folder)
    (folder / "first").write_text(f"{first.returncode}\n{first.stdout}\n{first.stderr}")
    return folder


def test_the_first_command_looks_at_this_host(clone: Path) -> None:
    said = (clone / "first").read_text()
    assert "Inspect LVM and what lies under it\nthis host, " in said
    assert said.startswith(("0\n", "1\n", "2\n", "3\n"))


def test_it_says_once_how_to_have_the_command_that_notes_and_advice_name(clone: Path, tmp_path: Path) -> None:
    program = clone / ".venv" / "bin" / "runbook"
    if shutil.which("runbook") is None:
        assert f"sudo ln -s '{program}' /usr/local/bin/runbook" in (clone / "first").read_text()
    (tmp_path / "runbook").symlink_to(program)
    done = execute(tmp_path / "runbook", "list", cwd=tmp_path)
    assert "lvm-inspect" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_the_second_time_needs_no_network_and_says_nothing_of_setting_up(clone: Path) -> None:
    done = execute_offline("scripts/run", "list", cwd=clone)
    assert "lvm-inspect" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_project_without_a_network_goes_on_with_what_is_there(clone: Path) -> None:
    with (clone / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    done = execute_offline("scripts/run", "list", cwd=clone)
    assert "lvm-inspect" in done.stdout
    assert "going on with what is installed" in done.stderr
    assert done.returncode == 0


def test_a_clone_that_was_moved_still_works(clone: Path) -> None:
    moved = clone.parent / "moved"
    shutil.copytree(clone, moved, symlinks=True)
    done = execute_offline(moved / "scripts/run", "list", cwd=moved)
    assert "lvm-inspect Inspect LVM and what lies under it (bundled)" in " ".join(done.stdout.split())


def test_the_command_works_from_any_folder(clone: Path, tmp_path: Path) -> None:
    done = execute(clone / "scripts/run", "show", "lvm-inspect", cwd=tmp_path)
    assert f"from {clone}/runbooks/lvm_inspect (bundled)" in done.stdout
