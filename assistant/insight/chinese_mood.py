"""The mood of a Chinese message: the words of ``mood.toml``, turned by negations and raised by degree words.

No sentiment library for Chinese is both small and kept up; customers' moods need some two hundred words. A word
counts with what stands directly before it: 「不满意」, 「一点也不好用」, 「非常失望」.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

NEGATION = re.compile(
    r"(?:不(?:太|怎么|是很|算|大|够)?|没(?:有)?|并?非|毫无|别|未|无法|谈不上|一点(?:也|都)不|不能让人)$"
)
RAISED = re.compile(r"(?:非常|特别|十分|极其|实在|真的?|太|超级?|相当|很|好|最|简直|完全|彻底|无比)$")
LOWERED = re.compile(r"(?:有点儿?|有些|稍微?|略|比较|还算|一点)$")
REACH = 5
STRONG, PLAIN = 2.4, 1.2
RAISE, LOWER, TURN = 1.5, 0.6, -0.8
EXCLAMATION = 0.25
MAX_EXCLAMATIONS = 3
NORMALISER = 5.0  # VADER divides by the root of the square plus 15; these sums are shorter


def chinese_polarity(text: str) -> float:
    """From -1 (very negative) to 1 (very positive)."""
    words = _words()
    excepted = {index for match in words.exceptions.finditer(text) for index in range(*match.span())}
    total = sum(
        _turned(words.weights[match.group()], text[max(0, match.start() - REACH) : match.start()])
        for match in words.any_word.finditer(text)
        if match.start() not in excepted
    )
    if total:
        total += math.copysign(EXCLAMATION * min(MAX_EXCLAMATIONS, len(re.findall("[!！]", text))), total)
    return total / math.sqrt(total * total + NORMALISER)


def _turned(weight: float, before: str) -> float:
    """A word's weight after the words directly before it, read from right to left."""
    while before:
        if found := RAISED.search(before):
            weight *= RAISE
        elif found := LOWERED.search(before):
            weight *= LOWER
        elif found := NEGATION.search(before):
            weight *= TURN
        else:
            break
        before = before[: found.start()]
    return weight


@dataclass(frozen=True, slots=True)
class _Words:
    weights: Mapping[str, float]
    any_word: re.Pattern[str]
    exceptions: re.Pattern[str]


@lru_cache(maxsize=1)
def _words() -> _Words:
    table = mood_table()["zh"]
    weights = {
        **dict.fromkeys(table["negative"].split(), -PLAIN),
        **dict.fromkeys(table["positive"].split(), PLAIN),
        **dict.fromkeys(table["strong_negative"].split(), -STRONG),
        **dict.fromkeys(table["strong_positive"].split(), STRONG),
    }
    longest_first = sorted(map(re.escape, weights), key=len, reverse=True)
    return _Words(weights, re.compile("|".join(longest_first)), re.compile(table["exceptions"], re.X))


@lru_cache(maxsize=1)
def mood_table() -> dict[str, Any]:
    """The words of ``mood.toml``, by language."""
    return tomllib.loads(files("assistant.insight").joinpath("mood.toml").read_text(encoding="utf-8"))
