"""What a text is about: its content words, alike however they are inflected."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assistant.language import HAN, fold

URL_OR_EMAIL = re.compile(r"https?://\S+|www\.\S+|(?a:(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+)", re.I)
WORD = re.compile(r"[a-z0-9]+(?:['’][a-z]+)?", re.I)
# Runs of Chinese without the characters that stand in every sentence.
HAN_RUN = re.compile(r"[^\W\da-zA-Z_的了吗呢吧啊请您你我们可以会能在就也和与或再先后是有这那将把被给]+")
# "yes" is none of them: it claims something.
STOP_WORDS = frozenset(
    "a an and are as at be been but by can could did do does for from had has have how i if in is it its just may me "
    "my no not of on or our please should so such than that the their them then there these they this those to us was "
    "we were what when where which who will with would you your also any all more sure help happy hello hi sorry "
    "thank thanks let know need want question questions answer feel free great welcome".split()
)


def content_words(text: str) -> frozenset[str]:
    """What a text is about: stemmed Latin words without the common ones, and pairs of Chinese characters."""
    text = URL_OR_EMAIL.sub(" ", fold(text))
    latin = set(stems(text))
    runs = [run for run in HAN_RUN.findall(text) if HAN.match(run)]
    han = {run[i : i + 2] for run in runs for i in range(max(1, len(run) - 1))}
    return frozenset(latin | han)


def stems(text: str) -> Iterator[str]:
    """The Latin content words in order, stemmed."""
    return (stem(word) for word in WORD.findall(text.lower()) if word not in STOP_WORDS)


def stem(word: str) -> str:
    """A word without its commonest endings, enough to match "returned" with "return"."""
    word = word.replace("’", "'").removesuffix("'s")
    for ending in ("ing", "ed", "es", "s", "ly", "d", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
