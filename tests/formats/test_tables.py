"""KEY=VALUE blocks and tables with headings."""

from __future__ import annotations

import pytest

from runbook.errors import Unreadable
from runbook.formats.tables import columns, export_blocks
from tests.formats.printing import printed

TABLE = """\
  WARNING: running as a non-root user
  LV    VG     Attr       LSize   Pool  Data%
  pool0 datavg twi-aotzD- 400.00m       100.00
  web   datavg Vwi-a-tz-- 500.00m pool0 40.00
"""


def test_blocks_know_their_lines() -> None:
    first, second = export_blocks(printed("A=1\nB=2\n\nA=3\n"))
    assert (first, first.first_line, first.last_line) == ({"A": "1", "B": "2"}, 1, 2)
    assert (second, second.first_line, second.last_line) == ({"A": "3"}, 4, 4)


def test_a_repeated_key_moves_no_line() -> None:
    (block,) = export_blocks(printed("\n\nA=1\nA=2\nB=3"))
    assert (block, block.first_line, block.last_line) == ({"A": "2", "B": "3"}, 3, 5)


@pytest.mark.parametrize(
    ("line", "value"),
    [("LABEL=my\\ disk", "my disk"), ("LABEL=", ""), ("LABEL=a=b", "a=b"), ("LABEL=\x1b[31m", "\\x1b[31m")],
)
def test_a_value_is_what_was_meant_and_safe_to_show(line: str, value: str) -> None:
    (block,) = export_blocks(printed(line))
    assert block["LABEL"] == value


def test_a_line_that_is_no_pair_is_refused() -> None:
    with pytest.raises(Unreadable, match="line 2") as refusal:
        export_blocks(printed("A=1\nhello\n"))
    assert refusal.value.evidence.first_line == 2


def test_cells_stand_below_their_headings_and_may_be_empty() -> None:
    pool, web = columns(printed(TABLE), "LV", "VG")
    assert (pool["LV"], pool["Pool"], pool["Data%"]) == ("pool0", "", "100.00")
    assert (web["Pool"], web["Data%"], web.first_line) == ("pool0", "40.00", 4)


def test_tabs_count_as_the_blanks_that_they_were() -> None:
    (row,) = columns(printed("Name\tSize    Used\nsda\t\t5\n"), "Name", "Size")
    assert row == {"Name": "sda", "Size": "", "Used": "5"}


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_nothing_printed_is_no_rows(text: str) -> None:
    assert columns(printed(text), "LV") == ()


def test_headings_alone_are_no_rows() -> None:
    assert columns(printed("LV VG\n"), "LV") == ()


@pytest.mark.parametrize("text", ["LV\n", "Nom VG\n"])
def test_a_table_without_the_headings_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="no line with the headings LV VG"):
        columns(printed(text), "LV", "VG")


def test_a_table_that_has_lost_its_spacing_is_refused() -> None:
    with pytest.raises(Unreadable, match="spacing was lost") as refusal:
        columns(printed("LV    VG     Attr\npool0 datavg twi\nlonger-name datavg twi\n"), "LV")
    assert refusal.value.evidence.first_line == 3


def test_cells_are_safe_to_show() -> None:
    (row,) = columns(printed(b"LV    VG\n\xff\x1b[2m vg\n"), "LV")
    assert row == {"LV": "\\xff\\x1b[2m", "VG": "vg"}
