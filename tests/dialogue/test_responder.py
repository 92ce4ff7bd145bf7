from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from assistant.config import ExampleSettings, Settings, StyleSettings
from assistant.conversation.events import Action
from assistant.dialogue.grounding import sentences
from assistant.dialogue.prompt import Exchange
from assistant.dialogue.responder import Responder
from assistant.dialogue.turn import Question, Reply
from assistant.errors import GenerationError
from assistant.values import Concern, Passage, Reading
from tests.dialogue.scripted import (
    STEPS_ZH,
    WINDOW,
    FixedReader,
    FixedRetriever,
    ScriptedGenerator,
    Shown,
    hit,
    passage,
)

pytestmark = pytest.mark.unit

SETTINGS = Settings(
    brand={"name": {"en": "Oak", "zh": "木光"}}, handoff={"email": "help@oak.example"}, dialogue={"verbatim": 0.8}
)
PERIOD_ZH = passage(
    "period", "退货期限是多久？", "一般商品 30 天内可以退货。鞋子 60 天内可以退货。家具的退货期限是 14 天。", "zh"
)
SHOES = "Shoes can be returned for 60 days."


class Desk:
    """A responder with everything around it scripted."""

    def __init__(self, *scripts: str | GenerationError, confidence: float = 0.6) -> None:
        self.generator = ScriptedGenerator(list(scripts))
        self.retriever = FixedRetriever({"return": [hit(WINDOW, confidence)], "退货": [hit(STEPS_ZH, confidence)]})
        self.shown = Shown()
        self.responder = Responder(self.retriever, self.generator, SETTINGS)

    async def ask(self, text: str, language: str = "en", **more: object) -> Reply:
        return await self.responder.respond(Question(text, language, **more), self.shown)  # type: ignore[arg-type]


async def test_a_curated_answer_that_matches_is_sent_as_written() -> None:
    desk = Desk(confidence=0.95)
    reply = await desk.ask("how long can I return shoes")
    assert (reply.decision, reply.text, reply.confidence) == ("verbatim", WINDOW.text, 0.95)
    [citation] = reply.citations
    assert reply.text[citation.text_start : citation.text_end] == citation.quote == WINDOW.text
    assert "return-window matched its question at 0.95" in reply.reason
    assert desk.generator.prompts == []


async def test_a_composed_answer_is_released_and_cited_sentence_by_sentence() -> None:
    desk = Desk(f"{SHOES} Furniture cannot be returned after 14 days.")
    reply = await desk.ask("return shoes or furniture?")
    assert reply.decision == "composed"
    assert reply.text == f"{SHOES} Furniture cannot be returned after 14 days."
    assert desk.shown.text.rstrip() == reply.text
    assert [reply.text[c.text_start : c.text_end] for c in reply.citations] == [
        SHOES,
        "Furniture cannot be returned after 14 days.",
    ]
    assert reply.prompt_id
    assert reply.passages[0].entry_id == "return-window"
    assert desk.shown.phases == ["searching", "writing"]


async def test_pleasant_words_are_shown_only_with_a_claim_after_them() -> None:
    helpful = Desk(f"Sure, happy to help! {SHOES} Let me know!")
    assert (await helpful.ask("return shoes?")).text == f"Sure, happy to help! {SHOES} Let me know!"
    empty = Desk("Sure, happy to help! Everything is possible with our magic carpets.")
    reply = await empty.ask("return shoes?")
    assert (reply.decision, empty.shown.text) == ("verbatim", "")


async def test_a_sentence_without_support_ends_the_answer_unsent() -> None:
    desk = Desk(f"{SHOES} Boots can be returned for 90 days. {SHOES}")
    reply = await desk.ask("return shoes?")
    assert reply.text == SHOES
    assert "90" not in desk.shown.text
    assert "was not sent" in reply.reason
    assert desk.generator.closed == 1


async def test_an_answer_without_support_falls_back_to_the_curated_text() -> None:
    reply = await Desk("You have 90 days for everything you ever bought.").ask("return shoes?")
    assert reply.decision == "verbatim"
    assert reply.text.endswith(WINDOW.text)
    assert reply.text.startswith("This is the closest answer I have, to “How long can I return an item?”")
    [citation] = reply.citations
    assert reply.text[citation.text_start : citation.text_end] == WINDOW.text


async def test_a_model_that_fails_costs_the_customer_nothing() -> None:
    reply = await Desk(GenerationError("out of memory")).ask("return shoes?")
    assert reply.decision == "verbatim"
    assert reply.text.endswith(WINDOW.text)
    assert "the model failed" in reply.reason


async def test_an_unfinished_last_sentence_is_not_sent() -> None:
    desk = Desk(f"{SHOES} Furniture cannot be")
    desk.generator.finish_reason = "length"
    reply = await desk.ask("return shoes?")
    assert (reply.text, reply.finish_reason) == (SHOES, "length")


async def test_a_language_the_model_does_not_write_gets_curated_text_only() -> None:
    desk = Desk(confidence=0.5)
    reply = await desk.ask("怎么退货", "zh")
    assert (reply.decision, reply.language) == ("verbatim", "zh")
    assert reply.text == f"为您找到最接近的问题“如何退货？”：\n\n{STEPS_ZH.text}"
    assert desk.generator.prompts == []


async def test_a_model_that_writes_chinese_composes_in_chinese() -> None:
    desk = Desk("请先登录账户，再找到订单。", confidence=0.5)
    desk.generator.languages = None
    reply = await desk.ask("怎么退货", "zh")
    assert (reply.decision, reply.text) == ("composed", "请先登录账户，再找到订单。")


async def test_a_third_language_is_told_which_ones_there_are() -> None:
    desk = Desk(confidence=0.9)
    reply = await desk.ask("Kann ich Schuhe returnieren? return", "de")
    assert reply.decision == "verbatim"
    assert reply.text.startswith("I can answer in English and Chinese.")


async def test_nothing_found_is_said_and_a_person_offered() -> None:
    for language, text, ask in (
        ("en", "no reliable answer", "Talk to a person"),
        ("zh", "没有可靠的答案", "转人工客服"),
    ):
        reply = await Desk().ask("xyz", language)
        assert reply.decision == "abstained"
        assert text in reply.text
        assert "help@oak.example" in reply.text
        assert reply.quick_replies == (ask,)
        assert reply.citations == ()


async def test_a_wish_for_a_person_shows_the_contact_without_a_search() -> None:
    desk = Desk()
    reply = await desk.ask("转人工", "zh")
    assert reply.decision == "handoff"
    assert "help@oak.example" in reply.text
    assert desk.retriever.queries == []


async def test_an_address_left_while_waiting_is_confirmed() -> None:
    reply = await Desk().ask("my mail is anna@example.com", mode="waiting")
    assert reply.decision == "handoff"
    assert "anna@example.com" in reply.text


async def test_small_talk_is_answered_without_a_search() -> None:
    desk = Desk()
    reply = await desk.ask("Hello!")
    assert (reply.decision, desk.retriever.queries) == ("smalltalk", [])
    assert "Oak" in reply.text


async def test_search_and_prompt_see_the_same_standalone_question() -> None:
    desk = Desk(SHOES)
    history = [Exchange("How long can I return an item?", "30 days.")]
    await desk.ask("and for shoes?", history=history, earlier=["How long can I return an item?"])
    whole = "How long can I return an item? for shoes?"
    assert desk.retriever.queries == [whole]
    assert desk.generator.prompts[0][-1]["content"].endswith(f"Question: {whole}")


async def test_a_follow_up_does_not_get_the_same_entry_again() -> None:
    desk = Desk()
    cost = passage("return-cost", "What does returning cost?", "Sending shoes back is free.")
    desk.retriever.hits = {"return": [hit(WINDOW, 0.95), hit(cost, 0.9)]}
    more = {"earlier": ["How long can I return an item?"], "just_told": {"return-window"}}
    assert (await desk.ask("and what does it cost?", **more)).citations[0].entry_id == "return-cost"
    assert (await desk.ask("How long can I return my shoes again?", **more)).citations[0].entry_id == "return-window"


async def test_a_follow_up_that_only_the_same_entry_answers_gets_it() -> None:
    desk = Desk()
    desk.generator.languages = ()
    cost = passage("return-cost", "What does returning cost?", "Sending shoes back is free.")
    desk.retriever.hits = {"return": [hit(WINDOW, 0.95), hit(cost, 0.4)]}
    more = {"earlier": ["How long can I return an item?"], "just_told": {"return-window"}}
    assert (await desk.ask("and does it count for shoes?", **more)).citations[0].entry_id == "return-window"


async def test_a_new_question_that_finds_nothing_is_not_answered_from_the_last_one() -> None:
    reply = await Desk().ask("what is the weather tomorrow in Shanghai", earlier=["how do I return an item?"])
    assert reply.decision == "abstained"


async def test_a_prompt_begins_as_the_last_one_did() -> None:
    desk = Desk(SHOES, SHOES)
    first = await desk.ask("return shoes?")
    told = [Exchange("return shoes?", first.text, first.passages)]
    await desk.ask("please return clothing as well?", history=told, earlier=["return shoes?"])
    before, after = desk.generator.prompts
    assert after[: len(before)] == before
    assert after[len(before)] == {"role": "assistant", "content": SHOES}


async def test_timings_are_in_order() -> None:
    timings = (await Desk(SHOES).ask("return shoes?")).timings_ms
    assert 0 <= timings["search"] <= timings["first_token"] <= timings["total"]


# -- several entries, asking back, a person, other wordings

REFUND = passage("refund-time", "When do I get a refund?", "The money is back within five days.", start=300)


async def test_two_questions_get_the_words_of_both_entries() -> None:
    desk = Desk(confidence=0.9)
    desk.generator.languages = ()
    desk.retriever.hits |= {"money": [hit(REFUND, 0.9)]}
    reply = await desk.ask("How long can I return an item? And when is my money back?")
    assert reply.decision == "composed"
    assert f"**{WINDOW.title}**\n{WINDOW.text}\n\n**{REFUND.title}**\n{REFUND.text}" == reply.text
    for citation, entry in zip(reply.citations, (WINDOW, REFUND), strict=True):
        assert (citation.entry_id, reply.text[citation.text_start : citation.text_end]) == (entry.entry_id, entry.text)


async def test_what_the_model_leaves_out_is_added() -> None:
    desk = Desk(SHOES, confidence=0.9)
    desk.retriever.hits |= {"money": [hit(REFUND, 0.9)]}
    reply = await desk.ask("How long can I return shoes? And when is my money back?")
    assert reply.text == f"{SHOES}\n\n**{REFUND.title}**\n{REFUND.text}"
    assert [citation.entry_id for citation in reply.citations] == ["return-window", "refund-time"]
    assert desk.shown.text.strip() == SHOES


async def test_a_question_without_an_answer_is_named_beside_the_answer_to_another() -> None:
    desk = Desk(confidence=0.9)
    desk.generator.languages = ()
    reply = await desk.ask("How long can I return an item? And who wrote Hamlet?")
    assert WINDOW.text in reply.text
    assert "About “who wrote Hamlet?” I have no reliable answer" in reply.text
    assert reply.quick_replies == ("Talk to a person",)


async def test_close_candidates_become_buttons_and_a_button_is_an_answer() -> None:
    desk = Desk()
    desk.retriever.hits = {
        WINDOW.title: [hit(WINDOW, 0.99)],
        "long": [hit(WINDOW, 0.55), hit(REFUND, 0.5)],
    }
    reply = await desk.ask("how long does it take")
    assert reply.decision == "clarified"
    assert reply.quick_replies == (WINDOW.title, REFUND.title, "Talk to a person")
    chosen = await desk.ask(reply.quick_replies[0], past=["clarified"])
    assert (chosen.decision, chosen.text) == ("verbatim", WINDOW.text)


async def test_a_second_failure_in_a_row_brings_a_person() -> None:
    assert (await Desk().ask("xyz", past=["verbatim"])).decision == "abstained"
    reply = await Desk().ask("xyz again", past=["verbatim", "abstained"], was_unanswered=True)
    assert (reply.decision, "twice in a row" in reply.reason) == ("handoff", True)


async def test_fury_brings_a_person_without_a_search() -> None:
    desk = Desk()
    reply = await desk.ask("The third time I ask about my return! Unacceptable!!")
    assert (reply.decision, desk.retriever.queries) == ("handoff", [])
    assert "sorry" in reply.text


async def test_another_wording_tells_the_same_fact() -> None:
    desk = Desk("Whatever you like, for 90 days.", SHOES, confidence=0.95)
    refused = await desk.ask("return shoes?", attempt=1)
    assert refused.text.startswith("Let me put it point by point:\n\n- You have 30 days from delivery for most items.")
    composed = await desk.ask("return shoes?", attempt=2)
    assert (composed.decision, composed.text) == ("composed", SHOES)


@pytest.mark.parametrize("tone", ["friendly", "formal", "brief"])
@pytest.mark.parametrize(("text", "language", "told"), [("return a lamp", "en", WINDOW), ("退货期限", "zh", PERIOD_ZH)])
async def test_without_a_model_another_wording_is_laid_out_otherwise_and_keeps_the_facts(
    tone: str, text: str, language: str, told: Passage
) -> None:
    desk = Desk(confidence=0.95)
    desk.generator.languages = ()
    desk.retriever.hits["退货"] = [hit(PERIOD_ZH, 0.95)]
    style = SETTINGS.style.model_copy(update={"tone": tone})
    desk.responder = Responder(desk.retriever, desk.generator, SETTINGS.model_copy(update={"style": style}))
    wordings = [await desk.ask(text, language, attempt=attempt) for attempt in range(4)]
    bodies = [reply.text.partition("\n\n")[2] or reply.text for reply in wordings]
    assert len(set(bodies[:3])) == 3
    assert len({reply.text for reply in wordings}) == 4
    whole = {span.text for span in sentences(told.text)}
    for reply in wordings:
        assert all(reply.text[c.text_start : c.text_end] == c.quote for c in reply.citations)
        is_shortened = any(words in reply.text for words in ("In short", "细节从略"))
        assert is_shortened or all(sentence in reply.text for sentence in whole)


async def test_tone_changes_the_words_and_not_the_decision() -> None:
    texts = set()
    for tone in ("friendly", "formal", "brief"):
        settings = SETTINGS.model_copy(update={"style": SETTINGS.style.model_copy(update={"tone": tone})})
        reply = await Responder(FixedRetriever(), ScriptedGenerator(), settings).respond(Question("xyz", "en"), Shown())
        texts.add((reply.decision, reply.text))
    assert len(texts) == 3
    assert {decision for decision, _ in texts} == {"abstained"}


async def test_the_brands_rules_and_examples_stand_in_the_prompt() -> None:
    style = StyleSettings(
        tone="formal",
        do=("Say Sir or Madam.", "称呼顾客为您。"),
        dont=("Promise dates.",),
        examples=(ExampleSettings(passage="Parcels take 2 days.", question="When?", answer="In 2 days."),),
    )
    desk = Desk()
    desk.responder = Responder(desk.retriever, desk.generator, SETTINGS.model_copy(update={"style": style}))
    desk.generator.scripts = [SHOES]
    await desk.ask("return shoes?")
    system, passage_, answer, _ = desk.generator.prompts[0]
    assert "Be polite and formal." in system["content"]
    assert system["content"].endswith("- Always: Say Sir or Madam.\n- 务必：称呼顾客为您。\n- Never: Promise dates.")
    assert passage_["content"] == "Parcels take 2 days.\n\nQuestion: When?"
    assert answer["content"] == "In 2 days."


async def test_a_brand_speaks_for_itself() -> None:
    second = {"root": "x", "brand": {"name": {"en": "Second"}}, "handoff": {"email": "help@second.example"}}
    settings = Settings(brand={"name": {"en": "Oak"}}, tenants={"second": second})
    desk = Desk()
    desk.responder = Responder(desk.retriever, desk.generator, settings)
    assert "Second" in (await desk.ask("Hello!", tenant="second")).text
    assert "help@second.example" in (await desk.ask("I want a real person", tenant="second")).text
    assert "Oak" in (await desk.ask("Hello!")).text


def reading_desk(concern: Concern, score: float, *, found: float) -> Desk:
    desk = Desk(confidence=found)
    reader = FixedReader(Reading(concern=concern, concern_score=score))
    desk.responder = Responder(desk.retriever, desk.generator, SETTINGS, reader=reader)
    return desk


@pytest.mark.parametrize(("concern", "score"), [("harm", 0.8), ("injection", 0.7), ("sensitive", 0.7)])
async def test_a_concern_gets_its_fixed_reply_without_a_search(concern: Concern, score: float) -> None:
    desk = reading_desk(concern, score, found=0.99)
    reply = await desk.ask("return something dreadful")
    assert (reply.citations, desk.retriever.queries) == ((), [])
    assert reply.reading is not None
    assert reply.reading.concern == concern


@pytest.mark.parametrize(("found", "decision"), [(0.96, "verbatim"), (0.9, "abstained")])
async def test_what_only_resembles_harm_is_answered_where_the_search_is_sure(found: float, decision: str) -> None:
    reply = await reading_desk("harm", 0.7, found=found).ask("return something dreadful")
    assert (reply.decision, bool(reply.citations)) == (decision, decision == "verbatim")


class FixedAction:
    """Takes every message that names an order, and records one step."""

    async def take(self, question: Question, record: Callable[[Action], Awaitable[None]]) -> Reply | None:
        if "order" not in question.text:
            return None
        await record(Action("order_status", "requested", {}, "k1"))
        return Reply("Which order?", question.language, "action", "asked for the order number")

    def reminder(self, question: Question) -> str | None:
        return "Shall we go on? Which order?" if question.past else None


async def test_an_action_comes_before_a_search() -> None:
    desk = Desk(confidence=0.99)
    desk.responder = Responder(desk.retriever, desk.generator, SETTINGS, actions=FixedAction())
    assert (await desk.ask("where is my order? return")).decision == "action"
    assert [action.name for action in desk.shown.actions] == ["order_status"]
    assert (await desk.ask("how do I return")).decision == "verbatim"


async def test_after_an_aside_an_open_action_asks_again_for_what_is_missing() -> None:
    desk = Desk(confidence=0.99)
    desk.responder = Responder(desk.retriever, desk.generator, SETTINGS, actions=FixedAction())
    aside = await desk.ask("how do I return", past=["action"])
    assert aside.text == f"{WINDOW.text}\n\nShall we go on? Which order?"
    assert aside.citations[0].text_end == len(WINDOW.text)
    assert "go on" not in (await desk.ask("I want a real person", past=["action"])).text
    assert "go on" not in (await desk.ask("how do I return")).text
