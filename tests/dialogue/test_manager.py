from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from assistant.conversation.events import ConversationId, Insight, Message, NewEvent, State, TurnId
from assistant.dialogue.manager import MAX_ATTEMPTS
from assistant.errors import Busy, IdempotencyConflict, UnknownMessage
from assistant.values import Entity, Reading
from tests.dialogue.conftest import Shop
from tests.dialogue.scripted import HALT

pytestmark = pytest.mark.unit
SHOES = "Shoes can be returned for 60 days."


async def test_a_message_is_committed_before_its_answer_begins(shop: Shop) -> None:
    shop.generator.scripts = [f"{HALT} {SHOES}"]
    event = await shop.manager.receive(shop.speaker, "return shoes?", "a")
    assert [e.payload for e in await shop.messages()] == [event.payload]
    shop.generator.go.set()
    asked, answer = await shop.until(2)
    assert answer.reply_to == asked.message_id
    assert (answer.text, answer.decision, answer.model) == (SHOES, "composed", "scripted")
    assert "<p>" in answer.html


async def test_the_same_message_twice_is_answered_once(shop: Shop) -> None:
    shop.generator.scripts = [SHOES]
    first = await shop.manager.receive(shop.speaker, "return shoes?", "a")
    again = await shop.manager.receive(shop.speaker, "return shoes?", "a")
    assert again == first
    await shop.until(2)
    await shop.manager.close()
    assert len(await shop.messages()) == 2
    with pytest.raises(IdempotencyConflict):
        await shop.manager.receive(shop.speaker, "something else", "a")


async def test_a_running_turn_shows_its_text_and_can_be_stopped(shop: Shop) -> None:
    shop.generator.scripts = [f"{SHOES} Furniture {HALT}"]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    await shop.generator.halted.wait()
    turn = shop.manager.live(shop.conversation_id)
    assert turn is not None
    assert (turn.phase, turn.text.strip()) == ("writing", SHOES)
    assert not shop.manager.stop(shop.conversation_id, TurnId("another"))
    assert shop.manager.stop(shop.conversation_id, turn.turn_id)
    _, answer = await shop.until(2)
    assert (answer.text, answer.finish_reason, answer.message_id) == (SHOES, "interrupted", turn.message_id)
    assert shop.generator.closed == 1
    assert not shop.manager.stop(shop.conversation_id, turn.turn_id)


async def test_shutdown_keeps_what_was_said(shop: Shop) -> None:
    shop.generator.scripts = [f"{SHOES} More {HALT}"]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    await shop.generator.halted.wait()
    await shop.manager.close()
    _, answer = await shop.until(2)
    assert (answer.text, answer.finish_reason) == (SHOES, "interrupted")


async def test_what_a_crash_left_unanswered_is_answered_once_after_restart(shop: Shop) -> None:
    shop.generator.scripts = [HALT, SHOES]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    await shop.generator.halted.wait()  # the process dies here: nothing of the turn is in the log
    restarted = shop.new_manager()
    await restarted.start()
    _, answer = await shop.until(2)
    assert answer.text == SHOES
    shop.generator.go.set()
    await shop.manager.close()
    await restarted.close()
    assert len(await shop.messages()) == 2


async def test_messages_of_a_conversation_are_answered_in_order(shop: Shop) -> None:
    shop.generator.scripts = [f"{HALT} {SHOES}", SHOES]
    first = await shop.manager.receive(shop.speaker, "return shoes?", "a")
    second = await shop.manager.receive(shop.speaker, "return clothing please?", "b")
    shop.generator.go.set()
    messages = await shop.until(4)
    assert [m.reply_to for m in messages[2:]] == [e.payload.message_id for e in (first, second)]  # type: ignore[union-attr]


async def test_conversations_do_not_wait_for_each_other(shop: Shop) -> None:
    shop.generator.scripts = [f"{HALT} {SHOES}"]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    await shop.generator.halted.wait()
    other = replace(shop.speaker, conversation_id=ConversationId("c_2"))
    with shop.bus.watch(other.conversation_id) as news:
        await shop.manager.receive(other, "hello", "a")
        while len(await shop.log.recent_messages(other.conversation_id, limit=9)) < 2:
            news.clear()
            await asyncio.wait_for(news.wait(), 5)
    assert len(await shop.messages()) == 1


async def test_overload_is_refused_before_anything_is_stored(shop: Shop) -> None:
    shop.generator.scripts = [HALT] * 10
    for number in range(4):
        await shop.manager.receive(shop.speaker, f"return {number}?", str(number))
    with pytest.raises(Busy) as refused:
        await shop.manager.receive(shop.speaker, "return more?", "x")
    assert refused.value.queue_position == 5
    assert len(await shop.messages()) == 4
    again = await shop.manager.receive(shop.speaker, "return 0?", "0")
    assert again.payload.text == "return 0?", "a repeated message is no new load"  # type: ignore[union-attr]


async def test_asking_for_a_person_sets_waiting_once(shop: Shop) -> None:
    await shop.manager.receive(shop.speaker, "I want to talk to a person", "a")
    await shop.until(2)
    assert (await shop.log.head(shop.conversation_id)).mode == "waiting"
    await shop.manager.receive(shop.speaker, "human please", "b")
    await shop.until(4)
    await shop.manager.receive(shop.speaker, "my address is anna@example.com", "c")
    assert "anna@example.com" in (await shop.until(6))[-1].text
    states = [e for e in await shop.log.events(shop.conversation_id) if e.kind == "state"]
    assert len(states) == 1


async def test_the_button_for_a_person_works_before_the_first_message(shop: Shop) -> None:
    await shop.manager.request_person(shop.speaker, "")
    [message] = await shop.until(1)
    assert (message.decision, "help@oak.example" in message.text) == ("handoff", True)
    assert (await shop.log.head(shop.conversation_id)).mode == "waiting"


async def test_while_a_person_answers_the_assistant_is_silent(shop: Shop) -> None:
    await shop.manager.receive(shop.speaker, "hello", "a")
    await shop.until(2)
    await shop.log.append(shop.conversation_id, [NewEvent("agent", State("human", assignee="anna"))])
    await shop.manager.receive(shop.speaker, "return shoes?", "b")
    await shop.manager.close()
    assert len(await shop.messages()) == 3


async def test_a_turn_that_breaks_still_ends_in_one_message(shop: Shop) -> None:
    shop.retriever.search = None  # type: ignore[method-assign, assignment]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    _, answer = await shop.until(2)
    assert (answer.finish_reason, "went wrong" in answer.text) == ("error", True)


async def test_feedback_is_recorded_for_answers_only(shop: Shop) -> None:
    asked = await shop.manager.receive(shop.speaker, "hello", "a")
    _, answer = await shop.until(2)
    await shop.manager.feedback(shop.conversation_id, answer.message_id, "down", "too short")
    assert (await shop.log.events(shop.conversation_id))[-1].kind == "feedback"
    assert isinstance(asked.payload, Message)
    for unknown in ("m_nope", asked.payload.message_id):
        with pytest.raises(UnknownMessage):
            await shop.manager.feedback(shop.conversation_id, unknown, "up", "")


async def test_the_language_follows_the_customer(shop: Shop) -> None:
    for number, (text, language) in enumerate([("你好", "zh"), ("ok", "zh"), ("good morning", "en"), ("谢谢", "zh")]):
        event = await shop.manager.receive(shop.speaker, text, str(number))
        assert isinstance(event.payload, Message)
        messages = await shop.until(2 * number + 2)
        assert (event.payload.language, messages[-1].language) == (language, language)


async def test_the_last_answer_can_be_given_in_other_words(shop: Shop) -> None:
    shop.generator.scripts = [SHOES, "nonsense of 99 days", SHOES]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    _, first = await shop.until(2)
    await shop.manager.regenerate(shop.speaker, first.message_id)
    *_, second = await shop.until(3)
    assert second.reply_to == first.message_id
    assert second.text.startswith("Let me put it point by point:")
    assert {citation.entry_id for citation in second.citations} == {"return-window"}
    with pytest.raises(UnknownMessage, match="not the last answer"):
        await shop.manager.regenerate(shop.speaker, first.message_id)
    await shop.manager.regenerate(shop.speaker, second.message_id)
    *_, third = await shop.until(4)
    assert (third.reply_to, third.text) == (second.message_id, SHOES)


async def test_an_answer_is_not_reworded_for_ever(shop: Shop) -> None:
    shop.generator.scripts = [SHOES] * 9
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    for count in range(MAX_ATTEMPTS):
        *_, answer = await shop.until(2 + count)
        await shop.manager.regenerate(shop.speaker, answer.message_id)
    *_, answer = await shop.until(2 + MAX_ATTEMPTS)
    with pytest.raises(UnknownMessage):
        await shop.manager.regenerate(shop.speaker, answer.message_id)


async def test_what_was_read_in_a_message_is_noted_privately(shop: Shop) -> None:
    entity = Entity("order_number", "A1", 0, 2)
    shop.reader.reading = Reading(sentiment="negative", urgency="high", entities=(entity,))
    shop.generator.scripts = [SHOES]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    asked, _ = await shop.until(2)
    noted = [e for e in await shop.log.events(shop.conversation_id) if isinstance(e.payload, Insight)]
    assert [e.payload for e in noted] == [Insight(asked.message_id, "negative", "high", "returns", (entity,))]
    assert {e.visibility for e in noted} == {"private"}


async def test_the_next_turn_knows_what_was_decided_before(shop: Shop) -> None:
    for number, text in enumerate(["nothing known", "nothing known either"]):
        await shop.manager.receive(shop.speaker, text, f"m{number}")
        *_, answer = await shop.until(2 * number + 2)
    assert answer.decision == "handoff"
    assert (await shop.log.head(shop.conversation_id)).mode == "waiting"
