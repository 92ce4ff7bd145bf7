"""The drafts that were offered in a conversation, read from its events."""

from __future__ import annotations

from sqlalchemy import select

from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, DraftOffered, DraftUsed, Event, from_record
from assistant.conversation.tables import events

MAX_LOOKED_AT = 50  # the latest steps of drafts; who replies with an older one offered it long ago


class Drafts:
    """Finds drafts; the log appends them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def offered(self, conversation_id: ConversationId, draft_id: str | None) -> Event | None:
        """The draft of this id; without an id the latest one, unless a reply has settled it already."""
        steps = await self._latest(conversation_id)
        settled = {event.payload.draft_id for event in steps if isinstance(event.payload, DraftUsed)}
        drafts = [event for event in steps if isinstance(event.payload, DraftOffered)]
        if draft_id is None:
            return next((event for event in drafts[:1] if _id(event) not in settled), None)
        return next((event for event in drafts if _id(event) == draft_id), None)

    async def _latest(self, conversation_id: ConversationId) -> list[Event]:
        """The latest first."""
        kinds = ("draft.offered", "draft.used")
        chosen = select(events).where(events.c.conversation_id == conversation_id, events.c.kind.in_(kinds))
        async with self._database.reading() as connection:
            newest_first = chosen.order_by(events.c.position.desc()).limit(MAX_LOOKED_AT)
            rows = (await connection.execute(newest_first)).all()
        return [
            Event(conversation_id, row.position, row.seq, row.ts, row.author, from_record(row.kind, row.payload))
            for row in rows
        ]


def _id(event: Event) -> str:
    assert isinstance(event.payload, DraftOffered)
    return event.payload.draft_id
