"""The state of one answer being written, and the mailbox through which its text reaches the reader."""

from __future__ import annotations

import asyncio
import time
from collections import abc
from collections.abc import Callable
from typing import Protocol

import torch

from assistant.errors import AssistantError
from assistant.generation.sampling import choose
from assistant.generation.text import TextStream
from assistant.values import FinishReason, Piece, Sampling


class Reader(Protocol):
    """Who waits for a sequence's text. Both are called from the model's thread and must not block."""

    def put(self, piece: Piece) -> None:
        """Take some more text."""

    def fail(self, error: AssistantError) -> None:
        """No more text comes, for this reason."""


class Mailbox:
    """One reader's place for new text, merged until it is taken: never more than one piece waits.

    `put` and `fail` may be called from any thread, `take` only in the event loop that made the mailbox.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._piece: Piece | None = None
        self._error: AssistantError | None = None

    def put(self, piece: Piece) -> None:
        """Hand over a piece."""
        self._call(lambda: self._merge(piece))

    def fail(self, error: AssistantError) -> None:
        """End the stream with an error, after the text that is already there."""
        self._call(lambda: self._set_error(error))

    async def take(self) -> Piece:
        """Wait for text. Raises what `fail` was given."""
        await self._filled.wait()
        piece, self._piece = self._piece, None
        if piece is None:
            assert self._error is not None
            raise self._error
        if self._error is None:
            self._filled.clear()
        return piece

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            if not self._loop.is_closed():  # a closed loop has no reader any more
                raise

    def _merge(self, piece: Piece) -> None:
        waiting = self._piece.text if self._piece else ""
        self._piece = Piece(waiting + piece.text, piece.num_tokens, piece.elapsed_ms, piece.finish_reason)
        self._filled.set()

    def _set_error(self, error: AssistantError) -> None:
        self._error = error
        self._filled.set()


class Sequence:
    """One answer: its prompt, what was written so far, and when it ends. Owned by the model's thread.

    ``cancelled`` is the one field that others set: the sequence then leaves before the next step.
    """

    def __init__(
        self,
        prompt_ids: list[int],
        sampling: Sampling,
        reader: Reader,
        *,
        max_new_tokens: int,
        end_ids: frozenset[int],
        decode: Callable[[abc.Sequence[int]], str],
    ) -> None:
        self.prompt_ids = prompt_ids
        self.output_ids: list[int] = []
        self.finish_reason: FinishReason | None = None
        self.cancelled = False
        self._sampling = sampling
        self._reader = reader
        self._max_new_tokens = max_new_tokens
        self._end_ids = end_ids
        self._text = TextStream(decode, sampling.stop)
        self._generator = _generator(sampling.seed)
        self._started = time.perf_counter()

    @property
    def num_tokens(self) -> int:
        """Prompt and answer so far: what the sequence holds in the model's context."""
        return len(self.prompt_ids) + len(self.output_ids)

    @property
    def is_over(self) -> bool:
        """Whether it ended or nobody reads it any more."""
        return self.cancelled or self.finish_reason is not None

    def accept(self, logits: torch.Tensor) -> None:
        """Choose the next token from logits of shape (vocabulary,), on the CPU, and send what it releases."""
        token = choose(logits, self.output_ids, self._sampling, self._generator)
        if token in self._end_ids:
            self.finish("stop")
            return
        self.output_ids.append(token)
        text = self._text.push(token)
        if self._text.stopped:
            self._end(text, "stop")
        elif len(self.output_ids) >= self._max_new_tokens:
            self._end(text + self._text.flush(), "length")
        elif text:
            self._send(text)

    def finish(self, reason: FinishReason) -> None:
        """End the answer with what was held back."""
        self._end(self._text.flush(), reason)

    def fail(self, error: AssistantError) -> None:
        """End the answer with an error."""
        self.finish_reason = "error"
        self._reader.fail(error)

    def _end(self, text: str, reason: FinishReason) -> None:
        self.finish_reason = reason
        self._send(text)

    def _send(self, text: str) -> None:
        elapsed_ms = (time.perf_counter() - self._started) * 1000
        self._reader.put(Piece(text, len(self.output_ids), elapsed_ms, self.finish_reason))


def _generator(seed: int | None) -> torch.Generator:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator
