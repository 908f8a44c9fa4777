"""Live runs: made once, kept while they hold, never where they may not be, and no trace of the host in a page."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mkdocs_runbook.fence import Drawer
from mkdocs_runbook.live import LiveRuns, obstacle
from mkdocs_runbook.shelf import Shelf
from runbook.model import Plan
from runbook.pipeline import prepare
from tests.base import Base, Witness, load
from tests.mkdocs_runbook.making import convert, fence


def counting(base: Base, witness: Witness, name: str = "count", **keys: object) -> Plan:
    """The plan of a runbook that tells the witness when it runs."""
    parameters = [{"name": "peer", "type": "string", "default": "me"}]
    folder = base.runbook(name, [witness.step("echo said by $0", "{peer}", **keys)], parameters=parameters)
    return prepare(load(str(folder)), {})


def kept(tmp_path: Path, **options: object) -> LiveRuns:
    given = {"max_age": 60.0, "workers": 4, **options}
    return LiveRuns(str(tmp_path / "cache"), **given)  # type: ignore[arg-type]


def what(live: LiveRuns, *plans: Plan) -> list[str]:
    return [outcome.what for outcome in live.perform(plans)]


def test_a_run_that_two_pages_want_is_made_once(base: Base, witness: Witness, tmp_path: Path) -> None:
    plan = counting(base, witness)
    assert what(kept(tmp_path), plan, plan) == ["ran"]
    assert len(witness.heard()) == 1


def test_another_build_uses_it_again(base: Base, witness: Witness, tmp_path: Path) -> None:
    plan = counting(base, witness)
    assert (what(kept(tmp_path), plan), what(kept(tmp_path), plan)) == (["ran"], ["reused"])
    assert len(witness.heard()) == 1


@pytest.mark.parametrize("change", ["definition", "helper", "value", "user"])
def test_what_it_depends_on_makes_it_run_again(
    base: Base, witness: Witness, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = counting(base, witness)
    kept(tmp_path).perform([plan])
    folder = base.path / "runbooks/count"
    if change == "definition":
        (folder / "runbook.yaml").write_text((folder / "runbook.yaml").read_text().replace("Tests", "Tries"))
    elif change == "helper":
        (folder / "helper.py").write_text("def parse(captures): ...\ndef judge(facts): return ()\n")
    elif change == "user":
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    again = prepare(load(str(folder)), {"peer": "you"} if change == "value" else {})
    assert what(kept(tmp_path), again) == ["ran"]


def test_it_is_run_again_when_it_is_too_old(base: Base, witness: Witness, tmp_path: Path) -> None:
    plan = counting(base, witness)
    kept(tmp_path).perform([plan])
    time.sleep(0.2)
    assert what(kept(tmp_path, max_age=0.1), plan) == ["ran"]


def test_while_somebody_writes_nothing_gets_too_old(base: Base, witness: Witness, tmp_path: Path) -> None:
    plan = counting(base, witness)
    live = kept(tmp_path, max_age=0.1)
    live.perform([plan])
    time.sleep(0.2)
    assert what(live, plan) == ["reused"]


def test_what_is_kept_is_private(base: Base, witness: Witness, tmp_path: Path) -> None:
    kept(tmp_path).perform([counting(base, witness)])
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("text", ["", "{", '{"schema": "other"}', "\x00"])
def test_what_cannot_be_read_is_made_anew(base: Base, witness: Witness, tmp_path: Path, text: str) -> None:
    plan = counting(base, witness)
    kept(tmp_path).perform([plan])
    (file,) = (tmp_path / "cache").glob("*.json")
    file.write_text(text)
    assert what(kept(tmp_path), plan) == ["ran"]


def test_where_nothing_can_be_kept_it_is_run_and_shown_all_the_same(
    base: Base, witness: Witness, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    plan, live = counting(base, witness), kept(tmp_path)
    (outcome,) = live.perform([plan])
    assert outcome.what == "ran"
    assert "the next build has to run it again" in outcome.reason
    assert live.find(plan) is not None


def sleepers(base: Base) -> list[Plan]:
    folders = [base.runbook(f"sleep-{number}", [{"argv": ["sleep", "1"]}]) for number in range(4)]
    return [prepare(load(str(folder)), {}) for folder in folders]


@pytest.mark.parametrize(("workers", "least", "most"), [(4, 1.0, 3.0), (1, 4.0, 9.0)])
def test_as_many_run_at_once_as_may(base: Base, tmp_path: Path, workers: int, least: float, most: float) -> None:
    plans = sleepers(base)
    started = time.monotonic()
    kept(tmp_path, workers=workers).perform(plans)
    assert least <= time.monotonic() - started < most


def test_old_files_are_cleared_away(base: Base, witness: Witness, tmp_path: Path) -> None:
    kept(tmp_path).perform([counting(base, witness)])
    (old,) = (tmp_path / "cache").glob("*.json")
    os.utime(old, (1, 1))
    kept(tmp_path).perform([counting(base, witness, "other")])
    assert not old.exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"argv": ["no-such-command"]}, "no-such-command is not installed here"),
        ({"argv": ["true"], "needs": {"commands": ["no-such-tool"]}}, "no-such-tool is not installed here"),
        ({"argv": ["true"], "effect": "change"}, "it changes the host, and no build may do that"),
        ({"argv": ["true"]}, ""),
    ],
)
def test_why_a_host_cannot_answer(base: Base, keys: dict[str, object], said: str) -> None:
    assert obstacle(prepare(load(str(base.runbook("x", [keys]))), {})) == said


def test_a_step_that_runs_only_after_another_failed_keeps_nobody_from_running(base: Base) -> None:
    steps: list[dict[str, object]] = [
        {"argv": ["true"]},
        {"argv": ["no-such-command"], "when": {"step": "a", "failed": True}},
    ]
    assert obstacle(prepare(load(str(base.runbook("x", steps))), {})) == ""


def shown(base: Base, tmp_path: Path, mode: str, body: str, **options: bool) -> str:
    """The page that a fence makes, after everything it wants has been run."""
    live = kept(tmp_path)
    base.trust()
    shelf = Shelf(str(base.path), mode, live, **options)
    for name in shelf.known:
        plan = shelf.wanted(shelf.runbook(name)) if name in body else None
        live.perform([plan] if plan else [])
    return convert(Drawer(shelf), fence(body))


def test_a_live_run_is_shown_as_one(base: Base, witness: Witness, tmp_path: Path) -> None:
    counting(base, witness)
    html = shown(base, tmp_path, "auto", "name: count")
    assert '<span class="rb-kind">Live</span>' in html
    assert "said by me" in html


def test_where_the_host_cannot_the_page_says_why(base: Base, tmp_path: Path) -> None:
    base.runbook("odd", [{"argv": ["no-such-command"]}])
    html = shown(base, tmp_path, "auto", "name: odd")
    assert "Not run on the host that built this page: no-such-command is not installed here." in html


def test_live_runs_it_whatever_is_missing(base: Base, tmp_path: Path) -> None:
    base.runbook("odd", [{"argv": ["no-such-command"]}])
    html = shown(base, tmp_path, "live", "name: odd")
    assert "not-found" in html
    assert '<span class="rb-kind">Live</span>' in html


@pytest.mark.parametrize("mode", ["live", "auto"])
def test_what_changes_the_host_never_runs(base: Base, witness: Witness, tmp_path: Path, mode: str) -> None:
    counting(base, witness, effect="change")
    shown(base, tmp_path, mode, "name: count")
    assert len(witness.heard()) == 0


def test_a_recorded_site_runs_nothing_whatever_a_fence_says(base: Base, witness: Witness, tmp_path: Path) -> None:
    counting(base, witness)
    convert(Drawer(Shelf(str(base.path), "recorded")), fence("name: count\nexecute: live"))
    assert len(witness.heard()) == 0


def addressed(base: Base) -> None:
    base.runbook("address", [{"argv": ["echo", "8.8.8.8 is at 52:54:00:12:34:56"]}])


def test_what_identifies_a_host_is_replaced_in_the_page(base: Base, tmp_path: Path) -> None:
    addressed(base)
    html = shown(base, tmp_path, "auto", "name: address")
    assert "52:54:00:12:34:56 is" not in html
    assert "02:00:00:00:00:01" in html


def test_but_not_where_nobody_wants_it(base: Base, tmp_path: Path) -> None:
    addressed(base)
    assert "8.8.8.8 is at 52:54:00:12:34:56\n" in shown(base, tmp_path, "auto", "name: address", redact=False)


def test_where_replacing_changes_the_verdict_the_page_says_so(base: Base, tmp_path: Path) -> None:
    helper = "from runbook.model import Finding, Verdict\ndef parse(captures):\n    return captures['a'].stdout\n"
    helper += "def judge(out):\n    known = b'8.8.8.8' in out\n"
    helper += "    yield Finding('known' if known else 'strange', Verdict.OK if known else Verdict.CRITICAL, 'x')\n"
    base.runbook("address", [{"argv": ["echo", "8.8.8.8"]}], helper, findings={"known": "K.", "strange": "S."})
    assert "Replacing names and addresses changed" in shown(base, tmp_path, "auto", "name: address")
    assert "Replacing names" not in shown(base, tmp_path, "auto", "name: address", redact=False)
