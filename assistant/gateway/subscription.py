"""One conversation that an agent's socket shows: its feed, and what wakes the socket for it."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import NoReturn

from assistant.conversation.bus import Bus
from assistant.gateway.agent_feed import AgentFeed


class Subscription:
    """Sets ``wake`` whenever something happens in the conversation, until `end`."""

    def __init__(self, feed: AgentFeed, bus: Bus, *, wake: asyncio.Event) -> None:
        self.feed = feed
        self._wake = wake
        self._watching = ExitStack()
        happened = self._watching.enter_context(bus.watch(feed.conversation_id))
        self._task = asyncio.create_task(self._pass_on(happened))
        wake.set()

    def end(self) -> None:
        """Watch no more; returns at once."""
        self._task.cancel()
        self._watching.close()

    async def _pass_on(self, happened: asyncio.Event) -> NoReturn:
        while True:
            await happened.wait()
            happened.clear()
            self._wake.set()
