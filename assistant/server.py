"""The composition root: builds the parts from the settings, fits them together, runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from assistant import models
from assistant.config import Settings
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitors
from assistant.dialogue.manager import DialogueManager
from assistant.dialogue.responder import Responder
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
    database, bus = Database(settings.log_url), Bus()
    await database.open()
    try:
        async with running_responder(settings, tell) as responder:
            conversations = ConversationLog(database, bus)
            manager = DialogueManager(log=conversations, bus=bus, responder=responder, settings=settings)
            parts = gateway.Parts(settings, conversations, Visitors(database), bus, manager, ready=list)
            await manager.start()
            try:
                yield gateway.make_app(parts)
            finally:
                await manager.close()
    finally:
        await database.close()
