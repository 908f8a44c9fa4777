"""How a kernel lab is started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from runbook.errors import LabError
from runbook.labs import kernel
from runbook.model import Scenario

SCENARIO = Scenario("it-s", "A lab", "kernel", "labs/x.sh", disks=(1 << 20, 3 << 20), memory=64 << 20)


def test_each_disk_is_a_sparse_file(tmp_path: Path) -> None:
    start = kernel.start(SCENARIO, str(tmp_path), "/scripts")
    disks = [Path(word.partition("=")[2]) for word in start.argv if word.startswith("ubd")]
    assert [disk.stat().st_size for disk in disks] == [1 << 20, 3 << 20]
    assert sum(disk.stat().st_blocks for disk in disks) == 0


def test_the_init_script_is_shell_whatever_the_folder_is_called(tmp_path: Path) -> None:
    kernel.start(SCENARIO, str(tmp_path), "/it's a folder")
    subprocess.run(["sh", "-n", tmp_path / "init"], check=True)
    assert os.access(tmp_path / "init", os.X_OK)


def test_without_user_mode_linux_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "PATH", "/nonexistent")
    with pytest.raises(LabError, match="apt-get install user-mode-linux"):
        kernel.start(SCENARIO, str(tmp_path), "/scripts")


@pytest.mark.parametrize(
    ("flags", "large"), [("fpu sse avx512f amx_bf16 amx_tile amx_int8", True), ("fpu sse avx2 avx512f", False)]
)
def test_large_registers_are_told_by_the_processors_flags(tmp_path: Path, flags: str, large: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert kernel.has_large_registers(str(tmp_path / "cpuinfo")) is large
