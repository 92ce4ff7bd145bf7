"""A data folder with what a shop gathers: conversations, accounts, files, data sets, an adapter trained on one."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert, text

from assistant.config import Settings
from assistant.conversation.attachment_tables import uploads
from assistant.conversation.bus import Bus
from assistant.conversation.customer_tables import customers, visitor_secrets
from assistant.conversation.database import Database
from assistant.conversation.events import (
    Action,
    ConversationId,
    Event,
    Feedback,
    Message,
    NewEvent,
    Note,
    Opened,
    VisitorId,
    new_conversation_id,
    new_id,
    now,
)
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitors
from assistant.erasing import privacy_of
from assistant.privacy.erasure import Eraser


@dataclass
class Customer:
    """A visitor, their secret, what they wrote everywhere, and the ids of it."""

    visitor_id: VisitorId
    secret: str
    canary: str
    conversation_ids: list[ConversationId]
    upload_id: str


class Shop:
    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.bus = Bus()
        self.log = ConversationLog(database, self.bus)
        self.visitors = Visitors(database)

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir

    def eraser(self) -> Eraser:
        return privacy_of(self.settings, self.database, self.bus).eraser()

    async def customer(self, canary: str, *, num_conversations: int = 2, num_messages: int = 3) -> Customer:
        visitor, secret = await self.visitors.add("default")
        conversation_ids = [new_conversation_id() for _ in range(num_conversations)]
        customer = Customer(visitor.visitor_id, secret, canary, conversation_ids, new_id("u"))
        for conversation_id in conversation_ids:
            opening = Opened("default", visitor.visitor_id, f"en-{canary[:8]}", f"https://shop.example/{canary}")
            await self.log.append(conversation_id, _talk(canary, num_messages), opening=opening)
        await self._rows(customer)
        self._files(customer)
        return customer

    async def events(self, conversation_id: ConversationId) -> list[Event]:
        return await self.log.events(conversation_id)

    async def count(self, table: str) -> int:
        async with self.database.reading() as connection:
            return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())

    async def _rows(self, customer: Customer) -> None:
        first = customer.conversation_ids[0]
        account = {"tenant": "default", "user_id": f"user-{customer.canary}", "visitor_id": customer.visitor_id}
        device = {"secret_hash": f"device-{customer.canary}", "visitor_id": customer.visitor_id}
        upload = {
            "upload_id": customer.upload_id,
            "conversation_id": first,
            "visitor_id": customer.visitor_id,
            "tenant": "default",
            "name": f"{customer.canary}.png",
            "media_type": "image/png",
            "bytes": 4,
            "token_hash": "0" * 64,
            "state": "stored",
        }
        async with self.database.writing() as connection:
            await connection.execute(insert(customers).values(**account, created_at=now()))
            await connection.execute(insert(visitor_secrets).values(**device, created_at=now()))
            await connection.execute(insert(uploads).values(**upload, created_at=now()))

    def _files(self, customer: Customer) -> None:
        folder = self.settings.uploads_dir / customer.upload_id[-2:]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / customer.upload_id).write_text(customer.canary)
        rows = [
            {
                "messages": [{"role": "user", "content": customer.canary}],
                "meta": {"from": customer.conversation_ids[-1]},
            },
            {"messages": [{"role": "user", "content": f"{customer.canary} again"}], "visitor": customer.visitor_id},
        ]
        sets = self.data_dir / "datasets"
        sets.mkdir(parents=True, exist_ok=True)
        with (
            (sets / "chats.jsonl").open("a", encoding="utf-8") as plain,
            gzip.open(sets / "b.jsonl.gz", "at") as packed,
        ):
            for row in rows:
                plain.write(json.dumps(row) + "\n")
                packed.write(json.dumps(row) + "\n")

    def train(self, name: str) -> Path:
        """An adapter whose card says that it was trained on the data set as it is now."""
        folder = self.data_dir / "adapters" / name
        folder.mkdir(parents=True)
        digest = hashlib.sha256((self.data_dir / "datasets" / "chats.jsonl").read_bytes()).hexdigest()
        (folder / "assistant_adapter.json").write_text(json.dumps({"training": {"data_sha256": digest}}))
        return folder


def _talk(canary: str, num_messages: int) -> list[NewEvent]:
    said: list[NewEvent] = []
    for number in range(num_messages):
        asked = Message(new_id("m"), f"{canary} {number}", f"<p>{canary}</p>", "en", client_msg_id=f"{canary}.{number}")
        answer = Message(new_id("m"), f"You said {canary}", "", "en", reply_to=asked.message_id)
        said += [NewEvent("customer", asked), NewEvent("assistant", answer)]
        said.append(NewEvent("customer", Feedback(answer.message_id, "down", canary)))
    arguments = {"email": canary}
    said.append(NewEvent("assistant", Action("order_status", "succeeded", arguments, new_id("k"), {"status": canary})))
    return [*said, NewEvent("agent", Note(canary, "a_1"))]
