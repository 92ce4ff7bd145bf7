"""The only writer of an agent's socket: direct replies, the list of conversations, and the conversations shown.

Bounds: `MAX_REPLIES` direct replies wait, then whoever adds one waits; `MAX_SUBSCRIPTIONS` conversations are shown;
what changed in the list waits merged, one entry per conversation and `MAX_LISTED` at most.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import NoReturn

from assistant.config import GatewaySettings
from assistant.conversation.agents import Agent
from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId
from assistant.conversation.overview import MAX_LISTED, Counts, Summary, counted
from assistant.gateway import agent_frames
from assistant.gateway.agent_feed import AgentFeed
from assistant.gateway.frames import STATUS_REFRESH_S, Frame
from assistant.gateway.protocol import CloseCode, Refusal
from assistant.gateway.staff import Staff
from assistant.gateway.subscription import Subscription
from assistant.gateway.wire import Ended, Wire

MAX_REPLIES = 256
MAX_SUBSCRIPTIONS = 50


class AgentWriter:
    """Sends what is asked for and what happens. `run` is to be awaited by one task; all else returns at once."""

    def __init__(self, wire: Wire, staff: Staff, bus: Bus, *, agent: Agent) -> None:
        self._agent = agent
        self._wire = wire
        self._staff = staff
        self._bus = bus
        self._wake = asyncio.Event()
        self._replies: asyncio.Queue[Frame | CloseCode] = asyncio.Queue(MAX_REPLIES)
        self._subscriptions: dict[ConversationId, Subscription] = {}
        self._changed: dict[ConversationId, Summary] = {}
        self._counts: Counts = {}
        self._is_whole_list_due = True

    async def reply(self, reply: Frame | CloseCode) -> None:
        """Send a frame, or close, after the replies before it; waits while too many of them wait."""
        await self._replies.put(reply)
        self._wake.set()

    def check_room_for(self, conversation_id: ConversationId) -> None:
        """Raises `Refusal` where one more conversation is too many."""
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS and conversation_id not in self._subscriptions:
            raise Refusal(
                "too_many_subscriptions", f"{MAX_SUBSCRIPTIONS} conversations are shown already.", fix="Unsubscribe."
            )

    def show(self, feed: AgentFeed) -> None:
        """Send a conversation from now on."""
        self.hide(feed.conversation_id)
        self._subscriptions[feed.conversation_id] = Subscription(feed, self._bus, wake=self._wake)

    def hide(self, conversation_id: ConversationId) -> None:
        """Send a conversation no more."""
        if shown := self._subscriptions.pop(conversation_id, None):
            shown.end()

    def notice(self, changed: Sequence[Summary] | None, counts: Counts) -> None:
        """These conversations changed; None: too many to name. What the agent does not serve is passed over."""
        for summary in changed or ():
            if not self._agent.serves(summary.tenant):
                continue
            self._changed[summary.conversation_id] = summary
            if shown := self._subscriptions.get(summary.conversation_id):
                shown.feed.notice_epoch(summary.epoch)
        self._is_whole_list_due |= changed is None or len(self._changed) > MAX_LISTED
        self._counts = counts
        self._wake.set()

    def close(self) -> None:
        """Watch nothing any more."""
        for subscription in self._subscriptions.values():
            subscription.end()

    async def run(self, settings: GatewaySettings) -> NoReturn:
        """Send the welcome and the list, then whatever comes. Raises `Ended`."""
        colleagues = [one for one in await self._staff.agents.list() if one.is_enabled and _meet(self._agent, one)]
        await self._wire.send(
            agent_frames.agent_welcome(self._agent, colleagues, settings, max_subscriptions=MAX_SUBSCRIPTIONS)
        )
        while True:
            self._wake.clear()
            await self._send_replies()
            await self._send_list()
            for subscription in list(self._subscriptions.values()):
                await subscription.feed.send_news()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_s()):
                    await self._wake.wait()

    async def _send_replies(self) -> None:
        while not self._replies.empty():
            reply = self._replies.get_nowait()
            if isinstance(reply, CloseCode):
                raise Ended(reply)
            await self._wire.send(reply)

    async def _send_list(self) -> None:
        if self._is_whole_list_due:
            self._is_whole_list_due = False
            self._changed.clear()
            overview, tenants = self._staff.overview, self._agent.tenants
            whole, counts = await overview.latest(tenants=tenants), counted(await overview.counts(), tenants)
            await self._wire.send(agent_frames.listed(whole, counts, is_whole=True))
        elif self._changed:
            changed = list(self._changed.values())
            self._changed.clear()
            counts = counted(self._counts, self._agent.tenants)
            await self._wire.send(agent_frames.listed(changed, counts, is_whole=False))

    def _refresh_s(self) -> float | None:
        """When to look again though nobody called: a running turn's status must not go out."""
        runs = any(subscription.feed.has_running_answer for subscription in self._subscriptions.values())
        return STATUS_REFRESH_S if runs else None


def _meet(agent: Agent, other: Agent) -> bool:
    """Whether both serve some tenant."""
    return not agent.tenants or not other.tenants or not set(agent.tenants).isdisjoint(other.tenants)
