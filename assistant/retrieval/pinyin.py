"""Chinese words typed by their sound, put right by the words of the knowledge base.

Input methods offer the wrong character of the right sound (「推货」 for 「退货」), and some customers type the sound
itself ("tuihuo"). One character is changed where no dictionary knows what stands there as a word and a word of the
entries sounds the same, tones aside; characters that stand by themselves in any sentence (的, 是, 没) are left alone.
The sounds are pypinyin's, the dictionary is rjieba's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import rjieba
from pypinyin import lazy_pinyin
from pypinyin.constants import PINYIN_DICT

from assistant.language import HAN_RANGES, simplify
from assistant.retrieval.spelling import is_english

HAN = re.compile(rf"[{HAN_RANGES}]+")
# Characters and syllables of one word: "发piao", "tui huo".
SOUNDS = re.compile(rf"[{HAN_RANGES}]*[a-z]+(?:[ '’]?(?:[a-z]+|[{HAN_RANGES}]+))*", re.IGNORECASE)
GRAMMAR = frozenset(
    "的地得了着过吗呢吧啊呀嘛么是在有和与及就都也还把被让给对从到为以于之而其我你您他她它们咱这那哪谁几多少"
    "不没别只才再又很太最更会能要想可该应上下里外中前后左右来去时候年月日天个一二两三四五六七八九十百千万"
    "人大小好打做用说看买卖请帮找问"
) - {"地", "只"}
MIN_CHARS, MAX_CHARS = 2, 4
MAX_QUERY_CHARS = 200
MAX_SYLLABLE = 6

_PIECE = re.compile(rf"[a-z]+|[{HAN_RANGES}]")
_VOWEL = re.compile(r"[aeiouü]")

Syllables = tuple[str, ...]


class PinyinSpeller:
    """Corrects Chinese queries towards the vocabulary of some texts. Thread-safe once built."""

    def __init__(self, texts: Iterable[str]) -> None:
        counts = Counter(word for text in texts for word in _words(simplify(text)))
        self._vocabulary = frozenset(counts)
        self._by_sound: dict[Syllables, str] = {}
        for word, _ in sorted(counts.items(), key=lambda item: (item[1], item[0])):
            self._by_sound[tuple(lazy_pinyin(word))] = word  # of words that sound alike, the commonest

    def correct(self, query: str) -> str:
        """The query with such words put right, in simplified characters; very long ones as they are."""
        if not self._by_sound or len(query) > MAX_QUERY_CHARS:
            return query
        typed = SOUNDS.sub(lambda found: self._from_sounds(found.group()), simplify(query))
        return HAN.sub(lambda found: self._from_homophones(found.group()), typed)

    def _from_homophones(self, run: str) -> str:
        start = 0
        while start < len(run):
            word = self._homophone(run, start)
            run = run[:start] + word + run[start + len(word) :] if word else run
            start += len(word) or 1
        return run

    def _homophone(self, run: str, start: int) -> str:
        """The word that the characters from ``start`` were meant to be, of their own length; empty for none."""
        for length in range(min(MAX_CHARS, len(run) - start), MIN_CHARS - 1, -1):
            typed = run[start : start + length]
            meant = self._by_sound.get(tuple(lazy_pinyin(typed)), "")
            if typed in self._vocabulary:
                return typed
            is_free = not _knows(typed) and not _is_cut_by_words(run, start, start + length)
            if is_free and _differ_by_one(typed, meant):
                return meant
        return ""

    def _from_sounds(self, typed: str) -> str:
        """Words for a run of syllables and characters, where most of it sounds like words of the entries."""
        syllables = [syllable for piece in _PIECE.findall(typed.lower()) for syllable in _syllables(piece)]
        if not syllables or "" in syllables:
            return typed
        words = self._cover(syllables)
        num_words = sum(bool(HAN.match(word)) for word in words)
        return " ".join(words) if 2 * num_words >= len(words) else typed

    def _cover(self, syllables: Sequence[str]) -> list[str]:
        """The fewest words of two and more syllables that sound like this; the single ones between stay sounds."""
        best: list[tuple[int, list[str]] | None] = [(0, []), *[None] * len(syllables)]
        for end in range(1, len(syllables) + 1):
            for start in range(max(0, end - MAX_CHARS), end):
                before = best[start]
                word = self._by_sound.get(tuple(syllables[start:end]))
                if before is None or (word is None and end - start > 1):
                    continue
                cost = before[0] + (1 if word else 3)
                current = best[end]
                if current is None or cost < current[0]:
                    best[end] = (cost, [*before[1], word or syllables[start]])
        found = best[-1]
        return found[1] if found else list(syllables)


def _words(text: str) -> Iterator[str]:
    """Words of two to four characters, and neighbours that may be one: 「礼品」「卡」, 「礼品卡」."""
    for run in HAN.findall(text):
        cut = rjieba.cut(run, False)
        yield from (word for word in cut if MIN_CHARS <= len(word) <= MAX_CHARS)
        for one, other in pairwise(cut):
            if len(one) == 2 and len(other) == 1 and other not in GRAMMAR:
                yield one + other


def _knows(word: str) -> bool:
    return len(rjieba.cut(word, False)) == 1


def _is_cut_by_words(run: str, start: int, end: int) -> bool:
    """Whether a known word of the run reaches over one of the two places."""
    place = 0
    for word in rjieba.cut(run, False):
        if any(place < edge < place + len(word) for edge in (start, end)):
            return True
        place += len(word)
    return False


def _differ_by_one(typed: str, meant: str) -> bool:
    """Whether one character is another, neither that one nor all the rest being grammar."""
    if len(typed) != len(meant):
        return False
    wrong = [one for one, other in zip(typed, meant, strict=True) if one != other]
    kept = [one for one, other in zip(typed, meant, strict=True) if one == other]
    return len(wrong) == 1 and wrong[0] not in GRAMMAR and not GRAMMAR.issuperset(kept)


def _syllables(piece: str) -> list[str]:
    """The syllables of some Latin letters, the longest first; [""] where they are no pinyin. A character's sound."""
    if HAN.match(piece):
        return list(lazy_pinyin(piece))
    if is_english(piece):
        return [""]
    found: list[str] = []
    while piece:
        length = next((n for n in range(min(MAX_SYLLABLE, len(piece)), 0, -1) if piece[:n] in _pinyin()), 0)
        if not length:
            return [""]
        found.append(piece[:length])
        piece = piece[length:]
    return found


@lru_cache(maxsize=1)
def _pinyin() -> frozenset[str]:
    """Every syllable of Mandarin, without tones."""
    common = (chr(number) for number in PINYIN_DICT if 0x4E00 <= number <= 0x9FA5)
    sounds = frozenset(lazy_pinyin("，".join(common)))
    return frozenset(sound for sound in sounds if _VOWEL.search(sound))
