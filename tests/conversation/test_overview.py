"""In which order the people who answer see who waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Insight, Message, Mode, NewEvent, Opened, State
from assistant.conversation.log import ConversationLog
from assistant.conversation.overview import Overview
from assistant.conversation.visitors import Visitors
from assistant.values import Urgency
from tests.databases import opened

pytestmark = pytest.mark.unit


class Office:
    """Conversations, and the list of them."""

    def __init__(self, database: Database, visitor_id: str) -> None:
        self.log = ConversationLog(database, Bus())
        self.overview = Overview(database)
        self._opened = Opened("default", visitor_id)

    async def open(self, name: str, *happened: Urgency | Mode) -> None:
        """A conversation in which this was noted, or came to be, one after the other."""
        events = [
            NewEvent("system", State(what) if what in ("waiting", "bot", "human") else Insight("m", "neutral", what))  # type: ignore[arg-type]
            for what in happened
        ]
        first = NewEvent("customer", Message("m", "x", "x", "en", client_msg_id=name))
        await self.log.append(ConversationId(name), [first, *events], opening=self._opened)

    async def line(self) -> list[str]:
        waiting = [conversation_id for _, conversation_id in await self.overview.waiting()]
        listed = [one.conversation_id for one in await self.overview.latest() if one.mode == "waiting"]
        assert waiting == listed
        return list(waiting)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    database = await opened(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    visitor, _ = await Visitors(database).add("default")
    yield Office(database, visitor.visitor_id)
    await database.close()


async def test_who_cannot_wait_is_put_before_who_waits_longer(office: Office) -> None:
    await office.open("early", "normal", "waiting")
    await office.open("later", "waiting", "low")
    await office.open("urgent", "high", "waiting", "normal")
    assert await office.line() == ["urgent", "early", "later"]
    assert {one.conversation_id: one.is_urgent for one in await office.overview.latest()} == {
        "urgent": True,
        "early": False,
        "later": False,
    }


async def test_what_was_urgent_before_somebody_helped_is_so_no_more(office: Office) -> None:
    await office.open("early", "waiting")
    await office.open("helped", "high", "waiting", "human", "bot", "normal", "waiting")
    assert await office.line() == ["early", "helped"]


async def test_only_who_waits_is_urgent(office: Office) -> None:
    await office.open("with the assistant", "high")
    [listed] = await office.overview.latest()
    assert (listed.mode, listed.is_urgent) == ("bot", False)
