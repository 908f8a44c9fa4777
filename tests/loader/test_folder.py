"""A runbook's folder is read once, whole, and only where it holds nothing but files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runbook.errors import DefinitionError
from runbook.loader import folder
from runbook.loader.folder import digest, read_folder


def written(tmp_path: Path, *names: str) -> str:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return str(tmp_path)


def refused(tmp_path: Path) -> str:
    with pytest.raises(DefinitionError) as error:
        read_folder(str(tmp_path))
    (problem,) = error.value.problems
    return f"{os.path.relpath(problem.path, tmp_path)} {problem.message}"


def test_all_that_may_be_executed_is_read(tmp_path: Path) -> None:
    names = ["runbook.yaml", "helper.py", "facts.py", "labs/full.sh", "labs/more/x", "README", ".hidden"]
    left_out = ["samples/good.yaml", "labs/passed.json", "__pycache__/helper.pyc", "labs/__pycache__/x"]
    found = read_folder(written(tmp_path, *names, *left_out))
    assert found == {name: name.encode() for name in names}


@pytest.mark.parametrize("target", ["/bin/sh", "helper.py", "/nonexistent", "labs"])
def test_a_link_is_refused(tmp_path: Path, target: str) -> None:
    written(tmp_path, "runbook.yaml", "helper.py", "labs/full.sh")
    (tmp_path / "labs/link").symlink_to(target)
    assert refused(tmp_path) == "labs/link is a link, which tomorrow may lead elsewhere"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "helper.py")
    assert refused(tmp_path) == "helper.py is neither a file nor a folder"


def test_a_folder_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "a", "b", "c")
    monkeypatch.setattr(folder, "MOST_FILES", 2)
    assert "more than 2 files" in refused(tmp_path)
    monkeypatch.setattr(folder, "MOST_FILES", 3)
    assert len(read_folder(str(tmp_path))) == 3
    monkeypatch.setattr(folder, "MOST_BYTES", 2)
    assert refused(tmp_path).startswith("c makes the runbook larger than")


def test_the_digest_tells_where_a_byte_is() -> None:
    same = [{"a": b"bc", "d": b""}, {"a": b"b", "d": b"c"}, {"ab": b"c", "d": b""}, {"a": b"bc"}, {"a": b"bcd"}]
    assert len({digest(files) for files in same}) == len(same)
    assert digest({"x": b"1", "y": b"2"}) == digest({"y": b"2", "x": b"1"})
