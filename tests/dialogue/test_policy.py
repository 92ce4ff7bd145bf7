"""Which decision follows from what was found, and that its reason says why."""

from __future__ import annotations

import pytest

from assistant.config import DialogueSettings
from assistant.dialogue.policy import Found, Plan, decide
from assistant.values import Hit, Passage, PassageKind

pytestmark = pytest.mark.unit
SETTINGS = DialogueSettings(verbatim=0.8, clarify_margin=0.1, max_passages=2)


def found(entry_id: str, confidence: float, title: str = "", kind: PassageKind = "faq", lang: str = "en") -> Hit:
    title = title or f"About {entry_id}"
    passage = Passage(entry_id, title, f"All of {entry_id}.", lang, "en/a.md", 0, 10, kind=kind)
    return Hit(passage, confidence, confidence, "question")


def plan(question: str, *hits: Hit, parts: list[Found] | None = None, can_write: bool = True) -> Plan:
    whole = Found(question, hits)
    return decide(whole, parts or [], language="en", can_write=can_write, settings=SETTINGS)


def test_nothing_found_is_said() -> None:
    assert plan("what is love").decision == "abstained"


def test_a_sure_curated_answer_is_sent_as_written() -> None:
    decided = plan("how do I return", found("returns", 0.9))
    assert (decided.decision, decided.confidence) == ("verbatim", 0.9)
    assert "returns matched its question at 0.90" in decided.reason


def test_a_document_is_quoted_and_never_sent_whole_as_an_answer() -> None:
    assert plan("how do I return", found("handbook", 0.95, kind="document")).decision == "composed"


def test_two_close_candidates_are_asked_about() -> None:
    decided = plan(
        "how long does the transfer take", found("delivery", 0.6), found("refund", 0.55), found("other", 0.4)
    )
    assert decided.decision == "clarified"
    assert [hit.passage.entry_id for hit in decided.hits] == ["delivery", "refund"]
    assert "refund at 0.55" in decided.reason


def test_candidates_apart_are_not_asked_about() -> None:
    hits = found("delivery", 0.7), found("refund", 0.5)
    assert plan("how long does the transfer take", *hits).decision == "composed"


@pytest.mark.parametrize("question", ["how long does it take?", "要多久", "how much?"])
def test_a_question_that_names_nothing_is_asked_back_however_sure_the_search_is(question: str) -> None:
    assert plan(question, found("delivery", 0.95), found("refund", 0.5)).decision == "clarified"


def test_two_entries_that_each_hold_a_part_are_combined() -> None:
    decided = plan(
        "can I return a sofa bought with a voucher",
        found("a", 0.7, "Can I return a sofa?"),
        found("b", 0.65, "What happens to a voucher?"),
    )
    assert (decided.decision, decided.needs_all, decided.confidence) == ("composed", True, 0.65)


def test_each_question_gets_its_own_entry() -> None:
    parts = [Found("how long", (found("window", 0.9),)), Found("who pays", (found("cost", 0.6),))]
    decided = plan("how long and who pays", found("window", 0.85), parts=parts)
    assert [hit.passage.entry_id for hit in decided.hits] == ["window", "cost"]
    assert (decided.decision, decided.needs_all, decided.confidence) == ("composed", True, 0.75)


def test_questions_with_the_same_answer_are_answered_once() -> None:
    parts = [Found("how long", (found("window", 0.9),)), Found("until when", (found("window", 0.7),))]
    assert plan("how long, until when", found("window", 0.9), parts=parts).decision == "verbatim"


def test_a_question_without_an_answer_is_named_beside_the_answered_one() -> None:
    parts = [Found("how long", (found("window", 0.9),)), Found("who built Rome", ())]
    decided = plan("how long and who built Rome", found("window", 0.6), parts=parts)
    assert (decided.decision, decided.unknown) == ("composed", ("who built Rome",))


def test_where_no_model_writes_the_curated_text_is_sent() -> None:
    decided = plan("how do I return it to the shop", found("returns", 0.5), can_write=False)
    assert decided.decision == "verbatim"
    assert "no model composes 'en'" in decided.reason


def test_what_a_clause_finds_is_told_too_where_the_whole_message_may_mean_it() -> None:
    wardrobe, box, other = found("wardrobe", 0.7), found("box", 0.9), found("other", 0.9)
    whole = Found("wardrobe back, no box", (wardrobe,), beside=(box, other), plausible=(wardrobe, found("box", 0.2)))
    decided = decide(whole, [], language="en", can_write=False, settings=SETTINGS)
    assert [hit.passage.entry_id for hit in decided.hits] == ["wardrobe", "box"]
    assert (decided.decision, decided.needs_all) == ("composed", True)


def test_a_clause_that_finds_little_adds_nothing() -> None:
    whole = Found(
        "wardrobe back", (found("wardrobe", 0.9),), beside=(found("box", 0.4),), plausible=(found("box", 0.4),)
    )
    assert decide(whole, [], language="en", can_write=False, settings=SETTINGS).decision == "verbatim"


def test_what_several_questions_have_in_common_is_told_with_their_answers() -> None:
    parts = [Found("what does it cost", (found("cost", 0.9),)), Found("can you build it", (found("assembly", 0.6),))]
    decided = plan("to Vienna: cost, build", found("abroad", 0.4), found("cost", 0.2), parts=parts)
    assert [hit.passage.entry_id for hit in decided.hits] == ["cost", "assembly", "abroad"]
