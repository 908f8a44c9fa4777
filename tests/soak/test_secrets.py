"""Secrets that a command prints in every form that is claimed: none is in what is shown, saved or recorded."""

from __future__ import annotations

import base64
import json
import shlex
import sys
import urllib.parse
from collections.abc import Generator
from html import escape

from runbook.archive import sample_of, sample_text
from runbook.executors.process import ProcessExecutor
from runbook.model import Output, Run, Source
from runbook.pipeline import Ended, Event, perform, prepare
from runbook.renderers.renderer import FORMATS, renderer
from tests.base import Base, load, rounds

PASSWORD = {"name": "password", "type": "string", "secret": True, "required": True}
#: Prints the bytes FORM (as hexadecimal) three at a time, and once more on stderr.
PRINTER = """
import sys, time
said = bytes.fromhex(FORM)
for at in range(0, len(said), 3):
    sys.stdout.buffer.write(said[at:at + 3]); sys.stdout.flush(); time.sleep(0.002)
sys.stderr.buffer.write(said)
"""


def forms(secret: str) -> dict[str, bytes]:
    """Each form in which it is printed, by its name."""
    data = secret.encode()
    shown = {
        "plain": data,
        "base64": base64.b64encode(data),
        "hexadecimal": data.hex().encode(),
        "percent": urllib.parse.quote(secret, safe="").encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "HTML": escape(secret).encode(),
        "shell": shlex.quote(secret).strip("'").encode(),
    }
    coloured = b"\x1b[31m".join(data[at : at + 2] for at in range(0, len(data), 2))
    return {**shown, "coloured": coloured, "wrapped": b"\n".join(data[at : at + 4] for at in range(0, len(data), 4))}


def seen(form: str, data: bytes) -> bytes:
    """What must not be seen afterwards: of base64 all but its last sign, which may be of the bits after it in part."""
    return data.rstrip(b"=")[:-1] if form == "base64" else data


def test_no_planted_secret_is_in_anything_that_comes_out(base: Base) -> None:
    for number in range(rounds(3, 30)):
        secret = f'k{number}<"{number * 7919:x}">&/+ ü{number}'
        for form, data in forms(secret).items():
            program = PRINTER.replace("FORM", repr((b"say " + data + b" end").hex()))
            runbook = load(
                str(base.runbook("tested", [{"argv": [sys.executable, "-c", program]}], parameters=[PASSWORD]))
            )
            live: list[bytes] = []
            with ProcessExecutor() as executor:
                steps = perform(prepare(runbook, {"password": secret}), executor, Source("live"))
                run = followed(steps, live)
            assert run.captures[0].exit_code == 0
            for place, said in {"live": b"".join(live), **outputs(run)}.items():
                # The command's own words are shown; they hold what it prints in hexadecimal of a longer text.
                assert seen(form, data) not in said, (place, form)
                assert secret.encode() not in said, (place, form)
            assert b"say ***" in run.captures[0].stdout, form
            assert run.captures[0].stdout.endswith(b" end")


def followed(steps: Generator[Event, None, Run], live: list[bytes]) -> Run:
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            run: Run = end.value
            return run
        if isinstance(event, Output):
            live.append(event.data)
        elif isinstance(event, Ended):
            live.append(event.capture.stderr)


def outputs(run: Run) -> dict[str, bytes]:
    said = {name: "".join(renderer(name).render([run])).encode("utf-8", "replace") for name in FORMATS}
    return {**said, "sample": sample_text(sample_of(run, "case", "A case", {})[0]).encode("utf-8", "replace")}
