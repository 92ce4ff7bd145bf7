"""The composition root: builds the parts from the settings, fits them together, runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from assistant import models, running
from assistant.actions.caller import open_caller
from assistant.actions.flow import Actions
from assistant.actions.outcome import ActionCaller
from assistant.config import Settings
from assistant.conversation.api_keys import ApiKeys
from assistant.conversation.attachments import Attachments
from assistant.conversation.bus import Bus
from assistant.conversation.customers import Customers
from assistant.conversation.database import Database
from assistant.conversation.failed_webhooks import FailedWebhooks
from assistant.conversation.log import ConversationLog
from assistant.conversation.outbox import Outbox
from assistant.conversation.relay import relaying
from assistant.conversation.senders import ChannelSenders
from assistant.conversation.visitors import Visitors
from assistant.dialogue.guarded import GuardedGenerator
from assistant.dialogue.ladder import Ladder
from assistant.dialogue.leaks import new_canary
from assistant.dialogue.manager import DialogueManager
from assistant.dialogue.prompt import PROMPT_VERSION
from assistant.dialogue.responder import Responder
from assistant.dialogue.suggesting import Suggesting
from assistant.dialogue.turn import Generator, Reader, Retriever
from assistant.erasing import privacy_of
from assistant.errors import AdapterError
from assistant.gateway import app as gateway
from assistant.gateway.doors import Doors
from assistant.gateway.staff import Staff
from assistant.gateway.webhooks import running_webhooks
from assistant.insight.encoding import EncoderPair
from assistant.insight.reader import MessageReader
from assistant.retrieval.artifact import open_or_build
from assistant.retrieval.embedding import Encoders, load_encoders
from assistant.retrieval.retriever import FaqRetriever
from assistant.retrieval.updater import IndexUpdater
from assistant.retrieval.watching import keep_current
from assistant.terminal import progress_bar

if TYPE_CHECKING:
    from assistant.generation.engine import Engine

log = structlog.get_logger()

Tell = Callable[[str], None]


def fetch_models(settings: Settings) -> None:
    """Fetch the built-in models that these settings name and the cache lacks."""
    wanted = (settings.generation.model, *settings.retrieval.encoders)
    for name in wanted:
        if name in models.BUILT_IN:
            models.pull(settings, name)


@dataclass(frozen=True, slots=True)
class Search:
    """The search over the knowledge base as it stands now, what keeps it in step, and what reads messages."""

    retriever: FaqRetriever
    updater: IndexUpdater
    reader: MessageReader


def build_retriever(settings: Settings, tell: Tell) -> FaqRetriever:
    """The encoders, and the index of the knowledge base as it stands now."""
    return _open_search(settings, tell)[0]


def build_search(settings: Settings, tell: Tell) -> Search:
    """The encoders with everything that uses them. Blocking; some seconds."""
    retriever, updater, encoders = _open_search(settings, tell)
    return Search(retriever, updater, make_reader(settings, encoders, retriever))


def _open_search(settings: Settings, tell: Tell) -> tuple[FaqRetriever, IndexUpdater, Encoders]:
    encoders = load_encoders(settings)
    with progress_bar("Indexing the knowledge base") as report:
        index, knowledge = open_or_build(settings, encoders, progress=report)
    for problem in knowledge.problems:
        tell(f"Left out: {problem}")
    retriever = FaqRetriever(index, encoders, settings.retrieval)
    return retriever, IndexUpdater(settings, encoders, retriever, index, problems=knowledge.problems), encoders


async def serve(settings: Settings, tell: Tell) -> None:
    """Run the assistant until SIGTERM or SIGINT. Commands find it by ``data_dir/server.json``."""
    admin_key = running.new_admin_key()

    def say_where(url: str) -> None:
        running.announce(settings.data_dir, url=url, admin_key=admin_key)
        tell(f"Serving on {url}")
        tell(f"  the demo shop  {url}/")
        tell(f'  the widget     <script src="{url}/widget.js" async></script>')
        tell(f"  data lies in   {settings.data_dir}")

    async with running_app(settings, tell, admin_key=admin_key) as app:
        address = settings.gateway
        try:
            await gateway.serve(app, host=address.host, port=address.port, on_listening=say_where)
        finally:
            running.withdraw(settings.data_dir, admin_key=admin_key)


@asynccontextmanager
async def running_engine(settings: Settings) -> AsyncIterator[Engine]:
    """The chat model on its thread."""
    from assistant.generation.engine import Engine  # torch and transformers take 5 s: only what writes waits for them

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
    search = await asyncio.to_thread(build_search, settings, tell)
    async with running_engine(settings) as engine, open_caller() as caller:
        guarded = GuardedGenerator(engine, settings.generation)
        yield make_responder(settings, search.retriever, guarded, reader=search.reader, caller=caller)


@asynccontextmanager
async def running_app(settings: Settings, tell: Tell, *, admin_key: str) -> AsyncIterator[web.Application]:
    """The whole assistant as a web application; what a crash left unanswered is answered."""
    async with AsyncExitStack() as stack:
        bus, database = Bus(), Database(settings.log_url)
        await database.open()
        stack.push_async_callback(database.close)
        served = await stack.enter_async_context(_running_answers(settings, tell))
        log = ConversationLog(database, bus)
        await stack.enter_async_context(relaying(bus, settings.gateway.redis_url))
        manager = DialogueManager(log=log, bus=bus, responder=served.responder, settings=settings, ladder=served.ladder)
        stack.push_async_callback(manager.close)
        await manager.start()
        outbox, failed = Outbox(database), FailedWebhooks(database)
        webhooks = await stack.enter_async_context(
            running_webhooks(settings.webhooks, log=log, outbox=outbox, failed=failed)
        )
        if settings.knowledge.watch:
            await stack.enter_async_context(_watching(settings, served.search.updater))
        parts = _parts(settings, served, log, bus, manager, database)
        admin = gateway.Admin(admin_key, served.search.updater)
        yield gateway.make_app(replace(parts, admin=admin, webhooks=webhooks))


@dataclass(frozen=True, slots=True)
class _Served:
    """What answers: ``outside`` conversations without business actions, since no event can tell their steps."""

    search: Search
    engine: Engine
    guarded: GuardedGenerator
    ladder: Ladder
    responder: Responder
    outside: Responder

    def missing(self) -> list[str]:
        """What keeps it from answering."""
        return [] if self.engine.is_alive else ["the chat model's thread ended; restart the server and see its log"]


@asynccontextmanager
async def _running_answers(settings: Settings, tell: Tell) -> AsyncIterator[_Served]:
    search = await asyncio.to_thread(build_search, settings, tell)
    async with running_engine(settings) as engine, open_caller() as caller:
        guarded, ladder = GuardedGenerator(engine, settings.generation), Ladder()
        make = partial(make_responder, settings, search.retriever, guarded, reader=search.reader)
        make = partial(make, canary=new_canary(), ladder=ladder)
        yield _Served(search, engine, guarded, ladder, make(caller=caller), outside=make())


def _parts(
    settings: Settings,
    served: _Served,
    log: ConversationLog,
    bus: Bus,
    manager: DialogueManager,
    database: Database,
) -> gateway.Parts:
    visitors = Visitors(database)
    return gateway.Parts(
        settings,
        log,
        visitors,
        bus,
        manager,
        ready=served.missing,
        customers=Customers(database),
        doors=Doors(ApiKeys(database), ChannelSenders(database, visitors), served.outside),
        staff=Staff.over(database),
        privacy=privacy_of(settings, database, bus),
        attachments=Attachments(database, settings.uploads_dir),
        suggesting=Suggesting(log=log, responder=served.outside, settings=settings),
        breaker=served.guarded.breaker,
    )


def make_reader(settings: Settings, encoders: Encoders, retriever: FaqRetriever) -> MessageReader:
    """What reads messages: it knows the names that this search knows. Blocking; some seconds the first time."""
    views = EncoderPair(encoders.english, encoders.multilingual, encoders.passage)
    return MessageReader.fit(views, names=retriever.names, kept=settings.seeds_dir)


def make_responder(
    settings: Settings,
    retriever: Retriever,
    generator: Generator,
    *,
    reader: Reader,
    caller: ActionCaller | None = None,
    canary: str = "",
    ladder: Ladder | None = None,
) -> Responder:
    """What answers: the one that serves, speaks in the terminal and is evaluated.

    Without a ``caller`` there are no business actions; without a ``canary`` it has one of its own.
    """
    actions = Actions(settings, caller) if caller and settings.actions else None
    return Responder(
        retriever, generator, settings, reader=reader, actions=actions, canary=canary or new_canary(), ladder=ladder
    )


@asynccontextmanager
async def _watching(settings: Settings, updater: IndexUpdater) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_current(settings, updater.refresh))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _refuse_other_prompt(engine: Engine) -> None:
    card = engine.adapter_card
    if card is not None and card.prompt_version != PROMPT_VERSION:
        raise AdapterError(
            f"The adapter {engine.adapter_name} was trained with prompt version {card.prompt_version}, "
            f"and version {PROMPT_VERSION} is served.",
            fix="Train it again: assistant train sft.",
        )
