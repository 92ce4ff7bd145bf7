"""Values found in customers' messages, yes and no, wishes, and how results are told."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from assistant.actions.consent import asks, cancels, is_no, is_yes
from assistant.actions.folding import fold
from assistant.actions.results import pick, tell
from assistant.actions.slots import read
from assistant.config import FieldSettings, SlotSettings
from assistant.insight.dates import find_date
from assistant.values import Entity
from tests.actions.customer import TODAY, shipped_settings

pytestmark = pytest.mark.unit

ASK = {"en": "?"}
ORDER = SlotSettings(name="order", kind="order_number", pattern="LO[0-9]{8}", prefix="LO", ask=ASK)
ANY_ORDER = SlotSettings(name="order", kind="order_number", ask=ASK)
EMAIL = SlotSettings(name="email", kind="email", ask=ASK)
PHONE = SlotSettings(name="phone", kind="phone", ask=ASK)
DAY = SlotSettings(name="day", kind="date", ask=ASK)
REASON = SlotSettings(name="reason", ask=ASK)
POSTCODE = SlotSettings(name="postcode", pattern="[0-9]{5,6}", ask=ASK)


def only(slot: SlotSettings, text: str, *, asked: str = "") -> str | None:
    return read((slot,), text, today=TODAY, asked=asked).get(slot.name)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("LO12345678", "LO12345678"), ("it's lo12345678.", "LO12345678"), ("LO 1234 5678", "LO12345678"),
        ("LO-12345678 please", "LO12345678"), ("12345678", "LO12345678"),
        ("订单号ＬＯ１２３４５６７８，谢谢", "LO12345678"),
        ("订单LO12345678什么时候到", "LO12345678"), ("order #12345678", "LO12345678"),
        ("LO1234567", None), ("LO123456789", None), ("LO12345678@example.com", None), ("my order", None),
    ],
)  # fmt: skip
def test_order_numbers_are_found_however_they_are_typed(text: str, number: str | None) -> None:
    assert only(ORDER, text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("ORD-2024-0017", "ORD-2024-0017"), ("a1b2c3d4", "A1B2C3D4"), ("abcdef", None), ("no 12", None)],
)
def test_without_a_pattern_an_order_number_needs_four_digits(text: str, number: str | None) -> None:
    assert only(ANY_ORDER, text) == number


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Anna.B+x@Mail.Example.com.", "anna.b+x@mail.example.com"),
        ("我的邮箱是li@example.cn谢谢", "li@example.cn"),
        ("a@b", None),
        ("@", None),
    ],
)
def test_email_addresses_are_found(text: str, address: str | None) -> None:
    assert only(EMAIL, text) == address


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+49 (30) 5550-1234", "+493055501234"), ("电话13800138000", "13800138000"),
        ("138 0013 8000 谢谢", "13800138000"),
        ("LO12345678", None), ("2026-03-11", None), ("11.03.2026", None), ("123", None), ("1" * 30, None),
    ],
)  # fmt: skip
def test_phone_numbers_are_found(text: str, number: str | None) -> None:
    assert only(PHONE, text) == number


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-20", "2026-03-20"), ("20.3.2026", "2026-03-20"), ("20/03/2026", "2026-03-20"),
        ("03/20/2026", "2026-03-20"),
        ("3/4/2026", None), ("on 20 March please", "2026-03-20"), ("March 20th, 2026", "2026-03-20"),
        ("2 Jan", "2026-01-02"),
        ("Dec 30", "2025-12-30"), ("tomorrow", "2026-03-12"), ("the day after tomorrow", "2026-03-13"),
        ("yesterday", "2026-03-10"),
        ("on Friday", "2026-03-13"), ("Wednesday", "2026-03-18"), ("last Monday", "2026-03-09"),
        ("3月20日", "2026-03-20"),
        ("2026年3月20号", "2026-03-20"), ("明天下午", "2026-03-12"), ("后天", "2026-03-13"), ("大后天", "2026-03-14"),
        ("周五", "2026-03-13"), ("下周一", "2026-03-16"), ("上週五", "2026-03-06"), ("这周日", "2026-03-15"),
        ("三月十五号", "2026-03-15"), ("三月二十日", "2026-03-20"), ("明日", "2026-03-12"), ("今日", "2026-03-11"),
        ("３月２０日", "2026-03-20"), ("in three days", "2026-03-14"), ("in a week", "2026-03-18"),
        ("two days ago", "2026-03-09"), ("三天后", "2026-03-14"), ("下周三", "2026-03-18"), ("下週三", "2026-03-18"),
        ("last Wednesday", "2026-03-04"), ("this Wednesday", "2026-03-11"), ("on Fri, please", "2026-03-13"),
        ("I sat on the sofa", None), ("Sun lamp", None), ("最后天气不好", None), ("每周三", None),
        ("31 February", None), ("2026-13-01", None), ("someday", None), ("version 1.2.3", None),
    ],
)  # fmt: skip
def test_dates_are_read_as_customers_write_them(text: str, day: str | None) -> None:
    assert only(DAY, text) == day


def test_a_year_that_no_calendar_has_is_no_date() -> None:
    assert find_date(fold("29 feb"), today=date(2026, 3, 1)) is None


def test_one_part_of_a_message_is_taken_once() -> None:
    slots = (PHONE, ANY_ORDER)
    assert read(slots, "13800138000", today=TODAY, asked="phone") == {"phone": "13800138000"}
    assert read(slots, "13800138000", today=TODAY, asked="order") == {"order": "13800138000"}


def test_free_text_is_taken_only_when_it_was_asked_for() -> None:
    assert only(REASON, "it squeaks") is None
    assert only(REASON, "  it \t squeaks\n", asked="reason") == "it squeaks"
    assert only(REASON, "x" * 201, asked="reason") is None
    assert only(REASON, "\x00\x1b", asked="reason") is None


def test_a_text_with_a_pattern_is_found_in_a_sentence() -> None:
    assert only(POSTCODE, "我的邮编是200000") == "200000"
    assert only(POSTCODE, "it is 10115 Berlin", asked="postcode") == "10115"
    assert only(POSTCODE, "I do not know", asked="postcode") is None


def test_what_another_room_noted_helps_where_it_fits() -> None:
    noted = (Entity("order_number", "LO12345678", 0, 4), Entity("email", "not an address", 0, 4))
    assert read((ORDER, EMAIL), "that one", today=TODAY, entities=noted) == {"order": "LO12345678"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Too small", "does_not_fit"), ("it arrived broken", "faulty"), ("尺寸太小了", "does_not_fit"),
        ("質量問題", "faulty"),
        ("不想要了", "changed_mind"), ("I changed my mind", "changed_mind"), ("too small and broken", None),
        ("blue", None),
    ],
)  # fmt: skip
def test_a_choice_is_the_one_option_that_is_named(tmp_path: Path, text: str, value: str | None) -> None:
    reason = shipped_settings(tmp_path).actions[1].slots[2]
    assert only(reason, text) == value


@pytest.mark.parametrize(
    "text", ["1" * 100_000, "a@" * 50_000, "LO " * 50_000, "- " * 50_000, "+(" * 50_000, "月" * 100_000]
)
def test_a_huge_message_is_read_quickly(text: str) -> None:
    started = time.perf_counter()
    read((ORDER, EMAIL, PHONE, DAY, POSTCODE), text, today=TODAY, asked="order")
    assert time.perf_counter() - started < 5


# -- yes and no


@pytest.mark.parametrize(
    "text", ["Yes", "yes please!", "YES", "ok", "sure, go ahead", "是的", "好的", "确认", "確認", "对的，谢谢", "可以"]
)
def test_a_yes_is_a_yes(text: str) -> None:
    assert is_yes(text)
    assert not is_no(text)
    assert not cancels(text)


@pytest.mark.parametrize(
    "text",
    [
        "yes but later",
        "yes?",
        "yesterday",
        "no",
        "I said yes to the other one",
        "不是",
        "好像不对",
        "好的但是",
        "可以吗",
        "确认一下",
        "",
        "yes " * 100,
    ],
)
def test_what_says_more_is_no_yes(text: str) -> None:
    assert not is_yes(text)


@pytest.mark.parametrize("text", ["no", "No, thanks", "nope", "please don't", "不", "不要了吧", "不是的", "先不要"])
def test_a_no_is_a_no(text: str) -> None:
    assert is_no(text) or cancels(text)
    assert not is_yes(text)


@pytest.mark.parametrize(
    "text",
    [
        "cancel", "never mind", "forget it", "oh no, stop", "算了", "取消吧", "那算了", "不退了，谢谢", "我改主意了",
    ],
)  # fmt: skip
def test_giving_up_is_heard(text: str) -> None:
    assert cancels(text)


@pytest.mark.parametrize(
    "text", ["cancel my order", "取消订单", "stop the newsletter", "I never mind waiting", "不退货可以吗"]
)
def test_other_things_to_cancel_do_not_end_the_action(text: str) -> None:
    assert not cancels(text)


@pytest.mark.parametrize(
    "text", ["How long does it take?", "what about shoes", "and is it free", "运费多少", "可以换货吗", "那运费呢"]
)
def test_questions_are_known_from_values(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize(
    "text", ["LO12345678", "anna@example.com", "too small", "尺寸太小", "周五上午", "the blue one"]
)
def test_values_are_no_questions(text: str) -> None:
    assert not asks(text)


@pytest.mark.parametrize(
    "text", ["算了" + "了" * 37, "取消" + "麻烦了" * 12, "no" + " no" * 12 + "x", "yes" + " please" * 5 + "x"]
)
def test_a_repeated_word_is_read_quickly(text: str) -> None:
    started = time.perf_counter()
    assert not is_yes(text)
    cancels(text)
    is_no(text)
    assert time.perf_counter() - started < 2


# -- what is told


def test_only_declared_fields_of_their_type_come_through() -> None:
    fields = {
        "name": FieldSettings(), "total": FieldSettings(type="number", path="order.total"),
        "paid": FieldSettings(type="boolean"),
        "day": FieldSettings(type="date"), "gone": FieldSettings(), "wrong": FieldSettings(type="number"),
    }  # fmt: skip
    body = {
        "name": " Lamp\n<b> ", "order": {"total": 39.9}, "paid": True, "day": "2026-03-13T10:00:00+01:00",
        "wrong": "12", "iban": "x"
    }  # fmt: skip
    assert pick(fields, body) == {"name": "Lamp <b>", "total": "39.9", "paid": "true", "day": "2026-03-13"}


def test_a_value_can_neither_be_markup_nor_a_placeholder(tmp_path: Path) -> None:
    action = shipped_settings(tmp_path).actions[0]
    told = tell("{item}: {status}", action, {"item": "**{status}** [x](y)", "status": "shipped"}, "en")
    assert told == "\\*\\*{status}\\*\\* \\[x\\](y): on its way"
