"""What evaluations play with: the assistant as it is served, but for where its log lies and for the shop's own systems.

The knowledge is what the settings name, edits from the console included; responder and reader are the server's
(`server.make_responder`, `server.make_reader`), behind the real dialogue manager. The log is in a temporary folder, and
declared business actions take their steps up to the call, which is not made: a measurement must order and cancel
nothing.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from assistant import models, server
from assistant.actions.outcome import Outcome
from assistant.config import CallSettings, LogSettings, Settings
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitor, Visitors
from assistant.dialogue.guarded import GuardedGenerator
from assistant.dialogue.manager import DialogueManager
from assistant.dialogue.turn import Generator, Reader, Retriever
from assistant.errors import GenerationError, IndexArtifactError, KnowledgeError
from assistant.evaluation.gathering import CONCURRENCY
from assistant.evaluation.indexes import CaseIndexes
from assistant.evaluation.playing import Conversations
from assistant.retrieval.artifact import load_index
from assistant.retrieval.embedding import Encoders, load_encoders
from assistant.retrieval.entries import Knowledge
from assistant.retrieval.index import FaqIndex
from assistant.retrieval.overlay import load_all
from assistant.retrieval.sources import load_knowledge
from assistant.terminal import progress_bar, tell
from assistant.values import ChatMessage, Piece, Sampling


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers rest on: a tenant's entries, the searches over them, and what reads the customers' messages."""

    tenant: str
    knowledge: Knowledge
    indexes: CaseIndexes
    reader: Reader


def open_parts(settings: Settings, *, tenant: str = "", root: Path | None = None) -> Parts:
    """The parts for a tenant, from ``root`` where it is given instead of what the settings name.

    Blocking, half a minute where no index was saved. Raises `KnowledgeError`.
    """
    knowledge = _knowledge(settings, tenant, root)
    encoders = open_encoders(settings)
    saved = _saved_index(settings, encoders)
    with progress_bar("Indexing") as on_index:
        indexes = CaseIndexes(knowledge, encoders, settings.retrieval, tenant=tenant, previous=saved, progress=on_index)
    return Parts(tenant, knowledge, indexes, server.make_reader(settings, encoders, indexes.retriever(())))


def open_encoders(settings: Settings) -> Encoders:
    """The sentence encoders; the built-in ones are fetched where they are not on this machine. Blocking."""
    for name in settings.retrieval.encoders:
        if name in models.BUILT_IN:
            models.pull(settings, name)
    return load_encoders(settings)


def without_model(settings: Settings) -> Settings:
    """The settings with answers put together from the passages' own sentences."""
    return settings.model_copy(update={"dialogue": settings.dialogue.model_copy(update={"compose": "extract"})})


class Stage:
    """Where customers are played: one log, one visitor, one model. Make one with `open_stage`."""

    def __init__(
        self, settings: Settings, parts: Parts, generator: Generator, log: ConversationLog, bus: Bus, visitor: Visitor
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._generator = generator
        self._log = log
        self._bus = bus
        self._visitor = visitor
        self._managers: list[DialogueManager] = []

    @property
    def concurrency(self) -> int:
        """How many conversations may run at a time."""
        return min(CONCURRENCY, self._settings.dialogue.max_turns)

    def conversations(self, retriever: Retriever) -> Conversations:
        """Conversations with the assistant as it is served, on this search."""
        responder = server.make_responder(
            self._settings, retriever, self._generator, reader=self._parts.reader, caller=NoCalls()
        )
        manager = DialogueManager(log=self._log, bus=self._bus, responder=responder, settings=self._settings)
        self._managers.append(manager)
        return Conversations(manager, self._log, self._bus, self._visitor)

    async def close(self) -> None:
        """Stop whatever turns still run."""
        for manager in self._managers:
            await manager.close()


@asynccontextmanager
async def open_stage(settings: Settings, parts: Parts) -> AsyncIterator[Stage]:
    """A stage for these parts; the user's index and log are not touched."""
    async with AsyncExitStack() as stack:
        own = stack.enter_context(_elsewhere(settings))
        bus, database = Bus(), Database(own.log_url)
        await database.open()
        stack.push_async_callback(database.close)
        generator = await stack.enter_async_context(_generator(own))
        visitor, _ = await Visitors(database).add(parts.tenant or own.tenant)
        stage = Stage(own, parts, generator, ConversationLog(database, bus), bus, visitor)
        stack.push_async_callback(stage.close)
        yield stage


@contextmanager
def _elsewhere(settings: Settings) -> Iterator[Settings]:
    """The settings with log and data in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="assistant-evaluate-") as folder:
        yield settings.model_copy(update={"data_dir": Path(folder), "log": LogSettings(level=settings.log.level)})


@asynccontextmanager
async def _generator(settings: Settings) -> AsyncIterator[Generator]:
    """The chat model on its thread, as guarded as it serves; none where nothing is composed with it."""
    if settings.dialogue.compose == "extract":
        yield Mute()
        return
    await asyncio.to_thread(server.fetch_models, settings)
    async with server.running_engine(settings) as engine:
        yield GuardedGenerator(engine, settings.generation)


class Mute:
    """Stands where the chat model would: it can write nothing."""

    languages: Sequence[str] | None = ()
    model_name = "none"
    adapter_name: str | None = None

    def count(self, messages: Sequence[ChatMessage]) -> int:
        """Characters, as there are no tokens."""
        return sum(len(message["content"]) for message in messages)

    async def stream(self, messages: Sequence[ChatMessage], *, sampling: Sampling) -> AsyncGenerator[Piece]:
        """Raise `GenerationError`."""
        raise GenerationError("No chat model is loaded.", fix="Leave --no-model out.")
        yield


class NoCalls:
    """Stands where the shop's own systems would: each call comes to nothing, and nothing is done."""

    async def call(
        self, settings: CallSettings, arguments: Mapping[str, str], *, idempotency_key: str, name: str
    ) -> Outcome:
        """Say that the call was not made."""
        return Outcome("failed", "not_called")


def _knowledge(settings: Settings, tenant: str, root: Path | None) -> Knowledge:
    """The tenant's entries; what cannot be read is told."""
    found = load_knowledge(root, tenant=tenant) if root else load_all(settings)
    for problem in found.problems:
        tell(f"Left out: {problem}")
    entries = [entry for entry in found.entries if entry.tenant == tenant]
    if not entries:
        raise KnowledgeError(f"The tenant {tenant!r} has no entry.", fix="See what `assistant index` leaves out.")
    return Knowledge.of(entries, found.problems)


def _saved_index(settings: Settings, encoders: Encoders) -> FaqIndex | None:
    """The index that a server left, for its vectors; None where it is missing or of other encoders. It is only read."""
    try:
        return load_index(settings.index_dir, encoders)
    except IndexArtifactError:
        return None
