"""A model and a retriever that do what a test tells them, and remember what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from assistant.conversation.events import Action
from assistant.errors import AssistantError
from assistant.values import ChatMessage, FinishReason, Hit, Passage, Piece, Reading, Sampling

HALT = "<halt>"  # a scripted piece at which the model waits until `go` is set


@dataclass
class ScriptedGenerator:
    """Says the next script, word by word; ``prompts`` has every prompt it got."""

    scripts: list[str | AssistantError] = field(default_factory=list)
    languages: Sequence[str] | None = ("en",)
    finish_reason: FinishReason = "stop"
    model_name: str = "scripted"
    adapter_name: str | None = None
    prompts: list[list[ChatMessage]] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    halted: asyncio.Event = field(default_factory=asyncio.Event)
    closed: int = 0

    def count(self, messages: Sequence[ChatMessage]) -> int:
        return sum(len(message["content"].split()) for message in messages)

    async def stream(self, messages: Sequence[ChatMessage], *, sampling: Sampling) -> AsyncGenerator[Piece]:
        self.prompts.append(list(messages))
        script = self.scripts.pop(0)
        if isinstance(script, AssistantError):
            raise script
        try:
            for number, word in enumerate(script.split(" "), start=1):
                if word == HALT:
                    self.halted.set()
                    await self.go.wait()
                    continue
                yield Piece(word + " ", number, float(number))
            yield Piece("", 0, 0.0, self.finish_reason)
        finally:
            self.closed += 1


@dataclass
class FixedRetriever:
    """Gives the hits whose key stands in the query; ``queries`` has every query it got."""

    hits: dict[str, list[Hit]] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)

    def search(
        self,
        query: str,
        *,
        language: str,
        tenant: str = "",
        limit: int | None = None,
        stress: str = "",
        context: Sequence[str] = (),
        floor: float | None = None,
    ) -> list[Hit]:
        self.queries.append(query)
        return next((hits for key, hits in self.hits.items() if key in query), [])


@dataclass
class FixedReader:
    """Reads the same in every message."""

    reading: Reading = field(default_factory=Reading)

    def read(self, text: str, *, language: str, tenant: str = "") -> Reading:
        return self.reading


class Shown:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.text = ""
        self.actions: list[Action] = []

    def enter(self, phase: str) -> None:
        self.phases.append(phase)

    def release(self, text: str) -> None:
        self.text += text

    async def record(self, action: Action) -> None:
        self.actions.append(action)


def passage(entry_id: str, title: str, text: str, lang: str = "en", start: int = 100) -> Passage:
    return Passage(entry_id, title, text, lang, f"{lang}/returns.md", start, start + len(text))


def hit(passage: Passage, confidence: float) -> Hit:
    return Hit(passage, confidence, confidence, "question")


WINDOW = passage(
    "return-window",
    "How long can I return an item?",
    "You have 30 days from delivery for most items. Shoes and clothing can be returned for 60 days. "
    "Furniture cannot be returned after 14 days.",
)
STEPS_ZH = passage("return-item", "如何退货？", "1. 登录账户。\n2. 找到订单。\n3. 选择退货。", "zh")
