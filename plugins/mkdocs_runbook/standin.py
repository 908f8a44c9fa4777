"""Short stand-ins for cards while a page is searched and put into its template; both parse whole pages, slowly.

A card has five hundred elements. In its place stands one that holds the words it should be found by, so a site of
recordings takes hardly longer to build than one without, and what commands printed does not drown a search.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_STAND_IN = re.compile(r'<div class="rb-stand-in" data-rb-card="(\d+)">.*?</div>', re.DOTALL)


class StandIns:
    """Cards by number; only what was put away here is ever put back."""

    def __init__(self) -> None:
        self._cards: list[str] = []
        self._numbers: dict[str, int] = {}

    def put_away(self, card: str, words: Iterable[str]) -> str:
        """The stand-in for this card, with these words (pieces of HTML without a div) in it."""
        if card not in self._numbers:
            self._numbers[card] = len(self._cards)
            self._cards.append(card)
        text = "\n".join(words)
        return f'<div class="rb-stand-in" data-rb-card="{self._numbers[card]}">{text}</div>'

    def put_back(self, page: str) -> str:
        """The page with every card in its place."""
        return _STAND_IN.sub(self._card, page)

    def _card(self, match: re.Match[str]) -> str:
        number = int(match[1])
        return self._cards[number] if number < len(self._cards) else match[0]
