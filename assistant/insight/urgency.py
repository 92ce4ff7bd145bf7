"""How soon a customer needs an answer, by what they say of time."""

from __future__ import annotations

from assistant.insight.expressions import expression
from assistant.values import Urgency

MAX_CHARS = 4_000


def urgency_of(text: str) -> Urgency:
    """``high`` where something is needed by a near time or at once, ``low`` where the customer says it can wait."""
    said = text[:MAX_CHARS]
    if expression("urgency", "low").search(said):
        return "low"
    asked = expression("urgency", "about").sub(" ", said)
    return "high" if expression("urgency", "high").search(asked) else "normal"
