"""What to do with a question: answer as written, compose, ask back, or say that there is no answer.

The decision rests on calibrated probabilities (`Hit.confidence`), so each threshold means the same on any FAQ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assistant.config import DialogueSettings
from assistant.conversation.events import Decision
from assistant.dialogue.asking import is_bare
from assistant.dialogue.words import content_words
from assistant.values import Hit, Passage

# Who asks one thing that the FAQ answers more likely asks another: a part of a message needs less than a whole one.
PART_FLOOR = 0.2
# An entry is added to another where it is about as likely right as wrong,
COMBINED_FLOOR = 0.4
# what the whole message finds beside its questions' own entries, where it is somewhat likely,
ASIDE_FLOOR = 0.3
# and what one clause finds by itself, where the whole message does not speak against it.
CLAUSE_FLOOR = 0.5
PLAUSIBLE = 0.1
MAX_CANDIDATES = 3
MAX_TOLD = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A question, and what the search found for it, best first.

    ``leans`` says that it was searched for together with what was asked before; ``beside`` is what that found
    where the question alone found something else. Of a whole message, ``beside`` are the first hits of its clauses, and
    ``plausible`` all that it found itself, likely or not.
    """

    question: str
    hits: tuple[Hit, ...]
    leans: bool = False
    beside: tuple[Hit, ...] = ()
    plausible: tuple[Hit, ...] = ()

    @property
    def confidence(self) -> float:
        """How likely the first hit answers it; 0 where there is none."""
        return self.hits[0].confidence if self.hits else 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision, why it was taken, and the hits it rests on (best first, none when abstaining).

    ``needs_all`` says that every hit has a part of the answer; ``unknown`` are the questions of the message that
    nothing was found for.
    """

    decision: Decision
    reason: str
    confidence: float
    hits: tuple[Hit, ...] = ()
    needs_all: bool = False
    unknown: tuple[str, ...] = ()


def decide(
    whole: Found, parts: Sequence[Found] = (), *, language: str, can_write: bool, settings: DialogueSettings
) -> Plan:
    """Choose by what was found for the whole message and for each of its questions.

    ``can_write`` tells whether the model writes the language.
    """
    several = _several(whole, parts) or _told_by_clauses(whole)
    if several is not None:
        return several
    if is_bare(whole.question) and not whole.leans:
        likely = whole.hits[0].confidence if whole.hits else 0.0
        reason = "the question names nothing, and nothing was said before"
        return Plan("clarified", reason, likely, whole.hits[:MAX_CANDIDATES])
    if not whole.hits:
        return Plan("abstained", "nothing in the knowledge base comes near the question", 0.0)
    best = whole.hits[0]
    found = f"{best.passage.entry_id} matched its {best.field} at {best.confidence:.2f}"
    if best.passage.kind == "document":
        return Plan("composed", f"{found}, a section of a document", best.confidence, _top(whole, settings))
    if best.confidence >= settings.verbatim:
        return Plan("verbatim", f"{found}, at least {settings.verbatim:.2f}", best.confidence, _top(whole, settings))
    return (
        _combined(whole, found)
        or _clarified(whole, found, settings)
        or _single(whole, found, can_write=can_write, language=language, settings=settings)
    )


def _several(whole: Found, parts: Sequence[Found]) -> Plan | None:
    """An answer to each of several questions, where they have different ones, and to what they have in common."""
    if not parts:
        return None
    views = [[hit for hit in (*part.hits[:1], *part.beside[:1]) if hit.confidence >= PART_FLOOR] for part in parts]
    aside = [hit for hit in whole.hits[:MAX_CANDIDATES] if hit.confidence >= ASIDE_FLOOR]
    chosen = _likeliest([hit for view in views for hit in view] + aside)
    if not any(hit.confidence >= COMBINED_FLOOR for hit in chosen):
        return None
    unknown = tuple(part.question for part, view in zip(parts, views, strict=True) if not view)
    if len(chosen) < 2 and not (chosen and unknown):
        return None
    left = f"; {len(unknown)} without an answer" if unknown else ""
    return _together(chosen, f"{len(parts)} questions", left, unknown if len(chosen) < len(parts) else ())


def _told_by_clauses(whole: Found) -> Plan | None:
    """What the message as a whole finds, and what each of its clauses finds by itself."""
    likely = {hit.passage.entry_id: hit.confidence for hit in whole.plausible}
    added = [
        hit
        for hit in whole.beside
        if hit.confidence >= CLAUSE_FLOOR and likely.get(hit.passage.entry_id, 0.0) >= PLAUSIBLE
    ]
    chosen = _likeliest([*whole.hits[:1], *added])
    if len(chosen) < 2 or any(hit.passage.kind != "faq" for hit in chosen):
        return None
    return _together(chosen, "its clauses find different entries")


def _together(chosen: Sequence[Hit], because: str, left: str = "", unknown: tuple[str, ...] = ()) -> Plan:
    mean = sum(hit.confidence for hit in chosen) / len(chosen)
    named = ", ".join(f"{hit.passage.entry_id} at {hit.confidence:.2f}" for hit in chosen)
    return Plan("composed", f"{because}: {named}{left}", mean, tuple(chosen), True, unknown)


def _likeliest(hits: Iterable[Hit]) -> list[Hit]:
    """Each entry once, as its likeliest hit; the likeliest entries, in the order they were first named."""
    best: dict[str, Hit] = {}
    for hit in hits:
        known = best.setdefault(hit.passage.entry_id, hit)
        if hit.confidence > known.confidence:
            best[hit.passage.entry_id] = hit
    kept = sorted(best.values(), key=lambda hit: -hit.confidence)[:MAX_TOLD]
    return [hit for hit in best.values() if hit in kept]


def _combined(whole: Found, found: str) -> Plan | None:
    """Two entries of which each is about something in the question that the other does not have."""
    best, *others = whole.hits
    asked = content_words(whole.question)
    for other in others[: MAX_CANDIDATES - 1]:
        if (
            other.confidence < COMBINED_FLOOR
            or best.confidence < COMBINED_FLOOR
            or other.passage.kind != best.passage.kind
        ):
            continue
        if _adds(asked, best.passage, other.passage) and _adds(asked, other.passage, best.passage):
            reason = f"{found}; {other.passage.entry_id} at {other.confidence:.2f} has what that one lacks"
            return Plan("composed", reason, min(best.confidence, other.confidence), (best, other), needs_all=True)
    return None


def _adds(asked: frozenset[str], one: Passage, other: Passage) -> bool:
    """Whether ``other`` is about a thing in the question that ``one`` does not mention."""
    known = content_words(f"{one.title}\n{one.text}")
    return bool((asked & content_words(other.title)) - known)


def _clarified(whole: Found, found: str, settings: DialogueSettings) -> Plan | None:
    """Ask which is meant, where two entries are about as likely and neither is sure."""
    best = whole.hits[0]
    close = [hit for hit in whole.hits if best.confidence - hit.confidence < settings.clarify_margin]
    close = [hit for hit in close if hit.passage.lang == best.passage.lang and hit.passage.kind == "faq"]
    if len(close) < 2:
        return None
    other = close[1]
    reason = f"{found}, about as likely as {other.passage.entry_id} at {other.confidence:.2f}"
    return Plan("clarified", reason, best.confidence, tuple(close[:MAX_CANDIDATES]))


def _single(whole: Found, found: str, *, can_write: bool, language: str, settings: DialogueSettings) -> Plan:
    best = whole.hits[0]
    if can_write:
        reason = f"{found}, under {settings.verbatim:.2f}"
        return Plan("composed", reason, best.confidence, _top(whole, settings))
    return Plan("verbatim", f"{found}; no model composes {language!r} here", best.confidence, _top(whole, settings))


def _top(whole: Found, settings: DialogueSettings) -> tuple[Hit, ...]:
    return whole.hits[: settings.max_passages]
