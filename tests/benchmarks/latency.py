"""First-token time (engine and wire), tokens per second and gateway overhead for 1, 4 and 16 chats.

    .venv/bin/python -m tests.benchmarks.latency [--quantize nf4] [--rounds 3] [--adapter DIR]

The engine is measured alone with one prompt of about 100 tokens and 40 new ones. The wire is measured through the
real gateway, log, index and model: a chat is a websocket, its question is composed, never sent verbatim. The
gateway's overhead is what the customer waits beyond the turn itself: commit, numbering, rendering, sending.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
from aiohttp.test_utils import TestServer

from assistant import server
from assistant.config import Settings, load
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Message
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitors
from assistant.dialogue.manager import DialogueManager
from assistant.dialogue.prompt import Voice, system_message, user_message
from assistant.dialogue.responder import Responder
from assistant.gateway.app import Parts, make_app
from assistant.generation.engine import Engine
from assistant.retrieval.retriever import FaqRetriever
from assistant.terminal import set_up_logging
from assistant.values import Sampling
from tests.end_to_end.visitor import Visitor

CHATS = (1, 4, 16)
NEW_TOKENS = 40
QUESTIONS = (
    "my shelf came with a scratch, what happens now",
    "how many weeks can I keep stuff before giving it back",
    "my lamp broke after two years, do I get a new one",
    "what happens if two codes are used at once",
)
STORY = "Write a long story about a lamp, a shelf and a pair of slippers that travel around the world together. " * 3


@dataclass(frozen=True)
class EngineFigures:
    """One load of the engine alone; times in ms, medians over chats and rounds."""

    chats: int
    prompt_tokens: int
    first_token_ms: float
    tokens_per_s: float


@dataclass(frozen=True)
class WireFigures:
    """One load through the gateway; times in ms, medians over chats and rounds."""

    chats: int
    ack_ms: float
    engine_first_token_ms: float
    wire_first_text_ms: float
    answer_ms: float
    overhead_ms: float
    overhead_max_ms: float


async def measure_engine(engine: Engine, chats: int, rounds: int) -> EngineFigures:
    """Run ``chats`` streams at once, ``rounds`` times."""
    messages = [system_message(Voice("the shop")), user_message(STORY)]
    sampling = Sampling(temperature=0.8, max_new_tokens=NEW_TOKENS, seed=7)

    async def one() -> tuple[float, int]:
        begin, first, tokens = time.perf_counter(), 0.0, 0
        async for piece in engine.stream(messages, sampling=sampling):
            first = first or time.perf_counter() - begin
            tokens = piece.num_tokens
        return first, tokens

    firsts: list[float] = []
    rates: list[float] = []
    for _ in range(rounds):
        begin = time.perf_counter()
        done = await asyncio.gather(*(one() for _ in range(chats)))
        rates.append(sum(tokens for _, tokens in done) / (time.perf_counter() - begin))
        firsts += [first * 1000 for first, _ in done]
    return EngineFigures(chats, engine.count(messages), statistics.median(firsts), statistics.median(rates))


async def measure_wire(url: str, log: ConversationLog, chats: int, rounds: int) -> WireFigures:
    """Open ``chats`` sockets and let each ask at the same moment, ``rounds`` times."""
    samples: list[tuple[float, ...]] = []
    async with aiohttp.ClientSession() as session:
        visitors = [Visitor(url, session) for _ in range(chats)]
        for visitor in visitors:
            await visitor.connect()
        for round_number in range(rounds):
            asked = [QUESTIONS[(number + round_number) % len(QUESTIONS)] for number in range(chats)]
            samples += await asyncio.gather(
                *(_ask(visitor, log, text) for visitor, text in zip(visitors, asked, strict=True))
            )
        for visitor in visitors:
            await visitor.drop()
    columns = list(zip(*samples, strict=True))
    return WireFigures(chats, *(statistics.median(column) for column in columns), max(columns[-1]))


async def _ask(visitor: Visitor, log: ConversationLog, text: str) -> tuple[float, ...]:
    begin = time.perf_counter()

    def elapsed() -> float:
        return (time.perf_counter() - begin) * 1000

    await visitor.say(text)
    acked = first = 0.0
    while True:
        frame = await visitor.next("ack", "delta", "message")
        if frame["type"] == "ack":
            acked = elapsed()
        elif frame["type"] == "delta" or frame["data"]["author"] == "assistant":
            first = first or elapsed()
        if frame["type"] == "message" and frame["data"]["author"] == "assistant":
            break
    total = elapsed()
    if not acked:
        await visitor.next("ack")
        acked = elapsed()
    event = await log.message(ConversationId(str(visitor.conversation_id)), frame["data"]["message_id"])
    assert event is not None
    assert isinstance(event.payload, Message)
    timings = event.payload.timings_ms or {}
    return acked, timings.get("first_token", 0.0), first, total, total - timings.get("total", 0.0)


@asynccontextmanager
async def gateway(
    settings: Settings, retriever: FaqRetriever, engine: Engine
) -> AsyncIterator[tuple[str, ConversationLog]]:
    """The real gateway over a log in a temporary folder."""
    database, bus = Database(settings.log_url), Bus()
    await database.open()
    log = ConversationLog(database, bus)
    manager = DialogueManager(log=log, bus=bus, responder=Responder(retriever, engine, settings), settings=settings)
    app = make_app(Parts(settings, log, Visitors(database), bus, manager, ready=list))
    async with TestServer(app) as running:
        yield str(running.make_url("")).rstrip("/"), log
    await manager.close()
    await database.close()


def benchmark_settings(quantize: str, adapter: Path | None, folder: Path) -> Settings:
    """The shipped settings, but always composing, with room for 16 chats, and a data folder of its own."""
    settings = load(Path(__file__).parents[2] / "deploy" / "assistant.toml")
    changes = {
        "generation": settings.generation.model_copy(
            update={"quantize": quantize, "adapter": adapter, "max_new_tokens": NEW_TOKENS}
        ),
        "dialogue": settings.dialogue.model_copy(update={"verbatim": 1.0}),
        "gateway": settings.gateway.model_copy(update={"messages_per_minute": 10_000}),
        "data_dir": folder,
    }
    return settings.model_copy(update=changes)


async def run(quantize: str, adapter: Path | None, rounds: int) -> dict[str, list[EngineFigures] | list[WireFigures]]:
    """All figures of one configuration."""
    with tempfile.TemporaryDirectory() as folder:
        settings = benchmark_settings(quantize, adapter, Path(folder))
        server.fetch_models(settings)
        retriever = await asyncio.to_thread(server.build_retriever, settings, print)
        async with server.running_engine(settings) as engine:
            await measure_engine(engine, 1, 1)  # the first run pays for memory and kernels
            alone = [await measure_engine(engine, chats, rounds) for chats in CHATS]
            async with gateway(settings, retriever, engine) as (url, log):
                await measure_wire(url, log, 1, 1)
                wired = [await measure_wire(url, log, chats, rounds) for chats in CHATS]
    return {"engine": alone, "wire": wired}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quantize", choices=("none", "int8", "nf4"), default="nf4")
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    set_up_logging("warning")
    figures = asyncio.run(run(chosen.quantize, chosen.adapter, chosen.rounds))
    if chosen.json:
        print(json.dumps({part: [asdict(row) for row in rows] for part, rows in figures.items()}, indent=2))
        return
    for part, rows in figures.items():
        print(f"\n{part} ({chosen.quantize})")
        print("  ".join(f"{name:>22}" for name in asdict(rows[0])))
        for row in rows:
            print("  ".join(f"{value:22.1f}" for value in asdict(row).values()))


if __name__ == "__main__":
    main()
