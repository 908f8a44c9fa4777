"""Bad input of every kind, tried on the real command: each is answered in words, and none with a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.base import COMMAND, HELPER, Base

DEFINITIONS = {
    "tabs": ("title: X\n\tsummary: Y\n", "2:1: not YAML: found a tab"),
    "a list": ("- a\n- b\n", "1:1: a runbook must be a mapping, not a list"),
    "nothing": ("", "1:1: the file is empty"),
    "a number as title": ("title: 7\n", "1:8: `title` must be text, not `7`"),
    "a key twice": ("title: X\ntitle: Y\n", "2:1: key `title` stands here a second time"),
    "an anchor": ("title: &a X\n", "1:8: anchor `&a`: anchors are not allowed"),
    "an alias bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "2:8: alias `*a`: aliases are not allowed"),
    "a tag": ("title: !!python/object:os.system X\n", "1:8: tag `!!python/object:os.system`: tags are not allowed"),
    "a step that waits for itself": (
        'title: X\nsummary: Y.\nsection: s\nsteps: [{id: a, argv: ["true"], after: [a]}]\n',
        "these steps wait for each other for ever: a → a",
    ),
    "a step that waits for nobody": (
        'title: X\nsummary: Y.\nsection: s\nsteps: [{id: a, argv: ["true"], after: [b]}]\n',
        "there is no step `b`",
    ),
    "a time-out without a unit": (
        'title: X\nsummary: Y.\nsection: s\nsteps: [{id: a, argv: ["true"], timeout: soon}]\n',
        "`timeout` must be a duration such as 20s, 1m30s or 500ms, not `soon`",
    ),
    "a bidirectional override": ("title: \u202eX\n", "1:8: contains an invisible character (U+202E)"),
    "a byte that is no UTF-8": ("title: \udcff\n", "1:8: is not UTF-8"),
    "a NUL byte": ("title: \x00\n", "1:8: contains an invisible character (U+0000)"),
}


@pytest.mark.parametrize("case", DEFINITIONS)
def test_a_bad_definition_is_told_with_its_place(base: Base, case: str) -> None:
    text, said = DEFINITIONS[case]
    (base.runbook("bad", []) / "runbook.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    done = base.call("run", "bad")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout) == (64, "")


def test_all_errors_of_a_definition_are_told_at_once(base: Base) -> None:
    base.runbook(
        "bad", [{"argv": "ls -l"}, {"argv": ["{word}x"]}], parameters=[{"nmae": "word", "type": "txt"}], steep=1
    )
    said = base.call("run", "bad").stderr
    assert [word in said for word in ("`steep`", "did you mean `name`?", "`txt`", "needs `shell: true`")] == [True] * 4


COMMANDS = {
    "binary output": (["head", "-c", "4096", "/dev/urandom"], "exited", 0),
    "NUL bytes": (["printf", r"a\0b"], "exited", 0),
    "invalid UTF-8": (["printf", r"\377\376"], "exited", 0),
    "killed by itself": (["sh", "-c", "kill -SEGV $$"], "signalled", 3),
    "not a program": (["/etc/passwd"], "not-permitted", 3),
    "a folder": (["/etc"], "not-permitted", 3),
    "nowhere": (["/nonexistent/tool"], "not-found", 3),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_an_odd_command_is_a_capture_and_the_json_valid(base: Base, case: str) -> None:
    argv, ending, status = COMMANDS[case]
    base.runbook("odd", [{"argv": argv}])
    done = base.call("run", "odd", "--format", "json")
    assert json.loads(done.stdout)["captures"][0]["ending"] == ending
    assert done.returncode == status


HELPERS = {
    "raises": ("raise KeyError('x')", "KeyError: 'x'"),
    "recurses": ("return parse(captures)", "RecursionError"),
    "gives no finding": ("return ''", None),
    "exits": ("raise SystemExit(0)", "SystemExit"),
}


@pytest.mark.parametrize("case", HELPERS)
def test_a_bad_helper_is_unknown_and_no_traceback(base: Base, case: str) -> None:
    body, said = HELPERS[case]
    helper = HELPER.replace('return captures["a"].stdout.decode()', body)
    if said is None:
        helper = helper.replace("    yield Finding", "    return iter(())\n    yield Finding")
    base.runbook("bad", [{"argv": ["echo", "well"]}], helper)
    done = base.call("run", "bad")
    assert (said or "no-verdict") in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 3


def test_a_helper_that_never_ends_is_given_up(base: Base) -> None:
    loops = HELPER.replace('return captures["a"].stdout.decode()', "while True: pass")
    base.runbook("bad", [{"argv": ["true"]}], loops)
    started = time.monotonic()
    done = base.call("run", "bad")
    assert "did not come to an end in 20 s" in done.stdout
    assert (done.returncode, time.monotonic() - started < 40) == (3, True)


def left(mark: str) -> list[str]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in words and int(name) != os.getpid():
                found.append(name)
    return found


ESCAPES = {
    "daemonises": "setsid sleep {0} >/dev/null 2>&1 </dev/null & echo done",
    "daemonises twice": "(setsid sh -c 'sleep {0} & exit' &) ; echo done",
    "ignores SIGTERM": "trap '' TERM; sleep {0}; sleep {0}",
    "holds the pipe": "sleep {0} & echo done",
}


@pytest.mark.parametrize("case", ESCAPES)
def test_nothing_of_a_command_is_left(base: Base, case: str) -> None:
    mark = f"97{time.monotonic_ns() % 10**9}"
    base.runbook("odd", [{"argv": ["sh", "-c", ESCAPES[case].format(mark)], "timeout": "1s"}])
    done = base.call("run", "odd", timeout=30)
    assert done.returncode in (0, 3)
    assert left(mark) == []


def test_a_full_disk_while_saving_loses_nothing(base: Base, tmp_path: Path) -> None:
    # 64 KiB, in a mount namespace: this host's own mounts are not touched.
    small_disk = tmp_path / "small"
    small_disk.mkdir()
    base.runbook("talk", [{"argv": ["head", "-c", "200000", "/dev/zero"]}])
    script = f"mount -t tmpfs -o size=64k small {small_disk} && echo old >{small_disk}/out && " + " ".join(
        [*COMMAND, "run", "talk", "--format", "json", "--quiet", "--output", f"{small_disk}/out", ">shown;"]
    )
    script += f"echo $?; cat {small_disk}/out; ls -A {small_disk}"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=base.path, env=base.environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["3", "old", "out"]
    assert "No space left on device; what was there is unchanged" in done.stderr
    assert json.loads((base.path / "shown").read_text())["verdict"] == "ok"


@pytest.mark.parametrize("said", [said for _, said in [*DEFINITIONS.values(), *HELPERS.values()] if said])
def test_what_is_said_stands_in_the_table_of_the_docs(said: str) -> None:
    table = Path(__file__).resolve().parents[2] / "docs/contributing/bad-input.md"
    assert said in table.read_text()
