"""`runbook build`: from where, to where, and its exit status."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.base import Base, Witness
from tests.mkdocs_runbook.making import fence, with_notes


def test_it_builds_the_nearest_site_and_says_where(base: Base) -> None:
    with_notes(base, index=f"# Start\n\n{fence('name: talk')}")
    done = base.call("build", "--output", "public")
    assert (done.returncode, done.stdout) == (0, f"{base.path}/public\n")
    assert "all-well" in (base.path / "public/index.html").read_text()


def test_it_works_from_a_folder_below(base: Base) -> None:
    with_notes(base)
    done = subprocess.run(
        [sys.executable, "-m", "runbook", "build"],
        cwd=base.path / "docs",
        env=base.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{base.path}/site\n")


def test_what_runs_can_be_said(base: Base, witness: Witness) -> None:
    base.runbook("count", [witness.step()])
    with_notes(base, "execute: live", index=fence("name: count"))
    cache = str(base.path / "cache")
    base.call("build", "--execute", "recorded", XDG_CACHE_HOME=cache)
    assert witness.heard() == []
    base.call("build", XDG_CACHE_HOME=cache)
    assert len(witness.heard()) == 1


def test_a_site_with_faults_ends_with_64(base: Base) -> None:
    done = with_notes(base, index=fence("name: tlak")).call("build")
    assert done.returncode == 64
    assert "docs/index.md:2:7: there is no runbook `tlak`" in done.stderr
    assert "runbook: the site has faults" in done.stderr


def test_a_broken_definition_ends_with_64(base: Base) -> None:
    with_notes(base)
    (base.path / "runbooks/talk/runbook.yaml").write_text("title: 7\n")
    done = base.call("build")
    assert done.returncode == 64
    assert "runbook.yaml:1:8" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_configuration_it_says_where_it_looked(base: Base) -> None:
    done = base.call("build")
    assert (done.returncode, done.stdout) == (64, "")
    assert f"there is no mkdocs.yml in {base.path} or above" in done.stderr


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ("site_name: [\n", "mkdocs.yml"),
        ("site_name: x\ntheme: {name: mkdocs}\n", "add to `plugins:` - runbook"),
    ],
    ids=["wrong", "without the plugin"],
)
def test_a_configuration_that_builds_nothing_is_told(base: Base, configuration: str, said: str) -> None:
    with_notes(base)
    (base.path / "mkdocs.yml").write_text(configuration)
    done = base.call("build")
    assert done.returncode == 64
    assert said in done.stderr


def test_without_mkdocs_it_says_what_to_install(base: Base) -> None:
    with_notes(base)
    code = "import sys; sys.modules['mkdocs'] = None; from runbook.cli import main; sys.exit(main(['build']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=base.path, env={**os.environ, **base.environment()}, capture_output=True, text=True, check=False  # noqa: E501
    )  # fmt: skip
    assert done.returncode == 64
    assert "pip install 'runbook-notes[site]'" in done.stderr
