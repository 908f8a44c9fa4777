"""An installed package carries everything it needs: the wheel is built, looked into, installed and used."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import runbook

ROOT = Path(__file__).resolve().parent.parent


def execute(*argv: str | Path, cwd: Path) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{argv} exited {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def build(source: Path, into: Path, kind: str) -> Path:
    """A wheel or sdist of a source tree, made by the hatchling that is installed here: no network."""
    execute(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", into, cwd=source)
    (made,) = into.iterdir()
    return made


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel in it; what it depends on is seen through a .pth file."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False, symlinks=True)
    purelib = sysconfig.get_path("purelib", vars={"base": str(home)})
    execute(
        *(sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install"),
        *("--quiet", "--no-deps", "--no-index", wheel),
        cwd=home,
    )
    (Path(purelib) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "python"


def expected() -> set[str]:
    """Where each file of the package and of the bundled runbooks has to be in the wheel."""
    folders = {
        ROOT / "plugins" / "runbook": "runbook",
        ROOT / "plugins" / "mkdocs_runbook": "mkdocs_runbook",
        ROOT / "runbooks": "runbook/runbooks",
    }
    return {
        f"{place}/{path.relative_to(folder)}"
        for folder, place in folders.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_and_the_runbooks_and_nothing_else(wheel: Path) -> None:
    held = {name for name in names(wheel) if ".dist-info/" not in name}
    assert held == expected()


@pytest.mark.parametrize(
    "name",
    [
        "runbook/executors/launcher.py",
        "mkdocs_runbook/plugin.py",
        "mkdocs_runbook/assets/runbook.css",
        "mkdocs_runbook/assets/runbook.js",
        "runbook/runbooks/lvm_inspect/runbook.yaml",
        "runbook/runbooks/lvm_inspect/helper.py",
        "runbook/runbooks/lvm_inspect/labs/thin-pool-full.sh",
    ],
)
def test_the_wheel_holds(wheel: Path, name: str) -> None:
    assert name in names(wheel)


@pytest.mark.parametrize("folder", ["runbook/labs/", "runbook/runbooks/lvm_inspect/samples/"])
def test_the_wheel_holds_the_files_that_are_no_modules(wheel: Path, folder: str) -> None:
    assert [name for name in names(wheel) if name.startswith(folder) and name.endswith((".sh", ".yaml"))]


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build(ROOT, tmp_path / "sdist", "sdist")
    execute("tar", "-xf", sdist, "-C", tmp_path, cwd=tmp_path)
    again = build(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "wheel", "wheel")
    assert names(again) == names(wheel)


def test_the_installed_command_says_its_version(python: Path, tmp_path: Path) -> None:
    assert runbook.__version__ in execute(python.with_name("runbook"), "--version", cwd=tmp_path)


def test_the_installed_command_finds_its_own_runbooks_from_an_empty_folder(python: Path, tmp_path: Path) -> None:
    assert "lvm-inspect" in execute(python.with_name("runbook"), "list", cwd=tmp_path)


def test_the_installed_package_is_the_wheels_own(python: Path, tmp_path: Path) -> None:
    where = execute(python, "-c", "import runbook; print(runbook.__file__)", cwd=tmp_path)
    assert Path(where).is_relative_to(python.parent.parent)
