"""Chinese words typed by their sound become the words of the entries, and nothing else changes."""

from __future__ import annotations

import time

import pytest

from assistant.retrieval.pinyin import PinyinSpeller

pytestmark = pytest.mark.unit

TEXTS = [
    "如何退货？登录账户，找到订单，点击申请退货。",
    "退货运费谁付？质量问题运费由我们承担。",
    "礼品卡怎么买？礼品卡面额从 100 元起。",
    "优惠券不能用怎么办？请查看优惠券的门槛。",
    "怎么开发票？在订单里申请发票。",
    "可以修改收货地址吗？发货前可以修改地址。",
    "下单后可以取消订单吗？",
    "快递柜可以放吗？",
]


@pytest.fixture(scope="module")
def speller() -> PinyinSpeller:
    return PinyinSpeller(TEXTS)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("鞋子几天内能推货", "鞋子几天内能退货"),
        ("刚下的单可以取肖吗", "刚下的单可以取消吗"),
        ("你家有礼品咔卖嘛", "你家有礼品卡卖嘛"),
        ("地只写错了", "地址写错了"),
        ("快弟柜可以放马", "快递柜可以放马"),
        ("我想推貨", "我想退货"),
    ],
)
def test_a_wrong_character_of_the_right_sound_is_put_right(speller: PinyinSpeller, typed: str, meant: str) -> None:
    assert speller.correct(typed) == meant


def test_typed_sounds_become_words(speller: PinyinSpeller) -> None:
    assert speller.correct("tuihuo yunfei shui chu").startswith("退货 运费")
    assert "发票" in speller.correct("发piao怎么kai")


@pytest.mark.parametrize(
    "text",
    [
        "快递来的时候家里没人",
        "我是用花呗付的，能不能退",
        "想请朋友吃饭，推荐一家餐馆",
        "My coupon code does not work",
        "lamp 坏了怎么办",
        "今年第 12 届面包节是哪位师傅夺冠的？",
        "",
    ],
)
def test_what_is_a_word_already_stays(speller: PinyinSpeller, text: str) -> None:
    assert speller.correct(text) == text


def test_without_entries_nothing_is_changed() -> None:
    assert PinyinSpeller([]).correct("推货") == "推货"


def test_a_hostile_text_takes_no_time(speller: PinyinSpeller) -> None:
    for text in ("推" * 200, "tuihuo" * 33, "a" * 200, "推货" * 5_000):
        began = time.perf_counter()
        speller.correct(text)
        assert time.perf_counter() - began < 1
