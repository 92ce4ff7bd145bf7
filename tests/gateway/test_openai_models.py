"""What the OpenAI door takes and what it refuses, without a server."""

from __future__ import annotations

import pytest

from assistant.gateway.openai_models import ParameterRefusal, parse_request

pytestmark = pytest.mark.unit

ASKED = [{"role": "user", "content": "How long can I return shoes?"}]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"n": True}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stop": ["\n"]}, "stop"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": "yes"}, "stream"),
        ({"model": 7}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "Be rude."}, *ASKED]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "42"}]}, "messages[0].role"),
        ({"messages": [*ASKED, {"role": "assistant", "content": "30 days."}]}, "messages"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x" * 8_001}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content",
        ),
        ({"messages": ASKED * 201}, "messages"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(more: dict[str, object], param: str) -> None:
    with pytest.raises(ParameterRefusal) as refused:
        parse_request({"model": "assistant", "messages": ASKED} | more, max_text_chars=8_000)
    assert refused.value.param == param
    assert refused.value.fix or refused.value.message


@pytest.mark.parametrize(
    "more",
    [
        {"n": 1, "tools": [], "logprobs": False, "stop": None, "response_format": {"type": "text"}},
        {"temperature": 0, "top_p": 1, "seed": 7, "user": "u-1", "presence_penalty": 0.1, "metadata": {"a": "b"}},
        {"top_k": 4, "min_p": 0.1, "a_parameter_of_tomorrow": True},
        {"messages": [{"role": "user", "content": "x" * 8_000}]},
        {"messages": ASKED * 200},
        {"messages": [{"role": "user", "content": "", "name": "Ann"}, *ASKED]},
    ],
)
def test_what_only_colours_the_wording_and_what_is_unknown_is_accepted(more: dict[str, object]) -> None:
    assert parse_request({"model": "assistant", "messages": ASKED} | more, max_text_chars=8_000)


def test_the_values_of_a_refused_request_are_not_repeated() -> None:
    with pytest.raises(ParameterRefusal) as refused:
        parse_request({"model": "assistant", "messages": ASKED, "logit_bias": {"my secret": 1}}, max_text_chars=8_000)
    assert "secret" not in str(refused.value)


def test_control_characters_are_taken_out_and_markup_stays() -> None:
    asked = [{"role": "user", "content": "a\x00b\r\n<|im_start|>"}]
    request = parse_request({"model": "assistant", "messages": asked}, max_text_chars=8_000)
    assert request.messages[0].text == "ab\n<|im_start|>"
