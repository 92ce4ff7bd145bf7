from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.insight.entities import MAX_ENTITIES, EntityFinder

pytestmark = pytest.mark.unit

FINDER = EntityFinder(["Oak Lamp", "Oak", "木光台灯"])


def found(text: str) -> list[tuple[str, str]]:
    return [(entity.kind, entity.value) for entity in FINDER.find(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("order number LO-2026-12345 please", "order_number", "LO-2026-12345"),
        ("my order 12345 is late", "order_number", "12345"),
        ("it is #98765", "order_number", "98765"),
        ("订单号20260305123还没到", "order_number", "20260305123"),
        ("write to Anna.Meier+x@Mail.example", "email", "anna.meier+x@mail.example"),
        ("邮箱是wang@qq.com谢谢", "email", "wang@qq.com"),
        ("call +49 30 5550 1234", "phone", "+493055501234"),
        ("0049 (30) 55501234", "phone", "+493055501234"),
        ("手机138-1234-5678", "phone", "+8613812345678"),
        ("(212) 555-0123", "phone", "2125550123"),
        ("I paid €1,299.50", "money", "EUR 1299.50"),
        ("es waren 1.299,50 €", "money", "EUR 1299.50"),
        ("about 20 dollars", "money", "USD 20"),
        ("运费12元", "money", "CNY 12"),
        ("￥199.9", "money", "CNY 199.9"),
        ("on March 5th, 2026", "date", "2026-03-05"),
        ("on 5 March", "date", "--03-05"),
        ("am 3.4.2026", "date", "2026-04-03"),
        ("2026-02-28", "date", "2026-02-28"),
        ("3月5号到", "date", "--03-05"),
        ("2026年3月5日", "date", "2026-03-05"),
        ("on 25/12/2026", "date", "2026-12-25"),
        ("on 03/04/2026", "date", "03/04/2026"),
        ("tomorrow", "date", "tomorrow"),
        ("next Monday", "date", "next monday"),
        ("下周一来", "date", "next monday"),
        ("后天", "date", "the day after tomorrow"),
        ("大后天", "date", "in 3 days"),
        ("三月十五号", "date", "--03-15"),
        ("明日送", "date", "tomorrow"),
        ("in three days", "date", "in 3 days"),
        ("訂單號ＬＯ１２３４５６", "order_number", "LO123456"),
        ("花了129塊", "money", "CNY 129"),
        ("￥１２９", "money", "CNY 129"),
        ("邮编200040", "postcode", "200040"),
        ("SW1A 1AA", "postcode", "SW1A 1AA"),
        ("10115 Berlin", "postcode", "10115"),
        ("1Z999AA10123456784", "tracking_number", "1Z999AA10123456784"),
        ("快递单号SF1234567890123", "tracking_number", "SF1234567890123"),
        ("the oak lamp", "product", "Oak Lamp"),
        ("木光台灯怎么装", "product", "木光台灯"),
    ],
)
def test_what_a_message_names_is_found_in_one_normal_form(text: str, kind: str, value: str) -> None:
    assert found(text) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        *("", "I ordered 2 lamps in 2026", "on 31 February", "the order of things", "oaken", "3月40号"),
        *("I sat on the sofa", "the Sun lamp"),
    ],
)
def test_what_only_looks_like_one_is_none(text: str) -> None:
    assert found(text) == []


def test_entities_stand_in_order_with_their_places() -> None:
    text = "Order 12345 for €20 to a@b.example tomorrow"
    entities = FINDER.find(text)
    assert [text[entity.start : entity.end] for entity in entities] == ["12345", "€20", "a@b.example", "tomorrow"]


@given(st.text(alphabet=string.printable + "元月日号订单€¥", max_size=300))
def test_places_never_overlap_and_lie_inside_the_text(text: str) -> None:
    entities = FINDER.find(text)
    ends = [0, *(entity.end for entity in entities)]
    assert all(start.start >= end for start, end in zip(entities, ends, strict=False))
    assert all(entity.value and 0 <= entity.start < entity.end <= len(text) for entity in entities)


def test_a_message_names_no_more_than_the_bound() -> None:
    assert len(FINDER.find(" ".join(f"#{number}" for number in range(10_000, 10_100)))) == MAX_ENTITIES
