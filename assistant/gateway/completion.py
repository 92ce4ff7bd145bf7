"""One answer outside the conversation log: the request's messages are its history, and nothing is stored.

It takes the dialogue's own path (search, policy, grounding), as `manager` does for conversations.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from assistant.conversation.events import Action, Author, Citation, ConversationId, Event, Message
from assistant.dialogue.draft import Phase
from assistant.dialogue.history import question_of
from assistant.dialogue.responder import Responder
from assistant.dialogue.turn import Generator, Question, Reply
from assistant.gateway.openai_models import ChatMessageIn
from assistant.language import detect
from assistant.values import ChatMessage, FinishReason

POLL_S = 0.5  # aiohttp tells no handler that its client has left, so whoever serves this looks that often
LANGUAGE_MESSAGES = 8
NOWHERE = ConversationId("")


@dataclass(frozen=True, slots=True)
class Finished:
    """A whole answer, cut where the caller's limit was reached."""

    text: str
    reply: Reply
    citations: tuple[Citation, ...]
    finish_reason: FinishReason


class Completion:
    """An answer being made. Leaving ``async with`` stops what still runs."""

    def __init__(self, responder: Responder, question: Question, *, max_tokens: int | None = None) -> None:
        self._responder = responder
        self._question = question
        self._clip = Clip(responder.generator, max_tokens)
        self._shown = Shown()
        self._task: asyncio.Task[Reply] | None = None

    async def __aenter__(self) -> Completion:
        self._task = asyncio.create_task(self._responder.respond(self._question, self._shown))
        self._task.add_done_callback(lambda _: self._shown.changed.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def texts(self) -> AsyncGenerator[str]:
        """The text so far, whenever it grew and at the latest every `POLL_S`; whole at the end. Raises what broke."""
        assert self._task is not None, "enter it first"
        while not self._task.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._shown.changed.wait()
            self._shown.changed.clear()
            yield await self._clip.cut(self._shown.text.rstrip())  # the final text has no white space at its end
        yield (await self.finished()).text

    async def finished(self) -> Finished:
        """The answer. Raises what broke."""
        assert self._task is not None, "enter it first"
        reply = await self._task
        whole, shift = _continued(self._shown.text.rstrip(), reply.text)
        text = await self._clip.cut(whole)
        cited = [
            replace(cited, text_start=cited.text_start + shift, text_end=cited.text_end + shift)
            for cited in reply.citations
            if cited.text_end + shift <= len(text)
        ]
        return Finished(text, reply, tuple(cited), "length" if text != whole else reply.finish_reason)


class Shown:
    """What the turn has released so far: text that is not taken back."""

    def __init__(self) -> None:
        self.text = ""
        self.changed = asyncio.Event()

    def enter(self, phase: Phase) -> None:
        """Phases are not told."""

    def release(self, text: str) -> None:
        """Show some more of the answer."""
        self.text += text
        self.changed.set()

    async def record(self, action: Action) -> None:
        """Never called: a step of a business action must be an event of the log, and this answer is in none."""
        raise AssertionError(f"the action {action.name} was taken outside a conversation")


class Clip:
    """Cuts an answer after so many tokens, as the chat model counts them."""

    def __init__(self, generator: Generator, max_tokens: int | None) -> None:
        self._generator = generator
        self._max_tokens = max_tokens

    async def cut(self, text: str) -> str:
        """The longest beginning of the text that has no more tokens."""
        if self._max_tokens is None or not text:
            return text
        return await asyncio.to_thread(self._longest, text, self._max_tokens)

    def _longest(self, text: str, max_tokens: int) -> str:
        if num_tokens(self._generator, text) <= max_tokens:
            return text
        fits, too_long = 0, len(text)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if num_tokens(self._generator, text[:middle]) <= max_tokens:
                fits = middle
            else:
                too_long = middle
        return text[:fits].rstrip()


def num_tokens(generator: Generator, text: str) -> int:
    """How many tokens a text has for the chat model, without what its template writes around a message."""
    told: ChatMessage = {"role": "user", "content": text}
    return generator.count([told]) - generator.count([{"role": "user", "content": ""}])


def question_from(messages: Sequence[ChatMessageIn], *, tenant: str, default_language: str) -> Question:
    """What is asked, and everything before it, as if the messages were a conversation's. Takes some milliseconds."""
    language, first_told = default_language, len(messages) - LANGUAGE_MESSAGES
    events = []
    for number, message in enumerate(messages):
        if message.role == "user" and number >= first_told:
            language = detect(message.text, fallback=language)
        events.append(_event(number, message, language))
    return question_of(events[-1], events[:-1], (), mode="bot", tenant=tenant)


def _event(number: int, message: ChatMessageIn, language: str) -> Event:
    told = message.assistant
    said = Message(
        str(number),
        message.text,
        "",
        language,
        decision=told.decision if told else None,
        citations=tuple(Citation(c.entry_id, "", "", "", "", 0, 0, 0, 0) for c in told.citations) if told else (),
    )
    author: Author = "customer" if message.role == "user" else "assistant"
    return Event(NOWHERE, number + 1, number + 1, "", author, said)


def _continued(shown: str, final: str) -> tuple[str, int]:
    """The final text as a continuation of what was shown, and by how much its offsets move.

    It nearly always is one; where it is not, it follows as a paragraph of its own.
    """
    if final.startswith(shown):
        return final, 0
    return f"{shown}\n\n{final}", len(shown) + 2
