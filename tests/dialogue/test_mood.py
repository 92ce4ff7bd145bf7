"""Who is so angry that only a person helps, and who only has a problem."""

from __future__ import annotations

import pytest

from assistant.dialogue.mood import is_furious
from assistant.values import Reading

pytestmark = pytest.mark.unit
NEGATIVE = Reading(sentiment="negative")


@pytest.mark.parametrize(
    "text",
    [
        "This is the THIRD time I write and nobody answers. Unacceptable!",
        "WORST SHOP EVER, I WANT MY MONEY BACK NOW",
        "I'm fed up with you, never again!!",
        "你们太过分了，第三次了还没人管！！",
        "垃圾店，再也不买了",
    ],
)
def test_fury_is_heard(text: str) -> None:
    assert is_furious(text, NEGATIVE)


@pytest.mark.parametrize(
    "text",
    [
        "My parcel is late, where is it?",
        "WHERE IS MY ORDER",
        "This lamp is broken!!",
        "What is the worst case for delivery?",
        "我的快递怎么还没到！！",
        "垃圾桶有哪些颜色？",
    ],
)
def test_a_problem_is_no_fury(text: str) -> None:
    assert not is_furious(text, Reading())
