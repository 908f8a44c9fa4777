"""The contract of a renderer, and the formats there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runbook.model import Run

FORMATS = ("text", "json", "markdown")
#: Characters in a line of text where no terminal says otherwise.
WIDTH = 96


class Renderer(Protocol):
    """Turns runs into text for one kind of reader, piece by piece: a run can hold many megabytes of output.

    `colour` only where the reader is a terminal that wants it; `width` is the terminal's, for whom it matters.
    """

    def render(self, runs: Sequence[Run], *, colour: bool = False, width: int = WIDTH) -> Iterator[str]: ...


def renderer(name: str) -> Renderer:
    """The renderer of this format, imported only now."""
    if name == "json":
        from runbook.renderers import json as chosen
    elif name == "markdown":
        from runbook.renderers import markdown as chosen  # type: ignore[no-redef]
    else:
        from runbook.renderers import text as chosen  # type: ignore[no-redef]
    return chosen
