"""What a conversation's events say for its next turn. Pure: events in, values out."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.conversation.events import Action, Event, Message, Mode
from assistant.dialogue.context import exchanges
from assistant.dialogue.turn import Question


def question_of(
    event: Event, messages: Sequence[Event], actions: Sequence[Event], *, mode: Mode, tenant: str
) -> Question:
    """The question that a customer's message asks, with everything that was before it.

    ``messages`` and ``actions`` are the conversation's latest, oldest first.
    """
    assert isinstance(event.payload, Message)
    before = [earlier for earlier in messages if earlier.position < event.position]
    told = [(e.author, e.payload) for e in before if isinstance(e.payload, Message)]
    answers = [said for author, said in told if author != "customer"]
    return Question(
        event.payload.text,
        event.payload.language,
        history=exchanges(before),
        earlier=[said.text for author, said in told if author == "customer"],
        just_told={citation.entry_id for answer in answers[-1:] for citation in answer.citations},
        mode=mode,
        tenant=tenant,
        said=[said.text for _, said in told],
        past=[answer.decision for answer in answers if answer.decision],
        was_unanswered=any(answer.decision == "abstained" and answer.confidence is not None for answer in answers[-1:]),
        actions=[e.payload for e in actions if isinstance(e.payload, Action)],
        user_id=event.payload.user_id,
    )


def attempt(messages: Sequence[Event], replaces: str | None) -> int:
    """How many wordings were given already of the answer to be replaced; 0 where none is."""
    reply_to = {m.message_id: m.reply_to for m in (e.payload for e in messages) if isinstance(m, Message)}
    count = 0
    while replaces and reply_to.get(replaces):
        replaces, count = reply_to[replaces], count + 1
    return count


def asked_by(messages: Sequence[Event], message_id: str) -> Event | None:
    """The customer's message that an answer, which must be the last message of all, goes back to."""
    by_id = {e.payload.message_id: e for e in messages if isinstance(e.payload, Message)}
    if not messages or by_id.get(message_id) is not messages[-1]:
        return None
    event: Event | None = messages[-1]
    while event is not None and event.author == "assistant":
        assert isinstance(event.payload, Message)
        event = by_id.get(event.payload.reply_to or "")
    return event if event is not None and event.author == "customer" else None
