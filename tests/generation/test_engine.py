from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.config import GatewaySettings
from assistant.dialogue import manager
from assistant.errors import GenerationError, PromptTooLong, QueueFull
from assistant.gateway import app, privacy, sockets
from assistant.generation.engine import CLOSE_TIMEOUT_S, Engine
from assistant.generation.loader import ChatModel
from assistant.generation.text import HALF_CHARACTER
from assistant.values import ChatMessage, Piece, Sampling
from tests.generation.tiny import tiny_chat_model, tiny_settings

pytestmark = pytest.mark.unit

POISON = "~"
GREEDY = Sampling(temperature=0, repetition_penalty=1.1, max_new_tokens=24)
WAIT_S = 20


class Gated:
    """A model that can be held still, and that throws what it is told to when a prompt has the poison."""

    def __init__(self, chat_model: ChatModel, error: BaseException | None = None) -> None:
        self._model = chat_model.model
        self._poison = chat_model.chat_format._encode_content(POISON)[0]
        self._error = error
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.num_calls = 0

    def __call__(self, *, input_ids: Any, **options: Any) -> Any:
        self.num_calls += 1
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        if self._error is not None and bool((input_ids == self._poison).any()):
            raise self._error
        return self._model(input_ids=input_ids, **options)


def prompt(text: str) -> list[ChatMessage]:
    return [{"role": "system", "content": "Be kind."}, {"role": "user", "content": text}]


async def collect(engine: Engine, text: str, sampling: Sampling = GREEDY) -> list[Piece]:
    return [piece async for piece in engine.stream(prompt(text), sampling=sampling)]


async def answer(engine: Engine, text: str, sampling: Sampling = GREEDY) -> str:
    return "".join(piece.text for piece in await collect(engine, text, sampling))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (what is awaited happens on the model thread)
            await asyncio.sleep(0.005)


Build = Callable[..., Any]


@pytest.fixture
def running(tiny_folder: Path, tmp_path: Path) -> Build:
    """Context of a running engine with its gated model: ``async with running(error=..., max_batch=...)``."""

    @asynccontextmanager
    async def run(
        error: BaseException | None = None, context_tokens: int = 2048, **generation: object
    ) -> AsyncIterator[tuple[Engine, Gated]]:
        chat_model = tiny_chat_model(tiny_folder, context_tokens=context_tokens)
        gated = Gated(chat_model, error)
        settings = tiny_settings(tmp_path, tiny_folder, **generation)
        engine = Engine(settings, load_model=lambda _: replace(chat_model, model=gated))
        engine.load()
        engine.start()
        try:
            yield engine, gated
        finally:
            gated.gate.set()
            await asyncio.to_thread(engine.close)

    return run


async def test_a_stream_ends_with_its_reason_and_counts(running: Build) -> None:
    async with running() as (engine, _):
        pieces = await collect(engine, "hello")
    assert [piece.finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].finish_reason == "length"
    assert pieces[-1].num_tokens == 24
    assert pieces[0].elapsed_ms <= pieces[-1].elapsed_ms


async def test_together_or_alone_a_greedy_answer_is_the_same(running: Build) -> None:
    texts = ["a", "what is the price of the blue lamp?", "hello there", "x" * 200, "你好", "order 12"]
    lengths = [replace(GREEDY, max_new_tokens=size) for size in (30, 7, 18, 25, 11, 40)]
    async with running(max_batch=4) as (engine, gated):
        alone = [await answer(engine, *request) for request in zip(texts, lengths, strict=True)]
        calls_alone, gated.num_calls = gated.num_calls, 0
        together = await asyncio.gather(*(answer(engine, *request) for request in zip(texts, lengths, strict=True)))
    assert together == alone
    assert len(set(alone)) == len(alone)
    assert gated.num_calls < calls_alone * 0.7


async def test_the_same_seed_writes_the_same_text_in_any_company(running: Build) -> None:
    sampling = Sampling(temperature=1, top_p=0.95, seed=5, max_new_tokens=20)
    async with running() as (engine, _):
        alone = await answer(engine, "hello", sampling)
        crowd = [answer(engine, "hello", sampling), answer(engine, "hi", replace(sampling, seed=6))]
        again, other = await asyncio.gather(*crowd)
    assert again == alone != other


async def test_a_stop_string_ends_the_answer(running: Build) -> None:
    async with running() as (engine, _):
        whole = await answer(engine, "hello")
        stop = whole[4:7]
        pieces = await collect(engine, "hello", replace(GREEDY, stop=(stop,)))
    assert "".join(piece.text for piece in pieces) == whole[: whole.index(stop)]
    assert pieces[-1].finish_reason == "stop"


def reference_ids(chat_model: ChatModel, text: str, num_tokens: int) -> list[int]:
    """What transformers itself writes, greedily."""
    ids = torch.tensor([chat_model.chat_format.render(prompt(text))])
    output = chat_model.model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=num_tokens, eos_token_id=None
    )
    return output[0, ids.shape[1] :].tolist()


async def test_a_greedy_answer_is_what_transformers_generates(running: Build, tiny_folder: Path) -> None:
    chat_model = tiny_chat_model(tiny_folder)
    expected = chat_model.chat_format.decode(reference_ids(chat_model, "hello", 24))
    async with running() as (engine, _):
        written = await answer(engine, "hello", replace(GREEDY, repetition_penalty=1))
    assert written == expected.rstrip(HALF_CHARACTER)


async def test_an_end_token_ends_the_answer(running: Build, tiny_folder: Path) -> None:
    ids = reference_ids(tiny_chat_model(tiny_folder), "hello", 10)
    async with running() as (engine, _):
        engine._model.chat_format.end_ids = frozenset({ids[5]})
        pieces = await collect(engine, "hello", replace(GREEDY, repetition_penalty=1))
    assert pieces[-1].finish_reason == "stop"
    assert pieces[-1].num_tokens == ids.index(ids[5])


async def test_closing_a_stream_frees_its_place_at_the_next_token(running: Build) -> None:
    async with running(max_batch=1) as (engine, gated):
        async with aclosing(engine.stream(prompt("hi"), sampling=replace(GREEDY, max_new_tokens=1900))) as stream:
            await anext(stream)
        await until(lambda: engine.num_running == 0)
        assert gated.num_calls < 1000
        assert await answer(engine, "next")


async def test_a_cancelled_task_frees_its_place(running: Build) -> None:
    async with running(max_batch=1, queue_size=1) as (engine, gated):
        gated.gate.clear()
        tasks = [asyncio.create_task(collect(engine, "hi")) for _ in range(2)]
        await until(lambda: engine.num_running == 1 and engine.queue_depth == 1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert engine.queue_depth == 0
        gated.gate.set()
        await until(lambda: engine.num_running == 0)


async def test_a_full_queue_refuses_at_once(running: Build) -> None:
    async with running(max_batch=1, queue_size=1) as (engine, gated):
        gated.gate.clear()
        first = asyncio.create_task(collect(engine, "one"))
        await until(lambda: engine.num_running == 1)
        second = asyncio.create_task(collect(engine, "two"))
        await until(lambda: engine.queue_depth == 1)
        assert not engine.has_room
        with pytest.raises(QueueFull, match="queue_size is 1"):
            await collect(engine, "three")
        gated.gate.set()
        assert [pieces[-1].finish_reason for pieces in await asyncio.gather(first, second)] == ["length", "length"]
        assert engine.has_room


async def test_a_slow_reader_gets_merged_text(running: Build) -> None:
    async with running() as (engine, _):
        whole = await answer(engine, "hello")
        async with aclosing(engine.stream(prompt("hello"), sampling=GREEDY)) as stream:
            first = await anext(stream)
            await until(lambda: engine.num_running == 0)
            rest = [piece async for piece in stream]
    assert len(rest) == 1
    assert first.text + rest[0].text == whole


async def test_a_prompt_without_room_for_an_answer_is_refused(running: Build) -> None:
    async with running(context_tokens=100) as (engine, _):
        size = engine.count(prompt("x" * 90))
        with pytest.raises(PromptTooLong, match=f"{size} tokens.* 100 "):
            await collect(engine, "x" * 90)


async def test_an_answer_stops_where_the_context_ends(running: Build) -> None:
    async with running(context_tokens=100) as (engine, _):
        size = engine.count(prompt("x"))
        pieces = await collect(engine, "x", replace(GREEDY, max_new_tokens=4000))
    assert pieces[-1].num_tokens == 100 - size


async def test_a_request_that_breaks_the_model_ends_alone(running: Build) -> None:
    async with running(error=RuntimeError("boom")) as (engine, _):
        expected = await answer(engine, "fine")
        broken = asyncio.create_task(collect(engine, POISON))
        good = asyncio.create_task(answer(engine, "fine"))
        with pytest.raises(GenerationError, match="RuntimeError") as raised:
            await broken
        assert "boom" not in str(raised.value)
        assert await good == expected
        assert await answer(engine, "fine") == expected


async def test_a_dead_thread_fails_every_request_with_a_reason(running: Build) -> None:
    async with running(error=SystemExit("out"), max_batch=1) as (engine, gated):
        gated.gate.clear()
        doomed = [asyncio.create_task(collect(engine, POISON)) for _ in range(3)]
        await until(lambda: engine.queue_depth == 2)
        gated.gate.set()
        results = await asyncio.gather(*doomed, return_exceptions=True)
        assert all(isinstance(result, GenerationError) and "SystemExit" in str(result) for result in results)
        with pytest.raises(GenerationError, match="died"):
            await collect(engine, "fine")
        assert not engine.has_room


async def test_close_ends_running_answers_as_interrupted(running: Build) -> None:
    async with running(max_batch=1) as (engine, gated):
        started = asyncio.create_task(collect(engine, "hello", replace(GREEDY, max_new_tokens=1900)))
        await until(lambda: gated.num_calls > 3)
        waiting = asyncio.create_task(collect(engine, "later"))
        await until(lambda: engine.queue_depth == 1)
        await asyncio.to_thread(engine.close)
        results = await asyncio.gather(started, waiting)
        assert [pieces[-1].finish_reason for pieces in results] == ["interrupted", "interrupted"]
        with pytest.raises(GenerationError, match="not running"):
            await collect(engine, "too late")


async def test_close_lets_no_step_follow_the_one_that_runs(running: Build) -> None:
    async with running(max_batch=1) as (engine, gated):
        gated.gate.clear()
        writing = asyncio.create_task(collect(engine, "hello", replace(GREEDY, max_new_tokens=1900)))
        await until(gated.entered.is_set)
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        await until(lambda: not engine.has_room)
        gated.gate.set()
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await closing
        assert not engine.is_alive
        assert gated.num_calls == 1
        assert (await writing)[-1].finish_reason == "interrupted"


def test_with_the_defaults_a_server_has_ended_within_30_s() -> None:
    turns_s = GatewaySettings().drain_s + manager.COMMIT_S
    sockets_s = sockets.LAST_LOOK_S + sockets.DRAIN_S
    assert turns_s + sockets_s + app.SHUTDOWN_S + privacy.LAST_S + CLOSE_TIMEOUT_S <= 30


async def test_close_leaves_a_model_that_hangs_and_tells_its_readers(
    running: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.generation.engine.CLOSE_TIMEOUT_S", 0.1)
    async with running(max_batch=1) as (engine, gated):
        gated.gate.clear()
        writing = [asyncio.create_task(collect(engine, text)) for text in ("written", "waiting")]
        await until(lambda: engine.num_running == 1 and engine.queue_depth == 1)
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await asyncio.to_thread(engine.close)
            results = await asyncio.gather(*writing, return_exceptions=True)
        assert all("did not end its step" in str(result) for result in results), results


async def test_an_engine_that_is_not_loaded_says_so(tiny_folder: Path, tmp_path: Path) -> None:
    engine = Engine(tiny_settings(tmp_path, tiny_folder))
    with pytest.raises(GenerationError, match="not loaded"):
        engine.count(prompt("hi"))
