"""Frames as text: what is taken, what is refused, and that nothing else can happen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from assistant.gateway import protocol
from assistant.gateway.limits import BAD_FRAMES_PER_MINUTE, FRAMES_PER_MINUTE, REFUSED_MESSAGES_PER_MINUTE
from assistant.gateway.protocol import COMMANDS, ERROR_CODES, CloseCode, Command, Hello, Rate, Refusal, Say, parse
from assistant.gateway.resume import ResumeFailure
from tests.gateway.rig import Rig, SocketClient

pytestmark = pytest.mark.unit

README = Path(protocol.__file__).with_name("README.md").read_text(encoding="utf-8")


def read(raw: str) -> Command:
    return parse(raw, max_text_chars=100)


def said(text: str) -> str:
    return json.dumps({"type": "message", "client_msg_id": "a", "text": text})


BAD_FRAMES = {
    "": "not_json",
    "hello": "not_json",
    "{": "not_json",
    '{"type":"ping"} {"type":"ping"}': "not_json",
    "{'type':'ping'}": "not_json",
    '{"type":"ping","type":"ping"}': "not_json",
    '{"type":"hello","token":"t","last_seq":NaN}': "not_json",
    '{"type":"hello","token":"t","last_seq":-Infinity}': "not_json",
    '{"type":"hello","token":"t","last_seq":' + "9" * 5_000 + "}": "not_json",
    '{"type":"message","client_msg_id":"a","text":"raw \x01 control"}': "not_json",
    "[]": "bad_frame",
    '"ping"': "bad_frame",
    "null": "bad_frame",
    "7": "bad_frame",
    "[" * 17 + "]" * 17: "too_deep",
    '{"a":' * 30_000: "too_deep",
    "{}": "unknown_type",
    '{"type":"nothing"}': "unknown_type",
    '{"type":null}': "unknown_type",
    '{"type":["ping"]}': "unknown_type",
    '{"type":"ping","more":1}': "bad_frame",
    '{"type":"hello"}': "bad_frame",
    '{"type":"hello","token":""}': "bad_frame",
    '{"type":"hello","token":"t","last_seq":"1"}': "bad_frame",
    '{"type":"hello","token":"t","last_seq":1.0}': "bad_frame",
    '{"type":"hello","token":"t","last_seq":true}': "bad_frame",
    '{"type":"hello","token":"t","last_seq":-1}': "bad_frame",
    '{"type":"hello","token":"t","locale":"en;drop"}': "bad_frame",
    '{"type":"hello","token":"t","conversation_id":"../x"}': "bad_frame",
    '{"type":"hello","token":"t","conversation_id":"x\\n"}': "bad_frame",
    '{"type":"message","client_msg_id":"a"}': "bad_frame",
    '{"type":"message","client_msg_id":"a b","text":"x"}': "bad_frame",
    '{"type":"message","client_msg_id":"a","text":7}': "bad_frame",
    '{"type":"message","client_msg_id":"a","text":["x"]}': "bad_frame",
    '{"type":"feedback","message_id":"m","rating":"great"}': "bad_frame",
    '{"type":"stop"}': "bad_frame",
    '{"type":"message","client_msg_id":"a","text":"half \\ud83d"}': "bad_text",
    '{"type":"ping","\\udc00":"x"}': "bad_text",
    said(""): "text_empty",
    said(" \t\n "): "text_empty",
    said("\u200b\u200d\ufeff"): "text_empty",
    said("\x00\x07"): "text_empty",
    said("x" * 101): "text_too_long",
    json.dumps({"type": "feedback", "message_id": "m", "rating": "up", "comment": "x" * 1_001}): "text_too_long",
    json.dumps({"type": "handoff", "reason": "x" * 501}): "text_too_long",
}


@pytest.mark.parametrize("raw", BAD_FRAMES, ids=range(len(BAD_FRAMES)))
def test_a_bad_frame_is_refused_with_its_code(raw: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(raw)
    assert refused.value.code == BAD_FRAMES[raw]


async def test_bad_frames_of_every_kind_cost_an_error_frame_and_not_the_socket(rig: Rig, socket: SocketClient) -> None:
    for raw, code in BAD_FRAMES.items():
        if len(raw) > 60_000 or code == "text_too_long":
            continue
        rig.clock.now += 60  # one after the other: too many in a minute would end the socket
        await socket.websocket.send_str(raw)
        assert (await socket.next("error"))["data"]["code"] == code
    await socket.websocket.send_bytes(b'{"type":"ping"}')
    assert (await socket.next("error"))["data"]["code"] == "binary_frame"
    await socket.say("and still it works")
    await socket.until_answered()


@pytest.mark.parametrize("fields", [{"text": ""}, {"text": "x" * 9_000}, {"text": 7}, {"text": "x", "more": 1}])
async def test_a_refused_message_names_itself(socket: SocketClient, fields: dict[str, object]) -> None:
    await socket.send("message", client_msg_id="mine", **fields)
    assert (await socket.next("error"))["data"]["client_msg_id"] == "mine"


def test_a_text_that_is_too_long_is_told_its_length_and_the_limit() -> None:
    with pytest.raises(Refusal, match=r"101 characters; the limit is 100\. Shorten it"):
        read(said("👋" * 101))
    assert isinstance(read(said("👋" * 100)), Say)


def test_a_refused_value_is_not_repeated() -> None:
    with pytest.raises(Refusal) as refused:
        read('{"type":"feedback","message_id":"m","rating":"my-password"}')
    assert "rating" in str(refused.value)
    assert "my-password" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("tab\there", "tab\there"),
        ("nul\x00 bell\x07 del\x7f c1\x85", "nul bell del c1"),
        ("👩‍👩‍👧 一家人", "👩‍👩‍👧 一家人"),
        ("  kept as it is  ", "  kept as it is  "),
        ("<|im_start|>system", "<|im_start|>system"),
        ("<script>", "<script>"),
        ("?", "?"),
    ],
)
def test_a_text_keeps_everything_but_control_characters(text: str, taken: str) -> None:
    command = read(said(text))
    assert isinstance(command, Say)
    assert command.text == taken


def test_optional_fields_may_be_null() -> None:
    hello = read('{"type":"hello","token":"t","conversation_id":null,"epoch":null,"locale":null}')
    assert hello == Hello(type="hello", token="t")
    assert isinstance(read('{"type":"feedback","message_id":"m","rating":"up"}'), Rate)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def almost_frames(commands: Mapping[str, type[BaseModel]]) -> st.SearchStrategy[dict[str, object]]:
    """Frames of known types with any fields, some of them right."""
    fields = {field for model in commands.values() for field in model.model_fields if field != "type"}
    value = json_values | st.text(max_size=5) | st.sampled_from(["up", "a", "en-GB", 0, 1, True])
    optional = dict.fromkeys(sorted(fields | {"extra"}), value)
    return st.fixed_dictionaries({"type": st.sampled_from(sorted(commands))}, optional=optional)


def taken_or_refused(raw: str) -> Command | Refusal:
    try:
        return read(raw)
    except Refusal as refusal:
        return refusal


@given(st.one_of(st.text(), json_values.map(json.dumps), almost_frames(COMMANDS).map(json.dumps)))
def test_whatever_comes_is_a_command_or_a_refusal(raw: str) -> None:
    taken = taken_or_refused(raw)
    if isinstance(taken, Refusal):
        str(taken).encode("utf-8")
        assert taken.code in ERROR_CODES
    else:
        assert isinstance(taken, tuple(COMMANDS.values()))


@given(st.text(st.characters(codec="utf-8"), max_size=120))
def test_a_taken_text_fits_is_clean_and_stays_the_same_when_sent_again(text: str) -> None:
    taken = taken_or_refused(said(text))
    if isinstance(taken, Refusal):
        assert taken.code in ("text_empty", "text_too_long")
        return
    assert isinstance(taken, Say)
    assert 0 < len(taken.text) <= 100
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\r]", taken.text)
    assert read(said(taken.text)) == taken


@pytest.mark.parametrize("code", ERROR_CODES)
def test_the_readme_explains_every_error_code(code: str) -> None:
    assert f"| `{code}` |" in README


@pytest.mark.parametrize("code", CloseCode)
def test_the_readme_explains_every_close_code(code: CloseCode) -> None:
    assert re.search(rf"^\| {code.value} \|.*\| {'yes' if code.is_resumable else 'no'} \|", README, re.M)


def test_the_readme_names_every_frame_reason_and_limit() -> None:
    for name in (*COMMANDS, *ResumeFailure.__args__, "turn.started", "delta", "status", "snapshot", "busy", "ack"):
        assert f"`{name}" in README, name
    for number in (BAD_FRAMES_PER_MINUTE, FRAMES_PER_MINUTE, REFUSED_MESSAGES_PER_MINUTE, protocol.MAX_DEPTH):
        assert re.search(rf"\b{number}\b", README), number
