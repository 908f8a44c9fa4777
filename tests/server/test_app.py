"""What a real server answers: plans, runs and their streams, and nothing to whoever does not hold its key."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from runbook.server.app import Api, State
from runbook.server.runs import AT_ONCE, Runs
from tests.base import COMMAND, Base
from tests.server.serving import PATIENCE, Served, descendants, memory, readers, serving, site, skimmed, sleeping, until

HELPER = """
from runbook.model import Finding, Verdict
def parse(captures):
    return {"said": captures["a"].stdout.decode()}
def judge(facts):
    yield Finding("said", Verdict.WARNING, "It said " + facts["said"].strip())
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    made = Base(tmp_path_factory.mktemp("served"))
    limit = {"name": "limit", "type": "integer", "default": 5, "help": "A number."}
    word = {"name": "word", "type": "string", "pattern": "[a-z ]+", "required": True, "help": "A word."}
    secret = {"name": "pass", "type": "string", "secret": True, "help": "A secret."}
    device = {"name": "port", "type": "interface", "help": "A device."}
    made.runbook(
        "say", [{"argv": ["echo", "{word}"]}], HELPER, parameters=[word, limit, device], findings={"said": "S."}
    )
    made.runbook("slow", [{"argv": ["sh", "-c", "echo begun; sleep 300 & sleep 300"]}])
    made.runbook("much", [{"argv": ["seq", "200000"]}])
    made.runbook("flood", [{"argv": ["sh", "-c", "yes | head -c 134217728"]}])
    made.runbook("touch", [{"argv": ["touch", str(made.path / "touched")], "effect": "change", "undo": ["rm", "x"]}])
    prompt = "read -p 'Name: ' name; stty -echo; read -p 'Code: ' code; stty echo; echo; echo \"got $name ${#code}\""
    ask = {"argv": ["bash", "-c", prompt], "terminal": True}
    made.runbook("ask", [ask], parameters=[secret])
    made.runbook("colour", [{"argv": ["printf", r"\033[31mred\033[0m <b>\033]0;title\007\r\n"]}])
    made.runbook(
        "broken", [{"argv": ["true"]}], "def parse(captures):\n    return 1 / 0\ndef judge(facts):\n    yield\n"
    )
    site(made)
    return made


def refused(served: Served, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    status, said = served.ask(f"/_runbook/{path}", body)
    return status, json.loads(said)


def drain(line: ClientConnection) -> None:
    """Hear it to its end, whichever that is."""
    with suppress(ConnectionClosed):
        while True:
            line.recv(PATIENCE)


# what the API is


def endpoints() -> list[tuple[str, str]]:
    loop = asyncio.new_event_loop()
    state = State(loop)
    routes = Api("/", state, Runs(loop, state.changed)).routes()
    return [
        (("WS" if isinstance(route, WebSocketRoute) else "HTTP"), route.path)
        for route in routes
        if isinstance(route, Route | WebSocketRoute)
    ]


def test_the_endpoints_are_these_and_no_others() -> None:
    """Whoever adds one must come by here, and think of who may ask it."""
    assert sorted(endpoints()) == [
        ("HTTP", "/_runbook/plan"),
        ("HTTP", "/_runbook/runbooks/{name}"),
        ("HTTP", "/_runbook/runs"),
        ("HTTP", "/_runbook/runs/{id}"),
        ("WS", "/_runbook/runs/{id}"),
        ("WS", "/_runbook/site"),
    ]


@pytest.mark.parametrize(("kind", "path"), endpoints())
def test_none_of_them_answers_without_the_key(served: Served, kind: str, path: str) -> None:
    path = path.replace("{name}", "say").replace("{id}", "x")
    if kind == "WS":
        with pytest.raises(InvalidStatus) as caught, served.line(path.removeprefix("/_runbook/"), token="x" * 43):
            pass
        assert caught.value.response.status_code == 403
        return
    for body in (None, {"name": "say"}):
        status, _ = served.ask(path, body, Authorization="Bearer " + "x" * 43)
        assert status == 401


def test_who_may_run_nothing_has_nothing_to_ask() -> None:
    routes = Api("/", State(asyncio.new_event_loop()), None).routes()
    assert [route.path for route in routes if isinstance(route, WebSocketRoute)] == ["/_runbook/site"]
    assert len(routes) == 1


# plans


def test_a_form_tells_what_a_runbook_asks_for(served: Served) -> None:
    form = served.told("runbooks/say")
    word, limit, port = form["parameters"]
    assert (word["name"], word["required"], word["default"]) == ("word", True, "")
    assert (limit["type"], limit["default"], limit["help"]) == ("integer", "5", "A number.")
    assert "lo" in port["offers"]
    assert (form["changes"], form["labs"]) == (False, [])


def test_a_plan_has_every_word_and_right(served: Served, base: Base) -> None:
    plan = served.told("plan", {"name": "touch", "values": {}})
    assert plan["commands"][0]["argv"] == ["touch", str(base.path / "touched")]
    assert plan["shown"][0]["does"][0] == "CHANGES THIS HOST, asks first"
    assert len(plan["digest"]) == 64
    read = served.told("plan", {"name": "say", "values": {"word": "two words"}})
    assert read["shown"][0]["command"] == "echo 'two words'"
    assert read["commands"][0]["sandbox"] == ("inspect" if os.geteuid() == 0 else "user")


def test_values_that_cannot_be_are_told_each_at_its_place(served: Served) -> None:
    said = served.told("plan", {"name": "say", "values": {"word": "A", "limit": "x"}})
    assert set(said) == {"fields"}
    assert set(said["fields"]) == {"word", "limit"}
    assert said["fields"]["limit"] == "must be a whole number such as 10"
    assert served.told("plan", {"name": "say", "values": {}}) == {"fields": {"word": "must be given"}}
    wanted = {"name": "say", "values": {"word": "A"}, "digest": "0" * 64}
    assert refused(served, "runs", wanted)[0] == 422


BAD = [
    (b"", 400),
    (b"[]", 400),
    (b"{", 400),
    (b"[" * 60_000, 400),
    (b"\xff", 400),
    (b'{"name": 1}', 400),
    (b'{"name": "say", "values": []}', 400),
    (b'{"name": "say", "values": {"word": 1}}', 400),
    (b'{"name": "say", "values": {"word": "\\u0000"}}', 400),
    (b'{"name": "say", "values": {"word": "\\ud800"}}', 400),
    (b'{"name": "no-such"}', 422),
    (b'{"name": "../say"}', 422),
    (b'{"name": "say", "values": {"word": "a", "nope": "b"}}', 422),
    (b'{"name": "say", "values": {"word": "a"}, "lab": "none"}', 422),
    (b"x" * 70_000, 413),
]


@pytest.mark.parametrize("path", ["plan", "runs"])
@pytest.mark.parametrize(("body", "status"), BAD)
def test_what_makes_no_sense_is_refused_in_words(served: Served, path: str, body: bytes, status: int) -> None:
    found, said = served.ask(f"/_runbook/{path}", body)
    assert found == status
    assert json.loads(said)["problem"]
    assert b"Traceback" not in said


def test_a_body_that_does_not_say_how_long_it_is_ends_where_it_may(served: Served) -> None:
    pieces = (b"x" * 1000 for _ in range(70))
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)) as connection:
        headers = {"Authorization": f"Bearer {served.token}", "Content-Type": "application/json"}
        connection.request("POST", "/_runbook/plan", pieces, headers, encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["problem"]) == (413, "the body is too long")


def test_only_the_plan_that_was_shown_is_run(served: Served, base: Base) -> None:
    wanted = {"name": "say", "values": {"word": "a"}}
    digest = served.told("plan", wanted)["digest"]
    for other in ({**wanted, "digest": "0" * 64}, wanted, {**wanted, "values": {"word": "b"}, "digest": digest}):
        status, said = refused(served, "runs", other)
        assert (status, said["problem"][:42]) == (409, "the plan is not the one that was shown: th")
    definition = base.path / "runbooks/slow/runbook.yaml"
    before = definition.read_text()
    seen = served.told("plan", {"name": "slow"})["digest"]
    try:
        definition.write_text(before + "\n# changed\n")
        assert refused(served, "runs", {"name": "slow", "digest": seen})[0] == 403
    finally:
        definition.write_text(before)


# runs


def test_a_run_is_told_as_it_happens(served: Served) -> None:
    frames = served.frames(served.begin("say", word="hello"))
    assert [frame["type"] for frame in frames] == ["begin", "started", "output", "ended", "end"]
    assert [frame["n"] for frame in frames] == [1, 2, 3, 4, 5]
    assert frames[0]["steps"] == [{"step": "a", "title": "a", "command": "echo hello"}]
    assert (frames[2]["pieces"], frames[2]["at"]) == ([["", "hello\n"]], 0)
    assert (frames[3]["ok"], frames[3]["words"]) == (True, "exited 0")
    assert frames[4]["verdict"] == "warning"
    assert "It said hello" in frames[4]["html"]


def test_output_comes_as_text_with_looks(served: Served) -> None:
    frames = served.frames(served.begin("colour"))
    pieces = [piece for frame in frames if frame["type"] == "output" for piece in frame["pieces"]]
    assert pieces[0] == ["rb-fg-1", "red"]
    assert "".join(text for _, text in pieces) == "red <b>\\x1b]0;title\\x07\n"
    assert "&lt;b&gt;" in frames[-1]["html"]


def test_a_result_can_be_taken_along(served: Served) -> None:
    id = served.begin("say", word="hello")
    served.frames(id)
    assert served.told(f"runs/{id}")["findings"][0]["code"] == "said"
    status, text = served.ask(f"/_runbook/runs/{id}?format=markdown")
    assert (status, b"It said hello" in text) == (200, True)
    assert served.ask(f"/_runbook/runs/{id}?format=text")[0] == 404
    assert served.ask("/_runbook/runs/none")[0] == 404


def test_who_comes_back_goes_on_where_they_were(served: Served) -> None:
    id = served.begin("much")
    whole = served.frames(id)
    text = "".join(text for frame in whole if frame["type"] == "output" for _, text in frame["pieces"])
    assert text == "".join(f"{number}\n" for number in range(1, 200_001))
    for _ in range(5):
        after = random.randrange(whole[-1]["n"] + 2)
        assert served.frames(id, after) == whole[after:]


def test_several_follow_one_run_and_hear_of_it(served: Served) -> None:
    with served.line("site") as line:
        json.loads(line.recv(PATIENCE))
        id = served.begin("slow")
        told = until(lambda: [run for run in json.loads(line.recv(PATIENCE))["runs"] if run["id"] == id])
        assert (told[0]["name"], told[0]["state"]) == ("slow", "running")
        with served.line(f"runs/{id}") as one, served.line(f"runs/{id}") as other:
            assert [one.recv(PATIENCE) for _ in range(3)] == [other.recv(PATIENCE) for _ in range(3)]
            one.send('{"cancel": true}')
            assert json.loads(list(other)[-1])["type"] == "end"


def test_cancelled_in_the_middle_its_whole_tree_is_gone_in_two_seconds(served: Served) -> None:
    id = served.begin("slow")
    with served.line(f"runs/{id}") as line:
        until(lambda: len(sleeping(served.process.pid)) == 2)
        line.send('{"cancel": true}')
        until(lambda: not sleeping(served.process.pid), 2.0)
        frames = [json.loads(text) for text in line]
    assert [frame["ending"] for frame in frames if frame["type"] == "ended"] == ["interrupted"]
    assert frames[-1]["verdict"] == "unknown"


def test_a_lab_is_given_up_while_it_is_built(tmp_path: Path) -> None:
    base = Base(tmp_path / "base")
    base.path.mkdir()
    base.runbook("inside", [{"argv": ["true"]}])
    base.lab("inside", "sleep 300\n")
    site(base)
    with serving(base) as server:
        id = server.begin("inside", "lab-0")
        with server.line(f"runs/{id}") as line:
            until(lambda: sleeping(server.process.pid))
            line.send('{"cancel": true}')
            until(lambda: not sleeping(server.process.pid), 2.0)
            assert json.loads(list(line)[-1])["problem"] == "the run was ended while its lab was being built"


def test_a_prompt_is_answered_and_a_secret_asked_for_without_echo(served: Served) -> None:
    id = served.begin("ask")
    with served.line(f"runs/{id}") as line:
        heard: list[dict[str, Any]] = []

        def hear(text: str) -> None:
            while text not in "".join(p for f in heard if f["type"] == "output" for _, p in f["pieces"]):
                heard.append(json.loads(line.recv(PATIENCE)))

        hear("Name: ")
        line.send(json.dumps({"keys": "Ada\n"}))
        hear("Code: ")
        while not any(frame["type"] == "echo" for frame in heard):
            heard.append(json.loads(line.recv(PATIENCE)))
        assert [f["on"] for f in heard if f["type"] == "echo"] == [False]
        line.send(json.dumps({"keys": "hunter2\n"}))
        heard += [json.loads(text) for text in line]
    assert [f["on"] for f in heard if f["type"] == "echo"] == [False, True]
    assert "got Ada 7" in json.dumps(heard)
    assert "hunter2" not in json.dumps(heard)


@pytest.mark.parametrize("yes", [True, False])
def test_a_change_waits_for_a_persons_word(served: Served, base: Base, yes: bool) -> None:
    touched = base.path / "touched"
    touched.unlink(missing_ok=True)
    id = served.begin("touch")
    with served.line(f"runs/{id}") as line:
        asked = until(lambda: (frame := json.loads(line.recv(PATIENCE)))["type"] == "ask" and frame)
        assert (asked["command"], asked["undo"]) == (f"touch {touched}", "rm x")
        time.sleep(0.2)
        assert not touched.exists()
        line.send(json.dumps({"approve": "a", "yes": yes}))
        frames = [json.loads(text) for text in line]
    assert touched.exists() == yes
    assert [frame["ending"] for frame in frames if frame["type"] == "ended"] == ["exited" if yes else "declined"]


@pytest.mark.parametrize(
    "message", ["", "x", "[]", "1", "{}", '{"cancel": 1}', '{"keys": 1}', '{"approve": "a"}', "[" * 50_000, b"\0\1"]
)
def test_a_message_that_makes_no_sense_ends_the_connection_and_not_the_run(
    served: Served, message: str | bytes
) -> None:
    id = served.begin("much")
    with served.line(f"runs/{id}") as line:
        line.send(message)
        drain(line)
    assert served.frames(id)[-1]["type"] == "end"


def test_a_message_that_is_too_long_ends_the_connection(served: Served) -> None:
    id = served.begin("slow")
    with served.line(f"runs/{id}") as line:
        line.send(json.dumps({"keys": "x" * 70_000}))
        drain(line)
    with served.line(f"runs/{id}") as line:
        line.send('{"cancel": true}')
        drain(line)


@pytest.mark.parametrize("after", ["-1", "x", "9" * 20, ""])
def test_a_number_that_is_none_is_refused(served: Served, after: str) -> None:
    id = served.begin("say", word="a")
    served.frames(id)
    with served.line(f"runs/{id}?after={after}") as line:
        with pytest.raises(ConnectionClosed):
            line.recv(PATIENCE)
        assert line.close_code == 4400


def test_a_run_that_is_not_there_is_told(served: Served) -> None:
    with served.line("runs/none") as line:
        with pytest.raises(ConnectionClosed):
            line.recv(PATIENCE)
        assert line.close_code == 4404


def test_a_helper_that_breaks_ends_its_run_in_words(served: Served) -> None:
    frames = served.frames(served.begin("broken"))
    assert frames[-1]["verdict"] == "unknown"
    assert "Traceback" not in json.dumps(frames)


def test_so_many_run_at_once_and_no_more(base: Base) -> None:
    with serving(base) as server:
        running = [server.begin("slow") for _ in range(AT_ONCE)]
        wanted = {"name": "slow"}
        status, said = refused(server, "runs", {**wanted, "digest": server.told("plan", wanted)["digest"]})
        assert (status, said["problem"]) == (429, f"{AT_ONCE} runs are under way")
        with server.line(f"runs/{running[0]}") as line:
            line.send('{"cancel": true}')
            list(line)
        server.begin("slow")


# the whole server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_when_it_ends_nothing_is_left(base: Base, number: int, tmp_path: Path) -> None:
    with serving(base, TMPDIR=str(tmp_path)) as server:
        id = server.begin("slow")
        with server.line(f"runs/{id}") as line:
            until(lambda: len(sleeping(server.process.pid)) == 2)
            below = descendants(server.process.pid)
            assert server.stop(number) == (-9 if number == signal.SIGKILL else 0)
            until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), 3.0)
            drain(line)
        with socket.socket() as one:
            assert one.connect_ex(("127.0.0.1", server.port)) != 0
        left = [path.name for path in tmp_path.iterdir()]
        assert len(left) == (1 if number == signal.SIGKILL else 0)
        # What a killed one left is removed by the next.
        for path in tmp_path.iterdir():
            os.utime(path, (0, 0))
    if number == signal.SIGKILL:
        with serving(base, TMPDIR=str(tmp_path)):
            assert [path.name for path in tmp_path.iterdir() if path.name in left] == []


def test_a_port_that_is_taken_is_told(base: Base) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = base.call("serve", "--port", str(port))
    assert done.returncode == 64
    assert f"port {port} is taken" in done.stderr
    for wrong in ("0", "65536", "x", "-1", "8" * 9):
        assert base.call("serve", "--port", wrong).returncode == 64


def test_it_listens_on_loopback_only(served: Served) -> None:
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{served.process.pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            address, _, port = words[1].partition(":")
            if words[3] == "0A" and int(port, 16) == served.port:
                addresses.add(address)
    assert addresses == {"0100007F", "00000000000000000000000001000000"}


def test_it_is_read_only_where_one_says_so(base: Base) -> None:
    with serving(base, "--no-run") as server:
        assert b"Note" in server.ask("/")[1]
        for path in ("plan", "runs", "runbooks/say"):
            assert server.ask(f"/_runbook/{path}", {"name": "say"})[0] == 404
        with server.line("site") as line:
            assert json.loads(line.recv(PATIENCE))["runs"] is None


def test_what_is_not_trusted_is_served_by_nobody_and_run_by_nobody(base: Base) -> None:
    done = base.call("serve", TRUST="no", XDG_STATE_HOME=tempfile.mkdtemp(dir=base.path.parent))
    assert done.returncode == 64
    assert "site is not trusted here" in done.stderr


def test_a_changed_note_is_built_and_told(base: Base) -> None:
    note = base.path / "docs/index.md"
    before = note.read_text()
    try:
        with serving(base) as server, server.line("site") as line:
            first = json.loads(line.recv(PATIENCE))["build"]
            note.write_text(before + "\nSomething new.\n")
            until(lambda: json.loads(line.recv(PATIENCE))["build"] > first)
            assert b"Something new." in server.ask("/")[1]
            note.write_text(before + "\n```runbook\nname: no-such\n```\n")
            told = until(lambda: (said := json.loads(line.recv(PATIENCE)))["problem"] and said)
            assert "the site has faults" in told["problem"]
            assert b"Something new." in server.ask("/")[1]
            note.write_text(before)
            until(lambda: not json.loads(line.recv(PATIENCE))["problem"])
    finally:
        note.write_text(before)


def test_a_hook_that_breaks_is_told_and_the_next_build_is_made(tmp_path: Path) -> None:
    base = Base(tmp_path / "base")
    base.path.mkdir()
    base.runbook("say", [{"argv": ["echo", "well"]}])
    site(base)
    (base.path / "hooks.py").write_text(
        "def on_page_markdown(markdown, **_):\n    if 'BOOM' in markdown:\n        raise KeyError('boom')\n"
    )
    with (base.path / "mkdocs.yml").open("a") as file:
        file.write("hooks: [hooks.py]\n")
    note = base.path / "docs/index.md"
    before = note.read_text()
    with serving(base) as server, server.line("site") as line:
        json.loads(line.recv(PATIENCE))
        note.write_text(before + "\nBOOM\n")
        told = until(lambda: (said := json.loads(line.recv(PATIENCE)))["problem"] and said)
        assert told["problem"] == "building the site broke: KeyError: 'boom'"
        note.write_text(before + "\nMended.\n")
        until(lambda: not json.loads(line.recv(PATIENCE))["problem"])
        assert b"Mended." in server.ask("/")[1]


def test_a_changed_runbook_is_shown_once_it_is_trusted(tmp_path: Path) -> None:
    base = Base(tmp_path / "base")
    base.path.mkdir()
    folder = base.runbook("say", [{"argv": ["echo", "well"]}])
    site(base)
    with serving(base) as server, server.line("site") as line:
        json.loads(line.recv(PATIENCE))
        definition = folder / "runbook.yaml"
        definition.write_text(definition.read_text().replace("Tests say.", "Says more."))
        until(lambda: json.loads(line.recv(PATIENCE))["problem"])
        base.trust()
        until(lambda: not json.loads(line.recv(PATIENCE))["problem"])
        assert b"Says more." in server.ask("/")[1]


def test_the_key_is_in_no_log_and_on_no_command_line(base: Base) -> None:
    with serving(base) as server:
        server.frames(server.begin("say", word="a"))
        server.ask("/_runbook/none")
        server.ask("/_runbook/plan", b"{", Authorization="Bearer x")
        lines = [
            Path(f"/proc/{pid}/cmdline").read_bytes() for pid in {server.process.pid, *descendants(server.process.pid)}
        ]
        assert server.token.encode() not in b"".join(lines)
        assert server.log.read_text().count(server.token) == 1


def test_it_needs_what_the_extra_brings(base: Base, tmp_path: Path) -> None:
    for name in ("starlette", "uvicorn"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('no', name='{name}')\n")
    environment = base.environment()
    done = base.call("serve", PYTHONPATH=f"{tmp_path}:{environment['PYTHONPATH']}")
    assert done.returncode == 64
    assert "pip install 'runbook-notes[serve]'" in done.stderr
    assert COMMAND


def test_many_read_one_run_and_each_gets_all_of_it(base: Base) -> None:
    """Shortened; benchmarks/serve.py has a hundred."""
    with serving(base) as server:
        copies = readers(server, server.begin("much"), quick=16, stalled=4)
        assert memory(server) < 100 * 1024 * 1024
    assert {len(text) for text in copies} == {len("".join(f"{number}\n" for number in range(1, 200_001)))}
    assert len(set(copies)) == 1


def test_a_slow_reader_costs_no_memory(base: Base) -> None:
    """Shortened; benchmarks/serve.py lets a gibibyte pass."""
    with serving(base) as server:
        id = server.begin("flood")
        _, said = skimmed(server, id)
        assert memory(server) < 150 * 1024 * 1024
        dropped = server.told(f"runs/{id}")["captures"][0]["dropped"]
    assert said + dropped == 128 * 1024 * 1024


def test_the_browser_gets_the_key_by_a_file_that_nobody_else_can_read(base: Base, tmp_path: Path) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text('#!/bin/sh\nfile=${1#file://}\n{ echo "$1"; stat -c %a "$file"; cat "$file"; } > "$SEEN"\n')
    browser.chmod(0o755)
    with serving(base, "--open", BROWSER=f"{browser} %s", SEEN=str(seen)) as server:
        until(lambda: seen.exists() and server.token in seen.read_text())
        address, mode, page = seen.read_text().splitlines()
        assert server.token not in address
        assert mode == "600"
        assert f'url={server.url}"' in page


def test_a_change_during_the_first_build_is_built(tmp_path: Path) -> None:
    """Before anything is watched: the hook writes a note when the build is about to end, and only once."""
    base = Base(tmp_path / "base")
    base.path.mkdir()
    base.runbook("short", [{"argv": ["true"]}])
    site(base, index="# Before\n")
    with (base.path / "mkdocs.yml").open("a") as file:
        file.write("hooks: [hook.py]\n")
    (base.path / "hook.py").write_text(
        "from pathlib import Path\n"
        "def on_post_build(config):\n"
        "    note = Path(config.docs_dir, 'index.md')\n"
        "    if 'Before' in note.read_text():\n"
        "        note.write_text('# After\\n')\n"
    )
    with serving(base) as server:
        until(lambda: b"After" in server.ask("/")[1])


def test_it_ends_in_the_middle_of_a_build_too(tmp_path: Path) -> None:
    """Of the first, and of one after a change; a page wants a runbook that runs for long."""
    base = Base(tmp_path / "base")
    base.path.mkdir()
    base.runbook("long", [{"argv": ["sleep", "300"], "timeout": "10m"}])
    site(base, index="# Note\n")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    note = base.path / "docs/index.md"
    with serving(base, "--execute", "live", TMPDIR=str(temporary)) as server:
        note.write_text("# Note\n\n```runbook\nname: long\n```\n")
        until(lambda: sleeping(server.process.pid))
        below = descendants(server.process.pid)
        assert server.stop() == 0
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), 3.0)
    assert list(temporary.iterdir()) == []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        environment = base.environment(TMPDIR=str(temporary))
        words = [*COMMAND, "serve", "--execute", "live"]
        process = subprocess.Popen(words, cwd=base.path, env=environment, stderr=subprocess.DEVNULL)
        until(lambda pid=process.pid: sleeping(pid))
        below = descendants(process.pid)
        process.send_signal(number)
        process.wait(PATIENCE)
        until(lambda below=below: not any(os.path.exists(f"/proc/{pid}") for pid in below), 3.0)
        assert list(temporary.iterdir()) == []


def test_who_connects_and_does_not_ask_is_given_up(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), PATIENCE))
            one.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert served.ask("/")[0] == 503
        until(lambda: served.ask("/")[0] == 200)


def test_a_head_without_end_is_refused(served: Served) -> None:
    with closing(socket.create_connection(("127.0.0.1", served.port), PATIENCE)) as one, suppress(OSError):
        one.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
        assert one.recv(100).startswith(b"HTTP/1.1 400")
