"""The bodies that HTTP requests are answered with, for the published document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from assistant.conversation.events import AgentRole, Citation, Decision, Mode
from assistant.gateway.protocol import ErrorCode
from assistant.values import FinishReason

Count = Annotated[int, Field(ge=0)]


class Fault(BaseModel):
    """What was not done, why, and what to do."""

    code: ErrorCode
    message: str


class Failed(BaseModel):
    """Any error but the OpenAI door's."""

    error: Fault


class VisitorToken(BaseModel):
    """A token for one socket; the secret comes only to a new visitor, and only once."""

    token: str
    visitor_id: str
    expires_s: float
    visitor_secret: str | None = None


class EventsPage(BaseModel):
    """Public events in the order of their ``seq``, and the ``seq`` of the conversation's last."""

    events: list[dict[str, object]]
    last_seq: Count


class ListedConversation(BaseModel):
    """One of the visitor's conversations; ``created_at`` is ISO 8601 in UTC."""

    conversation_id: str
    epoch: Annotated[int, Field(ge=1)]
    last_seq: Count
    mode: Mode
    locale: str
    created_at: str


class ConversationList(BaseModel):
    """The newest conversations first."""

    conversations: list[ListedConversation]


class Acknowledged(BaseModel):
    """The message is on the disk, and will be answered."""

    client_msg_id: str
    seq: Annotated[int, Field(ge=1)]


class Taken(BaseModel):
    """The message is committed; its answer comes by the events or the socket."""

    conversation_id: str
    ack: Acknowledged


class Answered(Taken):
    """The message is committed and answered: ``answer`` is the answer's event."""

    answer: dict[str, object]


class HandedOver(BaseModel):
    """Who answers from now on."""

    mode: Mode
    last_seq: Count


class AgentToken(BaseModel):
    """A token for one agent's socket."""

    token: str
    expires_s: float


class LoggedInAgent(BaseModel):
    """Who logged in."""

    agent_id: str
    name: str
    role: AgentRole


class LoggedIn(AgentToken):
    """A session, whose secret is shown this once, and a token for a socket."""

    session: str
    agent: LoggedInAgent


class AllEventsPage(BaseModel):
    """Events in the order of their ``position``, private ones too, and the conversation's last ``position``."""

    events: list[dict[str, object]]
    last_position: Count


class VisitorInMemory(BaseModel):
    """What a server has of a visitor beside what is stored."""

    visitor_id: str
    num_sockets: Count


class Alive(BaseModel):
    """The event loop turns."""

    status: Literal["alive"]


class Ready(BaseModel):
    """Customers can be answered."""

    status: Literal["ready"]


class NotReady(BaseModel):
    """What is missing before customers can be answered."""

    error: Fault
    missing: list[str]


class ChannelHealth(BaseModel):
    """The channel is there."""

    status: Literal["ok"]


class Button(BaseModel):
    """A reply the customer may choose; ``payload`` is what to send then."""

    title: str
    payload: str


class ChannelAnswer(BaseModel):
    """One message to the customer."""

    recipient_id: str
    text: str
    buttons: list[Button] | None = None


class ChannelAnswers(RootModel[list[ChannelAnswer]]):
    """What the customer has not been told yet, in order."""


class OpenAiFault(BaseModel):
    """What was not done; ``param`` names the parameter."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAiFailed(BaseModel):
    """Any error of the OpenAI door."""

    error: OpenAiFault


class ModelCard(BaseModel):
    """The assistant as a model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The models there are."""

    object: Literal["list"]
    data: list[ModelCard]


class Known(BaseModel):
    """What the assistant knows of its answer; the citations' ``text_*`` are code points of the content."""

    decision: Decision
    confidence: Annotated[float, Field(ge=0, le=1)] | None
    reason: str
    language: str
    finish_reason: FinishReason
    citations: list[Citation]
    quick_replies: list[str]


class AnswerMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"]
    content: str
    refusal: None
    assistant: Known


class Choice(BaseModel):
    """The one answer there is."""

    index: Literal[0]
    message: AnswerMessage
    logprobs: None
    finish_reason: Literal["stop", "length"]


class Usage(BaseModel):
    """Tokens of the request's messages and of the answer, as the chat model counts them."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count


class ChatCompletion(BaseModel):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: Annotated[list[Choice], Field(min_length=1, max_length=1)]
    usage: Usage
