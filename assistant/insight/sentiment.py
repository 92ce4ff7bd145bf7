"""The mood of a message: VADER for English, a word list of our own for Chinese.

Hutto and Gilbert 2014, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text". Its
words are weighed for tweets; the ones that are plain matters of business here ("cancel", "charge", "please help")
are set to what they mean in a shop.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from assistant.insight.chinese_mood import chinese_polarity, mood_table
from assistant.values import Sentiment

HAN = re.compile(r"[一-鿿]")
MAX_CHARS = 4_000
POSITIVE_FROM = 0.4
NEGATIVE_FROM = -0.3


def sentiment_of(text: str) -> Sentiment:
    """The mood of a message in Chinese or English; of other languages what their English words say."""
    polarity = chinese_polarity(text[:MAX_CHARS]) if HAN.search(text) else english_polarity(text[:MAX_CHARS])
    if polarity <= NEGATIVE_FROM:
        return "negative"
    return "positive" if polarity >= POSITIVE_FROM else "neutral"


def english_polarity(text: str) -> float:
    """VADER's compound score, -1 to 1, with the words weighed for a shop."""
    with _scoring:
        return float(_analyzer().polarity_scores(text)["compound"])


_scoring = threading.Lock()


@lru_cache(maxsize=1)
def _analyzer() -> SentimentIntensityAnalyzer:
    analyzer = SentimentIntensityAnalyzer()
    words = mood_table()["en"]
    for word in words["neutral"].split():
        analyzer.lexicon.pop(word, None)
    analyzer.lexicon.update(words["weights"])
    return analyzer
