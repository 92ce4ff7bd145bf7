"""The mood of a message: VADER for English, a word list of our own for Chinese.

Hutto and Gilbert 2014, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text". Its
words are weighed for tweets; the ones that are plain matters of business here ("cancel", "charge", "please help")
are set to what they mean in a shop.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from itertools import islice

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from assistant.insight.chinese_mood import chinese_polarity, mood_table
from assistant.language import HAN
from assistant.values import Sentiment

# VADER takes time by the square of a text's words, and makes several of each emoji.
MAX_CHARS = 1_000
MAX_EMOJI = 20
EMOJI = re.compile(r"[\u2600-\u27BF\U0001F000-\U0001FAFF]")
POSITIVE_FROM = 0.4
NEGATIVE_FROM = -0.3


def sentiment_of(text: str) -> Sentiment:
    """The mood of a message in Chinese or English; of other languages what their English words say.

    Of a long text the beginning counts.
    """
    said = text[:MAX_CHARS]
    polarity = chinese_polarity(said) if HAN.search(said) else english_polarity(said)
    if polarity <= NEGATIVE_FROM:
        return "negative"
    return "positive" if polarity >= POSITIVE_FROM else "neutral"


def english_polarity(text: str) -> float:
    """VADER's compound score, -1 to 1, with the words weighed for a shop."""
    few = _with_few_emoji(text)
    with _scoring:
        return float(_analyzer().polarity_scores(few)["compound"])


def _with_few_emoji(text: str) -> str:
    last = next(islice(EMOJI.finditer(text), MAX_EMOJI - 1, None), None)
    return text if last is None else text[: last.end()] + EMOJI.sub("", text[last.end() :])


_scoring = threading.Lock()


@lru_cache(maxsize=1)
def _analyzer() -> SentimentIntensityAnalyzer:
    analyzer = SentimentIntensityAnalyzer()
    words = mood_table()["en"]
    for word in words["neutral"].split():
        analyzer.lexicon.pop(word, None)
    analyzer.lexicon.update(words["weights"])
    return analyzer
