"""One ranking out of four: shared words (BM25) and the encoders for English, for all languages and for passages.

Each system's scores are divided by their own spread over the entries and added with weights that depend on the
query's language, the entry's, and on whether the entry asks a question at all. Reciprocal rank fusion was
weaker by 0.1 MRR, because one poor system in a language drags it down. (Per-query z-scores; their means shift all
entries alike and are left out.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from assistant.retrieval.embedding import System

Floats = npt.NDArray[np.floating[Any]]

Form = Literal["question", "taught", "text"]
"""Whether an entry asks a question as customers do, in many wordings or in one, or is only text that may answer one."""

USUAL_SPREAD = 0.1
USUAL_WEIGHT = 30
"""With few entries a spread is chance: this many entries of the usual spread are counted along."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each system adds; an encoder of weight 0 is not asked."""

    lexical: float
    english: float
    multilingual: float
    passage: float = 0.0

    def of(self, system: System) -> float:
        """An encoder's weight."""
        return {"english": self.english, "multilingual": self.multilingual, "passage": self.passage}[system]


# A customer's question and the FAQ's are seldom put in the same words, so words hardly count where questions are
# compared: on StackFAQ hit@1 fell from 0.958 to 0.928 with three tenths. To find an answer by its text they count, and
# where an entry has a dozen wordings. The encoder for passages was worse than MiniLM at English questions (0.95 with a
# fifth of it) and better at all else; hit@1 without and with it, on the public data and the demo FAQ: Chinese questions
# 0.56 and 0.60, with many wordings 0.85 and 0.90, texts 0.950 and 0.956; English with many wordings 0.85 and 0.89;
# a third language 0.78 and 0.88; texts in another language 0.74 and 0.84. Neighbouring weights differ by a hundredth.
_ENGLISH: dict[Form, Weights] = {
    "question": Weights(0.05, 0.95, 0),
    "taught": Weights(0.2, 0.5, 0, 0.3),
    "text": Weights(0.35, 0.3, 0, 0.35),
}
_CHINESE: dict[Form, Weights] = {
    "question": Weights(0.1, 0, 0.3, 0.6),
    "taught": Weights(0.2, 0, 0.4, 0.4),
    "text": Weights(0.3, 0, 0, 0.7),
}
_OTHER: dict[Form, Weights] = {
    "question": Weights(0.05, 0, 0.2, 0.75),
    "taught": Weights(0.15, 0, 0.3, 0.55),
    "text": Weights(0.3, 0, 0, 0.7),
}
_ACROSS = Weights(0, 0, 0.3, 0.7)

# Without an encoder for passages.
_ENGLISH_OF_TWO: dict[Form, Weights] = {
    "question": Weights(0.05, 0.95, 0),
    "taught": Weights(0.2, 0.4, 0.4),
    "text": Weights(0.4, 0.6, 0),
}
_CHINESE_OF_TWO: dict[Form, Weights] = {
    "question": Weights(0.15, 0, 0.85),
    "taught": Weights(0.3, 0, 0.7),
    "text": Weights(0.35, 0.3, 0.35),
}
_CHINESE_WITH_LATIN_OF_TWO: dict[Form, Weights] = {
    "question": Weights(0.15, 0.2, 0.65),
    "taught": Weights(0.3, 0.1, 0.6),
    "text": Weights(0.35, 0.3, 0.35),
}
_OTHER_OF_TWO: dict[Form, Weights] = {
    "question": Weights(0.05, 0, 0.95),
    "taught": Weights(0.3, 0, 0.7),
    "text": Weights(0.4, 0, 0.6),
}
_ACROSS_OF_TWO = Weights(0, 0, 1)

_LATIN_WORD = re.compile(r"[A-Za-z]{2}")


def weights(query: str, query_language: str, entry_language: str, form: Form, *, has_passage: bool = True) -> Weights:
    """How to weigh the systems for this query and entries of these languages (ISO 639-1).

    Without an encoder for passages, the English one reads the Latin words of a Chinese question; in one without any it
    only misleads.
    """
    if query_language != entry_language:
        return _ACROSS if has_passage else _ACROSS_OF_TWO
    if query_language == "en":
        return (_ENGLISH if has_passage else _ENGLISH_OF_TWO)[form]
    if query_language != "zh":
        return (_OTHER if has_passage else _OTHER_OF_TWO)[form]
    if has_passage:
        return _CHINESE[form]
    return (_CHINESE_WITH_LATIN_OF_TWO if _LATIN_WORD.search(query) else _CHINESE_OF_TWO)[form]


UNRELATED = {"multilingual-e5-small": 0.75}
"""What cosine an encoder gives texts that have nothing to do with each other, where it is far from 0."""


def likeness(cosines: Floats, encoder: str) -> Floats:
    """The cosines of the encoder of this name, stretched so that unrelated texts lie near 0."""
    unrelated = UNRELATED.get(encoder, 0.0)
    stretched: Floats = (cosines - unrelated) / (1 - unrelated)
    return stretched


# How much the whole entry counts beside its best part (question, wording, sentence of the answer).
WHOLE: dict[Form, float] = {"question": 0.3, "taught": 1.0, "text": 0.8}


def blend(best_part: Floats, whole: Floats, form: Form) -> Floats:
    """One cosine for an entry out of its best part's and the whole entry's."""
    share = WHOLE[form]
    blended: Floats = (best_part + share * whole) / (1 + share)
    return blended


def spread(cosines: Floats) -> float:
    """The standard deviation of an encoder's cosines with a query, drawn to the usual one where they are few."""
    if not len(cosines):
        return USUAL_SPREAD
    variance = (len(cosines) * float(cosines.var()) + USUAL_WEIGHT * USUAL_SPREAD**2) / (len(cosines) + USUAL_WEIGHT)
    return float(np.sqrt(variance))


def lexical_spread(scores: Floats) -> float:
    """The standard deviation of BM25 scores; 1 where no entry shares a word."""
    return (float(scores.std()) if len(scores) else 0.0) or 1.0
