"""The customers of a channel that a program connects: each has one conversation that goes on over all calls."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, insert, select, update

from assistant.conversation.api_tables import channel_senders
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, VisitorId, new_conversation_id
from assistant.conversation.visitors import Visitors
from assistant.errors import StorageError


@dataclass(frozen=True, slots=True)
class Sender:
    """A channel's customer, as the conversation log knows them."""

    visitor_id: VisitorId
    conversation_id: ConversationId
    tenant: str
    channel: str
    sender_hash: str


class ChannelSenders:
    """Who is who in the channels. What a channel calls its customers is kept as a hash only."""

    def __init__(self, database: Database, visitors: Visitors) -> None:
        self._database = database
        self._visitors = visitors

    async def find(self, tenant: str, channel: str, name: str) -> Sender:
        """The customer that a channel calls so; a new visitor with a new conversation where it is the first time."""
        digest = hashlib.sha256(f"{tenant}\0{channel}\0{name}".encode()).hexdigest()
        known = await self._known(tenant, channel, digest)
        return known or await self._meet(tenant, channel, digest)

    async def deliver(self, sender: Sender, *, upto_seq: int) -> int:
        """Note that the channel gets the public events up to here; gives the ``seq`` up to which it had them.

        Where the customer was erased meanwhile there is nothing to get.
        """
        this = _of(sender.tenant, sender.channel, sender.sender_hash)
        async with self._database.writing() as connection:
            query = select(channel_senders.c.delivered_seq).where(this).with_for_update()
            had = (await connection.execute(query)).scalar_one_or_none()
            if had is not None and upto_seq > had:
                await connection.execute(update(channel_senders).where(this).values(delivered_seq=upto_seq))
        return upto_seq if had is None else int(had)

    async def _known(self, tenant: str, channel: str, digest: str) -> Sender | None:
        async with self._database.reading() as connection:
            query = select(channel_senders).where(_of(tenant, channel, digest))
            row = (await connection.execute(query)).one_or_none()
        return Sender(row.visitor_id, row.conversation_id, tenant, channel, digest) if row else None

    async def _meet(self, tenant: str, channel: str, digest: str) -> Sender:
        visitor, _ = await self._visitors.add(tenant)  # nobody gets the secret: only the channel speaks for them
        sender = Sender(visitor.visitor_id, new_conversation_id(), tenant, channel, digest)
        values = {
            "tenant": tenant,
            "channel": channel,
            "sender_hash": digest,
            "visitor_id": sender.visitor_id,
            "conversation_id": sender.conversation_id,
            "delivered_seq": 0,
        }
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(channel_senders).values(values))
        except StorageError:
            known = await self._known(tenant, channel, digest)  # another call met them at the same moment
            if known is None:
                raise
            return known
        return sender


def _of(tenant: str, channel: str, digest: str) -> ColumnElement[bool]:
    columns = channel_senders.c
    return and_(columns.tenant == tenant, columns.channel == channel, columns.sender_hash == digest)
