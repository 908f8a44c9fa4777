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


@pytest.mark.parametrize("rest", ["", "steps: 7\n", "steps: [\n", "unknown: &anchor x\n", "\x01"])
def test_the_rest_is_not_judged(tmp_path: Path, rest: str) -> None:
    if rest == "\x01":
        # A character that nobody can see makes the whole file one that cannot be read.
        with pytest.raises(DefinitionError):
            heading(tmp_path, WHOLE + rest)
    else:
        assert heading(tmp_path, WHOLE + rest) == Heading("Look at disks", "Says what is wrong.", "storage")


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
