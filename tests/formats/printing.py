"""A capture of a command that printed this."""

from __future__ import annotations

from runbook.model import Capture, Ending


def printed(stdout: str | bytes, stderr: str | bytes = b"", exit_code: int = 0, dropped: int = 0) -> Capture:
    out, err = (text.encode() if isinstance(text, str) else text for text in (stdout, stderr))
    return Capture("list", ("lister",), Ending.EXITED, exit_code, out, err, dropped=dropped)
