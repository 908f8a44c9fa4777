"""TEMPORARY."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape as _e

from runbook.escaping import escape


def html_lines(data: bytes) -> Iterator[str]:
    if data:
        for line in data.removesuffix(b"\n").split(b"\n"):
            yield _e(escape(line), quote=False)
