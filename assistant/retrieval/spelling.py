"""Misspelt words of a question, put right by the words of the knowledge base.

"how do i retrun a lampp" finds nothing, because an encoder does not know the words and no entry holds them. Only
what no English dictionary knows is changed, and only into a word that the entries use: a name or a product stays.
The search is SymSpell's (Garbe 2012), by symspellpy, which brings the dictionary.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

from symspellpy import SymSpell, Verbosity

WORD = re.compile(r"[A-Za-z]+")
MIN_LETTERS = 3
ONE_EDIT_LETTERS = 4
TWO_EDITS_LETTERS = 6
MAX_LETTERS = 40  # longer than any word; looking one up takes time by the square of its length
MAX_WORDS = 60


class Speller:
    """Corrects English queries towards the vocabulary of some texts. Thread-safe once built."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._vocabulary = Counter(word.lower() for text in texts for word in WORD.findall(text))
        self._near = SymSpell(max_dictionary_edit_distance=2)
        for word, count in self._vocabulary.items():
            if len(word) >= MIN_LETTERS:
                self._near.create_dictionary_entry(word, count)

    def correct(self, query: str) -> str:
        """The query with what is misspelt put right; other words, and very long queries, as they are."""
        if not self._vocabulary or len(WORD.findall(query)) > MAX_WORDS:
            return query
        return WORD.sub(lambda found: self._corrected(found.group()), query)

    def _corrected(self, word: str) -> str:
        lowered = word.lower()
        edits = 2 if len(word) >= TWO_EDITS_LETTERS else 1
        if not ONE_EDIT_LETTERS <= len(word) <= MAX_LETTERS or lowered in self._vocabulary or is_english(lowered):
            return word
        near = self._near.lookup(lowered, Verbosity.TOP, max_edit_distance=edits)
        return near[0].term if near else word


def is_english(word: str) -> bool:
    """Whether an English dictionary has this lower-case word."""
    return word in _dictionary()


@lru_cache(maxsize=1)
def _dictionary() -> frozenset[str]:
    """The English words that symspellpy lists; read once, about 0.1 s."""
    listed = files("symspellpy") / "frequency_dictionary_en_82_765.txt"
    return frozenset(line.split(" ", 1)[0] for line in listed.read_text(encoding="utf-8-sig").splitlines())
