"""Every format there is keeps the one contract."""

from __future__ import annotations

import random

import pytest

from runbook.renderers.renderer import FORMATS, renderer
from tests.renderers.making import a_run, joined, nasty_run


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_tells_the_runbook_and_the_verdict(name: str) -> None:
    text = joined(renderer(name).render)([a_run()])
    assert "List the disks" in text
    assert "unknown" in text.lower()


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_colours_unasked(name: str) -> None:
    assert "\x1b" not in joined(renderer(name).render)([a_run()])


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_breaks_on_any_output_and_all_of_it_can_be_written(name: str) -> None:
    chance = random.Random(7)
    for _ in range(300):
        joined(renderer(name).render)([nasty_run(chance), nasty_run(chance)], colour=True, width=80).encode("utf-8")


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_shows_a_secret_parameter(name: str) -> None:
    assert "hunter2" not in joined(renderer(name).render)([a_run()])
