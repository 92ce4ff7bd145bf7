"""Bodies made to be read slowly: before a login and in any frame they cost as little as others of their size."""

from __future__ import annotations

import json
import random
import time
from contextlib import suppress

import pytest

from assistant.gateway.protocol import Refusal, load_object, parse

pytestmark = pytest.mark.unit

MAX_BYTES = 65_536
MAX_S = 0.05


def seconds_for(raw: str) -> float:
    """The processor's time for reading it once; the least of three, since other programs run as well."""
    return min(_once(raw) for _ in range(3))


def _once(raw: str) -> float:
    began_at = time.thread_time()
    with suppress(Refusal):
        load_object(raw)
    return time.thread_time() - began_at


@pytest.mark.parametrize(
    "motif",
    [
        '\\"',
        '"',
        "\\",
        'a\\"',
        '"a\\',
        '\\\\"',
        "[]",
        '"[',
        '{"',
        '{"a":',
        '":',
        "[[",
        '"",',
        "\n",
        " ",
        "9",
        "-1e9,",
        "é",
    ],
)
@pytest.mark.parametrize("around", ["{}", '"{}', '{{"a":"{}', '{{"a":{}}}', "[{}]", '{{"a":"{}"}}'])
def test_no_body_of_the_largest_size_takes_long_to_read(motif: str, around: str) -> None:
    body = around.format(motif * (MAX_BYTES // len(motif)))[:MAX_BYTES]
    assert seconds_for(body) < MAX_S


def test_brackets_in_strings_are_no_levels_whatever_is_escaped() -> None:
    chance = random.Random(7)
    for _ in range(3_000):
        text = "".join(chance.choice('"\\[]{}a\n') for _ in range(40))
        assert load_object(json.dumps({"text": text})) == {"text": text}


def test_a_level_too_many_is_found_behind_strings() -> None:
    deep = '{"a\\"[[":' * 17 + "1" + "}" * 17
    with pytest.raises(Refusal) as refused:
        parse(deep, max_text_chars=100)
    assert refused.value.code == "too_deep"
