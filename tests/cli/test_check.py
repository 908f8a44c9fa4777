"""`runbook check`: everything that is wrong is told with its place and cure, and nothing is executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.base import HELPER, Base

SAMPLE = """title: {title}
source: {{kind: document}}
captures: [{{step: a, stdout: "{said}"}}]
findings: {{{code}: {verdict}}}
"""


@pytest.fixture
def whole(base: Base) -> Base:
    """A knowledge base with one runbook in which nothing is wrong."""
    folder = base.runbook(
        "talk", [{"argv": ["echo", "well"]}], HELPER, findings={"all-well": "Well.", "broken": "Not."}
    )
    write(folder, "samples/good.yaml", SAMPLE.format(title="Good", said="well", code="all-well", verdict="ok"))
    write(folder, "samples/bad.yaml", SAMPLE.format(title="Bad", said="ill", code="broken", verdict="critical"))
    return base


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_nothing_is_wrong(whole: Base) -> None:
    done = whole.call("check")
    assert done.stdout == "1 runbook and 0 notes checked: nothing is wrong\n"
    assert done.returncode == 0


BROKEN = [
    ("runbook.yaml", "title: X\n", "runbook.yaml:1:1: does not name its JSON Schema"),
    ("runbook.yaml", "# yaml-language-server: $schema=../s.json\ntitel: X\n", "did you mean `title`?"),
    ("helper.py", "import os\n" + HELPER, "helper.py:1:1: imports os: a helper is pure"),
    ("helper.py", HELPER + "\ndef f(:\n", "not Python"),
    ("helper.py", HELPER.replace("def judge", "def jugde"), "has no function `judge`"),
    ("helper.py", HELPER + "\nopen('x')\n", "calls open(): a helper is pure"),
    (
        "helper.py",
        HELPER + "\nFinding('new', Verdict.OK, '')\n",
        "gives a finding `new` that runbook.yaml does not list",
    ),
    ("extra.py", "from runbook.executors import process\n", "extra.py:1:1: imports runbook.executors"),
    ("samples/good.yaml", "title: [\n", "good.yaml:2:1: not YAML"),
    ("samples/bad.yaml", SAMPLE.format(title="B", said="", code="brokn", verdict="ok"), "did you mean `broken`?"),
    ("samples/bad.yaml", SAMPLE.format(title="B", said="", code="all-well", verdict="ok"), "no sample raises `broken`"),
]


@pytest.mark.parametrize(("name", "text", "said"), BROKEN)
def test_what_is_wrong_is_told(whole: Base, name: str, text: str, said: str) -> None:
    write(whole.path / "runbooks/talk", name, text)
    done = whole.call("check")
    assert said in done.stdout
    assert done.returncode == 64


NOTES = [
    ("name: talk", "nothing is wrong"),
    ("name: talk\nsamples: [good, bad]", "nothing is wrong"),
    ("name: tlak", "docs/a.md:4:7: there is no runbook `tlak`\n    did you mean `talk`?"),
    ("name: talk\nsamples: [goood]", "docs/a.md:5:11: talk has no sample `goood`\n    did you mean `good`?"),
    ("samples: [good]", "docs/a.md:4:1: `name` is missing in a runbook fence"),
    ("nmae: talk", "docs/a.md:4:1: unknown key `nmae` in a runbook fence\n    did you mean `name`?"),
    ("name: [", "docs/a.md:5:1: not YAML"),
]


@pytest.mark.parametrize(("body", "said"), NOTES)
def test_a_fence_of_a_note_is_checked(whole: Base, body: str, said: str) -> None:
    write(whole.path, "docs/a.md", f"# A\n\n```runbook\n{body}\n```\n")
    assert said in whole.call("check").stdout


def test_a_fence_that_is_only_shown_is_not_checked(whole: Base) -> None:
    write(whole.path, "docs/a.md", "````markdown\n```runbook\nname: nothing\n```\n````\n")
    assert "1 note checked: nothing is wrong" in whole.call("check").stdout


def test_checking_executes_nothing(whole: Base) -> None:
    trace = whole.path / "trace"
    write(whole.path / "runbooks/talk", "helper.py", f"open({str(trace)!r}, 'w')\n{HELPER}")
    whole.call("check")
    assert not trace.exists()
