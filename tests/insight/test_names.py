from __future__ import annotations

import time

import pytest

from assistant.insight.names import MAX_NAMES, Names

pytestmark = pytest.mark.unit

NAMES = Names(["Oak Lamp", "Oak", "木光台灯", "Old-Town 2.0", "É", "舊城分店"])


@pytest.mark.parametrize(
    ("text", "said", "name"),
    [
        ("the OAK  lamp flickers", "OAK  lamp", "Oak Lamp"),
        ("is oak solid?", "oak", "Oak"),
        ("ｏａｋ ｌａｍｐ", "ｏａｋ ｌａｍｐ", "Oak Lamp"),
        ("木光檯燈壞了", "木光檯燈", "木光台灯"),
        ("旧城分店几点关门", "旧城分店", "舊城分店"),
        ("old town 2.0 please", "old town 2.0", "Old-Town 2.0"),
    ],
)
def test_a_name_is_known_in_any_script_width_and_case(text: str, said: str, name: str) -> None:
    [entity] = NAMES.find(text)
    assert (entity.value, text[entity.start : entity.end]) == (name, said)


@pytest.mark.parametrize("text", ["oakwood", "soak lamp", "", "lamp", "é"])
def test_part_of_a_word_or_a_single_letter_is_no_name(text: str) -> None:
    assert list(NAMES.find(text)) == []


def test_thousands_of_names_are_found_in_a_long_message_at_once() -> None:
    names = Names([f"model {number}" for number in range(MAX_NAMES)])
    before = time.process_time()
    found = list(names.find("model 7 model 4321 " * 400))
    assert time.process_time() - before < 0.1
    assert [entity.value for entity in found[:2]] == ["model 7", "model 4321"]
    assert len(found) == 800
