"""The model behind a short queue, deadlines and a circuit breaker: it is in time, or the answer does without it.

Bounds: ``max_batch`` answers are written at once, ``queue_size`` wait for at most ``queue_timeout_s``; from its place
on each has ``first_token_timeout_s`` for the first piece, and again for every further one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from assistant.config import GenerationSettings
from assistant.dialogue.breaker import Attempt, Breaker
from assistant.dialogue.turn import Generator
from assistant.errors import GenerationError, ModelLate, PromptTooLong, QueueFull
from assistant.values import ChatMessage, Piece, Sampling


class GuardedGenerator:
    """A `Generator` that passes on what another one writes in time. Use it from one event loop."""

    def __init__(self, generator: Generator, settings: GenerationSettings, *, breaker: Breaker | None = None) -> None:
        self._generator = generator
        self._settings = settings
        self._places = asyncio.Semaphore(settings.max_batch)
        self._num_waiting = 0
        self.breaker = breaker or Breaker(max_failures=settings.breaker_failures, pause_s=settings.breaker_pause_s)

    @property
    def languages(self) -> Sequence[str] | None:
        """The languages the model writes (ISO 639-1); None means every one."""
        return self._generator.languages

    @property
    def model_name(self) -> str:
        """The base model's name, for the record."""
        return self._generator.model_name

    @property
    def adapter_name(self) -> str | None:
        """The adapter's name, for the record."""
        return self._generator.adapter_name

    def count(self, messages: Sequence[ChatMessage]) -> int:
        """How many tokens these messages are in a prompt."""
        return self._generator.count(messages)

    async def stream(self, messages: Sequence[ChatMessage], *, sampling: Sampling) -> AsyncGenerator[Piece]:
        """The continuation, piece by piece. Closing it frees the place.

        Raises `ModelUnavailable` and `QueueFull` at once, `ModelLate` after the bounds above, `PromptTooLong`, and
        `GenerationError` where the model fails.
        """
        self.breaker.check()
        async with self._place():
            attempt = self.breaker.begin()
            try:
                async with aclosing(self._generator.stream(messages, sampling=sampling)) as pieces:
                    async for piece in self._in_time(pieces, attempt):
                        yield piece
            finally:
                attempt.end()

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._places.locked() and self._num_waiting >= self._settings.queue_size:
            raise QueueFull(
                f"{self._num_waiting} answers wait for the model already; queue_size is {self._settings.queue_size}.",
                fix="Try again in a few seconds; raise [generation] queue_size or max_batch if this happens often.",
            )
        self._num_waiting += 1
        try:
            async with asyncio.timeout(self._settings.queue_timeout_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise ModelLate(
                f"No place beside the model came free within {self._settings.queue_timeout_s} s.",
                fix="Raise [generation] max_batch or queue_timeout_s if this happens often.",
            ) from error
        finally:
            self._num_waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    async def _in_time(self, pieces: AsyncGenerator[Piece], attempt: Attempt) -> AsyncIterator[Piece]:
        while True:
            try:
                async with asyncio.timeout(self._settings.first_token_timeout_s):
                    piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                attempt.fail()
                raise ModelLate(
                    f"The model wrote nothing for {self._settings.first_token_timeout_s} s.",
                    fix="Take a smaller model, or raise [generation] first_token_timeout_s.",
                ) from error
            except (PromptTooLong, QueueFull):
                raise  # says nothing about the model's health
            except GenerationError:
                attempt.fail()
                raise
            attempt.succeed()
            yield piece
