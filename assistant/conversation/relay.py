"""Wake-ups between processes: what one of them commits, the others' watchers are told, by Redis.

Only commits are passed on, and of them only the conversation's id: the news is read from the log. While Redis is away
every watcher looks for itself now and then, so nothing is missed. Bounds: `MAX_WAITING` ids wait to be told, each once;
`POLL_S` between two looks without Redis, which counts as away when it does not answer for `MAX_SILENCES` `SILENCE_S`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId
from assistant.conversation.redis_client import close_redis, open_redis

CHANNEL = "assistant:commits"
MAX_WAITING = 10_000
SILENCE_S = 5.0
MAX_SILENCES = 2
TIMEOUT_S = 2.0
POLL_S = 5.0
RETRY_S = 1.0

log = structlog.get_logger()


class Silent(Exception):
    """Redis answers no ping."""


class Relay:
    """Passes one process's commits on, and takes the others'. `running` connects it."""

    def __init__(self, bus: Bus, redis: Redis) -> None:
        self._bus = bus
        self._redis = redis
        self._process = secrets.token_hex(8)
        self._waiting: dict[ConversationId, None] = {}
        self._has_waiting = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Pass on for as long as this lasts."""
        tasks = [asyncio.create_task(self._listen_forever()), asyncio.create_task(self._tell_forever())]
        self._bus.on_commit = self._note
        try:
            yield
        finally:
            self._bus.on_commit = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await close_redis(self._redis)

    def _note(self, conversation_id: ConversationId) -> None:
        if len(self._waiting) < MAX_WAITING:  # beyond it the others find out when they look for themselves
            self._waiting[conversation_id] = None
            self._has_waiting.set()

    # -- telling

    async def _tell_forever(self) -> None:
        while True:
            await self._has_waiting.wait()
            self._has_waiting.clear()
            told, self._waiting = self._waiting, {}
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._tell(list(told))
            except (RedisError, OSError, TimeoutError):
                await asyncio.sleep(RETRY_S)
                for conversation_id in told:
                    self._note(conversation_id)

    async def _tell(self, conversation_ids: list[ConversationId]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for conversation_id in conversation_ids:
            pipeline.publish(CHANNEL, f"{self._process} {conversation_id}")
        await pipeline.execute()

    # -- listening

    async def _listen_forever(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    async with asyncio.timeout(TIMEOUT_S):
                        await channel.subscribe(CHANNEL)
                    self._bus.wake_all()  # for what was committed before we listened
                    await self._listen(channel)
            except (RedisError, OSError, TimeoutError, Silent) as error:
                log.warning("wake_ups_down", error=type(error).__name__, poll_s=POLL_S)
            self._bus.wake_all()
            await asyncio.sleep(POLL_S)

    async def _listen(self, channel: PubSub) -> None:
        """Wake for what the others say. Raises `Silent`, `RedisError` or `OSError` where Redis is away."""
        num_silences = 0
        while True:
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=SILENCE_S)
            if message is not None:
                num_silences = 0
                self._hear(message)
                continue
            num_silences += 1
            if num_silences > MAX_SILENCES:
                raise Silent
            async with asyncio.timeout(TIMEOUT_S):
                await channel.ping()

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] != "message":
            return  # the answer to a ping
        process, _, conversation_id = message["data"].decode().partition(" ")
        if process != self._process:
            self._bus.hear(ConversationId(conversation_id))


@asynccontextmanager
async def relaying(bus: Bus, url: SecretStr) -> AsyncIterator[None]:
    """Pass wake-ups on by the Redis of this address; without one nothing is done."""
    if not url.get_secret_value():
        yield
        return
    async with Relay(bus, open_redis(url, timeout_s=TIMEOUT_S)).running():
        yield
