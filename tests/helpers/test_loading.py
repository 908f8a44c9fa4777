"""helper.py brought to life: whole or not at all, from the bytes that are there, and never for ever."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runbook.errors import DefinitionError, Problem, Unreadable, UntrustedError
from runbook.helpers import Captures, loading
from runbook.helpers.loading import LONGEST_REASON, Helper, HelperTimeout, describe, load_helper, time_limit
from runbook.model import Runbook

GOOD = "def parse(captures): return 'facts'\ndef judge(facts): return ()\n"
NOTHING = Captures((), {})


def having(tmp_path: Path, **files: str | bytes) -> Runbook:
    """A trusted runbook with these modules, as far as its helper goes."""
    read = {f"{name}.py": text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return Runbook("tested", "", "", "", str(tmp_path), "", files=read, trusted=True)


def loaded(tmp_path: Path, **files: str | bytes) -> Helper:
    helper = load_helper(having(tmp_path, **files))
    assert helper is not None
    return helper


def problem(tmp_path: Path, **files: str | bytes) -> Problem:
    """What is wrong with these files."""
    with pytest.raises(DefinitionError) as error:
        load_helper(having(tmp_path, **files))
    (found,) = error.value.problems
    return found


def test_a_helper_has_its_functions(tmp_path: Path) -> None:
    helper = loaded(tmp_path, helper=GOOD)
    assert (helper.parse(NOTHING), list(helper.judge(None)), helper.draw) == ("facts", [], None)


def test_a_runbook_may_have_no_helper(tmp_path: Path) -> None:
    assert load_helper(having(tmp_path)) is None


@pytest.mark.parametrize(
    "source",
    [
        "from .facts import FACTS\n",
        "from . import facts\nFACTS = facts.FACTS\n",
        "from . import facts as other\nFACTS = other.FACTS\n",
        "from .facts import *\n",
        "from .middle import FACTS\n",
    ],
)
def test_a_helper_may_be_several_files(tmp_path: Path, source: str) -> None:
    helper = source + "def parse(captures): return FACTS\ndef judge(facts): return ()\n"
    files = {"helper": helper, "facts": "FACTS = 'shared'\n", "middle": "from .facts import FACTS\n"}
    assert loaded(tmp_path, **files).parse(NOTHING) == "shared"


def test_a_neighbour_may_be_imported_when_it_is_needed(tmp_path: Path) -> None:
    helper = "def parse(captures):\n    from .facts import FACTS\n    return FACTS\ndef judge(facts): return ()\n"
    assert loaded(tmp_path, helper=helper, facts="FACTS = 'late'\n").parse(NOTHING) == "late"


def test_a_neighbour_is_run_once(tmp_path: Path) -> None:
    files = {"helper": "from .a import T as x\nfrom .b import T as y\nassert x is y\n" + GOOD, "t": "T = object()\n"}
    loaded(tmp_path, **files, a="from .t import T\n", b="from .t import T\n")


@pytest.mark.parametrize("first", ["", "from __future__ import annotations\n"])
def test_a_dataclass_may_be_defined(tmp_path: Path, first: str) -> None:
    source = """from dataclasses import dataclass
@dataclass(frozen=True, slots=True)
class Facts:
    count: int
def parse(captures): return Facts(len(captures))
def judge(facts): return ()
"""
    assert loaded(tmp_path, helper=first + source).parse(NOTHING).count == 0


def test_nothing_of_it_stays(tmp_path: Path) -> None:
    before = set(sys.modules)
    loaded(tmp_path, helper="from .facts import A\n" + GOOD, facts="A = 1\n")
    assert set(sys.modules) == before
    assert os.listdir(tmp_path) == []


def test_what_runs_is_what_stands_there_now(tmp_path: Path) -> None:
    loaded(tmp_path, helper=GOOD)
    assert loaded(tmp_path, helper=GOOD.replace("facts'", "newer'")).parse(NOTHING) == "newer"


BROKEN = [
    ({"helper": "def parse(captures):\n    return (\n"}, "helper.py", 2, "not Python"),
    ({"helper": b"x = '\xff'\n"}, "helper.py", 1, "not Python"),
    ({"helper": "import json\n\n1 / 0\n"}, "helper.py", 3, "fails while it is loaded: ZeroDivisionError"),
    ({"helper": "import sys\nsys.exit(0)\n"}, "helper.py", 2, "fails while it is loaded: SystemExit: 0"),
    ({"helper": "def f(): f()\nf()\n"}, "helper.py", 1, "RecursionError"),
    ({"helper": "raise GeneratorExit\n"}, "helper.py", 1, "GeneratorExit"),
    ({"helper": "from .gone import x\n"}, "helper.py", 1, "gone.py"),
    ({"helper": "\nfrom . import gone\n"}, "helper.py", 2, "gone.py"),
    ({"helper": "from .. import other\n"}, "helper.py", 1, "nothing above it"),
    ({"helper": "from .a.b import other\n"}, "helper.py", 1, "nothing above it"),
    ({"helper": "from .facts import Y\n", "facts": "X = 1\n"}, "helper.py", 1, "cannot import name 'Y'"),
    ({"helper": "from . import facts\n", "facts": "x = (\n"}, "facts.py", 1, "not Python"),
    ({"helper": "from . import facts\n", "facts": "\n\nboom()\n"}, "facts.py", 3, "NameError"),
    ({"helper": "from .a import x\n", "a": "from .helper import y\nx = 1\n"}, "a.py", 1, "cannot import name 'y'"),
    ({"helper": "def judge(facts): return ()\n"}, "helper.py", 1, "has no function `parse`"),
    ({"helper": "def parse(captures): return 1\njudge = 5\n"}, "helper.py", 1, "has no function `judge`"),
    ({"helper": ""}, "helper.py", 1, "has no function `parse`"),
]


@pytest.mark.parametrize(("files", "name", "line", "said"), BROKEN, ids=[said for *_, said in BROKEN])
def test_a_broken_helper_is_told_with_its_place(
    tmp_path: Path, files: dict[str, str | bytes], name: str, line: int, said: str
) -> None:
    found = problem(tmp_path, **files)
    assert (found.path, found.line) == (str(tmp_path / name), line)
    assert said in found.message


def test_null_bytes_are_not_python(tmp_path: Path) -> None:
    assert "null bytes" in problem(tmp_path, helper=b"x = 1\0\n").message


def test_a_neighbour_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "there is no facts.py beside it" in problem(tmp_path, helper="from .facts import A\n" + GOOD).message


def test_the_helper_of_an_untrusted_runbook_is_not_even_loaded(tmp_path: Path) -> None:
    runbook = having(tmp_path, helper=f"open({str(tmp_path / 'ran')!r}, 'w')\n" + GOOD)
    with pytest.raises(UntrustedError):
        load_helper(replace(runbook, trusted=False))
    assert os.listdir(tmp_path) == []


def test_a_helper_that_never_finishes_loading_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "HELPER_SECONDS", 0.1)
    assert "did not come to an end in 0.1 s" in problem(tmp_path, helper="while True: pass\n").message


def loop() -> None:
    while True:
        pass


def swallow_in_a_loop() -> None:
    while True:
        try:
            time.sleep(0.001)
        except Exception:
            continue


def backtrack() -> None:
    import re

    re.match(r"(a+)+$", "a" * 60 + "b")


def sleep() -> None:
    time.sleep(30)


@pytest.mark.parametrize("body", [loop, swallow_in_a_loop, backtrack, sleep])
def test_a_body_that_does_not_end_is_ended(body: Callable[[], None]) -> None:
    started = time.monotonic()
    with pytest.raises(HelperTimeout, match=r"in 0\.1 s"), time_limit(0.1):
        body()
    assert time.monotonic() - started < 5


def swallow_once() -> None:
    try:
        loop()
    except BaseException:
        loop()


def test_one_that_swallows_everything_once_is_ended_the_second_time() -> None:
    with pytest.raises(HelperTimeout), time_limit(0.1):
        swallow_once()


def test_what_ends_in_time_is_left_alone() -> None:
    with time_limit(0.05):
        pass
    time.sleep(0.1)  # An alarm that was still set would end this.


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Unreadable("line 3 is\nodd", "lvs", 3), "line 3 is odd"),
        (HelperTimeout("too long"), "too long"),
        (KeyError("name"), "KeyError: 'name'"),
        (ValueError(), "ValueError: "),
        (Mute(), "Mute: it cannot say what is wrong"),
    ],
)
def test_an_error_is_told_in_a_line(error: BaseException, text: str) -> None:
    assert describe(error) == text


def test_an_error_that_quotes_everything_is_cut() -> None:
    assert len(describe(ValueError("x" * 10**6))) == LONGEST_REASON + 1
