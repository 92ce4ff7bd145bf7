"""Finding ids in text: what came from a conversation names it, or a message of it, somewhere."""

from __future__ import annotations

import re
from collections.abc import Collection

WORD = re.compile(r"\w+")
NEW_ID = re.compile(r"[a-z]{1,4}_[0-9a-f]{35}")  # as the log makes them, also with something hung on


class Identifiers:
    """A set of ids. They cannot be guessed, so a text that has one was made from what it names."""

    def __init__(self, ids: Collection[str]) -> None:
        self._words = {one for one in ids if WORD.fullmatch(one)}
        self._others = tuple(one for one in ids if one not in self._words)

    def is_in(self, text: str) -> bool:
        """Whether one of them stands in the text."""
        if not self._words.isdisjoint(WORD.findall(text)) or not self._words.isdisjoint(NEW_ID.findall(text)):
            return True
        return any(other in text for other in self._others)
