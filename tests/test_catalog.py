"""Runbooks found on disk: around the folder one stands in, nearer before farther, and those of the package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runbook import catalog
from runbook.catalog import entries, find, roots, strangers
from runbook.errors import DefinitionError, UsageError
from tests.base import Base

STEPS = [{"argv": ["true"]}]


def names(start: Path) -> dict[str, str]:
    """What is found from here: where each comes from by its name."""
    return {entry.name: entry.origin for entry in entries(str(start))}


def test_runbooks_are_found_from_deep_inside_a_knowledge_base(base: Base) -> None:
    base.runbook("own-disks", STEPS)
    deep = base.path / "docs" / "storage"
    deep.mkdir(parents=True)
    assert names(deep)["own-disks"] == str(base.path)


def test_runbooks_of_the_package_are_found_everywhere(tmp_path: Path) -> None:
    assert names(tmp_path)["lvm-inspect"] == "bundled"
    assert names(Path("/"))["lvm-inspect"] == "bundled"


def test_in_its_own_checkout_the_package_is_found_once() -> None:
    checkout = Path(__file__).resolve().parent.parent
    assert names(checkout)["lvm-inspect"] == "bundled"
    assert [origin for _, origin in roots(str(checkout))] == ["bundled"]


def test_a_package_without_runbooks_has_none(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    base.runbook("own-disks", STEPS)
    monkeypatch.setattr(catalog, "_bundled", lambda: str(base.path / "gone"))
    assert list(names(base.path)) == ["own-disks"]


@pytest.mark.parametrize("folder", ["own_disks", "own-disks"])
@pytest.mark.parametrize("name", ["own-disks", "own_disks"])
def test_both_spellings_are_one_name(base: Base, folder: str, name: str) -> None:
    (base.path / "runbooks" / folder).mkdir(parents=True)
    (base.path / "runbooks" / folder / "runbook.yaml").touch()
    found = find(name, str(base.path))
    assert (found.name, found.folder) == ("own-disks", str(base.path / "runbooks" / folder))


def test_the_nearer_of_two_with_one_name_is_taken(base: Base) -> None:
    base.runbook("own-disks", STEPS)
    inner = Base(base.path / "inner")
    nearer = inner.runbook("own-disks", STEPS)
    assert find("own-disks", str(inner.path)).folder == str(nearer)
    assert find("own-disks", str(base.path)).origin == str(base.path)


def test_one_of_your_own_is_taken_before_a_bundled_one(base: Base) -> None:
    folder = base.runbook("lvm-inspect", STEPS)
    assert find("lvm-inspect", str(base.path)).folder == str(folder)


def test_runbooks_of_several_knowledge_bases_are_found_together(base: Base) -> None:
    base.runbook("outer-one", STEPS)
    inner = Base(base.path / "inner")
    inner.runbook("inner-one", STEPS)
    assert {"outer-one", "inner-one", "lvm-inspect"} <= names(inner.path).keys()


def test_only_a_folder_with_a_definition_is_a_runbook(base: Base) -> None:
    folder = base.path / "runbooks"
    (folder / "empty").mkdir(parents=True)
    (folder / "file").touch()
    (folder / "odd" / "runbook.yaml").mkdir(parents=True)
    (folder / "dangling").symlink_to("gone")
    (folder / "linked").mkdir()
    (folder / "linked" / "runbook.yaml").symlink_to("runbook.yaml")
    assert names(base.path) == names(Path("/"))


@pytest.mark.parametrize("content", [None, "a file"])
def test_a_runbooks_that_is_no_folder_holds_none(tmp_path: Path, content: str | None) -> None:
    if content is None:
        (tmp_path / "runbooks").symlink_to("runbooks")
    else:
        (tmp_path / "runbooks").write_text(content)
    assert names(tmp_path) == names(Path("/"))


def test_links_in_a_circle_end(base: Base) -> None:
    base.runbook("own-disks", STEPS)
    (base.path / "runbooks" / "again").symlink_to(base.path / "runbooks")
    (base.path / "self").symlink_to(base.path)
    deep = base.path / "self" / "self" / "runbooks" / "again" / "again"
    assert names(deep)["own-disks"] == str(base.path)


def test_a_link_into_a_knowledge_base_leads_to_where_it_really_is(base: Base, tmp_path: Path) -> None:
    inner = Base(tmp_path / "real")
    inner.runbook("own-disks", STEPS)
    (tmp_path / "elsewhere").symlink_to(inner.path)
    assert names(tmp_path / "elsewhere")["own-disks"] == str(inner.path)


def test_a_broken_definition_hides_no_other(base: Base) -> None:
    base.runbook("own-disks", STEPS)
    broken = base.runbook("broken", STEPS)
    (broken / "runbook.yaml").write_text("title: [")
    assert find("own-disks", str(base.path)).load().name == "own-disks"
    with pytest.raises(DefinitionError, match=r"runbook\.yaml:\d+:"):
        find("broken", str(base.path)).load()


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean `lvm-inspect`"):
        find("lvm_inspct", "/")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../../x", "x" * 10_000, "\x1b[2J\nlvm"])
def test_an_unknown_name_says_how_to_see_them_all(name: str) -> None:
    with pytest.raises(UsageError, match="runbook list") as error:
        find(name, "/")
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 300


def test_a_folder_that_has_gone_holds_only_what_is_above_it(base: Base) -> None:
    base.runbook("own-disks", STEPS)
    assert "own-disks" in names(base.path / "gone" / "deeper")


def test_a_folder_is_found_whatever_it_is_called(tmp_path: Path) -> None:
    odd = Base(tmp_path / os.fsdecode(b"odd \xff\nname"))
    odd.runbook("own-disks", STEPS)
    assert names(odd.path)["own-disks"] == str(odd.path)


def test_runbooks_of_somebody_else_are_left_out_and_told(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    base.runbook("lvm-inspect", [{"argv": ["true"]}])
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(catalog, "ROOT_ID", -1)
    assert find("lvm-inspect", str(base.path)).origin == "bundled"
    assert strangers(str(base.path)) == [str(base.path / "runbooks")]


def test_runbooks_of_whoever_called_sudo_are_ours(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    base.runbook("lvm-inspect", [{"argv": ["true"]}])
    monkeypatch.setenv("SUDO_UID", str(os.getuid()))
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(catalog, "ROOT_ID", -1)
    assert strangers(str(base.path)) == []
