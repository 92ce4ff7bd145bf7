"""The operations for programs with an API key."""

from __future__ import annotations

from assistant.gateway import http_answers as answers
from assistant.gateway.http_operation import Answer, Operation, Query
from assistant.gateway.openai_models import ChatRequest
from assistant.gateway.protocol import ErrorCode
from assistant.gateway.rasa import ChannelMessage

BY_KEY: tuple[ErrorCode, ...] = ("unauthorized", "rate_limited", "draining")
ASKING: tuple[ErrorCode, ...] = ("bad_request", "bad_frame", "too_deep", "bad_text", "text_empty", "text_too_long")

OPENAI = (
    Operation(
        "POST",
        "/v1/chat/completions",
        "createChatCompletion",
        "openai",
        "Answer the last message; with `stream`, as server-sent events",
        {200: Answer("The answer, or its chunks.", answers.ChatCompletion, or_as="text/event-stream")},
        body=ChatRequest,
        security="api_key",
        errors=(*BY_KEY, *ASKING, "wrong_origin", "not_found", "not_ready"),
    ),
    Operation(
        "GET",
        "/v1/models",
        "listModels",
        "openai",
        "The one model: the assistant",
        {200: Answer("The models.", answers.ModelList)},
        security="api_key",
        errors=(*BY_KEY, "wrong_origin"),
    ),
    Operation(
        "GET",
        "/v1/models/{model}",
        "getModel",
        "openai",
        "A model by its name",
        {200: Answer("The model.", answers.ModelCard)},
        path_parameters={"model": "The model's name."},
        security="api_key",
        errors=(*BY_KEY, "wrong_origin", "not_found"),
    ),
)

CHANNELS = (
    Operation(
        "GET",
        "/webhooks/rest/",
        "getChannelHealth",
        "channels",
        "The channel is there",
        {200: Answer("It is.", answers.ChannelHealth)},
    ),
    Operation(
        "POST",
        "/webhooks/rest/webhook",
        "sendChannelMessage",
        "channels",
        "Rasa's REST channel: what a customer said, for what they are told",
        {200: Answer("What they have not been told yet.", answers.ChannelAnswers)},
        body=ChannelMessage,
        query=(Query("stream", "Answers are not streamed.", {"type": "string", "enum": ["false"]}),),
        security="api_key",
        errors=(*BY_KEY, *ASKING, "not_stored"),
    ),
)
