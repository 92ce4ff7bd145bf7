"""From evidence to a probability: how likely the found entry answers the query.

Cosines of two encoders are not comparable, nor are those of one and of two languages, so each situation has a logistic
curve of its own, fitted by ``python -m tests.benchmarks.calibrate_retrieval`` on half of the public data and the demo
FAQ, for customers of whom half ask what the FAQ answers, a quarter something near it and a quarter something else. By
how much the first entry leads the second tells most of what is near: without it, the share of near questions that get
an answer at the floor was 0.31 instead of 0.09.

On the half that was not fitted on, by threshold: the share of answerable questions that get an answer and how many of
those answers are right; how many of all answers are right in that mix; and the share of near and far questions that
get an answer though no entry answers them (``--measure``). First English questions (StackFAQ, and the demo FAQ asked
by wordings that were taken out of it, many of them one or two words), then Chinese texts without questions:

    threshold  answered  right  right in the mix  near   far
    0.35       0.660     0.920  0.846             0.087  0.028    default of [retrieval] floor
    0.50       0.575     0.963  0.927             0.028  0.017
    0.70       0.487     0.981  0.965             0.009  0.007
    0.80       0.417     0.991  0.982             0.004  0.003    default of [dialogue] verbatim
    0.90       0.287     1.000  1.000             0.000  0.000

    0.35       0.770     0.918  0.811             0.203  0.000
    0.80       0.442     0.970  0.949             0.020  0.000

(That table is of two encoders.) With three, the expected calibration error there is 0.029 (English) and 0.030 (Chinese)
for questions, 0.061 for texts in both, 0.06 for questions and 0.026 for texts across languages. Of a single data set it
is higher, up to 0.1: how sure one may be differs from FAQ to FAQ. For entries with many wordings there is the demo FAQ
alone, some hundred answer cases in each language: in two-fold cross-validation the error was 0.05 and 0.06; of the near
questions 0.38 and 0.39 passed the floor, of the far ones 0.23 (household requests, some of which name orders) and 0.02.
The score in spreads tells most of what is near: without it 0.54 and 0.46 of the near ones passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from assistant.retrieval.fusion import Floats, Form

Relation = Literal["en", "zh", "other", "across"]
"""The language that query and entry share, or that they are in two."""

UNLIKE = 0.3
"""What an entry loses that is less like the question than right entries are."""

MOST_LEAD = 0.2
"""A greater lead says no more."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A logistic regression (Platt 1999): the logit is the sum of what is known, each with its weight.

    ``ceiling`` is the probability that no evidence exceeds (a psychometric function's lapse rate, taken from 1);
    under ``least_cosine`` hardly any right entry lies, however far it is from the others.
    """

    cosine: float
    coverage: float
    lead: float
    score: float
    intercept: float
    ceiling: float = 1.0
    least_cosine: float = -1.0

    def __call__(self, cosine: Floats, coverage: Floats, lead: Floats, score: Floats) -> Floats:
        """The probabilities.

        ``coverage`` is how much of the query's words, by their rarity, the entry has (0 to 1); ``lead`` how much nearer
        than the next entry it is (0 to `MOST_LEAD`); ``score`` its score by the encoders, in spreads over its group.
        """
        logits = self.cosine * cosine + self.coverage * coverage + self.lead * lead + self.score * score
        logits = logits + self.intercept
        probabilities: Floats = self.ceiling / (1 + np.exp(-logits))
        return np.where(cosine < self.least_cosine, UNLIKE * probabilities, probabilities)


@dataclass(frozen=True, slots=True)
class Situation:
    """What evidence there is: by which encoders, in which language, of an entry of which form.

    ``encoders`` are the names of those that were asked, the English one first.
    """

    encoders: tuple[str, ...]
    relation: Relation
    form: Form


_MINILM, _USE, _E5 = "all-minilm-l6-v2", "use-multilingual-v3", "multilingual-e5-small"

LAPSE = 0.97
"""In conversations some answers are wrong for reasons that no evidence here shows: no entry is surer than this."""

_ACROSS_QUESTION = Curve(15.49, 0.00, 24.76, 0.99, -13.34, least_cosine=0.45)
_OTHER_QUESTION = Curve(10.29, 0.77, 12.88, 1.68, -17.27)
_CHINESE_TEXT = Curve(5.20, 6.77, 15.43, 1.34, -13.59)

# Without the encoder for passages.
_CHINESE_QUESTION_OF_TWO = Curve(3.88, 5.06, 9.58, 0.00, -3.72)
_CHINESE_TAUGHT_OF_TWO = Curve(9.92, 0.10, 27.07, 0.00, -7.65)
_CHINESE_TEXT_OF_TWO = Curve(4.49, 7.69, 8.90, 0.00, -4.77)
_OTHER_OF_TWO = Curve(5.73, 5.50, 26.31, 0.00, -6.57)
_ACROSS_OF_TWO = Curve(10.44, 0.00, 25.69, 0.00, -7.95)

CURVES: Mapping[Situation, Curve] = MappingProxyType(
    {
        Situation((_MINILM,), "en", "question"): Curve(3.58, 1.96, 6.56, 1.07, -8.14),
        Situation((_MINILM, _E5), "en", "taught"): Curve(3.66, 1.30, 14.58, 1.75, -11.99, LAPSE, 0.52),
        Situation((_MINILM, _E5), "en", "text"): Curve(1.22, 7.64, 7.32, 1.66, -9.13),
        Situation((_USE, _E5), "zh", "question"): Curve(2.88, 4.82, 13.72, 0.43, -6.12),
        Situation((_USE, _E5), "zh", "taught"): Curve(8.11, 0.50, 23.96, 1.88, -18.66, LAPSE, 0.58),
        Situation((_E5,), "zh", "text"): _CHINESE_TEXT,
        Situation((_USE, _E5), "other", "question"): _OTHER_QUESTION,
        Situation((_USE, _E5), "other", "taught"): _OTHER_QUESTION,
        Situation((_E5,), "other", "text"): _CHINESE_TEXT,  # the nearest there is: no data in a third language
        Situation((_USE, _E5), "across", "question"): _ACROSS_QUESTION,
        Situation((_USE, _E5), "across", "taught"): _ACROSS_QUESTION,
        Situation((_USE, _E5), "across", "text"): Curve(6.51, 0.00, 40.17, 0.00, -3.38),
        Situation((_MINILM,), "en", "text"): Curve(4.87, 9.63, 4.86, 0.00, -6.02),
        Situation((_MINILM, _USE), "en", "taught"): Curve(11.46, 0.35, 13.40, 0.00, -7.30),
        Situation((_USE,), "zh", "question"): _CHINESE_QUESTION_OF_TWO,
        # Too few Chinese questions have Latin words to fit them alone.
        Situation((_MINILM, _USE), "zh", "question"): _CHINESE_QUESTION_OF_TWO,
        Situation((_USE,), "zh", "taught"): _CHINESE_TAUGHT_OF_TWO,
        Situation((_MINILM, _USE), "zh", "taught"): _CHINESE_TAUGHT_OF_TWO,
        Situation((_MINILM, _USE), "zh", "text"): _CHINESE_TEXT_OF_TWO,
        Situation((_USE,), "other", "question"): _OTHER_OF_TWO,
        Situation((_USE,), "other", "taught"): _OTHER_OF_TWO,
        Situation((_USE,), "other", "text"): _CHINESE_TEXT_OF_TWO,
        Situation((_USE,), "across", "question"): _ACROSS_OF_TWO,
        Situation((_USE,), "across", "taught"): _ACROSS_OF_TWO,
        Situation((_USE,), "across", "text"): Curve(10.04, 0.00, 25.63, 0.00, -4.99),
    }
)

UNCALIBRATED = Curve(20.0, 0.0, 0.0, 0.00, -13.0)
"""For encoders of other names: most of them put unrelated texts below 0.6. Fit your own."""


def calibrated_encoders() -> frozenset[str]:
    """The encoders that have curves of their own."""
    return frozenset(name for case in CURVES for name in case.encoders)


def confidence(situation: Situation, cosine: Floats, coverage: Floats, lead: Floats, score: Floats) -> Floats:
    """The estimated probabilities (0 to 1) that entries with this evidence are the right ones."""
    return CURVES.get(situation, UNCALIBRATED)(cosine, coverage, lead, score)
