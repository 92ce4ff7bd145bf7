"""Answers in OpenAI's shapes, with what the assistant knows beside the text in the field ``assistant``. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from assistant.dialogue.turn import Generator
from assistant.gateway.completion import Finished, num_tokens
from assistant.gateway.openai_models import MODEL, ParameterRefusal
from assistant.gateway.protocol import ErrorCode, Refusal
from assistant.values import FinishReason

JsonObject = dict[str, object]

OWNER = "service-assistant"
# OpenAI knows no broken answer: one that is not whole ends as if its tokens were used up; `assistant` says what it was.
FINISH: dict[FinishReason, Literal["stop", "length"]] = {
    "stop": "stop",
    "length": "length",
    "interrupted": "length",
    "error": "length",
}
CODES: dict[ErrorCode, str] = {
    "unauthorized": "invalid_api_key",
    "rate_limited": "rate_limit_exceeded",
    "not_found": "model_not_found",
    "text_too_long": "string_above_max_length",
    "internal": "server_error",
}
TYPES: dict[ErrorCode, str] = {
    "unauthorized": "authentication_error",
    "rate_limited": "rate_limit_error",
    "internal": "server_error",
    "not_stored": "server_error",
    "not_ready": "server_error",
    "draining": "server_error",
}


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer and all chunks of one share. ``created`` is in seconds since 1970."""

    completion_id: str
    created: int


def completion_object(head: Head, finished: Finished, usage: JsonObject) -> JsonObject:
    """A whole answer."""
    message = {
        "role": "assistant",
        "content": finished.text,
        "refusal": None,
        "assistant": assistant_object(finished),
    }
    finish = FINISH[finished.finish_reason]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return _headed(head, "chat.completion") | {"choices": [choice], "usage": usage}


def chunk_object(head: Head, delta: JsonObject, *, finish: FinishReason | None = None) -> JsonObject:
    """A piece of an answer."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": FINISH[finish] if finish else None}
    return _headed(head, "chat.completion.chunk") | {"choices": [choice]}


def usage_chunk_object(head: Head, usage: JsonObject) -> JsonObject:
    """The last chunk of a stream that was asked for its usage."""
    return _headed(head, "chat.completion.chunk") | {"choices": [], "usage": usage}


def assistant_object(finished: Finished) -> JsonObject:
    """What the assistant knows of its answer; citations as everywhere, their ``text_*`` offsets in the content."""
    reply = finished.reply
    return {
        "decision": reply.decision,
        "confidence": reply.confidence,
        "reason": reply.reason,
        "language": reply.language,
        "finish_reason": finished.finish_reason,
        "citations": [asdict(citation) for citation in finished.citations],
        "quick_replies": list(reply.quick_replies),
    }


def usage_object(generator: Generator, asked: Sequence[str], answer: str) -> JsonObject:
    """Tokens of the request's messages and of the answer, as the chat model counts them. Some milliseconds of work.

    What the assistant adds to a prompt (instructions, passages) is not counted, and a curated answer costs the model
    nothing: these are the sizes of what was exchanged.
    """
    prompt = sum(num_tokens(generator, text) for text in asked)
    completion = num_tokens(generator, answer) if answer else 0
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def error_object(refusal: Refusal) -> JsonObject:
    """What went wrong: ``{"error": {"message", "type", "param", "code"}}``."""
    param = refusal.param if isinstance(refusal, ParameterRefusal) else None
    kind = TYPES.get(refusal.code, "invalid_request_error")
    code = CODES.get(refusal.code, refusal.code)
    return {"error": {"message": str(refusal), "type": kind, "param": param, "code": code}}


def model_object(created: int) -> JsonObject:
    """The assistant as a model."""
    return {"id": MODEL, "object": "model", "created": created, "owned_by": OWNER}


def _headed(head: Head, kind: str) -> JsonObject:
    return {"id": head.completion_id, "object": kind, "created": head.created, "model": MODEL}
