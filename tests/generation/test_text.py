from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.generation.text import HALF_CHARACTER, TextStream
from tests.generation.tiny import byte_tokenizer

pytestmark = pytest.mark.unit

TOKENIZER = byte_tokenizer()


def stream_of(text: str, stop: tuple[str, ...] = ()) -> tuple[list[str], TextStream]:
    stream = TextStream(TOKENIZER.decode, stop)
    released = []
    for token in TOKENIZER.encode(text):
        released.append(stream.push(token))
        if stream.stopped:
            break
    return released, stream


def test_a_chinese_character_comes_whole() -> None:
    released, _ = stream_of("你好")
    assert released == ["", "", "你", "", "", "好"]


def test_an_emoji_comes_whole() -> None:
    released, _ = stream_of("a😀b")
    assert released == ["a", "", "", "", "😀", "b"]


def test_half_a_character_at_the_end_is_dropped() -> None:
    stream = TextStream(TOKENIZER.decode)
    for token in TOKENIZER.encode("ok 😀")[:-1]:
        last = stream.push(token)
    assert last == ""
    assert stream.flush() == ""


def test_bytes_that_are_no_character_do_not_block_the_text() -> None:
    stream = TextStream(TOKENIZER.decode)
    continuation = TOKENIZER.encode("😀")[1]
    released = [stream.push(token) for token in [continuation] * 20 + TOKENIZER.encode("fine")]
    assert "".join(released).endswith("fine")


def test_a_stop_string_and_what_follows_are_never_released() -> None:
    released, stream = stream_of("Hello\nCustomer: bye", stop=("\nCustomer:",))
    assert "".join(released) == "Hello"
    assert stream.stopped
    assert stream.flush() == ""


def test_what_only_began_like_a_stop_string_is_released() -> None:
    released, stream = stream_of("a\nCustard", stop=("\nCustomer:",))
    assert released[1:6] == [""] * 5
    assert "".join(released) == "a\nCustard"
    assert not stream.stopped


def test_what_was_held_back_comes_at_the_end() -> None:
    released, stream = stream_of("a\nCus", stop=("\nCustomer:",))
    assert "".join(released) + stream.flush() == "a\nCus"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters=HALF_CHARACTER), max_size=30))
def test_pieces_add_up_to_the_text(text: str) -> None:
    released, stream = stream_of(text)
    assert "".join(released) + stream.flush() == text


@given(st.text(alphabet="ab你", max_size=20), st.lists(st.text(alphabet="ab你", min_size=1, max_size=4), max_size=3))
def test_pieces_add_up_to_the_text_before_the_first_stop_string(text: str, stops: list[str]) -> None:
    released, stream = stream_of(text, tuple(stops))
    shown = "".join(released) + stream.flush()
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops)
    if not any(stop in text for stop in stops):
        assert shown == text
