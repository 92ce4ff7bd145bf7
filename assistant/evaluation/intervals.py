"""95 % intervals for what was measured on a sample."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

Z = 1.959963984540054  # the normal distribution's 97.5 % quantile
RESAMPLES = 2000

Interval = tuple[float, float]


def wilson(num_hits: int, n: int) -> Interval:
    """The score interval of a share ``num_hits / n`` (Wilson 1927); it holds near 0 and 1 too."""
    if n == 0:
        return 0.0, 1.0
    share, square = num_hits / n, Z * Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap_mean(values: Sequence[float], *, seed: int = 0) -> Interval:
    """The percentile bootstrap interval of a mean (Efron 1979), the same for the same values and seed.

    Equal values are drawn together, as one multinomial: reciprocal ranks take a dozen values.
    """
    if not values:
        return 0.0, 1.0
    counts = Counter(values)
    shares = np.array(list(counts.values())) / len(values)
    drawn = np.random.default_rng(seed).multinomial(len(values), shares, size=RESAMPLES)
    low, high = np.quantile(drawn @ np.array(list(counts)) / len(values), (0.025, 0.975))
    return float(low), float(high)
