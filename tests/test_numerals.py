"""Numbers in words, read as the digits they stand for."""

from __future__ import annotations

import pytest

from assistant.numerals import chinese_number, with_digits

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("twenty-one days", "21 days"), ("a hundred and fifty euros", "150 euros"), ("Fifty", "50"),
        ("a thousand two hundred", "1200"), ("two and three days", "2 and 3 days"), ("a dozen mugs", "12 mugs"),
        ("half an hour", "0.5 hour"), ("within a year", "within 1 year"),
        ("the one you ordered", "the one you ordered"),
        ("一百二十天", "120天"), ("两个月", "2个月"), ("一年", "1年"), ("三月十五号", "3月15号"), ("百分之二十", "20%"),
        ("半年", "0.5年"), ("1.5万元", "15000元"), ("十分钟", "10分钟"), ("二〇二六年", "2026年"), ("五千克", "5千克"),
        ("十分方便", "十分方便"), ("千万不要", "千万不要"), ("万一", "万一"), ("一起", "一起"), ("两三天", "两三天"),
        ("周一至周五", "周一至周五"), ("星期三天气", "星期三天气"),
    ],
)  # fmt: skip
def test_a_spelled_number_is_read_and_a_word_that_only_looks_like_one_is_left(text: str, digits: str) -> None:
    assert with_digits(text) == digits


@pytest.mark.parametrize(
    ("characters", "number"),
    [("十", 10), ("三百五", 350), ("三百零五", 305), ("两千零五", 2005), ("一万五", 15_000), ("一万零五", 10_005)],
)
def test_chinese_numerals_are_read_as_they_are_spoken(characters: str, number: int) -> None:
    assert chinese_number(characters) == number
