from __future__ import annotations

import pytest

from assistant.insight.encoding import EncoderPair
from assistant.insight.intents import IntentHead
from assistant.insight.reader import MessageReader
from assistant.values import Reading
from tests.retrieval.hashing import HashingEncoder

pytestmark = pytest.mark.unit

EXAMPLES = {
    "returns": ["how do I return a lamp", "I want to return my order", "return this sofa please"],
    "delivery": ["when does the parcel arrive", "where is my parcel now", "the parcel has not arrived"],
}


@pytest.fixture
def encoders() -> EncoderPair:
    return EncoderPair(HashingEncoder("english"), HashingEncoder("multilingual"))


def fitted(encoders: EncoderPair, examples: dict[str, list[str]] = EXAMPLES) -> IntentHead:
    rows = [(text, frozenset([intent])) for intent, texts in examples.items() for text in texts]
    return IntentHead.fit(encoders, [text for text, _ in rows], [labels for _, labels in rows])


def test_one_reading_notes_everything() -> None:
    reading = MessageReader(names=["Oak Lamp"]).read(
        "I am so disappointed, order 12345 with the Oak Lamp never came, answer ASAP or my lawyer will", language="en"
    )
    assert (reading.sentiment, reading.urgency, reading.concern) == ("negative", "high", "sensitive")
    assert [entity.kind for entity in reading.entities] == ["order_number", "product"]
    assert reading.intent is None


@pytest.mark.parametrize("language", ["en", "zh", "de", "ja"])
def test_nothing_said_gives_nothing(language: str) -> None:
    assert MessageReader().read("", language=language) == Reading()


def test_an_intent_is_noted_only_where_a_head_knows_one(encoders: EncoderPair) -> None:
    reader = MessageReader(intents=fitted(encoders))
    assert reader.read("how do I return a lamp please", language="en").intent == "returns"
    assert reader.read("zebra jukebox quiz", language="en").intent is None
    assert reader.read(" ", language="en").intent is None


def test_the_scope_score_of_a_message_does_not_depend_on_the_others(encoders: EncoderPair) -> None:
    head = fitted(encoders)
    alone = head.guess(["return my lamp"], language="en")[0]
    among = head.guess(["zebra", "return my lamp", "where is the parcel"], language="en")[1]
    assert alone.labels == among.labels
    assert alone.scope == pytest.approx(among.scope)


def test_what_is_like_the_examples_scores_higher_than_what_is_not(encoders: EncoderPair) -> None:
    near, far = fitted(encoders).guess(["I want to return this lamp", "xylophone vortex"], language="en")
    assert near.scope > far.scope


def test_one_intent_or_one_example_is_enough(encoders: EncoderPair) -> None:
    head = fitted(encoders, {"returns": ["how do I return a lamp"]})
    assert [guess.labels for guess in head.guess(["return", "zebra"], language="en")] == [frozenset(["returns"])] * 2
    assert head.guess([], language="en") == []


def test_rows_with_several_labels_get_several(encoders: EncoderPair) -> None:
    texts = ["return lamp", "return sofa", "refund lamp money", "refund money", "return and refund money"] * 3
    labels = [frozenset(name for name in ("return", "refund") if name in text) for text in texts]
    head = IntentHead.fit(encoders, texts, labels)
    assert head.guess(["return and refund money"], language="en")[0].labels == {"return", "refund"}
