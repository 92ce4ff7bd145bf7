"""One visitor talking over one socket, after the handshake: a reader of commands, and the only writer.

Bounds: `MAX_REPLIES` direct replies wait for the writer, then the reader stops reading. All else a socket
is sent waits in the log and the running turn, not here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import NoReturn

import structlog

from assistant.conversation.events import Message, TurnId
from assistant.dialogue.manager import Speaker
from assistant.dialogue.unbroken import unbroken
from assistant.errors import AssistantError, Busy, IdempotencyConflict, UnknownConversation, UnknownMessage
from assistant.faults import report
from assistant.gateway import frames
from assistant.gateway.feed import Feed
from assistant.gateway.parts import Gateway
from assistant.gateway.protocol import (
    AskForPerson,
    CloseCode,
    Command,
    ErrorCode,
    Hello,
    Ping,
    Rate,
    Refusal,
    Reword,
    Say,
    Stop,
    Typing,
    parse,
)
from assistant.gateway.resume import Resumption
from assistant.gateway.wire import CLOSE_S, Ended, Wire

MAX_REPLIES = 256
TOLD: dict[type[AssistantError], ErrorCode] = {
    IdempotencyConflict: "idempotency_conflict",
    UnknownConversation: "unknown_conversation",
    UnknownMessage: "unknown_message",
}

log = structlog.get_logger()


class Session:
    """Run `read` and `write` side by side; both end by raising `Ended`, and the first ends the other."""

    def __init__(
        self,
        gateway: Gateway,
        wire: Wire,
        speaker: Speaker,
        resumption: Resumption,
        *,
        wake: asyncio.Event,
        device: str = "",
    ) -> None:
        self._gateway = gateway
        self._parts = parts = gateway.parts
        self._wire = wire
        self._speaker = speaker
        self._resumption = resumption
        self._wake = wake
        self._device = device  # of a signed-in customer: they may have signed out meanwhile, in any process
        self._is_retiring = False
        self._replies: asyncio.Queue[frames.Frame | CloseCode] = asyncio.Queue(MAX_REPLIES)
        self._feed = Feed(
            speaker.conversation_id,
            log=parts.log,
            bus=parts.bus,
            manager=parts.manager,
            times=gateway.metrics.times,
            sent_seq=resumption.after_seq,
            send=wire.send,
        )

    def retire(self) -> None:
        """Shutdown: close once what is being answered here is answered and sent."""
        self._is_retiring = True
        self._wake.set()

    # -- the reader

    async def read(self) -> NoReturn:
        """Do what the visitor asks, one frame after the other; a bad one costs an ``error`` frame."""
        while True:
            try:
                raw = await self._wire.receive()
                if await self._gateway.limits.is_flooded(self._speaker.visitor_id):
                    await self._leave(CloseCode.RATE)
                command = parse(raw, max_text_chars=self._parts.settings.gateway.max_text_chars)
                await self._obey(command)
            except Refusal as refusal:
                await self._refuse(refusal)

    async def _obey(self, command: Command) -> None:
        """Do one command. Raises `Refusal` for whatever goes wrong with it."""
        client_msg_id = command.client_msg_id if isinstance(command, Say) else None
        try:
            await self._refuse_signed_out()
            await self._do(command)
        except Refusal as refusal:
            refusal.client_msg_id = client_msg_id
            raise
        except AssistantError as error:
            raise self._told(error, client_msg_id) from error
        except Exception as error:
            report("command_broken", error, conversation_id=self._speaker.conversation_id)
            broken = "Something broke on our side."
            raise Refusal("internal", broken, fix="Send it again.", client_msg_id=client_msg_id) from error

    async def _refuse_signed_out(self) -> None:
        if self._device and not await self._parts.visitors.holds(self._device):
            gone = "The customer has signed out on this device."
            raise Refusal("unauthorized", gone, fix="Get a new token.", close_code=CloseCode.AUTH)

    async def _do(self, command: Command) -> None:
        manager, speaker = self._parts.manager, self._speaker
        match command:
            case Say():
                await self._say(command)
            case Stop():
                manager.stop(speaker.conversation_id, TurnId(command.turn_id))
            case Reword():
                await self._gateway.limits.message(speaker.visitor_id, speaker.networks)
                await self._reword(command)
            case Rate():
                await self._gateway.limits.message(speaker.visitor_id, speaker.networks)
                rating = manager.feedback(speaker.conversation_id, command.message_id, command.rating, command.comment)
                await unbroken(rating)
            case AskForPerson():
                await self._gateway.limits.message(speaker.visitor_id, speaker.networks)
                await unbroken(manager.request_person(speaker, command.reason))
            case Typing():
                manager.customer_typing.tell(speaker.conversation_id)
            case Ping():
                await self._reply(frames.ephemeral("pong", speaker.conversation_id, {}))
            case Hello():
                raise Refusal("hello_repeated", "This socket said hello already.", fix="Open another one.")

    async def _say(self, said: Say) -> None:
        arrived_at = time.monotonic()
        visitor_id, networks = self._speaker.visitor_id, self._speaker.networks
        await self._gateway.limits.message(visitor_id, networks)
        await self._gateway.budget.spend(visitor_id, said.text, networks)
        try:
            event = await self._parts.manager.receive(self._speaker, said.text, said.client_msg_id)
        except Busy as busy:
            self._gateway.metrics.limit_turns()
            await self._gateway.budget.give_back(visitor_id, said.text, networks)
            wait = {"retry_after_ms": busy.retry_after_ms, "queue_position": busy.queue_position}
            await self._reply_about("busy", said, wait)
            return
        assert isinstance(event.payload, Message), "a customer's message is a message"
        self._parts.manager.customer_typing.end(event.conversation_id)
        self._gateway.metrics.times.begin(event.payload.message_id, at=arrived_at)
        await self._reply_about("ack", said, {"seq": event.seq})

    async def _reword(self, command: Reword) -> None:
        await self._gateway.budget.spend(self._speaker.visitor_id, "", self._speaker.networks)
        try:
            await unbroken(self._parts.manager.regenerate(self._speaker, command.message_id))
        except Busy as busy:
            raise Refusal("rate_limited", busy.message, fix=busy.fix, retry_after_ms=busy.retry_after_ms) from busy

    def _told(self, error: AssistantError, client_msg_id: str | None) -> Refusal:
        """The error as the visitor may know it; what concerns the operator alone goes to the log."""
        code = TOLD.get(type(error))
        if code is not None:
            return Refusal(code, error.message, fix=error.fix, client_msg_id=client_msg_id)
        report("command_failed", error, conversation_id=self._speaker.conversation_id)
        return Refusal("not_stored", "It could not be stored.", fix="Send it again.", client_msg_id=client_msg_id)

    async def _refuse(self, refusal: Refusal) -> None:
        """Answer with an ``error`` frame, and close where it says so or where it was one too many."""
        self._gateway.metrics.refused.labels(refusal.code).inc()
        await self._reply(frames.error(refusal, self._speaker.conversation_id))
        if refusal.close_code is not None:
            await self._leave(CloseCode(refusal.close_code))
        by_rate = refusal.code == "rate_limited"
        if await self._gateway.limits.is_abused(self._speaker.visitor_id, by_rate=by_rate):
            await self._leave(CloseCode.RATE if by_rate else CloseCode.PROTOCOL)

    async def _reply_about(self, kind: str, said: Say, data: Mapping[str, object]) -> None:
        about = {"client_msg_id": said.client_msg_id, **data}
        await self._reply(frames.ephemeral(kind, self._speaker.conversation_id, about))

    async def _reply(self, reply: frames.Frame | CloseCode) -> None:
        await self._replies.put(reply)
        self._wake.set()

    async def _leave(self, code: CloseCode) -> NoReturn:
        """Let the writer close after the replies before it, or close without them."""
        await self._reply(code)
        await asyncio.sleep(CLOSE_S)
        raise Ended(code)

    # -- the writer

    async def write(self) -> NoReturn:
        """Send the welcome and what was missed, then whatever comes."""
        await self._catch_up()
        while True:
            self._wake.clear()
            is_last_look = self._is_retiring and not self._parts.manager.is_answering(self._speaker.conversation_id)
            await self._send_replies()
            await self._feed.send_news()
            if is_last_look:
                raise Ended(CloseCode.DRAINING)
            await self._until_news()

    async def _until_news(self) -> None:
        """Wait to be woken, or until something that was told must be told again."""
        refresh_s = self._feed.refresh_s
        if refresh_s is None:
            await self._wake.wait()
            return
        again = asyncio.get_running_loop().call_later(refresh_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            again.cancel()

    async def _catch_up(self) -> None:
        head, failure = self._resumption.head, self._resumption.failure
        await self._wire.send(frames.welcome(head, self._parts.settings, locale=self._speaker.locale))
        if failure is not None:
            await self._wire.send(frames.ephemeral("resume_failed", head.conversation_id, {"reason": failure}))
            await self._feed.send_snapshot(head)
            return
        await self._feed.send_events(upto=head.last_seq)
        await self._wire.send(frames.ephemeral("resumed", head.conversation_id, {"upto": head.last_seq}))

    async def _send_replies(self) -> None:
        while not self._replies.empty():
            reply = self._replies.get_nowait()
            if isinstance(reply, CloseCode):
                raise Ended(reply)
            await self._wire.send(reply)
