"""Wire protocol, version 1: what a visitor may send, and every code the gateway answers with. No I/O.

Bounds: `MAX_DEPTH` levels of JSON, `MAX_COMMENT_CHARS` and `MAX_REASON_CHARS` here; the sizes of texts and
frames are settings. `README.md` tells all of it to those who write a client.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Annotated, Literal, NoReturn, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.errors import ProtocolError

VERSION = 1
MAX_DEPTH = 16
MAX_COMMENT_CHARS = 1_000
MAX_REASON_CHARS = 500

ErrorCode = Literal[
    "not_json",
    "too_deep",
    "unknown_type",
    "bad_frame",
    "binary_frame",
    "bad_text",
    "text_empty",
    "text_too_long",
    "too_large",
    "hello_expected",
    "hello_repeated",
    "unauthorized",
    "wrong_origin",
    "rate_limited",
    "too_many_sockets",
    "idempotency_conflict",
    "unknown_conversation",
    "unknown_message",
    "not_stored",
    "bad_request",
    "not_found",
    "method_not_allowed",
    "forbidden",
    "taken",
    "not_taken",
    "conversation_closed",
    "unknown_agent",
    "too_many_subscriptions",
    "no_draft",
    "timeout",
    "not_ready",
    "draining",
    "internal",
]

ERROR_CODES: dict[ErrorCode, str] = {
    "not_json": "It is not one JSON document: bad syntax, a key twice, NaN, Infinity, or bytes that are not UTF-8.",
    "too_deep": f"Its JSON nests deeper than {MAX_DEPTH} levels.",
    "unknown_type": "Its `type` is missing or none of the protocol's.",
    "bad_frame": "A field is missing, unknown, of the wrong type, or out of its limits.",
    "binary_frame": "It is a binary frame; the protocol has text frames only.",
    "bad_text": "A string has half of a surrogate pair and is no Unicode text.",
    "text_empty": "The text has nothing to read.",
    "text_too_long": "The text is longer than `limits.max_text_chars`.",
    "too_large": "The frame or the request's body is larger than `limits.max_frame_bytes`.",
    "hello_expected": "The first frame was not a `hello`.",
    "hello_repeated": "There was a second `hello` on one socket.",
    "unauthorized": "The token is unknown, used or expired; or the visitor's secret is missing or wrong.",
    "wrong_origin": "The page's origin is not allowed, or not the one the token was made for.",
    "rate_limited": "Too many in one minute; `retry_after_ms` or `Retry-After` says when the next one is taken.",
    "too_many_sockets": "Too many sockets are open from this address.",
    "idempotency_conflict": "This `client_msg_id` was used for another text.",
    "unknown_conversation": "There is no such conversation.",
    "unknown_message": "There is no such answer in this conversation.",
    "not_stored": "The disk did not take it; nothing is stored, so send it again with the same id.",
    "bad_request": "A parameter or field of the HTTP request is wrong.",
    "not_found": "There is nothing at this address, or it is another visitor's.",
    "method_not_allowed": "This address does not know this method.",
    "forbidden": "The role of this account does not allow it.",
    "taken": "Another person has the conversation; `holder` says who.",
    "not_taken": "Only the person who has the conversation may do this: claim it first.",
    "conversation_closed": "The conversation is closed until the customer writes again.",
    "unknown_agent": "There is no such account, or it is disabled.",
    "too_many_subscriptions": "The socket shows too many conversations; unsubscribe from one.",
    "no_draft": "There is nothing to draft an answer to, nothing worth offering, or no draft of this id.",
    "timeout": "The request's body did not arrive within 10 seconds.",
    "not_ready": "The assistant is still starting, or its model does not answer; try again.",
    "draining": "The assistant is shutting down; connect again in a moment.",
    "internal": "Something broke on the server's side.",
}
assert set(ERROR_CODES) == set(get_args(ErrorCode))


class CloseCode(IntEnum):
    """Why the gateway closed a socket, beside the standard 1000 (the client left)."""

    BAD_WEBSOCKET = 1002
    NOT_UTF8 = 1007
    TOO_BIG = 1009
    BROKEN = 1011
    PROTOCOL = 4400
    AUTH = 4401
    ORIGIN = 4403
    IDLE = 4408
    REPLACED = 4409
    TOO_LARGE = 4413
    RATE = 4429
    DRAINING = 4503

    @property
    def is_resumable(self) -> bool:
        """Whether connecting again by itself, with a new token, is worth a client's while."""
        return self not in (CloseCode.PROTOCOL, CloseCode.ORIGIN, CloseCode.REPLACED)


class Refusal(ProtocolError):
    """Something a client sent is not done.

    ``client_msg_id`` where it was a message, ``retry_after_ms`` where waiting helps, ``close_code`` where the
    socket ends with it.
    """

    code: ErrorCode

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        fix: str = "",
        close_code: CloseCode | None = None,
        client_msg_id: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(code, message, fix=fix, close_code=close_code)
        self.client_msg_id = client_msg_id
        self.retry_after_ms = retry_after_ms


Model = TypeVar("Model", bound=BaseModel)
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
Locale = Annotated[str, Field(pattern=r"^([A-Za-z0-9]{1,8}([_-][A-Za-z0-9]{1,8})*)?$", max_length=35)]
Counter = Annotated[int, Field(ge=0, le=2**53)]


class Frame(BaseModel):
    """What all of a visitor's frames share: no field is guessed, converted or ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Hello(Frame):
    """Who connects, and where it left off."""

    type: Literal["hello"]
    token: Secret
    conversation_id: Id | None = None
    epoch: Counter | None = None
    last_seq: Counter = 0
    locale: Locale | None = None


class Say(Frame):
    """A customer's message."""

    type: Literal["message"]
    client_msg_id: Id
    text: str


class Stop(Frame):
    """Stop the running answer."""

    type: Literal["stop"]
    turn_id: Id


class Reword(Frame):
    """Give the last answer in other words."""

    type: Literal["regenerate"]
    message_id: Id


class Rate(Frame):
    """What the customer thought of an answer."""

    type: Literal["feedback"]
    message_id: Id
    rating: Literal["up", "down"]
    comment: str = ""


class AskForPerson(Frame):
    """The customer wants a person."""

    type: Literal["handoff"]
    reason: str = ""


class Typing(Frame):
    """The customer is writing; to be told again every few seconds while it lasts."""

    type: Literal["typing"]


class Ping(Frame):
    """A sign of life, for browsers, whose scripts cannot see the websocket's own."""

    type: Literal["ping"]


Command = Hello | Say | Stop | Reword | Rate | AskForPerson | Typing | Ping

COMMANDS: dict[str, type[Command]] = {
    "hello": Hello,
    "message": Say,
    "stop": Stop,
    "regenerate": Reword,
    "feedback": Rate,
    "handoff": AskForPerson,
    "typing": Typing,
    "ping": Ping,
}

# A string that does not end goes to the end: were it no match, each quote in it would be tried as a string's beginning.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.S)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile("\r\n?|[\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def parse(raw: str, *, max_text_chars: int) -> Command:
    """A visitor's frame as a command. Raises `Refusal`, and nothing else, for whatever is wrong with it."""
    return parse_as(COMMANDS, raw, clean=lambda command: _cleaned(command, max_text_chars))


def parse_as(commands: Mapping[str, type[Model]], raw: str, *, clean: Callable[[Model], Model]) -> Model:
    """A frame as the one of these commands that its type names, its texts cleaned. Raises `Refusal`."""
    values = load_object(raw)
    kind = values.get("type")
    model = commands.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise Refusal("unknown_type", "The frame has no known type.", fix=f"Send one of {', '.join(commands)}.")
    try:
        return clean(validate(model, values))
    except Refusal as refusal:
        refusal.client_msg_id = client_msg_id_of(values)
        raise


def load_object(raw: str) -> dict[str, object]:
    """A JSON object with each key once, finite numbers and real text. Raises `Refusal`."""
    _refuse_depth(raw)
    try:
        values = json.loads(raw, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except ValueError as error:  # bad syntax, or a number of thousands of digits
        raise Refusal("not_json", "It is not a JSON document.", fix="Send one JSON object.") from error
    if not isinstance(values, dict):
        raise Refusal("bad_frame", "It is JSON, but not an object.", fix="Send one JSON object.")
    if any(_SURROGATE.search(text) for pair in values.items() for text in pair if isinstance(text, str)):
        raise Refusal("bad_text", "A string has half of a surrogate pair.", fix="Send whole characters.")
    return values


def validate(model: type[Model], values: dict[str, object]) -> Model:
    """The values as a model. Raises `Refusal` naming the first wrong field, never its value."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ascii(".".join(str(part) for part in problem["loc"]))[:80]
        raise Refusal("bad_frame", f"The field {field} is refused: {problem['msg']}.") from error


def clean(text: str) -> str:
    """The text with one kind of line end, and without control characters but line ends and tabs."""
    return _CONTROL.sub("", _LINE_END.sub("\n", text))


def _cleaned(command: Command, max_text_chars: int) -> Command:
    match command:
        case Say():
            return command.model_copy(update={"text": readable(command.text, max_text_chars, needed=True)})
        case Rate():
            return command.model_copy(update={"comment": readable(command.comment, MAX_COMMENT_CHARS)})
        case AskForPerson():
            return command.model_copy(update={"reason": readable(command.reason, MAX_REASON_CHARS)})
    return command


def readable(text: str, max_chars: int, *, needed: bool = False) -> str:
    """What a customer wrote, cleaned. Raises `Refusal` where it is too long, or ``needed`` and nothing to read."""
    cleaned = clean(text)
    if len(cleaned) > max_chars:
        raise Refusal(
            "text_too_long",
            f"The text has {len(cleaned)} characters; the limit is {max_chars}.",
            fix="Shorten it or send it in parts.",
        )
    if needed and not any(_is_readable(character) for character in cleaned):
        raise Refusal("text_empty", "The text has nothing to read.", fix="Send at least one letter, digit or sign.")
    return cleaned


def _is_readable(character: str) -> bool:
    return unicodedata.category(character) not in ("Zs", "Zl", "Zp", "Cc", "Cf")  # separators, control, format


def client_msg_id_of(values: dict[str, object]) -> str | None:
    """The id under which a frame that is refused was sent, where it has a usable one."""
    given = values.get("client_msg_id")
    return given if isinstance(given, str) and re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", given) else None


def _refuse_depth(raw: str) -> None:
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", raw)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise Refusal("too_deep", f"The JSON nests deeper than {MAX_DEPTH} levels.", fix="Send a flat object.")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Refusal("not_json", "An object has a key twice.", fix="Send every key once.")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise Refusal("not_json", f"{name} is not JSON.", fix="Send finite numbers.")
