"""From a cosine to a probability: how likely the found entry answers the query.

Cosines of two encoders are not comparable, nor are those of texts in one and in two languages; each gets
its own logistic curve (Platt 1999), fitted by ``python -m tests.benchmarks.calibrate_retrieval`` on half
of the public data, for customers of whom half ask what the FAQ answers, a quarter something near it and a
quarter something else.

A curve of its own for answers was tried: ranked by it, hit@1 on StackFAQ fell from 0.951 to 0.940, because
a weak match of an answer overtook a better one of a question. So fields share a curve.

On the half of StackFAQ (English) that was not fitted on, by threshold: the share of answerable questions that
get an answer and how many of those answers are right; how many of all answers are right in that mix; and
the share of near and far questions that get an answer though no entry answers them (``--measure``):

    threshold  answered  right  right in the mix  near   far
    0.35       0.939     0.953  0.837             0.257  0.003    default of [retrieval] floor
    0.50       0.882     0.965  0.892             0.139  0.003
    0.70       0.800     0.969  0.927             0.072  0.000
    0.80       0.715     0.977  0.948             0.044  0.000    default of [dialogue] verbatim
    0.90       0.570     0.983  0.970             0.015  0.000

The expected calibration error there is 0.013 for MiniLM, and for USE 0.035 within and 0.044 across languages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Relation = Literal["same", "cross"]
"""Whether query and text are in the same language."""


@dataclass(frozen=True, slots=True)
class Curve:
    """``1 / (1 + exp(-(slope * cosine + intercept)))``."""

    slope: float
    intercept: float

    def __call__(self, cosine: float) -> float:
        """The probability at ``cosine``."""
        return 1 / (1 + math.exp(-(self.slope * cosine + self.intercept)))


CURVES: Mapping[tuple[str, Relation], Curve] = MappingProxyType(
    {
        ("all-minilm-l6-v2", "same"): Curve(18.1, -11.0),
        ("use-multilingual-v3", "same"): Curve(10.3, -6.6),
        ("use-multilingual-v3", "cross"): Curve(15.5, -9.6),
    }
)

UNCALIBRATED = Curve(20.0, -13.0)
"""For encoders of other names: most of them put unrelated texts below 0.6. Fit your own."""


def is_calibrated(encoder: str, relation: Relation) -> bool:
    """Whether this encoder has a curve of its own."""
    return (encoder, relation) in CURVES


def confidence(encoder: str, relation: Relation, cosine: float) -> float:
    """The estimated probability (0 to 1) that the entry found with this ``cosine`` is the right one."""
    return CURVES.get((encoder, relation), UNCALIBRATED)(cosine)
