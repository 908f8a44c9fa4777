"""Runs and samples on disk: whole or not at all, and read back or refused in words."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runbook.archive import load_samples, of_sample, recording, sample_of, sample_text, save
from runbook.errors import DefinitionError, ExecutionError, UsageError
from runbook.model import Capture, Ending, Finding, Host, Run, Runbook, Source, Verdict
from runbook.pipeline import prepare, replay
from runbook.renderers import json as renderer
from tests.base import PLUGINS, Base, load
from tests.renderers.making import joined, nasty_bytes

render = joined(renderer.render)

HOST = Host("my-laptop", "6.1.0", "Debian GNU/Linux 12", "x86_64")
PARAMETERS = [
    {"name": "limit", "type": "number", "default": 80},
    {"name": "peer", "type": "host"},
    {"name": "keys", "type": "path", "default": "~/.ssh"},
    {"name": "wait", "type": "duration", "default": "20s"},
    {"name": "password", "type": "string", "secret": True},
]
CAPTURES = (
    Capture("a", ("ip", "a\udcff"), Ending.EXITED, 0, b"8.8.8.8 my-laptop-vg\n\xff", b"\x1b", 1790000000.5, 0.25),
    Capture("b", ("ss",), Ending.NOT_FOUND, detail="ss is not on /bin"),
    Capture("c", ("ss",), Ending.EXITED, 1, b"cut", dropped=9),
)


@pytest.fixture
def runbook(base: Base) -> Runbook:
    steps: list[dict[str, Any]] = [
        {"argv": ["ip"]},
        {"argv": ["ss"]},
        {"argv": ["ss"], "terminal": True, "answers": {"Password:": "{password}"}},
        {"argv": ["ping", "{peer}"], "when": {"parameter": "peer"}},
    ]
    return load(str(base.runbook("tested", steps, parameters=PARAMETERS)))


def a_run(runbook: Runbook, source: Source = Source("live"), **given: str) -> Run:  # noqa: B008
    plan = prepare(runbook, given)
    found = (Finding("bad", Verdict.CRITICAL, ""), Finding("bad", Verdict.OK, ""), Finding("odd", Verdict.UNKNOWN, ""))
    return Run(plan, HOST, source, 1790000000.0, 1.5, CAPTURES, None, found)


# ------------------------------------------------------------------------------------------------------------- saving


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save(str(path), "old é")
    save(str(path), "new é")
    assert path.read_text() == "new é"
    assert os.listdir(tmp_path) == ["run.json"]


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save(str(tmp_path / "run.json"), "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o640


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.touch(0o600)
    save(str(path), "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.touch()
    if os.geteuid() == 0:  # `sudo runbook run --output run.json` in somebody's folder
        os.chown(path, 65534, 65534)
    before = path.stat()
    save(str(path), "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "run.json").write_text("old")
    (tmp_path / "link").symlink_to("real/run.json")
    save(str(tmp_path / "link"), "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "run.json").read_text() == "new"
    assert os.listdir(tmp_path / "real") == ["run.json"]


def test_a_link_to_nothing_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("run.json")
    save(str(tmp_path / "link"), "new")
    assert (tmp_path / "run.json").read_text() == "new"


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(path.read_text()))
    reader.start()
    save(str(path), "through the pipe")
    reader.join(10)
    assert got == ["through the pipe"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_name_may_be_as_long_as_names_may_be(tmp_path: Path) -> None:
    save(str(tmp_path / ("n" * 255)), "new")
    assert os.listdir(tmp_path) == ["n" * 255]


def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    save(str(tmp_path / "run.json"), "a\ud800b")
    assert (tmp_path / "run.json").read_bytes() == b"a\\ud800b"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "Is a directory"),
        ("gone/run.json", "No such file"),
        ("file/run.json", "Not a directory"),
        ("n" * 256, "too long"),
    ],
)
def test_what_cannot_be_written_is_told(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExecutionError, match=f"not saved: .*{reason}.*; what was there is unchanged"):
        save(str(tmp_path / name), "new")
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_device_is_told() -> None:
    with pytest.raises(ExecutionError, match="No space left"):
        save("/dev/full", "new")


SAVE = """
import os, sys
from runbook.archive import save
from runbook.errors import ExecutionError
try:
    save("run.json", "new" * 100_000)
except ExecutionError as error:
    print(error)
print(open("run.json").read(), os.listdir("."))
"""


@pytest.mark.parametrize(
    ("then", "reason"),
    [("true", "No space left on device"), ("mount -o remount,bind,ro .", "Read-only file system")],
)
def test_on_a_disk_that_takes_nothing_the_old_file_stays(tmp_path: Path, then: str, reason: str) -> None:
    script = f'mount -t tmpfs -o size=64k none . && cd "$PWD" && printf old >run.json && {then} && exec "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", SAVE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = f"run.json: not saved: {reason}; what was there is unchanged"
    assert done.stdout.splitlines() == [said, "old ['run.json']"]


SAVE_FOR_EVER = """
from itertools import cycle
from runbook.archive import save
for letter in cycle("ab"):
    save("run.json", letter * 1_000_000)
"""


def test_killed_at_any_time_it_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    path, chance = tmp_path / "run.json", random.Random(2026)
    path.write_text("a" * 1_000_000)
    for _ in range(10):
        environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
        saver = subprocess.Popen([sys.executable, "-c", SAVE_FOR_EVER], cwd=tmp_path, env=environment)
        time.sleep(0.1 + chance.random() / 10)
        saver.send_signal(signal.SIGKILL)
        saver.wait()
        assert path.read_text() in ("a" * 1_000_000, "b" * 1_000_000)


SAVE_HALF = """
import signal
from runbook.archive import save
def half():
    yield "new" * 100_000
    print("half", flush=True)
    signal.pause()
save("run.json", half())
"""


def test_killed_while_it_writes_it_leaves_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("old")
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    saver = subprocess.Popen([sys.executable, "-c", SAVE_HALF], cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    with saver:
        assert saver.stdout is not None
        assert saver.stdout.readline() == b"half\n"
        saver.kill()
    assert os.listdir(tmp_path) == ["run.json"]
    assert (tmp_path / "run.json").read_text() == "old"


def test_where_a_file_cannot_be_without_a_name_it_is_saved_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A flag that no file system knows, in place of the one that not all know.
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_CREAT)
    for text in ("old", "new"):
        save(str(tmp_path / "run.json"), text)
    assert (tmp_path / "run.json").read_text() == "new"
    assert os.listdir(tmp_path) == ["run.json"]


def test_two_that_save_at_once_leave_one_of_the_two(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    texts = [letter * 100_000 for letter in "abcd"]
    savers = [threading.Thread(target=save, args=(str(path), text)) for text in texts]
    for saver in savers:
        saver.start()
    for saver in savers:
        saver.join()
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["run.json"]


# ------------------------------------------------------------------------------------------------------- reading back


def saved(tmp_path: Path, document: object) -> str:
    path = tmp_path / "saved.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_a_saved_run_comes_back(runbook: Runbook, tmp_path: Path) -> None:
    path = saved(tmp_path, render([a_run(runbook, limit="70", peer="db1", password="hunter2")]))
    found = recording(path, runbook)
    assert found.captures == CAPTURES
    assert found.parameters == {"limit": 70, "peer": "db1", "keys": os.path.expanduser("~/.ssh"), "wait": 20.0}
    assert (found.host, found.source, found.started) == (HOST, Source("replay", "saved.json"), 1790000000.0)


def test_a_replayed_run_gives_the_same_document(runbook: Runbook, tmp_path: Path) -> None:
    first = json.loads(render([a_run(runbook)]))
    found = recording(saved(tmp_path, first), runbook)
    second = json.loads(
        render([replay(runbook, found.captures, found.parameters, found.host, found.source, found.started)])
    )
    assert second["captures"][:3] == first["captures"]
    assert {key: second[key] for key in ("host", "started", "runbook")} == {
        key: first[key] for key in ("host", "started", "runbook")
    }


def test_any_output_comes_back(runbook: Runbook, tmp_path: Path) -> None:
    chance = random.Random(2026)
    for _ in range(200):
        capture = Capture("a", ("ip",), Ending.EXITED, 0, nasty_bytes(chance), nasty_bytes(chance), seconds=1.0)
        run = Run(prepare(runbook, {}), HOST, Source("live"), 0.0, 0.0, (capture,))
        assert recording(saved(tmp_path, render([run])), runbook).captures == (capture,)


def test_of_several_runs_the_one_of_this_runbook_is_taken(runbook: Runbook, tmp_path: Path) -> None:
    mine = json.loads(render([a_run(runbook)]))
    other = {**mine, "runbook": {"name": "other", "title": "", "digest": ""}}
    assert recording(saved(tmp_path, [other, mine]), runbook).captures == CAPTURES


def test_a_mark_before_the_text_is_no_part_of_it(runbook: Runbook, tmp_path: Path) -> None:
    assert recording(saved(tmp_path, "\ufeff" + render([a_run(runbook)])), runbook).captures == CAPTURES


def test_a_parameter_that_is_gone_is_left_out(runbook: Runbook, tmp_path: Path) -> None:
    document = json.loads(render([a_run(runbook)]))
    document["parameters"] = {"gone": 1, "limit": 70, "password": "***"}
    assert recording(saved(tmp_path, document), runbook).parameters == {"limit": 70}


def test_what_other_programs_leave_out_is_not_missed(runbook: Runbook, tmp_path: Path) -> None:
    document = json.loads(render([a_run(runbook)]))
    for capture in document["captures"]:
        del capture["dropped"], capture["detail"]
    found = recording(saved(tmp_path, document), runbook).captures
    assert [capture.truncated for capture in found] == [False, False, True]


def test_a_time_without_a_zone_is_utc(runbook: Runbook, tmp_path: Path) -> None:
    document = json.loads(render([a_run(runbook)]))
    document["started"] = "2026-09-21T14:13:20"
    assert recording(saved(tmp_path, document), runbook).started == 1790000000.0


TEXTS = [
    ("", "neither a sample"),
    ("{", "neither a sample"),
    ("not json", "neither a sample"),
    ("[" * 100_000, "neither a sample"),
    ('"' + "\\ud800", "neither a sample"),
    ("9" * 5000, "neither a sample"),
    ("null", "`schema` is missing"),
    ("[]", "no run of this runbook"),
    ("[null]", "`schema` is missing"),
    ("5", "`schema` is missing"),
    ("{}", "`schema` is missing"),
    ('{"schema": "runbook.run/2"}', "its schema is runbook.run/2, not runbook.run/1"),
    ('{"schema": 1}', "`schema` cannot be 1"),
    ('{"schema": "runbook.run/1"}', "`runbook` is missing"),
    ('{"schema": "runbook.run/1", "runbook": {"name": "other"}}', "no run of this runbook"),
    ('{"schema": "runbook.run/1", "runbook": {"name": "tested"}}', "`host` is missing"),
]


@pytest.mark.parametrize(("text", "said"), TEXTS, ids=[text[:40] for text, _ in TEXTS])
def test_what_is_no_saved_run_is_refused_in_words(runbook: Runbook, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        recording(saved(tmp_path, text), runbook)


def test_bytes_that_are_no_text_are_refused_in_words(runbook: Runbook, tmp_path: Path) -> None:
    (tmp_path / "saved.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(UsageError, match="neither a sample"):
        recording(str(tmp_path / "saved.json"), runbook)


@pytest.mark.parametrize(("name", "said"), [("gone.json", "No such file"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told(runbook: Runbook, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        recording(str(tmp_path / name), runbook)


def put(*place: str | int, value: object) -> Callable[[Any], None]:
    """Puts a value in one place of a document."""

    def change(document: Any) -> None:
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = value

    return change


FIRST = ("captures", 0)
WRONG = [
    (put("host", value=None), "`host` cannot be null"),
    (put("host", "os", value=5), "`os` cannot be 5"),
    (put("started", value=5), "`started` cannot be 5"),
    (put("started", value="yesterday"), "Invalid isoformat"),
    (put("started", value="0001-01-01T00:00:00+14:00"), "out of range"),
    (put("parameters", value=[]), "`parameters` cannot be"),
    (put("parameters", "limit", value=None), "`limit` cannot be null"),
    (put("parameters", "limit", value=[1]), "`limit` cannot be"),
    (put("parameters", "limit", value="many"), "parameter `limit` must be a number"),
    (put("parameters", "peer", value="a b"), "parameter `peer` must be a host"),
    (put("captures", value={}), "`captures` cannot be"),
    (put("captures", value=[None]), "`ending` is missing"),
    (put(*FIRST, "step", value=None), "`step` cannot be null"),
    (put(*FIRST, "argv", value="ip"), "`argv` cannot be"),
    (put(*FIRST, "argv", value=[]), "`argv` must be"),
    (put(*FIRST, "argv", value=[1]), "`argv` must be"),
    (put(*FIRST, "argv", value=["\ud800"]), "surrogates"),
    (put(*FIRST, "ending", value="won"), "'won' is not"),
    (put(*FIRST, "ending", value=["exited"]), "`ending` cannot be"),
    (put(*FIRST, "ending", value="skipped"), "`exit_code` cannot be 0"),
    (put(*FIRST, "exit_code", value=None), "`exit_code` cannot be None"),
    (put(*FIRST, "exit_code", value="0"), "`exit_code` cannot be"),
    (put(*FIRST, "exit_code", value=True), "`exit_code` cannot be true"),
    (put(*FIRST, "stdout", value=None), "`stdout` cannot be null"),
    (put(*FIRST, "stdout", value="\ud800"), "surrogates"),
    (put(*FIRST, "seconds", value="1"), "`seconds` cannot be"),
    (put(*FIRST, "seconds", value=-1), "`seconds` cannot be -1"),
    (put(*FIRST, "seconds", value=float("nan")), "`seconds` cannot be nan"),
    (put(*FIRST, "seconds", value=float("inf")), "`seconds` cannot be inf"),
    (put(*FIRST, "seconds", value=10**400), "too large"),
    (put(*FIRST, "truncated", value=1), "`truncated` cannot be 1"),
    (put(*FIRST, "dropped", value="many"), "`dropped` cannot be"),
    (put(*FIRST, "detail", value=None), "`detail` cannot be null"),
]


@pytest.mark.parametrize(("change", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_saved_run_with_one_wrong_value_is_refused_in_words(
    runbook: Runbook, tmp_path: Path, change: Callable[[Any], None], said: str
) -> None:
    document = json.loads(render([a_run(runbook, peer="db1")]))
    change(document)
    with pytest.raises(UsageError, match=f"not a saved run of tested: .*{said}"):
        recording(saved(tmp_path, document), runbook)


def places(document: Any) -> list[tuple[str | int, ...]]:
    """Every place in a document, inner ones included."""
    parts = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [(key, *rest) for key, part in parts for rest in ((), *places(part))]


def test_no_broken_document_breaks_more_than_itself(runbook: Runbook, tmp_path: Path) -> None:
    whole = render([a_run(runbook, peer="db1")])
    values: tuple[object, ...] = (None, True, 0, -1, 2.5, 10**400, "", "x", "\ud800", [], [None], {}, {"x": 1})
    for place in places(json.loads(whole)):
        for value in values:
            document = json.loads(whole)
            put(*place, value=value)(document)
            try:
                found = recording(saved(tmp_path, document), runbook)
            except UsageError:
                continue
            run = replay(runbook, found.captures, found.parameters, found.host, found.source, found.started)
            assert json.loads(render([run]))["verdict"] == str(run.verdict)


# ------------------------------------------------------------------------------------------------------------ samples


def test_a_run_becomes_a_sample_without_what_identifies_the_host(runbook: Runbook) -> None:
    sample, replaced = sample_of(a_run(runbook, peer="8.8.8.8"), "case", "A case", {"iproute2": "6.1.0-3"})
    assert sample.captures[0].stdout == b"203.0.113.8 host1-vg\n\xff"
    assert sample.parameters == {"peer": "203.0.113.8"}
    assert sample.source == {
        "kind": "host",
        "date": "2026-09-21",
        "kernel": "6.1.0",
        "os": "Debian GNU/Linux 12",
        "tools": {"iproute2": "6.1.0-3"},
    }
    assert replaced == [("8.8.8.8", "203.0.113.8"), ("my-laptop", "host1")]


def test_words_and_reasons_are_redacted_too(runbook: Runbook) -> None:
    run = a_run(runbook)
    capture = Capture("a", ("ping", "8.8.8.8"), Ending.NOT_PERMITTED, detail="needs root; sudo ping 8.8.8.8")
    sample, _ = sample_of(Run(run.plan, HOST, Source("live"), 0.0, 0.0, (capture,)), "case", "", {})
    assert sample.captures[0].argv == ("ping", "203.0.113.8")
    assert sample.captures[0].detail == "needs root; sudo ping 203.0.113.8"


def test_the_users_own_name_is_redacted(runbook: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    run = a_run(runbook)
    capture = Capture("a", ("who",), Ending.EXITED, 0, b"alice  pts/0\n")
    sample, _ = sample_of(Run(run.plan, HOST, Source("live"), 0.0, 0.0, (capture,)), "case", "", {})
    assert sample.captures[0].stdout == b"user1  pts/0\n"


def test_of_one_code_a_sample_expects_the_worst_verdict(runbook: Runbook) -> None:
    sample, _ = sample_of(a_run(runbook), "case", "", {})
    assert sample.findings == {"bad": Verdict.CRITICAL, "odd": Verdict.UNKNOWN}


def test_a_secret_and_a_default_are_in_no_sample(runbook: Runbook) -> None:
    sample, _ = sample_of(a_run(runbook, limit="80", password="hunter2"), "case", "", {})
    assert sample.parameters == {}
    assert "hunter2" not in sample_text(sample)


def test_a_lab_is_named_and_its_name_stays(runbook: Runbook) -> None:
    sample, _ = sample_of(a_run(runbook, Source("lab", "my-laptop")), "case", "", {})
    assert (sample.source["kind"], sample.source["name"]) == ("lab", "my-laptop")
    assert sample.captures[0].stdout == b"203.0.113.8 my-laptop-vg\n\xff"


def test_a_skipped_step_is_not_recorded(runbook: Runbook) -> None:
    skipped = Capture("b", ("ss",), Ending.SKIPPED)
    run = Run(a_run(runbook).plan, HOST, Source("live"), 0.0, 0.0, (CAPTURES[0], skipped))
    sample, _ = sample_of(run, "case", "", {})
    assert [capture.step for capture in sample.captures] == ["a"]


def test_a_recorded_sample_is_read_back_as_it_is(runbook: Runbook) -> None:
    sample, _ = sample_of(a_run(runbook, peer="db2"), "case", "A case", {})
    folder = Path(runbook.folder) / "samples"
    folder.mkdir()
    (folder / "notes.txt").touch()
    save(str(folder / "case.yaml"), sample_text(sample))
    (found,) = load_samples(runbook)
    assert [(c.step, c.argv, c.ending, c.stdout, c.dropped) for c in found.captures] == [
        (c.step, c.argv, c.ending, c.stdout, c.dropped) for c in sample.captures
    ]
    assert (found.name, found.parameters, found.findings) == ("case", {"peer": "db2"}, sample.findings)


def test_a_sample_says_of_its_host_what_it_knows(runbook: Runbook) -> None:
    sample, _ = sample_of(a_run(runbook), "case", "A case", {})
    found = of_sample(sample)
    assert found.host == Host("", "6.1.0", "Debian GNU/Linux 12", "")
    assert (found.source, found.started) == (Source("sample", "case", "on a host"), 1789948800.0)


def test_a_runbook_without_samples_has_none(runbook: Runbook) -> None:
    assert list(load_samples(runbook)) == []


def test_a_sample_that_cannot_be_used_is_told_with_its_place(runbook: Runbook, tmp_path: Path) -> None:
    (tmp_path / "case.yaml").write_text("title: x\ncaptures: 5\n")
    with pytest.raises(DefinitionError, match=r"case\.yaml:\d+:"):
        recording(str(tmp_path / "case.yaml"), runbook)
