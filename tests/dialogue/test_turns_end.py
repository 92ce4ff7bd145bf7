"""Turns that run late, break, meet a shutdown, or are left behind by another process."""

from __future__ import annotations

import asyncio

import pytest

from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import Message, NewEvent, Opened
from assistant.conversation.log import ConversationLog
from assistant.dialogue import manager as manager_module
from assistant.dialogue.manager import DialogueManager
from assistant.dialogue.orphans import Orphans
from assistant.dialogue.responder import Responder
from assistant.errors import Busy
from tests.dialogue.conftest import Shop
from tests.dialogue.scripted import HALT

pytestmark = pytest.mark.unit
SHOES = "Shoes can be returned for 60 days."


def with_dialogue(shop: Shop, **changes: object) -> DialogueManager:
    dialogue = shop.settings.dialogue.model_copy(update=changes)
    settings = shop.settings.model_copy(update={"dialogue": dialogue})
    responder = Responder(shop.retriever, shop.generator, settings, reader=shop.reader)
    return DialogueManager(log=shop.log, bus=shop.bus, responder=responder, settings=settings)


async def test_many_messages_at_once_do_not_take_more_places_than_there_are(shop: Shop) -> None:
    shop.generator.scripts = [HALT] * 10
    both = (shop.manager.receive(shop.speaker, f"return {n}?", str(n)) for n in range(10))
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(outcome, Busy) for outcome in outcomes) == 6
    assert len(await shop.messages()) == 4


async def test_a_turn_that_takes_too_long_ends_with_the_offer_of_a_person(shop: Shop) -> None:
    manager = with_dialogue(shop, answer_timeout_s=0.05)
    shop.generator.scripts = [f"{SHOES} More {HALT}"]
    await manager.receive(shop.speaker, "return shoes?", "a")
    _, answer = await shop.until(2)
    assert answer.text.startswith(SHOES), "what was shown stays"
    assert ("help@oak.example" in answer.text, answer.decision, answer.finish_reason) == (True, "handoff", "error")
    head = await shop.log.head(shop.conversation_id)
    assert head.mode == "waiting"
    await manager.close()


async def test_draining_takes_no_more_and_lets_the_running_turn_end(shop: Shop) -> None:
    shop.generator.scripts = [f"{HALT} {SHOES}"]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    await shop.generator.halted.wait()
    draining = asyncio.create_task(shop.manager.drain(within_s=5))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await shop.manager.receive(shop.speaker, "return more?", "b")
    assert shop.manager.is_answering(shop.conversation_id)
    shop.generator.go.set()
    await draining
    _, answer = await shop.until(2)
    assert (answer.text, answer.finish_reason) == (SHOES, "stop")
    assert not shop.manager.is_answering(shop.conversation_id)


async def test_a_turn_that_does_not_end_in_time_is_interrupted_and_kept(shop: Shop) -> None:
    shop.generator.scripts = [f"{SHOES} More {HALT}"]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    await shop.generator.halted.wait()
    await shop.manager.drain(within_s=0)
    _, answer = await shop.until(2)
    assert (answer.text, answer.finish_reason) == (SHOES, "interrupted")


async def test_a_message_whose_turn_had_not_begun_is_answered_after_the_restart(shop: Shop) -> None:
    shop.generator.scripts = [HALT, SHOES]
    await shop.manager.receive(shop.speaker, "return shoes?", "a")
    await shop.manager.receive(shop.speaker, "return clothing please?", "b")
    await shop.generator.halted.wait()
    await shop.manager.drain(within_s=0)
    assert len(await shop.messages()) == 3
    restarted = shop.new_manager()
    await restarted.start()
    *_, answer = await shop.until(4)
    assert (answer.text, answer.finish_reason) == (SHOES, "stop")
    await restarted.close()


async def test_what_another_process_left_is_found_while_running(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "SWEEP_S", 0.01)
    monkeypatch.setattr("assistant.dialogue.orphans.MAX_WAITING_PER_CONVERSATION", 0)  # at once instead of in minutes
    running = shop.new_manager()
    await running.start()
    shop.generator.scripts = [SHOES]
    asked = Message("m_left", "return shoes?", "", "en", client_msg_id="a")
    opening = Opened("default", shop.speaker.visitor_id)
    await shop.log.append(shop.conversation_id, [NewEvent("customer", asked)], opening=opening)
    _, answer = await shop.until(2)
    assert (answer.reply_to, answer.text) == ("m_left", SHOES)
    await running.close()


async def test_what_another_process_may_still_be_answering_is_left_to_it(shop: Shop) -> None:
    asked = Message("m_new", "return shoes?", "", "en", client_msg_id="a")
    opening = Opened("default", shop.speaker.visitor_id)
    await shop.log.append(shop.conversation_id, [NewEvent("customer", asked)], opening=opening)
    orphans = Orphans(shop.log, shop.settings.dialogue)
    assert await orphans.left_by_others() == []
    assert [event.payload for event in await orphans.left_by_a_crash()] == [asked]


async def test_two_processes_that_get_the_same_message_store_and_answer_it_once(shop: Shop) -> None:
    shop.generator.scripts = [SHOES] * 2
    other_database = Database(shop.settings.log_url)
    await other_database.open()
    other_log = ConversationLog(other_database, Bus())
    responder = Responder(shop.retriever, shop.generator, shop.settings)
    other = DialogueManager(log=other_log, bus=Bus(), responder=responder, settings=shop.settings)
    receiving = (each.receive(shop.speaker, "return shoes?", "same") for each in (shop.manager, other))
    first, second = await asyncio.gather(*receiving)
    assert first == second
    for each in (shop.manager, other):
        await each.start()  # both come up after a crash, and both find it
    await shop.until(2)
    for each in (shop.manager, other):
        await each.drain(within_s=5)
    assert [event.author for event in await shop.messages()] == ["customer", "assistant"]
    await other_database.close()
