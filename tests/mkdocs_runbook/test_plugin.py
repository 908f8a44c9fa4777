"""Real MkDocs builds: what fails them and how it is told, what they run, and which pages they make."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.base import PLUGINS, Base, Witness
from tests.mkdocs_runbook.making import build, fence, page, with_notes


def test_a_strict_build_is_clean_and_shows_the_runbook(base: Base) -> None:
    with_notes(base, index=f"# Start\n\n{fence('name: talk')}")
    done = build(base, "--strict")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert "all-well" in page(base)
    assert "rb-stand-in" not in page(base)


def test_the_pages_have_style_and_script_of_their_own(base: Base) -> None:
    build(with_notes(base))
    for asset in ("runbook.css", "runbook.js"):
        assert f"assets/{asset}" in page(base)
        assert (base.path / "site/assets" / asset).read_bytes() == (
            PLUGINS / "mkdocs_runbook/assets" / asset
        ).read_bytes()


BROKEN = [
    (fence("name: ["), "docs/index.md:5:1: not YAML"),
    (fence("name: talk\nsamples: [goood]"), "docs/index.md:5:11: talk has no sample `goood`"),
    ('```python exec="on"\nraise ValueError("no")\n```\n', "docs/index.md:4: markdown_exec: Execution of python"),
    ('```bash exec="on"\nfalse\n```\n', "docs/index.md:4: markdown_exec: Execution of bash"),
]


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_what_is_broken_fails_a_strict_build_with_its_place(base: Base, text: str, said: str) -> None:
    done = build(with_notes(base, index=f"# Start\n\n{text}"), "--strict")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr.partition(said)[0]


def test_without_strict_it_is_a_box_in_the_page(base: Base) -> None:
    done = build(with_notes(base, index=f"# Start\n\n{fence('name: tlak')}"))
    assert done.returncode == 0
    assert "This runbook cannot be shown" in page(base)
    assert "<code>docs/index.md:4</code>" in page(base)


@pytest.mark.parametrize(
    ("options", "said"), [("execute: sometimes", "execute"), ("max_age: 0", "max_age"), ("workers: many", "workers")]
)
def test_a_configuration_that_cannot_be_is_refused_by_name(base: Base, options: str, said: str) -> None:
    done = build(with_notes(base, options))
    assert done.returncode == 1
    assert re.search(f"'runbook'.*'{said}'", done.stderr)


def test_the_second_build_of_a_live_site_executes_nothing(base: Base, witness: Witness) -> None:
    base.runbook("count", [witness.step("echo it ran")])
    with_notes(base, "execute: live", index=fence("name: count"), other=fence("name: count"))
    first, second = build(base), build(base)
    assert "1 run on this host, 0 reused" in first.stderr
    assert "0 run on this host, 1 reused" in second.stderr
    assert len(witness.heard()) == 1
    assert "it ran" in page(base, "other")


def test_in_ci_no_command_runs_unless_the_site_says_so(base: Base, witness: Witness) -> None:
    base.runbook("count", [witness.step("echo it ran")])
    with_notes(base, "", index=fence("name: count\nexecute: live"))
    assert build(base, CI="true").returncode == 0
    assert len(witness.heard()) == 0


def test_at_a_desk_the_host_is_looked_at(base: Base, witness: Witness) -> None:
    base.runbook("count", [witness.step("echo it ran")])
    build(with_notes(base, "", index=fence("name: count")))
    assert len(witness.heard()) == 1


def test_the_wall_has_every_runbook_run(base: Base, witness: Witness) -> None:
    base.runbook("count", [witness.step("echo it ran")])
    build(with_notes(base, "execute: live", index="# Start\n\n```runbook-wall\n```\n"))
    assert len(witness.heard()) == 1
    assert page(base).count('<span class="rb-kind">Live</span>') == 2


def test_the_build_says_what_it_replaced_but_not_in_public(base: Base) -> None:
    base.runbook("address", [{"argv": ["echo", "8.8.8.8 is up"]}])
    with_notes(base, "execute: live", index=fence("name: address"))
    assert "replaced 8.8.8.8 by 203.0.113.8" in build(base).stderr
    public = build(base, CI="true").stderr
    assert "replaced *** by 203.0.113.8" in public
    assert "8.8.8.8 by" not in public


def test_the_pages_of_the_runbooks_are_made(base: Base) -> None:
    with_notes(base, topic=f"# A topic\n\n{fence('name: talk')}")
    assert build(base, "--strict").returncode == 0
    made = page(base, "runbooks/talk")
    assert 'href="../../topic/">A topic</a>' in made
    assert "<code>broken</code>" in made
    assert "Bad" in made
    assert ">talk</code></a>" in page(base, "runbooks")
    assert {"symptoms", "labs"} <= set(os.listdir(base.path / "site"))


def test_a_symptom_is_in_the_index(base: Base) -> None:
    symptoms = [{"says": "Nobody answers", "means": ["gone"]}]
    base.runbook("peer", [{"argv": ["true"]}], findings={"gone": "It is gone."}, symptoms=symptoms)
    build(with_notes(base))
    assert "Nobody answers" in page(base, "symptoms")
    assert 'href="../runbooks/peer/#what-it-concludes"' in page(base, "symptoms")


def test_a_page_that_somebody_wrote_is_left_alone(base: Base) -> None:
    build(with_notes(base, labs="# Our own labs\n"))
    assert "Our own labs" in page(base, "labs")


def test_a_note_says_when_it_was_reviewed(base: Base) -> None:
    with_notes(base, index="---\nreviewed: 2026-11-26\n---\n# Start\n", other="---\nreviewed: lately\n---\n# Other\n")
    done = build(base)
    assert 'Reviewed on <time datetime="2026-11-26">' in page(base)
    assert "other.md: `reviewed` must be a date such as 2026-11-26, not `lately`" in done.stderr


def test_a_search_index_holds_findings_and_no_output(base: Base) -> None:
    with_notes(base, index=f"# Start\n\n{fence('name: talk')}")
    path = base.path / "runbooks/talk/samples/good.yaml"
    path.write_text(path.read_text().replace("well\\n", "well\\nonlyinoutput\\n"))
    build(base)
    index = (base.path / "site/search/search_index.json").read_text()
    assert "all-well" in index
    assert "onlyinoutput" in page(base)


@contextmanager
def serving(base: Base) -> Iterator[str]:
    """`mkdocs serve` on a free port, ended by its own process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"PYTHONPATH": str(PLUGINS), "XDG_CACHE_HOME": str(base.path / "cache")}
    with (base.path / "serve.log").open("w") as log:
        command = [sys.executable, "-m", "mkdocs", "serve", "--livereload", "-a", address]
        base.trust()
        server = subprocess.Popen(command, cwd=base.path, env=environment, stdout=log, stderr=log)
        try:
            yield f"http://{address}/"
        finally:
            server.terminate()
            server.wait(10)


def wait_for(address: str, words: str) -> str:
    """The page, as soon as it has these words."""
    text, until = "", time.monotonic() + 30
    while words not in text and time.monotonic() < until:
        time.sleep(0.2)
        with suppress(OSError):
            text = urllib.request.urlopen(address, timeout=5).read().decode()
    assert words in text
    return text


def test_while_somebody_writes_only_what_changed_runs_again(base: Base, witness: Witness) -> None:
    base.runbook("count", [witness.step("echo it ran")])
    with_notes(base, "execute: live, max_age: 1", index=f"# Start\n\n{fence('name: count')}")
    with serving(base) as address:
        wait_for(address, "it ran")
        time.sleep(1.1)
        note = base.path / "docs/index.md"
        note.write_text(note.read_text() + "\nA new sentence.\n")
        wait_for(address, "A new sentence.")
        assert len(witness.heard()) == 1
        definition = base.path / "runbooks/count/runbook.yaml"
        definition.write_text(definition.read_text().replace("it ran", "it ran again"))
        base.trust()
        note.write_text(note.read_text() + "\nAnd one more.\n")
        wait_for(address, "it ran again")
        assert len(witness.heard()) == 2
