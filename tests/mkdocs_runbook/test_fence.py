"""The fence on a bare Markdown: what it shows, where it may stand, and every way in which it can be wrong."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mkdocs_runbook.fence import Drawer, Note
from mkdocs_runbook.shelf import Shelf
from tests.base import PLUGINS, Base
from tests.mkdocs_runbook.making import convert, fence, with_notes


@pytest.fixture
def drawer(base: Base) -> Drawer:
    with_notes(base)
    return Drawer(Shelf(str(base.path), "recorded"))


def test_it_needs_no_mkdocs() -> None:
    code = "import sys, mkdocs_runbook.fence; sys.exit('mkdocs' in sys.modules or 'material' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(PLUGINS)}).returncode == 0


def test_it_shows_the_samples_that_it_names_in_their_order(drawer: Drawer) -> None:
    html = convert(drawer, fence("name: talk\nsamples: [bad, good]"))
    assert re.findall(r"</span> (\w+)<span class=\"rb-sr\"> \((\w+)\)", html) == [("Bad", "critical"), ("Good", "ok")]


def test_without_names_it_shows_what_there_is(drawer: Drawer) -> None:
    assert re.findall(r"</span> (\w+)<span", convert(drawer, fence("name: talk"))) == ["Bad", "Good"]


@pytest.mark.parametrize("around", ["- item\n\n    {}", '=== "Tab"\n\n    {}', "> {}"])
def test_it_may_stand_in_a_list_a_tab_or_a_quotation(drawer: Drawer, around: str) -> None:
    lead = "> " if around.startswith(">") else "    "
    body = fence("name: talk").rstrip("\n").replace("\n", f"\n{lead}")
    html = convert(drawer, around.format(body))
    assert 'class="rb"' in html
    assert "all-well" in html


def test_two_on_a_page_have_different_ids(drawer: Drawer) -> None:
    html = convert(drawer, f"{fence('name: talk')}\n{fence('name: talk')}")
    ids = re.findall(r' id="([^"]+)"', html)
    assert html.count('class="rb"') == 2
    assert len(ids) == len(set(ids))


def test_output_does_not_pass_through_markdown(base: Base, drawer: Drawer) -> None:
    path = base.path / "runbooks/talk/samples/good.yaml"
    path.write_text(path.read_text().replace("well\\n", "well **bold** [x](javascript:y) <b>{{ 7*7 }}\\n```\\n"))
    html = convert(drawer, fence("name: talk\nsamples: [good]"))
    assert "well **bold** [x](javascript:y) &lt;b&gt;{{ 7*7 }}" in html


def test_the_wall_has_every_runbook_with_its_verdicts(drawer: Drawer) -> None:
    html = convert(drawer, "```runbook-wall\n```\n")
    assert '<p class="rb-section">Testing</p>' in html
    assert "critical</span> <span>Bad</span>" in html


WRONG = [
    ("nam: talk", "unknown key `nam`"),
    ("name: [", "not YAML"),
    ("name: tlak", "there is no runbook `tlak`"),
    ("name: talk\nsamples: [goood]", "talk has no sample `goood`"),
    ("name: talk\nparameters: {limit: 3}", "talk has no parameter `limit`"),
    ("name: talk\nexecute: sometimes", "cannot be `sometimes`"),
    ("", "empty"),
]


@pytest.mark.parametrize(("body", "said"), WRONG)
def test_what_is_wrong_is_in_the_page_and_in_the_log_with_its_line(
    base: Base, drawer: Drawer, caplog: pytest.LogCaptureFixture, body: str, said: str
) -> None:
    path = base.path / "docs/index.md"
    path.write_text(f"# Start\n\nText.\n\n{fence(body)}")
    drawer.note = Note(str(path))
    with caplog.at_level(logging.WARNING):
        html = convert(drawer, path.read_text())
    assert "This runbook cannot be shown" in html
    assert said in caplog.text
    assert re.search(r"index\.md:[67]:\d+: ", caplog.text)


def test_the_nearest_name_is_told(drawer: Drawer) -> None:
    assert "did you mean `talk`?" in convert(drawer, fence("name: tlak"))


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("helper.py", "import nothing_of_that_name", "ModuleNotFoundError"),
        ("samples/good.yaml", "title: [", "not YAML"),
        ("runbook.yaml", "title: 7", "title"),
    ],
)
def test_a_runbook_that_is_broken_is_told(base: Base, drawer: Drawer, file: str, text: str, said: str) -> None:
    (base.path / "runbooks/talk" / file).write_text(text)
    html = convert(drawer, fence("name: talk\nsamples: [good]"))
    assert "This runbook cannot be shown" in html
    assert said in html


def test_a_defect_of_ours_is_a_box_and_no_traceback(drawer: Drawer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shelf, "show", lambda *_: 1 / 0)
    assert "ZeroDivisionError" in convert(drawer, fence("name: talk"))


def test_a_value_for_a_parameter_judges_a_recording_anew(base: Base) -> None:
    helper = (
        "from runbook.model import Finding, Verdict\ndef parse(captures):\n    return captures.parameters['limit']\n"
    )
    helper += "def judge(limit):\n    yield Finding('over', Verdict.WARNING, f'the limit is {limit}')\n"
    parameters = [{"name": "limit", "type": "integer", "default": 5}, {"name": "key", "type": "string", "secret": True}]
    folder = base.runbook("talk", [{"argv": ["true"]}], helper, parameters=parameters, findings={"over": "Over."})
    (folder / "samples").mkdir()
    (folder / "samples/good.yaml").write_text("title: x\nsource: {kind: lab}\ncaptures:\n  - {step: a, exit_code: 0}\nfindings: {over: warning}\n")  # fmt: skip  # noqa: E501
    drawer = Drawer(Shelf(str(base.path), "recorded"))
    html = convert(drawer, fence("name: talk\nparameters: {limit: 9}"))
    assert "the limit is 9" in html
    assert "runbook run talk --set limit=9" in html
    assert "`key` is secret" in convert(drawer, fence("name: talk\nparameters: {key: x}"))
    assert "limit` must be" in convert(drawer, fence("name: talk\nparameters: {limit: many}"))


def test_drawing_recordings_starts_no_process(drawer: Drawer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    for place in ("subprocess.Popen", "os.posix_spawn", "os.fork"):
        monkeypatch.setattr(place, refuse)
    assert "all-well" in convert(drawer, fence("name: talk"))
