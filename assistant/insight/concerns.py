"""Whether a message needs another answer than its question would get: expressions first, then resemblance.

Measured on the half of the public attacks and of ordinary questions that nothing was tuned on, see
`tests/benchmarks/calibrate_safety.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.insight.expressions import expression, outright
from assistant.insight.semantic import ConcernHead
from assistant.values import Concern

# Who is in danger comes before what is forbidden, and that before what is only rude.
ORDER: tuple[Concern, ...] = ("self_harm", "injection", "harm", "sensitive", "abuse")
SURE_SCORE = 0.95
MAX_CHARS = 8_000


@dataclass(frozen=True, slots=True)
class Bars:
    """From which resemblance (0 to 1) on a message is of concern: without, with a hint, with a protective word."""

    plain: float
    hinted: float
    protective: float


BARS = {"en": Bars(0.60, 0.42, 0.62), "zh": Bars(0.65, 0.55, 0.65)}
OTHER_BARS = Bars(0.90, 0.75, 0.95)


def concern_of(text: str, *, language: str, head: ConcernHead | None) -> tuple[Concern | None, float]:
    """The concern of a message and its score (0 to 1); without a ``head`` only what is said outright counts."""
    said = text[:MAX_CHARS]
    outright = said_outright(said)
    if outright:
        return outright, SURE_SCORE
    if head is None or not said.strip():
        return None, 0.0
    found = head.resemblance(said, language=language)
    return (found.concern if found.score >= bar(said, language) else None), found.score


def said_outright(text: str) -> Concern | None:
    """The gravest concern that an expression in the text says by itself."""
    expressions = outright()
    return next((concern for concern in ORDER if any(each.search(text) for each in expressions[concern])), None)


def bar(text: str, language: str) -> float:
    """The resemblance from which on this text is of concern."""
    bars = BARS.get(language, OTHER_BARS)
    if expression("bars", "protective").search(text):
        return bars.protective
    return bars.hinted if expression("bars", "hint").search(text) else bars.plain
