"""The composition root: builds the parts from the settings, fits them together, runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from aiohttp import web

from assistant import models
from assistant.config import Settings
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitors
from assistant.dialogue.manager import DialogueManager
from assistant.dialogue.prompt import PROMPT_VERSION
from assistant.dialogue.responder import Responder
from assistant.errors import AdapterError
from assistant.gateway import app as gateway
from assistant.generation.engine import Engine
from assistant.retrieval.artifact import open_or_build
from assistant.retrieval.embedding import load_encoders
from assistant.retrieval.retriever import FaqRetriever
from assistant.terminal import progress_bar

log = structlog.get_logger()

Tell = Callable[[str], None]


def fetch_models(settings: Settings) -> None:
    """Fetch the built-in models that these settings name and the cache lacks."""
    wanted = (settings.generation.model, settings.retrieval.english_encoder, settings.retrieval.multilingual_encoder)
    for name in wanted:
        if name in models.BUILT_IN:
            models.pull(settings, name)


def build_retriever(settings: Settings, tell: Tell) -> FaqRetriever:
    """The encoders, and the index of the knowledge base as it stands now."""
    encoders = load_encoders(settings)
    with progress_bar("Indexing the knowledge base") as report:
        index, knowledge = open_or_build(settings, encoders, progress=report)
    for problem in knowledge.problems:
        tell(f"Left out: {problem}")
    return FaqRetriever(index, encoders, settings.retrieval)


async def serve(settings: Settings, tell: Tell) -> None:
    """Run the assistant until SIGTERM or SIGINT."""

    def say_where(url: str) -> None:
        tell(f"Serving on {url}")
        tell(f"  the demo shop  {url}/")
        tell(f'  the widget     <script src="{url}/widget.js" async></script>')
        tell(f"  data lies in   {settings.data_dir}")

    async with running_app(settings, tell) as app:
        address = settings.gateway
        await gateway.serve(app, host=address.host, port=address.port, on_listening=say_where)


@asynccontextmanager
async def running_engine(settings: Settings) -> AsyncIterator[Engine]:
    """The chat model on its thread."""
    engine = Engine(settings)
    await asyncio.to_thread(engine.load)
    _refuse_other_prompt(engine)
    engine.start()
    try:
        yield engine
    finally:
        await asyncio.to_thread(engine.close)


@asynccontextmanager
async def running_responder(settings: Settings, tell: Tell) -> AsyncIterator[Responder]:
    """Everything that answers a question, without log and gateway."""
    retriever = await asyncio.to_thread(build_retriever, settings, tell)
    async with running_engine(settings) as engine:
        yield Responder(retriever, engine, settings)


@asynccontextmanager
async def running_app(settings: Settings, tell: Tell) -> AsyncIterator[web.Application]:
    """The whole assistant as a web application; what a crash left unanswered is answered."""
    async with AsyncExitStack() as stack:
        bus, database = Bus(), Database(settings.log_url)
        await database.open()
        stack.push_async_callback(database.close)
        retriever = await asyncio.to_thread(build_retriever, settings, tell)
        engine = await stack.enter_async_context(running_engine(settings))
        conversations = ConversationLog(database, bus)
        responder = Responder(retriever, engine, settings)
        manager = DialogueManager(log=conversations, bus=bus, responder=responder, settings=settings)
        stack.push_async_callback(manager.close)
        await manager.start()

        def missing() -> list[str]:
            return [] if engine.is_alive else ["the chat model's thread ended; restart the server and see its log"]

        yield gateway.make_app(gateway.Parts(settings, conversations, Visitors(database), bus, manager, ready=missing))


def _refuse_other_prompt(engine: Engine) -> None:
    card = engine.adapter_card
    if card is not None and card.prompt_version != PROMPT_VERSION:
        raise AdapterError(
            f"The adapter {engine.adapter_name} was trained with prompt version {card.prompt_version}, "
            f"and version {PROMPT_VERSION} is served.",
            fix="Train it again: assistant train sft.",
        )
