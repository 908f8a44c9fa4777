"""Sizes, trees and advice in plain text."""

from __future__ import annotations

import pytest

from runbook.formats.drawing import Branch, change, human_size, look, tree

LEAF = Branch("leaf")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, ""),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (512 * 1024**2, "512 MiB"),
        (1024**4 - 1, "1 TiB"),
        (2**64, "16 EiB"),
        (2**80, "1048576 EiB"),
    ],
)
def test_a_size_for_people(size: int | None, text: str) -> None:
    assert human_size(size) == text


def test_a_tree() -> None:
    drawn = tree((Branch("sda", "2 GiB", ("disk",), (Branch("sda1", "1 GiB", ("part", "ext4"), (LEAF,)), LEAF)),))
    assert drawn.split("\n") == [
        "sda         2 GiB  disk",
        "├─ sda1     1 GiB  part · ext4",
        "│  └─ leaf",
        "└─ leaf",
    ]


def test_only_the_last_of_equal_branches_is_the_last() -> None:
    assert tree((Branch("a", children=(LEAF, LEAF)),)).split("\n") == ["a", "├─ leaf", "└─ leaf"]


def test_remarks_are_wrapped_between_remarks() -> None:
    drawn = tree((Branch("a", "1 B", ("first remark", "second remark"), (LEAF,)),), width=32)
    assert drawn.split("\n") == ["a        1 B  first remark", "│             second remark", "└─ leaf"]


def test_a_long_name_takes_no_more_than_half_the_width() -> None:
    drawn = tree((Branch("n" * 60, children=(LEAF,)), Branch("b", "1 B", ("disk",))), width=40)
    assert drawn.split("\n")[2] == "b" + " " * 21 + "1 B  disk"


def test_a_line_break_in_a_name_or_a_remark_breaks_no_line() -> None:
    assert tree((Branch("a\nb", "", ("c\nd",)),)).split("\n") == ["a b    c d"]


def test_nothing_to_draw_is_an_empty_drawing() -> None:
    assert tree(()) == ""


def test_a_command_of_an_advice_says_whether_it_changes_the_host() -> None:
    assert look("lvs") == "    lvs"
    assert change("vgreduce vg").endswith("# changes this host")
