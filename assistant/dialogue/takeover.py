"""Who writes in a conversation: the assistant, or one person at a time.

    bot ──► waiting ──► human ──► closed
     ▲ ▲───────────────── │          │
     └────────────────────┴──────────┘   given back; or the customer writes again

Pure: each function gives the events that make the change, for `ConversationLog.append`'s ``first``, which runs it
inside the transaction: of two people who claim at once, on any two processes, the second is told who was first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.conversation.events import NewEvent, State
from assistant.conversation.log import Deciding, Head
from assistant.errors import ConversationClosed, NotTaken, TakenByAnother


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts; with ``overrides`` also on what somebody else has, or nobody."""

    agent_id: str
    name: str
    overrides: bool = False


def claim(head: Head, person: Person) -> Sequence[NewEvent]:
    """The person has it from now on. Raises `TakenByAnother`, `ConversationClosed`."""
    _refuse_closed(head)
    if _has(head, person):
        return []
    if head.mode == "human" and not person.overrides:
        raise _taken(head)
    return [_given_to(person.agent_id, person.name, "claimed")]


def release(head: Head, person: Person) -> Sequence[NewEvent]:
    """The assistant answers again. Raises `NotTaken`, `TakenByAnother`, `ConversationClosed`."""
    _refuse_closed(head)
    if head.mode != "human":
        raise _not_taken(head)
    _refuse_stranger(head, person)
    return [NewEvent("agent", State("bot", reason="released"))]


def assign(head: Head, person: Person, to: Person) -> Sequence[NewEvent]:
    """Another person has it from now on. Raises `NotTaken`, `TakenByAnother`, `ConversationClosed`."""
    _refuse_closed(head)
    _refuse_stranger(head, person)
    return [] if _has(head, to) else [_given_to(to.agent_id, to.name, "assigned")]


def close(head: Head, person: Person) -> Sequence[NewEvent]:
    """It is over until the customer writes again. Raises `NotTaken`, `TakenByAnother`."""
    if head.mode == "closed":
        return []
    _refuse_stranger(head, person)
    return [NewEvent("agent", State("closed", reason="closed"))]


def reply(head: Head, person: Person) -> Sequence[NewEvent]:
    """Only who has it writes to the customer. Raises `NotTaken`, `TakenByAnother`, `ConversationClosed`."""
    _refuse_closed(head)
    if not _has(head, person):
        raise _taken(head) if head.mode == "human" else _not_taken(head)
    return []


def answer(head: Head) -> Sequence[NewEvent]:
    """The assistant writes only where no person has it. Raises `TakenByAnother`, `ConversationClosed`."""
    _refuse_closed(head)
    if head.mode == "human":
        raise _taken(head)
    return []


def reopen(head: Head) -> Sequence[NewEvent]:
    """The customer writes: what was closed is open again."""
    return [NewEvent("system", State("bot", reason="reopened"))] if head.mode == "closed" else []


def queue(reason: str, *, place: int | None = None) -> Deciding:
    """The customer waits for a person, unless there is one (`TakenByAnother`); who waits already keeps their place."""

    def decide(head: Head) -> Sequence[NewEvent]:
        if head.mode == "human":
            raise _taken(head)
        if head.mode == "waiting":
            return []
        return [NewEvent("system", State("waiting", reason=reason, queue_position=place))]

    return decide


def _given_to(agent_id: str, name: str, reason: str) -> NewEvent:
    return NewEvent("agent", State("human", reason=reason, assignee=name, assignee_id=agent_id))


def _has(head: Head, person: Person) -> bool:
    return head.mode == "human" and head.assignee == person.agent_id


def _refuse_stranger(head: Head, person: Person) -> None:
    if person.overrides or _has(head, person):
        return
    raise _taken(head) if head.mode == "human" else _not_taken(head)


def _refuse_closed(head: Head) -> None:
    if head.mode == "closed":
        raise ConversationClosed("The conversation is closed.", fix="Wait until the customer writes again.")


def _taken(head: Head) -> TakenByAnother:
    return TakenByAnother(
        f"{head.assignee or 'Somebody'} has the conversation already.",
        holder=head.assignee or "",
        fix="Ask them to release or assign it.",
    )


def _not_taken(head: Head) -> NotTaken:
    return NotTaken(f"Nobody has the conversation; it is {head.mode}.", fix="Claim it first.")
