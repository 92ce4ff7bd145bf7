"""The model behind its queue, deadlines and breaker, and what an answer is where it hangs or is down."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from assistant.config import GenerationSettings
from assistant.dialogue.guarded import GuardedGenerator
from assistant.dialogue.ladder import RUNGS, Ladder
from assistant.dialogue.responder import Responder
from assistant.dialogue.turn import Question
from assistant.errors import GenerationError, ModelLate, ModelUnavailable, PromptTooLong, QueueFull
from assistant.values import Sampling
from tests.dialogue.conftest import Shop
from tests.dialogue.scripted import HALT, ScriptedGenerator, Shown

pytestmark = pytest.mark.unit
SUPPORTED = "You can return shoes within 60 days."
BROKEN = GenerationError("The model failed.")


def guarded(model: ScriptedGenerator, **settings: object) -> GuardedGenerator:
    return GuardedGenerator(model, GenerationSettings(**settings))  # type: ignore[arg-type]


async def written(generator: GuardedGenerator) -> str:
    async with aclosing(generator.stream([], sampling=Sampling())) as pieces:
        return "".join([piece.text async for piece in pieces])


async def test_what_the_model_writes_in_time_is_passed_on() -> None:
    assert await written(guarded(ScriptedGenerator(["You have 30 days."]))) == "You have 30 days. "


@pytest.mark.parametrize("script", [HALT, f"You have {HALT}"])
async def test_a_model_that_hangs_is_given_up_and_its_place_freed(script: str) -> None:
    model = ScriptedGenerator([script, "Again."])
    generator = guarded(model, max_batch=1, first_token_timeout_s=0.02)
    with pytest.raises(ModelLate, match=r"wrote nothing for 0\.02 s"):
        await written(generator)
    assert model.closed == 1
    assert await written(generator) == "Again. "


async def test_the_wait_for_a_place_has_its_own_bound_and_is_no_failure_of_the_model() -> None:
    model = ScriptedGenerator([HALT, "Mine."])
    generator = guarded(model, max_batch=1, queue_timeout_s=0.02, breaker_failures=1)
    first = asyncio.create_task(written(generator))
    await model.halted.wait()
    with pytest.raises(ModelLate, match="No place beside the model"):
        await written(generator)
    model.go.set()
    await first
    assert generator.breaker.state == "closed"


async def test_the_first_word_is_waited_for_from_the_place_on_and_not_from_the_queue() -> None:
    model = ScriptedGenerator([HALT, "Mine."])
    generator = guarded(model, max_batch=1, first_token_timeout_s=0.2)
    first, second = asyncio.create_task(written(generator)), None
    await model.halted.wait()
    second = asyncio.create_task(written(generator))
    await asyncio.sleep(0.15)
    model.go.set()
    assert await second == "Mine. "
    await first


async def test_a_full_queue_refuses_at_once() -> None:
    model = ScriptedGenerator([HALT] * 3)
    generator = guarded(model, max_batch=1, queue_size=1)
    running = [asyncio.create_task(written(generator)) for _ in range(2)]
    await model.halted.wait()
    await asyncio.sleep(0)
    with pytest.raises(QueueFull, match="queue_size is 1"):
        await written(generator)
    model.go.set()
    await asyncio.gather(*running)


async def test_a_model_that_fails_again_and_again_is_left_alone() -> None:
    model = ScriptedGenerator([BROKEN, BROKEN, "Not asked."])
    generator = guarded(model, breaker_failures=2)
    for _ in range(2):
        with pytest.raises(GenerationError, match="The model failed"):
            await written(generator)
    with pytest.raises(ModelUnavailable):
        await written(generator)
    assert len(model.prompts) == 2


async def test_a_prompt_that_is_too_long_says_nothing_about_the_model() -> None:
    generator = guarded(ScriptedGenerator([PromptTooLong("too long")]), breaker_failures=1)
    with pytest.raises(PromptTooLong):
        await written(generator)
    assert generator.breaker.state == "closed"


async def test_closing_the_stream_frees_the_place() -> None:
    model = ScriptedGenerator([f"One {HALT}", "Two."])
    generator = guarded(model, max_batch=1)
    async with aclosing(generator.stream([], sampling=Sampling())) as pieces:
        await anext(pieces)
    assert await written(generator) == "Two. "


@pytest.mark.parametrize("script", [HALT, BROKEN])
async def test_where_the_model_hangs_or_fails_the_curated_answer_is_given(shop: Shop, script: str) -> None:
    model = ScriptedGenerator([script])
    settings = shop.settings.generation.model_copy(update={"first_token_timeout_s": 0.02})
    ladder = Ladder()
    responder = Responder(shop.retriever, GuardedGenerator(model, settings), shop.settings, ladder=ladder)
    reply = await responder.respond(Question("can I return shoes?", "en"), Shown())
    assert reply.decision == "verbatim"
    assert "30 days" in reply.text
    assert [ladder.num_taken(rung) for rung in RUNGS] == [1, 0, 0]


async def test_where_the_model_hangs_half_way_what_it_had_written_is_the_answer(shop: Shop) -> None:
    model, ladder = ScriptedGenerator([f"{SUPPORTED} And so {HALT}"]), Ladder()
    settings = shop.settings.generation.model_copy(update={"first_token_timeout_s": 0.02})
    responder = Responder(shop.retriever, GuardedGenerator(model, settings), shop.settings, ladder=ladder)
    reply = await responder.respond(Question("can I return shoes?", "en"), Shown())
    assert (reply.text, reply.finish_reason) == (SUPPORTED, "error")
    assert [ladder.num_taken(rung) for rung in RUNGS] == [0, 1, 0]


async def test_an_answer_that_is_whole_comes_down_no_rung(shop: Shop) -> None:
    model, ladder = ScriptedGenerator([SUPPORTED]), Ladder()
    responder = Responder(shop.retriever, guarded(model), shop.settings, ladder=ladder)
    assert (await responder.respond(Question("can I return shoes?", "en"), Shown())).text == SUPPORTED
    assert [ladder.num_taken(rung) for rung in RUNGS] == [0, 0, 0]
