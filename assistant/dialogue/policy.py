"""What to do with a question: answer as written, compose, or say that there is no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.config import DialogueSettings
from assistant.conversation.events import Decision
from assistant.values import Hit


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision, why it was taken, and the hits it rests on (best first, none when abstaining)."""

    decision: Decision
    reason: str
    confidence: float
    hits: tuple[Hit, ...] = ()


def decide(hits: Sequence[Hit], *, language: str, can_write: bool, settings: DialogueSettings) -> Plan:
    """Choose by the best hit's confidence; ``can_write`` tells whether the model writes the language."""
    if not hits:
        return Plan("abstained", "nothing in the knowledge base comes near the question", 0.0)
    best = hits[0]
    chosen = tuple(hits[: settings.max_passages])
    found = f"{best.passage.entry_id} matched its {best.field} at {best.confidence:.2f}"
    if best.confidence >= settings.verbatim:
        return Plan("verbatim", f"{found}, at least {settings.verbatim:.2f}", best.confidence, chosen)
    if can_write:
        return Plan("composed", f"{found}, under {settings.verbatim:.2f}", best.confidence, chosen)
    return Plan("verbatim", f"{found}; the model does not write {language!r}", best.confidence, chosen)
