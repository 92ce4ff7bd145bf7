"""How well ranked answers are: hit@k and the mean reciprocal rank, with their intervals."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from assistant.evaluation.intervals import Interval, bootstrap_mean, wilson

DEPTH = 10


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a set of queries scored; 95 % intervals beside each figure."""

    n: int
    hit_at_1: float
    hit_at_5: float
    mrr_at_10: float
    hit_at_1_ci: Interval
    hit_at_5_ci: Interval
    mrr_at_10_ci: Interval


def rank_of(found: Sequence[str], relevant: Collection[str]) -> int | None:
    """The place, from 1, of the first relevant id among the first `DEPTH` found; None where there is none."""
    return next((place for place, name in enumerate(found[:DEPTH], start=1) if name in relevant), None)


def ranking(ranks: Sequence[int | None]) -> Ranking:
    """The figures of some ranks; a query without a rank is a miss everywhere."""
    n = len(ranks)
    first = sum(rank == 1 for rank in ranks)
    fifth = sum(rank is not None and rank <= 5 for rank in ranks)
    reciprocal = [1 / rank if rank else 0.0 for rank in ranks]
    return Ranking(
        n=n,
        hit_at_1=first / n if n else 0.0,
        hit_at_5=fifth / n if n else 0.0,
        mrr_at_10=sum(reciprocal) / n if n else 0.0,
        hit_at_1_ci=wilson(first, n),
        hit_at_5_ci=wilson(fifth, n),
        mrr_at_10_ci=bootstrap_mean(reciprocal),
    )
