"""What a definition says of itself is read without judging the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import DefinitionError
from runbook.loader.heading import Heading, read_heading

WHOLE = "title: Look at\n  disks\nsummary: Says what is wrong.\nsection: storage\n"


def heading(folder: Path, text: str) -> Heading:
    (folder / "runbook.yaml").write_text(text)
    return read_heading(str(folder))


@pytest.mark.parametrize("rest", ["", "steps: 7\n", "steps: [\n", "unknown: &anchor x\n"])
def test_the_rest_is_not_judged(tmp_path: Path, rest: str) -> None:
    assert heading(tmp_path, WHOLE + rest) == Heading("Look at disks", "Says what is wrong.", "storage")


def test_what_nobody_can_see_is_an_error_wherever_it_stands(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="invisible character"):
        heading(tmp_path, WHOLE + "\x01")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1:1: the file is empty"),
        ("title: [\n", ":2:1: not YAML"),
        ("- title\n", ":1:1: `title` is missing in a runbook, or is not text"),
        (WHOLE.replace("storage", "7"), ":4:10: `section` is missing in a runbook, or is not text"),
        (WHOLE.replace("summary", "title"), "`summary` is missing"),
    ],
)
def test_what_cannot_be_told_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        heading(tmp_path, text)
