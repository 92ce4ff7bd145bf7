"""Personal data in texts: what is taken, what is left, and how long it takes at worst."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import ConfigError
from assistant.privacy.finding import find
from assistant.privacy.folding import fold
from assistant.privacy.masking import mask
from tests.benchmarks.personal_data import make, measure

pytestmark = pytest.mark.unit


def test_recall_and_precision_hold_on_generated_texts() -> None:
    measured = measure(make(per_kind=170, per_decoy=80, seed=20_261_122))
    assert measured.num_spans >= 2_000
    assert measured.recall >= 0.99, measured.missed
    assert measured.precision >= 0.95, measured.invented


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Mail Bob.Smith+x@example.co.uk, thanks", "Mail [email], thanks"),
        ("邮箱是zhang.wei@example.com请联系", "邮箱是[email]请联系"),
        ("ｚｈａｎｇ＠ｅｘａｍｐｌｅ．ｃｏｍ", "[email]"),
        ("电话13812345678谢谢", "电话[phone]谢谢"),
        ("手机号１３８ １２３４ ５６７８", "手机号[phone]"),
        ("我的电话是一三八一二三四五六七八", "我的电话是[phone]"),
        ("010-12345678，分机见名片", "[phone]，分机见名片"),
        ("(415) 555-0123 or 415-555-0199", "[phone] or [phone]"),
        ("138 1234 5678 139 1234 5678", "[phone] [phone]"),
        ("+44 (0)20 7946 0958 ext. 12 please", "[phone] please"),
        ("order 12345, call 4155550123", "order 12345, call [phone]"),
        ("card 4111 1111 1111 1111 12/26", "card [card] 12/26"),
        ("卡号6222020200112230004，谢谢", "卡号[card]，谢谢"),
        ("3782-822463-10005", "[card]"),
        ("身份证11010519491231002X。", "身份证[resident_id]。"),
        ("110105 19491231 002x", "[resident_id]"),
        ("DE89 3704 0044 0532 0130 00 and thanks", "[iban] and thanks"),
        ("IBAN gb29nwbk60161331926819.", "IBAN [iban]."),
        ("from 192.168.1.20:8080 and 2001:db8::8a2e:370:7334.", "from [ip]:8080 and [ip]."),
        ("IP：２００１：ｄｂ８：：１", "IP：[ip]"),
    ],
)
def test_personal_data_is_masked_where_it_stands(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "my order number is 4155550123",
        "订单号13812345678",
        "快递单号：123456789012",
        "tracking 1Z999AA10123456784 and SF1012345678901",
        "card 4111 1111 1111 1112",
        "110105194912310021",
        "DE88 3704 0044 0532 0130 00",
        "2026-11-22 10:30, 31-12-2024, 2024年1月15日, 2024 2025",
        "¥13812345678, 4155550123 USD, $1,299.00",
        "version 1.2.3.4, v10.0.0.1, 版本1.2.3.4, Chrome/120.0.0.0",
        "127.0.0.1 ::1 0.0.0.0 255.255.255.0",
        "confidence 0.4155550123, at 1732500000.123456, 826295.5117986266, 1792973666",
        "550e8400-e29b-41d4-a716-446655440000 c_0192abc12345678901234567890123456789",
        "LO-2024-13812345678 https://shop.example/item/13812345678",
        "std::vector, a::b, 12:30:45, icon@2x.png, lodash@4.17.21, @mia",
        "0000 0000 0000 0000",
    ],
)
def test_what_only_looks_personal_is_left(text: str) -> None:
    assert mask(text) == text


def test_a_setting_adds_the_national_numbers_of_a_country() -> None:
    assert mask("ruf 030 23125 000 an") == "ruf 030 23125 000 an"
    assert mask("ruf 030 23125000 an", regions=["DE"]) == "ruf [phone] an"
    with pytest.raises(ConfigError, match="'XX'"):
        find("0000000", regions=["XX"])


def test_the_language_decides_whose_national_numbers_count() -> None:
    assert [span.kind for span in find("13812345678", ["zh"])] == ["phone"]
    assert find("13812345678", ["en"]) == []


@given(st.text(alphabet="aA@.:-+() 0123456789１２。，一二x中X\n", max_size=120))
def test_spans_lie_in_the_text_in_order_and_masking_twice_changes_nothing(text: str) -> None:
    spans = find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(left.end <= right.start for left, right in itertools.pairwise(spans))
    assert len(fold(text)) == len(text)
    assert mask(mask(text)) == mask(text)
