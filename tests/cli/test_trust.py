"""`runbook trust`, and that without it nothing of a knowledge base is executed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.base import COMMAND, HELPER, Base

SAMPLE = """
title: Recorded
source: {kind: lab, name: good, date: 2026-11-20, kernel: 6.1.0}
captures:
  - {step: a, exit_code: 0, stdout: "well\\n"}
findings: {all-well: ok}
"""


@pytest.fixture
def canary(base: Base) -> Path:
    """A file that is there as soon as anything of the runbook `talk` was executed."""
    canary = base.path / "canary"
    sings = f"open({str(canary)!r}, 'w').close()\n"
    step = {"argv": ["touch", str(canary)], "effect": "change"}
    findings = {"all-well": "Well.", "broken": "Broken."}
    folder = base.runbook("talk", [{"argv": ["echo", "well"]}, step], sings + HELPER, findings=findings)
    base.lab("talk", f"touch {canary}\n")
    (folder / "helper.py").write_text(sings + HELPER)
    (folder / "samples").mkdir()
    (folder / "samples/good.yaml").write_text(SAMPLE)
    (base.path / "docs").mkdir()
    (base.path / "docs/index.md").write_text("# Note\n\n```runbook\nname: talk\n```\n")
    plugins = "plugins: [search, runbook: {execute: recorded}]\n"
    extensions = "markdown_extensions: [pymdownx.superfences]\n"
    (base.path / "mkdocs.yml").write_text(f"site_name: Test\ntheme: {{name: mkdocs}}\n{extensions}{plugins}")
    return canary


LOOKING = [
    "list",
    "list --format json",
    "show talk",
    "show talk --format json",
    "check",
    "schema",
    "completion bash",
    "doctor",
    "run talk --plan",
    "run talk --plan --format json",
    "lab talk --list",
    "trust --list",
    "build --execute recorded",
]
EXECUTING = [
    "run talk",
    "run talk --yes",
    "run talk --lab lab-0",
    "run talk --replay runbooks/talk/samples/good.yaml",
    "test",
    "test talk --labs",
    "record talk --as mine --yes",
]


@pytest.mark.parametrize("words", LOOKING)
def test_looking_executes_nothing(base: Base, canary: Path, words: str) -> None:
    base.call(*words.split(), TRUST="no")
    assert not canary.exists()


@pytest.mark.parametrize("words", EXECUTING)
def test_what_would_execute_something_is_refused_with_the_cure(base: Base, canary: Path, words: str) -> None:
    done = base.call(*words.split(), TRUST="no")
    assert not canary.exists()
    assert done.returncode == 64
    assert "talk is not trusted here" in done.stderr
    assert "runbook trust talk" in done.stderr


def test_trusted_it_is_executed(base: Base, canary: Path) -> None:
    done = base.call("trust", "--yes", TRUST="no")
    assert done.returncode == 0
    assert "echo well" in done.stdout
    assert f"touch {canary}  CHANGES THIS HOST" in done.stdout
    assert "Python that runs with your rights: helper.py" in done.stdout
    assert "other files, which those could run: none" in done.stdout
    assert not canary.exists()
    assert base.call("run", "talk", "--yes", TRUST="no").returncode == 0
    assert canary.exists()


def test_a_site_over_a_stranger_says_so_and_is_not_complete(base: Base, canary: Path) -> None:
    assert base.call("trust", "site", "--yes", TRUST="no").returncode == 0
    done = base.call("build", "--execute", "recorded", TRUST="no")
    assert not canary.exists()
    assert done.returncode == 64
    assert "docs/index.md:4:1: talk is not trusted here" in done.stderr
    page = (base.path / "site/index.html").read_text()
    assert "This runbook cannot be shown" in page
    assert "runbook trust talk" in page


HOOK = "hooks: [hooks.py]\n"
CODE = '# Note\n\n```python exec="on"\nopen({canary!r}, "w").close()\n```\n'


@pytest.mark.parametrize("kind", ["hook", "code in a note"])
def test_what_building_a_site_executes_is_trusted_too(base: Base, canary: Path, kind: str) -> None:
    configuration, note = base.path / "mkdocs.yml", base.path / "docs/note.md"
    note.write_text(CODE.format(canary=str(canary)) if kind != "hook" else "# Note\n")
    (base.path / "hooks.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    plugins = "plugins: [search, markdown-exec, runbook: {execute: recorded}]\n"
    text = configuration.read_text().partition("plugins:")[0] + plugins
    configuration.write_text(text + (HOOK if kind == "hook" else ""))
    done = base.call("build", TRUST="no")
    assert (done.returncode, canary.exists()) == (64, False)
    assert "site is not trusted here" in done.stderr
    assert "runbook trust site" in done.stderr
    done = base.call("trust", "--yes", TRUST="no")
    listed = next(line for line in done.stdout.splitlines() if line.startswith("  executed, or could be: "))
    assert {"mkdocs.yml", "hooks.py"} <= set(listed.removeprefix("  executed, or could be: ").split(", "))
    assert ("docs/note.md" in listed) == (kind != "hook")
    # The runbook changes the host, so a page shows its recording.
    done = base.call("build", TRUST="no")
    assert canary.exists(), done.stderr
    canary.unlink()
    (base.path / "docs/index.md").write_text("# Other words\n")
    assert base.call("build", TRUST="no").returncode == 0
    canary.unlink()
    (base.path / "hooks.py").write_text(f"open({str(canary)!r}, 'w').close()  #\n")
    assert (base.call("build", TRUST="no").returncode, canary.exists()) == (64, False)
    assert "mkdocs.yml: changed, and asks again" in base.call("trust", "--list", TRUST="no").stdout


def test_a_module_in_the_current_folder_is_not_imported(base: Base, canary: Path) -> None:
    for name in ("argparse", "json", "yaml", "runbook_", "sitecustomize"):
        (base.path / f"{name}.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    assert base.call("list", TRUST="no").returncode == 0
    assert not canary.exists()


def test_a_changed_one_is_refused_until_it_is_trusted_again(base: Base, canary: Path) -> None:
    base.call("trust", "--yes", TRUST="no")
    with (base.path / "runbooks/talk/helper.py").open("a") as file:
        file.write("#\n")
    assert base.call("run", "talk", TRUST="no").returncode == 64
    assert ": changed, and asks again" in base.call("trust", "--list", TRUST="no").stdout
    done = base.call("trust", "talk", "--yes", TRUST="no")
    assert "since it was trusted, helper.py was changed" in done.stdout
    assert base.call("run", "talk", "--yes", TRUST="no").returncode == 0
    assert base.call("trust", "talk", "--remove", TRUST="no").stdout == "talk is trusted no longer\n"
    assert base.call("run", "talk", TRUST="no").returncode == 64


def test_what_comes_with_the_package_needs_none(base: Base) -> None:
    done = base.call("trust", "lvm-inspect", TRUST="no")
    assert done.stdout == "lvm-inspect comes with the package and needs no trust\n"
    assert base.call("trust", TRUST="no").returncode == 64


def test_where_decisions_cannot_be_believed_it_is_told(base: Base, canary: Path) -> None:
    state = base.path / "state"
    base.call("trust", "--yes", TRUST="no", XDG_STATE_HOME=str(state))
    (state / "runbook/trust.json").chmod(0o666)
    done = base.call("run", "talk", TRUST="no", XDG_STATE_HOME=str(state))
    assert done.returncode == 3
    assert "can be written by others, so no runbook is trusted" in done.stderr
    assert base.call("show", "talk", TRUST="no", XDG_STATE_HOME=str(state)).returncode == 0
    assert not canary.exists()


@contextmanager
def asked(base: Base, *words: str) -> Iterator[Any]:
    environment = base.environment(TRUST="no", TERM="xterm")
    child = pexpect.spawn(COMMAND[0], [*COMMAND[1:], *words], cwd=base.path, env=environment, timeout=20)
    try:
        yield child
    finally:
        child.close(force=True)


def test_a_person_at_a_terminal_is_asked(base: Base, canary: Path) -> None:
    with asked(base, "run", "talk") as child:
        child.expect_exact("touch ")
        child.expect_exact("Trust talk as it is now, and go on? [y/N]")
        assert not canary.exists()
        child.sendline("n")
        child.expect(pexpect.EOF)
        assert b"talk is not trusted here" in child.before
    with asked(base, "run", "talk") as child:
        child.expect_exact("go on? [y/N]")
        child.sendline("y")
        # To change the host is another question.
        child.expect_exact("CHANGES THIS HOST")
        child.expect_exact("Run it? [y/N]")
        child.sendline("n")
        child.expect(pexpect.EOF)
    with asked(base, "run", "talk") as child:
        assert child.expect_exact(["go on? [y/N]", "Run it? [y/N]"]) == 1


def test_nothing_in_a_knowledge_base_can_grant_it(base: Base, canary: Path) -> None:
    for name in (".local/state/runbook", "state/runbook", "runbook", ".runbook", "runbooks/talk"):
        folder = base.path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "trust.json").write_text('{"version": 1, "trusted": {}}')
    assert base.call("run", "talk", TRUST="no").returncode == 64
    assert not canary.exists()
