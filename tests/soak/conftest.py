"""How a trial tells its numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints although the test succeeds."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text.strip()}", end="", flush=True)

    return say
