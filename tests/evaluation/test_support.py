from __future__ import annotations

import random
import re

import pytest

from assistant.evaluation import support
from assistant.evaluation.support import Sources, doubts, sentences
from assistant.evaluation.tokens import tokens
from assistant.retrieval.sources import load_knowledge
from tests.conftest import REPOSITORY
from tests.evaluation.mutations import MUTATIONS, mutated

pytestmark = pytest.mark.unit

ENTRIES = load_knowledge(REPOSITORY / "knowledge_base").entries
TOLD = [
    (sentence, entry.lang, f"{entry.question}\n{entry.answer}")
    for entry in ENTRIES
    for sentence in sentences(entry.answer)
]

RETURNS = """What is the return period?
Shoes and clothing can be returned for 60 days, furniture for 14 days. A return within Germany costs EUR 3.90, to
Austria EUR 9.90. Items that were worn outside cannot be taken back, unless they are faulty. Write to help@oak.example
or call +49 30 5550 1234, Mon-Fri 9:00-18:00."""
RETURNS_ZH = """退货期限是多久？
鞋服签收后 60 天内可以退货，家具 14 天内可以退货。普通包裹退货运费 10 元，大件取件 120 元。
穿过的鞋子不能退货。保修期为三年。"""


def why(answer: str, *texts: str, said: tuple[str, ...] = (), fixed: tuple[str, ...] = ()) -> list[str]:
    return [doubt.why for doubt in doubts(answer, Sources(texts or (RETURNS, RETURNS_ZH), said, fixed))]


# -- what is true is let pass


def test_every_curated_answer_is_supported_by_itself() -> None:
    for entry in ENTRIES:
        assert doubts(entry.answer, Sources([f"{entry.question}\n{entry.answer}"])) == [], entry.id


def test_sentences_taken_from_two_entries_are_supported_by_both() -> None:
    chance = random.Random(1)
    for _ in range(200):
        first = chance.choice(ENTRIES)
        second = chance.choice([entry for entry in ENTRIES if entry.lang == first.lang])
        told = [*sentences(first.answer), *sentences(second.answer)]
        answer = "\n\n".join(chance.sample(told, min(4, len(told))))
        texts = [f"{entry.question}\n{entry.answer}" for entry in (first, second)]
        assert doubts(answer, Sources(texts)) == []


@pytest.mark.parametrize(
    "answer",
    [
        "You can return shoes within 60 days.",
        "Shoes and clothing can be returned for sixty days.",
        "Furniture can be returned for 14 days.",
        "A return within Germany costs 3.90 EUR.",
        "Items worn outside can't be taken back.",
        "No, items that were worn outside cannot be taken back.",
        "Happy to help!",
        "Call +49 30 5550 1234 or write to help@oak.example.",
        "鞋服 60 天内可以退货。",
        "家具十四天内可以退货。",
        "穿过的鞋子不能退。",
        "保修期为 3 年。",
        "好的！",
    ],
)
def test_the_same_in_other_words_is_supported(answer: str) -> None:
    assert why(answer) == []


def test_what_the_customer_said_may_be_repeated() -> None:
    assert why("Your order 12345: shoes can be returned for 60 days.") != []
    assert why("Your order 12345: shoes can be returned for 60 days.", said=("my order 12345 are shoes",)) == []


def test_the_assistants_own_texts_are_supported_with_what_they_quote() -> None:
    fixed = ("This is the closest answer I have, to “{title}”:", "抱歉，“{part}”我没有可靠的答案。")
    assert why("This is the closest answer I have, to “What is the return period?”:", fixed=fixed) == []
    assert why("抱歉，“退货期限是多久”我没有可靠的答案。", fixed=fixed) == []
    assert why("This is the closest answer I have, to “What is the price of gold in Oslo?”:", fixed=fixed) != []


# -- what is wrong is caught


@pytest.mark.parametrize("kind", MUTATIONS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_mistakes_made_in_curated_sentences_are_caught(kind: str, language: str) -> None:
    wrong = list(mutated([item for item in TOLD if item[1] == language], kind))
    assert len(wrong) >= 25, "too few to tell"
    caught = sum(bool(doubts(answer, Sources([source]))) for answer, source in wrong)
    assert caught / len(wrong) >= 0.9


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("Shoes can be returned for 14 days.", "'14' does not stand there"),
        ("A return to Austria costs EUR 3.90.", "'3.9' does not stand there"),
        ("Furniture can be returned for 60 days.", "'60' does not stand there"),
        ("A return within Germany costs 3.90 dollars.", "'usd' does not stand there"),
        ("Items that were worn outside can be taken back.", "leaves out that the sources deny it"),
        ("Shoes and clothing can never be returned for 60 days.", "denies what the sources say"),
        ("Shoes are returned to Martin Harris.", "the name 'Martin'"),
        ("Write to refund@oak.example.", "'refund@oak.example' does not stand there"),
        ("Call +49 30 5550 4321, Mon-Fri 9:00-18:00.", "'tel:493055504321' does not stand there"),
        ("We are there Mon-Fri 9:00-20:00.", "'20:00' does not stand there"),
        ("We also sell garden tools and paint for children.", "words are not in the sources"),
        ("60 days.", "'60' does not stand there"),
        ("家具 60 天内可以退货。", "'60' does not stand there"),
        ("鞋服签收后六十五天内可以退货。", "'65' does not stand there"),
        ("穿过的鞋子能退货。", "leaves out that the sources deny it"),
        ("鞋服签收后 60 天内不可以退货。", "denies what the sources say"),
        ("请联系王建国退货。", "the name '王建国'"),
        ("我们还提供免费安装和清洁地毯服务。", "words are not in the sources"),
        ("保修期为两年。", "'2' does not stand there"),
    ],
)
def test_a_wrong_statement_is_caught_for_what_is_wrong_with_it(answer: str, told: str) -> None:
    assert any(told in reason for reason in why(answer)), why(answer)


def test_only_the_wrong_sentence_is_doubted() -> None:
    answer = "Shoes and clothing can be returned for 60 days. Furniture can be returned for 90 days."
    found = doubts(answer, Sources([RETURNS]))
    assert [doubt.sentence for doubt in found] == ["Furniture can be returned for 90 days."]


def test_nothing_is_supported_without_sources() -> None:
    assert why("Shoes can be returned for 60 days.", "") != []


# -- how texts are compared


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("twelve days", "12 days"),
        ("twenty-one days", "21 days"),
        ("EUR 3.90", "€３.90"),
        ("1,000 items", "1000 items"),
        ("十四天", "14 天"),
        ("一百二十元", "120 元"),
        ("can't return", "cannot return"),
        ("returned orders", "returns order"),
        ("call +49 30 5550 1234", "call +49-30-5550-1234"),
        ("see www.oak.example/a.", "See www.oak.example/a"),
    ],
)
def test_spellings_of_the_same_are_the_same_tokens(one: str, other: str) -> None:
    assert [token.key for token in tokens(one)] == [token.key for token in tokens(other)]


@pytest.mark.parametrize("text", ["不锈钢", "能不能", "不过", "非常好", "有没有货"])
def test_a_harmless_character_is_no_negation(text: str) -> None:
    assert all(token.kind != "not" for token in tokens(text))


def test_the_scorer_shares_no_code_with_the_grounding_it_checks() -> None:
    for module in ("support", "alignment", "tokens"):
        source = (REPOSITORY / "assistant" / "evaluation" / f"{module}.py").read_text(encoding="utf-8")
        assert not re.search(
            r"^(?:from|import) assistant\.(?!evaluation\.(?:alignment|tokens)\b|language\b)", source, re.M
        ), module
    assert support.__doc__
