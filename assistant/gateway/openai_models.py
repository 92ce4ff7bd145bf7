"""What ``POST /v1/chat/completions`` takes: OpenAI's parameters, and which of them cannot be honoured. No I/O.

https://platform.openai.com/docs/api-reference/chat/create. What only colours the wording (``temperature``, ``seed``,
``user`` ...) is accepted and left to the assistant's settings; what would change what an answer is, is refused.
Bounds: `MAX_MESSAGES`, `MAX_PARTS`, and ``max_text_chars`` of the settings for each message.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema

from assistant.conversation.events import Decision
from assistant.gateway.protocol import ErrorCode, Refusal, clean, readable

MODEL = "assistant"
MAX_MESSAGES = 200
MAX_PARTS = 32

EXAMPLES: list[JsonValue] = [
    {"model": MODEL, "messages": [{"role": "user", "content": "How long can I return shoes?"}]},
    {"model": MODEL, "messages": [{"role": "user", "content": "退货可以多久？"}], "stream": True},
]
INSTRUCTIONS = "The assistant's instructions are the [style] of its settings; leave system and developer messages out."
WHY: dict[str, str] = {
    "n": "A question has one answer: leave it out or send 1.",
    "tools": "Business actions are declared in the assistant's settings: leave it out.",
    "functions": "Business actions are declared in the assistant's settings: leave it out.",
    "tool_choice": "There are no tools to choose: leave it out.",
    "function_call": "There are no functions to call: leave it out.",
    "logprobs": "Answers have no token probabilities: leave it out. `assistant.confidence` tells how sure one is.",
    "top_logprobs": "Answers have no token probabilities: leave it out.",
    "logit_bias": "Answers are grounded in the knowledge base and cannot be steered by token: leave it out.",
    "response_format": "Answers are text: leave it out or send {'type': 'text'}.",
    "stop": "Answers end where they are complete: leave it out.",
    "modalities": "Answers are text: leave it out or send ['text'].",
    "audio": "Answers are text: leave it out.",
    "web_search_options": "Answers come from the knowledge base: leave it out.",
}
_SURROGATE = re.compile("[\ud800-\udfff]")


def _refuse_true(value: bool) -> bool:
    if value:
        raise ValueError("it is true")
    return value


MustBeOff = Annotated[bool, AfterValidator(_refuse_true), WithJsonSchema({"type": "boolean", "const": False})]
"""A switch that must be off. (Pydantic's ``Literal[False]`` takes 0 as well.)"""


class Parameters(BaseModel):
    """What all parts of the request share: known fields are checked, unknown ones ignored as harmless."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class TextPart(Parameters):
    """A part of a message; only text is read."""

    type: Literal["text"]
    text: str


class TextFormat(Parameters):
    """The one format of answers."""

    type: Literal["text"]


class StreamOptions(Parameters):
    """What a stream tells beside the answer."""

    include_usage: bool | None = None


class Cited(Parameters):
    """A citation of an earlier answer, as far as it matters for the next."""

    entry_id: str


class Told(Parameters):
    """The ``assistant`` field of an earlier answer; follow-ups of a client that sends it back are understood better."""

    decision: Decision | None = None
    citations: Annotated[list[Cited], Field(max_length=64)] = []


class ChatMessageIn(Parameters):
    """One message so far, oldest first; the last is the question."""

    role: Literal["user", "assistant"]
    content: str | Annotated[list[TextPart], Field(min_length=1, max_length=MAX_PARTS)]
    assistant: Told | None = None

    @property
    def text(self) -> str:
        """The message's text, its parts joined, with one kind of line end and without control characters."""
        parts = self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)
        return clean(parts)


class ChatRequest(Parameters):
    """The body of ``POST /v1/chat/completions``."""

    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})

    model: Annotated[str, Field(max_length=256, json_schema_extra={"enum": [MODEL]})]
    messages: Annotated[list[ChatMessageIn], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None
    tools: Annotated[list[object], Field(max_length=0)] | None = None
    functions: Annotated[list[object], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    function_call: Literal["none", "auto"] | None = None
    logprobs: MustBeOff | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=0)] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    response_format: TextFormat | None = None
    stop: Annotated[list[str], Field(max_length=0)] | None = None
    modalities: Annotated[list[Literal["text"]], Field(min_length=1, max_length=1)] | None = None
    audio: None = None
    web_search_options: None = None

    @property
    def token_limit(self) -> int | None:
        """How many tokens the answer may have; the newer name wins."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a chunk that has the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ParameterRefusal(Refusal):
    """A parameter of the request cannot be honoured; ``param`` names it."""

    def __init__(self, code: ErrorCode, message: str, *, param: str | None, fix: str = "") -> None:
        super().__init__(code, message, fix=fix)
        self.param = param


def parse_request(values: dict[str, object], *, max_text_chars: int) -> ChatRequest:
    """The body as a request. Raises `ParameterRefusal` naming the parameter, never its value."""
    try:
        request = ChatRequest.model_validate(values)
    except ValidationError as error:
        raise _refusal(error) from error
    if request.model != MODEL:
        raise ParameterRefusal(
            "not_found", "There is no model of this name here.", param="model", fix=f"Use the model {MODEL!r}."
        )
    if request.stream_options is not None and not request.stream:
        raise ParameterRefusal("bad_request", "stream_options are for streams.", param="stream_options", fix="Stream.")
    _check_messages(request, max_text_chars)
    return request


def _check_messages(request: ChatRequest, max_text_chars: int) -> None:
    last = len(request.messages) - 1
    for number, message in enumerate(request.messages):
        where = f"messages[{number}].content"
        if _SURROGATE.search(message.text):
            fix = "Send whole characters."
            raise ParameterRefusal("bad_text", "A text has half of a surrogate pair.", param=where, fix=fix)
        try:
            readable(message.text, max_text_chars, needed=number == last)
        except Refusal as refusal:
            raise ParameterRefusal(refusal.code, refusal.message, param=where, fix=refusal.fix) from refusal
    if request.messages[last].role != "user":
        fix = "End with what is asked."
        raise ParameterRefusal("bad_request", "The last message is not the user's.", param="messages", fix=fix)


def _refusal(error: ValidationError) -> ParameterRefusal:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    location = problem["loc"]
    field = str(location[0]) if location else ""
    if field in WHY:
        return ParameterRefusal("bad_request", f"{field} cannot be honoured.", param=field, fix=WHY[field])
    param = _path(location)
    if field == "messages" and location[2:] == ("role",):
        return ParameterRefusal("bad_request", "Its role is none of user and assistant.", param=param, fix=INSTRUCTIONS)
    return ParameterRefusal("bad_request", f"{param} is refused: {problem['msg']}.", param=param)


def _path(location: tuple[int | str, ...]) -> str:
    """``messages[2].content``, without the names that pydantic gives to the members of a union."""
    named: list[Any] = [part for part in location[:3] if isinstance(part, int) or re.fullmatch(r"[a-z_]{1,40}", part)]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in named).lstrip(".") or "body"
