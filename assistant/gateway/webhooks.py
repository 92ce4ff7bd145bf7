"""Telling the company's own systems what happens in conversations: at least once, in order within each conversation.

What is to be sent is read from the log by position (`conversation/outbox.py`); this file decides when, and what a
refusal means. Bounds for each endpoint: `MAX_AT_ONCE` conversations at a time, `PAGE` events in memory for each; a
webhook is tried until `GIVE_UP_S` after its first failure, `LONGEST_WAIT_S` apart at most.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from assistant.config import WebhookSettings
from assistant.conversation.events import ConversationId, Event, State
from assistant.conversation.failed_webhooks import KEPT_S, FailedWebhook, FailedWebhooks
from assistant.conversation.log import ConversationLog, Head
from assistant.conversation.outbox import Outbox, Visit
from assistant.errors import UnknownConversation
from assistant.faults import report
from assistant.gateway.webhook_client import Outcome, WebhookClient, open_client
from assistant.gateway.webhook_message import Webhook, webhooks_of

MAX_AT_ONCE = 4
PAGE = 20
VISIT_S = 60.0  # well under the outbox's lease
POLL_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 3_600.0
GIVE_UP_S = 86_400.0
DOWN_AFTER = 5  # failures in a row
BROKEN_S = 5.0
FORGET_EVERY_S = 3_600.0

STOPPED = Outcome("stopped")
NOTHING_LEFT = Outcome("nothing_left", is_taken=True)

log = structlog.get_logger()


@asynccontextmanager
async def running_webhooks(
    endpoints: Sequence[WebhookSettings],
    *,
    log: ConversationLog,
    outbox: Outbox,
    failed: FailedWebhooks,
    poll_s: float = POLL_S,
) -> AsyncIterator[Sequence[Endpoint]]:
    """Send to all endpoints, each on its own, for as long as this lasts. Raises `ConfigError` for a wrong secret."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_client(settings)) for settings in endpoints]
        running = [
            Endpoint(settings, client, log=log, outbox=outbox, failed=failed)
            for settings, client in zip(endpoints, clients, strict=True)
        ]
        tasks = [asyncio.create_task(work(poll_s=poll_s)) for each in running for work in (each.send, each.resend)]
        try:
            yield running
        finally:
            for endpoint in running:
                endpoint.stop()
            await asyncio.gather(*tasks)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an endpoint has still to be sent: so many conversations have something, so many webhooks were given up."""

    num_conversations: int
    num_given_up: int


class Endpoint:
    """One address and what is late for it. ``num_taken`` and ``num_failed`` count the tries of this process."""

    def __init__(
        self,
        settings: WebhookSettings,
        client: WebhookClient,
        *,
        log: ConversationLog,
        outbox: Outbox,
        failed: FailedWebhooks,
    ) -> None:
        self._settings = settings
        self._client = client
        self._log = log
        self._outbox = outbox
        self._failed = failed
        self._started_at = ""
        self._failures_in_row = 0
        self.num_taken = self.num_failed = 0
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def name(self) -> str:
        """What the settings call it."""
        return self._settings.name

    async def waiting(self) -> Waiting:
        """What it has still to be sent."""
        standing = await self._outbox.standing(self.name)
        return Waiting(standing.num_late if standing else 0, await self._failed.count(self.name))

    def stop(self) -> None:
        """End soon: a request that runs is left, and is made again by the next server."""
        self._stopped.set_result(None)

    async def send(self, *, poll_s: float) -> None:
        """Visit the conversations that have something to send, `MAX_AT_ONCE` of them at a time, until stopped."""
        visits: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as tasks:
            while not self._stopped.done():
                due = await self._due(MAX_AT_ONCE - len(visits))
                visits |= {tasks.create_task(self._visit(visit)) for visit in due}
                if not due or len(visits) == MAX_AT_ONCE:
                    await self._pause(poll_s, *visits)
                visits = {visit for visit in visits if not visit.done()}

    async def resend(self, *, poll_s: float) -> None:
        """Send again what was given up and a person asks for, until stopped. Forgets failures that are very old."""
        forget_at = 0.0
        while not self._stopped.done():
            try:
                if time.monotonic() >= forget_at:
                    await self._failed.forget_before(self._outbox.at(-KEPT_S))
                    forget_at = time.monotonic() + FORGET_EVERY_S
                for failed in await self._failed.to_retry(self._settings.name, limit=PAGE):
                    await self._resend(failed)
            except Exception as error:
                report("webhook_broken", error, endpoint=self._settings.name)
                await self._pause(BROKEN_S)
            await self._pause(poll_s)

    async def _pause(self, pause_s: float, *visits: asyncio.Task[None]) -> None:
        """Until the time is over, a visit ends, or it has to stop."""
        await asyncio.wait({self._stopped, *visits}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)

    async def _due(self, limit: int) -> list[Visit]:
        name = self._settings.name
        try:
            self._started_at = self._started_at or await self._outbox.begin(name)
            await self._outbox.note_new(name, tenants=self._settings.tenants)
            return await self._outbox.take_due(name, limit=limit) if limit else []
        except Exception as error:  # the disk; what is due stays due
            report("webhook_broken", error, endpoint=name)
            await self._pause(BROKEN_S)
            return []

    # -- one conversation

    async def _visit(self, visit: Visit) -> None:
        try:
            await self._catch_up(visit, await self._log.head(visit.conversation_id))
        except UnknownConversation:
            await self._outbox.settle(visit, visit.position)
        except Exception as error:  # the log or the disk; the lease runs out and the conversation is visited again
            report("webhook_broken", error, endpoint=self._settings.name, conversation_id=visit.conversation_id)

    async def _catch_up(self, visit: Visit, head: Head) -> None:
        position, until = visit.position, time.monotonic() + VISIT_S
        while events := await self._log.events(visit.conversation_id, after_position=position, limit=PAGE):
            for event in events:
                outcome = await self._tell(event, head)
                if not outcome.is_taken and outcome is not STOPPED:
                    return await self._late(visit, position, head, outcome)
                position = event.position if outcome.is_taken else position
                if outcome is STOPPED or time.monotonic() > until:
                    return await self._outbox.settle(visit, position, again=True)
        return await self._outbox.settle(visit, position)

    async def _tell(self, event: Event, head: Head) -> Outcome:
        for webhook in await self._webhooks(event, head):
            outcome = await self._send(webhook, head.conversation_id)
            if not outcome.is_taken:
                return outcome
        return NOTHING_LEFT

    async def _webhooks(self, event: Event, head: Head) -> list[Webhook]:
        if event.ts < self._started_at:
            return []
        was_waiting = isinstance(event.payload, State) and await self._was_waiting(event)
        told = webhooks_of(event, head, was_waiting=was_waiting)
        return [webhook for webhook in told if webhook.type in self._settings.events]

    async def _was_waiting(self, event: Event) -> bool:
        before = await self._log.state_before(event.conversation_id, event.position)
        return before is not None and before.mode == "waiting"

    async def _send(self, webhook: Webhook, conversation_id: ConversationId) -> Outcome:
        began_at = time.monotonic()
        outcome = await self._unless_stopped(self._client.send(webhook))
        if outcome is STOPPED:
            return outcome
        log.info(
            "webhook",
            endpoint=self._settings.name,
            type=webhook.type,
            conversation_id=conversation_id,
            outcome=outcome.reason,
            ms=round((time.monotonic() - began_at) * 1000),
        )
        self.num_taken += outcome.is_taken
        self.num_failed += not outcome.is_taken
        was_down = self._failures_in_row >= DOWN_AFTER
        self._failures_in_row = 0 if outcome.is_taken else self._failures_in_row + 1
        if outcome.is_taken and was_down:
            await self._outbox.hurry(self._settings.name)
        return outcome

    async def _unless_stopped(self, request: Coroutine[Any, Any, Outcome]) -> Outcome:
        sending = asyncio.create_task(request)
        waited_for: list[asyncio.Future[Any]] = [sending, self._stopped]
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            return await sending
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return STOPPED

    # -- what is not taken

    async def _late(self, visit: Visit, position: int, head: Head, outcome: Outcome) -> None:
        """Try again later, or give up what is too old."""
        is_first = position > visit.position or visit.failing_since is None
        failing_since = self._outbox.at() if is_first or visit.failing_since is None else visit.failing_since
        attempts = 1 if is_first else visit.attempts + 1
        deadline = self._outbox.at(-GIVE_UP_S)
        if failing_since <= deadline:
            position = await self._give_up(visit.conversation_id, position, head, deadline, outcome.reason)
        delay_s = max(wait_s(attempts), outcome.retry_after_s)
        await self._outbox.postpone(visit, position, attempts=attempts, failing_since=failing_since, delay_s=delay_s)

    async def _give_up(
        self, conversation_id: ConversationId, position: int, head: Head, deadline: str, reason: str
    ) -> int:
        """Keep what is older than the deadline as failed; gives the last position that was."""
        log.error("webhooks_given_up", endpoint=self._settings.name, conversation_id=conversation_id, reason=reason)
        while events := await self._log.events(conversation_id, after_position=position, limit=PAGE):
            for event in events:
                if event.ts > deadline:
                    return position
                webhooks = await self._webhooks(event, head)
                await self._failed.add([self._failure(webhook, event, reason) for webhook in webhooks])
                position = event.position
        return position

    def _failure(self, webhook: Webhook, event: Event, reason: str) -> FailedWebhook:
        now, name = self._outbox.at(), self._settings.name
        place = event.conversation_id, event.position
        return FailedWebhook(name, webhook.webhook_id, *place, webhook.type, reason, now)

    async def _resend(self, failed: FailedWebhook) -> None:
        for webhook in await self._again(failed):
            outcome = await self._send(webhook, failed.conversation_id)
            if outcome is STOPPED:
                return None
            if not outcome.is_taken:
                return await self._failed.fail_again(failed, outcome.reason)
        return await self._failed.remove(failed)

    async def _again(self, failed: FailedWebhook) -> list[Webhook]:
        """The failed webhook anew from the log; none where its event was erased meanwhile."""
        events = await self._log.events(failed.conversation_id, after_position=failed.position - 1, limit=1)
        if not events:
            return []
        webhooks = await self._webhooks(events[0], await self._log.head(failed.conversation_id))
        return [webhook for webhook in webhooks if webhook.webhook_id == failed.webhook_id]


def wait_s(attempts: int) -> float:
    """How long to wait after so many failed tries: twice as long each time, spread over the later half."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempts - 1, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  (spreads load; no secret)
