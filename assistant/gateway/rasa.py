"""The dialect of Rasa's REST channel, for programs that speak to a Rasa server: ``POST /webhooks/rest/webhook``.

https://rasa.com/docs/rasa/connectors/your-own-website#restinput. Only with an API key, whose name is the channel: a
channel's ``sender`` has one conversation that goes on over all calls. Bounds: `MAX_SENDER_CHARS`, ``max_text_chars``
of the settings, and a call waits ``turn_timeout_s`` and `GRACE_S` for its answer.
"""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from assistant.conversation.events import Event, Message, new_id
from assistant.conversation.senders import Sender
from assistant.dialogue.manager import Speaker
from assistant.gateway.api_keys import by_api_key
from assistant.gateway.awaiting import answer_to
from assistant.gateway.doors import Doors
from assistant.gateway.parts import GATEWAY, Gateway
from assistant.gateway.protocol import Refusal, load_object, readable, validate
from assistant.gateway.rest import read_text
from assistant.gateway.rest_conversations import READABLE, commit

MAX_SENDER_CHARS = 256
GRACE_S = 30.0


class ChannelMessage(BaseModel):
    """The body of ``POST /webhooks/rest/webhook``; ``metadata`` and ``input_channel`` are not used."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"examples": [{"sender": "customer-17", "message": "How long can I return shoes?"}]},
    )

    sender: Annotated[str, Field(min_length=1, max_length=MAX_SENDER_CHARS)]
    message: Annotated[str, READABLE]
    metadata: dict[str, object] | None = None
    input_channel: str | None = None


class RasaRoutes:
    """The handlers."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def routes(self) -> list[web.RouteDef]:
        """Where the handlers are found."""
        return [
            web.get("/webhooks/rest/", self.get_health),
            web.post("/webhooks/rest/webhook", self.post_message),
        ]

    async def get_health(self, _: web.Request) -> web.Response:
        """The channel is there."""
        return web.json_response({"status": "ok"})

    async def post_message(self, request: web.Request) -> web.Response:
        """Say what the customer said, and give what they have not been told yet: ``[]`` while a person has them."""
        key = await by_api_key(request, self._doors.keys)
        gateway = request.app[GATEWAY]
        if request.query.get("stream", "false").lower() != "false":
            raise Refusal("bad_request", "Answers of this channel are not streamed.", fix="Leave stream out.")
        body = validate(ChannelMessage, load_object(await read_text(request)))
        text = readable(body.message, gateway.parts.settings.gateway.max_text_chars, needed=True)
        sender = await self._doors.senders.find(key.tenant, key.name, body.sender)
        speaker = Speaker(sender.conversation_id, sender.visitor_id, sender.tenant, "")
        asked = await commit(gateway, speaker, text, new_id("r"), door="rasa")
        upto = await _outcome(gateway, asked)
        if request.transport is None:  # nobody reads the answer: the next call gets it
            raise ConnectionResetError("the client has left")
        told = await self._untold(gateway, sender, asked, upto=upto)
        answers = [_answer(body.sender, event.payload) for event in told if isinstance(event.payload, Message)]
        return web.json_response(answers)

    async def _untold(self, gateway: Gateway, sender: Sender, asked: Event, *, upto: int) -> list[Event]:
        """The messages to the customer since the last call, up to this ``seq``."""
        had = await self._doors.senders.deliver(sender, upto_seq=upto)
        limit = max(0, upto - had)
        events = await gateway.parts.log.public_events(asked.conversation_id, after_seq=had, limit=limit)
        return [event for event in events if event.author != "customer"]


async def _outcome(gateway: Gateway, asked: Event) -> int:
    """The ``seq`` of the answer to a message, or the message's own where there is none."""
    parts, answer = gateway.parts, None
    if (await parts.log.head(asked.conversation_id)).mode in ("bot", "waiting"):
        timeout_s = parts.settings.dialogue.turn_timeout_s + GRACE_S
        answer = await answer_to(parts, asked, timeout_s=timeout_s)
    if answer is not None and isinstance(answer.payload, Message):
        gateway.metrics.times.final_sent(answer.payload)
    return (answer or asked).seq or 0


def _answer(recipient: str, said: Message) -> dict[str, object]:
    answer: dict[str, object] = {"recipient_id": recipient, "text": said.text}
    if said.quick_replies:
        answer["buttons"] = [{"title": reply, "payload": reply} for reply in said.quick_replies]
    return answer
