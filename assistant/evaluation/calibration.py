"""Whether a confidence means what it says: of the answers given at 0.8, eight in ten should be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NUM_BINS = 10


@dataclass(frozen=True, slots=True)
class Sure:
    """One answer: how sure it was, and whether it was right."""

    confidence: float
    right: bool


def expected_calibration_error(answers: Sequence[Sure]) -> float | None:
    """The mean gap between confidence and share of right answers, over ten bins of equal width, by their size.

    (Naeini et al. 2015; Guo et al. 2017.) None where there is no answer.
    """
    if not answers:
        return None
    bins: list[list[Sure]] = [[] for _ in range(NUM_BINS)]
    for answer in answers:
        bins[min(NUM_BINS - 1, int(answer.confidence * NUM_BINS))].append(answer)
    return sum(abs(sum(a.confidence for a in held) - sum(a.right for a in held)) for held in bins) / len(answers)
