"""What can be checked in a sentence, in one spelling."""

from __future__ import annotations

import time

import pytest

from assistant.dialogue.facts import borne_out, claimed, read_facts

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("within 14 days", {"14 day"}), ("十四天内", {"14 day"}), ("１４ 天", {"14 day"}),
        ("14-day period", {"14 day"}),
        ("30 calendar days", {"30 day"}), ("5–8 个工作日", {"5-8 workday"}), ("2 or 3 days", {"2 day", "3 day"}),
        ("€1,000.00", {"1000 eur"}), ("3,90 EUR", {"3.9 eur"}), ("$3.90", {"3.9 usd"}), ("129块", {"129 cny"}),
        ("1.000 EUR", {"1.000 eur"}), ("100，1000元", {"100 ?", "1000 cny"}), ("20 percent", {"20 %"}),
        ("Mon-Fri 9:00-18:00", {"weekday 0-4", "9:00-18:00"}), ("周一至周五 9点到18点", {"weekday 0-4", "9:00-18:00"}),
        ("Saturday 6 pm", {"weekday 5", "18:00"}), ("下午3点半", {"15:30"}), ("in May", {"-05"}),
        ("5 March 2026", {"2026-03-05"}), ("3月15日前", {"-03-15"}), ("E27", {"E27"}), ("LO-12345678", {"LO12345678"}),
        ("call +49 30 5550 1234", {"tel:493055501234"}),
        ("见https://oak.example/a，谢谢", {"https://oak.example/a"}),
        ("I may sit; I sat on the Sun lamp", set()), ("1. Log in", set()),
    ],
)  # fmt: skip
def test_a_fact_has_one_spelling(text: str, claims: set[str]) -> None:
    assert claimed(read_facts(text).facts) == claims


def test_a_range_bears_out_its_days_and_its_upper_end_only() -> None:
    told = borne_out(read_facts("Mon-Fri; takes 5-8 working days").facts)
    assert {"weekday 2", "8 workday"} <= told
    assert not {"weekday 5", "5 workday"} & told


@pytest.mark.parametrize(
    "text",
    ["1" * 4000, "1,000" * 800, "1 或 " * 1000, "周一至" * 1000, "十" * 4000, "+1 " * 1000, "a-1" * 1000, "@." * 2000],
)
def test_a_long_message_is_read_quickly(text: str) -> None:
    started = time.perf_counter()
    read_facts(text)
    assert time.perf_counter() - started < 2


def test_facts_are_cut_out_of_the_words() -> None:
    assert read_facts("14 天内可以退货").plain.split() == ["内可以退货"]
