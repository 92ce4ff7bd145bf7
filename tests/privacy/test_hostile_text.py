"""Texts written to make the search slow: it stays linear, and 100 KB take seconds at most."""

from __future__ import annotations

import random
import time

import pytest

from assistant.privacy.finding import find

pytestmark = pytest.mark.reliability

RNG = random.Random(3)
HOSTILE = {
    "digits": "1" * 100_000,
    "spaced digits": "1 " * 50_000,
    "at signs": "a@" * 50_000,
    "long domain": "a@" + "b-." * 33_333,
    "groups of two": "-".join(str(RNG.randint(10, 99)) for _ in range(33_333)),
    "groups of four": " ".join(str(RNG.randint(1000, 9999)) for _ in range(20_000)),
    "colons": "f:" * 50_000,
    "ibans": "DE89" * 25_000,
    "plus signs": "+1(" * 33_333,
    "phones": " ".join(f"415-{RNG.randint(200, 999)}-{RNG.randint(1000, 9999)}" for _ in range(7_692)),
    "chinese digits": "一二三四五六七" * 14_285,
    "labels": "order no. 4155550123 " * 4_761,
}


@pytest.mark.parametrize("name", ["spaced digits", "groups of two"])
def test_the_time_grows_with_the_length_and_no_faster(name: str) -> None:
    text = HOSTILE[name]
    short, long = (min(_seconds(text[:length]) for _ in range(2)) for length in (2_000, 8_000))
    assert long < 4 * short * 3, f"{short:.3f} s, then {long:.3f} s for four times the text"


@pytest.mark.parametrize("name", HOSTILE)
def test_100_kb_of_anything_take_seconds_at_most(name: str) -> None:
    assert _seconds(HOSTILE[name]) < 8  # one core, shared; 3 s alone


def _seconds(text: str) -> float:
    began = time.process_time()
    find(text)
    return time.process_time() - began
