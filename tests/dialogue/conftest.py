from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from assistant.config import Settings
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Event, Message
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitors
from assistant.dialogue.manager import DialogueManager, Speaker
from assistant.dialogue.responder import Responder
from tests.databases import opened
from tests.dialogue.scripted import WINDOW, FixedReader, FixedRetriever, ScriptedGenerator, hit


@dataclass
class Shop:
    """A dialogue manager over a real log, with a scripted model."""

    settings: Settings
    database: Database
    bus: Bus
    log: ConversationLog
    generator: ScriptedGenerator
    retriever: FixedRetriever
    reader: FixedReader
    manager: DialogueManager
    speaker: Speaker

    @property
    def conversation_id(self) -> ConversationId:
        return self.speaker.conversation_id

    async def until(self, count: int) -> list[Message]:
        """The conversation's messages, once there are ``count``."""
        with self.bus.watch(self.conversation_id) as news:
            while True:
                news.clear()
                messages = [e.payload for e in await self.messages()]
                if len(messages) >= count:
                    return [message for message in messages if isinstance(message, Message)]
                await news.wait()

    async def messages(self) -> list[Event]:
        return await self.log.recent_messages(self.conversation_id, limit=100)

    def new_manager(self) -> DialogueManager:
        """A manager as a restarted server would make it."""
        responder = Responder(self.retriever, self.generator, self.settings, reader=self.reader)
        return DialogueManager(log=self.log, bus=self.bus, responder=responder, settings=self.settings)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    settings = Settings(data_dir=tmp_path, dialogue={"max_turns": 6}, handoff={"email": "help@oak.example"})
    database, bus = await opened(settings.log_url), Bus()
    log = ConversationLog(database, bus)
    visitor, _ = await Visitors(database).add("default")
    generator, retriever = ScriptedGenerator(), FixedRetriever({"return": [hit(WINDOW, 0.6)]})
    reader = FixedReader()
    responder = Responder(retriever, generator, settings, reader=reader)
    manager = DialogueManager(log=log, bus=bus, responder=responder, settings=settings)
    speaker = Speaker(ConversationId("c_1"), visitor.visitor_id, "default", "en")
    yield Shop(settings, database, bus, log, generator, retriever, reader, manager, speaker)
    await manager.close()
    await database.close()
