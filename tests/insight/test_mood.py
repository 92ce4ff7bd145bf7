from __future__ import annotations

import pytest

from assistant.insight.chinese_mood import chinese_polarity
from assistant.insight.sentiment import sentiment_of
from assistant.insight.urgency import urgency_of
from assistant.values import Sentiment, Urgency

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("mood", "text"),
    [
        ("negative", "This is the worst service I ever had"),
        ("negative", "I have been waiting for three weeks and nobody answers me"),
        ("negative", "Your support is not helpful at all"),
        ("negative", "The table arrived broken and I am very disappointed"),
        ("positive", "Great service, thank you so much!"),
        ("positive", "I love the new lamp"),
        ("negative", "非常失望，等了好久还没到"),
        ("negative", "不满意"),
        ("negative", "一点也不好用"),
        ("negative", "质量不好"),
        ("negative", "你们是骗子吧"),
        ("positive", "很满意，谢谢你们"),
        ("positive", "东西不错，很喜欢"),
    ],
)
def test_a_mood_is_read_from_what_is_said(mood: Sentiment, text: str) -> None:
    assert sentiment_of(text) == mood


@pytest.mark.parametrize(
    "text",
    [
        "Can you help me please?",
        "How do I cancel my order?",
        "My card was charged twice",
        "I lost my card",
        "Do you offer free gift wrapping?",
        "我的订单到哪里了？",
        "麻烦您帮我查一下",
        "怎么投诉？",
        "有垃圾桶卖吗",
        "拖鞋有大码吗",
        "",
        "12345",
    ],
)
def test_plain_business_is_no_mood(text: str) -> None:
    assert sentiment_of(text) == "neutral"


def test_degree_and_exclamation_raise_a_mood_and_negation_turns_it() -> None:
    assert chinese_polarity("非常失望") < chinese_polarity("失望") < chinese_polarity("有点失望") < 0
    assert chinese_polarity("失望！！！") < chinese_polarity("失望")
    assert chinese_polarity("不满意") < 0 < chinese_polarity("满意")
    assert chinese_polarity("并不失望") > 0


@pytest.mark.parametrize(
    ("urgency", "text"),
    [
        ("high", "I need it by tomorrow"),
        ("high", "URGENT: wrong address"),
        ("high", "please cancel it asap"),
        ("high", "My flight leaves tonight"),
        ("high", "Can you answer within 2 hours?"),
        ("high", "明天就要用，急！"),
        ("high", "请尽快发货"),
        ("high", "马上给我回电话"),
        ("high", "我今天必须收到"),
        ("low", "No rush, but where is it?"),
        ("low", "just wondering, do you sell rugs"),
        ("low", "不急，有空再回"),
        ("normal", "Can I return it within 14 days?"),
        ("normal", "Do you have express delivery?"),
        ("normal", "Do you sell emergency lights?"),
        ("normal", "有加急配送吗"),
        ("normal", "有急救包吗"),
        ("normal", "我的订单到哪里了？"),
    ],
)
def test_urgency_is_what_is_said_of_time(urgency: Urgency, text: str) -> None:
    assert urgency_of(text) == urgency
