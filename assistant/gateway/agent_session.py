"""One agent talking over one socket, after the handshake: the reader of commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from assistant.conversation.agent_sessions import AgentSession
from assistant.conversation.events import ConversationId
from assistant.conversation.overview import Counts, Summary
from assistant.dialogue.unbroken import unbroken
from assistant.errors import (
    AssistantError,
    ConversationClosed,
    IdempotencyConflict,
    NotTaken,
    TakenByAnother,
    UnknownConversation,
    UnknownMessage,
)
from assistant.faults import report
from assistant.gateway import agent_frames
from assistant.gateway.agent_drafts import AgentDrafts
from assistant.gateway.agent_feed import AgentFeed
from assistant.gateway.agent_protocol import (
    AGENT_COMMANDS,
    AgentCommand,
    AgentHello,
    AgentPing,
    AgentReply,
    AgentTyping,
    AskForDraft,
    Subscribe,
    Unsubscribe,
    WriteNote,
    parse_agent,
    permissions_for,
)
from assistant.gateway.agent_work import AgentWork, Work
from assistant.gateway.agent_writer import AgentWriter
from assistant.gateway.desk import Desk
from assistant.gateway.frames import ephemeral
from assistant.gateway.parts import Gateway
from assistant.gateway.protocol import CloseCode, ErrorCode, Refusal
from assistant.gateway.roles import require
from assistant.gateway.staff import Staff, head_for
from assistant.gateway.wire import CLOSE_S, Ended, Wire

TOLD: dict[type[AssistantError], ErrorCode] = {
    IdempotencyConflict: "idempotency_conflict",
    UnknownConversation: "unknown_conversation",
    UnknownMessage: "unknown_message",
    TakenByAnother: "taken",
    NotTaken: "not_taken",
    ConversationClosed: "conversation_closed",
}
COMMAND_NAMES = {model: name for name, model in AGENT_COMMANDS.items()}


class AgentTalk:
    """Run `read` and `write` side by side; both end by raising `Ended`, and the first ends the other."""

    def __init__(
        self,
        gateway: Gateway,
        staff: Staff,
        desk: Desk,
        wire: Wire,
        session: AgentSession,
        *,
        end: Callable[[CloseCode], None],
    ) -> None:
        parts = gateway.parts
        self.end = end
        self._gateway = gateway
        self._staff = staff
        self._desk = desk
        self._wire = wire
        self._session = session
        self._agent = session.agent
        self._writer = AgentWriter(wire, staff, parts.bus, agent=session.agent)
        self._work = AgentWork(session.agent, parts, staff)
        self._drafts = AgentDrafts(self._draft)

    @property
    def session_id(self) -> str:
        """Whose talk it is."""
        return self._session.session_id

    def notice(self, changed: Sequence[Summary] | None, counts: Counts) -> None:
        """These conversations changed; None: too many to name. Returns at once."""
        self._writer.notice(changed, counts)

    def close(self) -> None:
        """Watch nothing any more, and leave no draft half written."""
        self._drafts.close()
        self._writer.close()

    async def write(self) -> NoReturn:
        """Send the welcome and the list, then whatever comes."""
        await self._writer.run(self._gateway.parts.settings.gateway)

    async def read(self) -> NoReturn:
        """Do what the agent asks, one frame after the other; a bad one costs an ``error`` frame."""
        while True:
            command: AgentCommand | None = None
            try:
                raw = await self._wire.receive()
                if await self._gateway.limits.is_flooded(self._agent.agent_id):
                    await self._leave(CloseCode.RATE)
                command = parse_agent(raw, max_text_chars=self._gateway.parts.settings.gateway.max_text_chars)
                for permission in permissions_for(command):
                    require(self._agent.role, permission)
                await self._obey(command)
            except Refusal as refusal:
                await self._refuse(refusal, command)

    async def _obey(self, command: AgentCommand) -> None:
        """Do one command. Raises `Refusal` for whatever goes wrong with it."""
        await self._guard(self._do(command))

    async def _guard(self, work: Awaitable[None]) -> None:
        """Await it; whatever goes wrong is a `Refusal`."""
        try:
            await work
        except Refusal:
            raise
        except AssistantError as error:
            raise self._told(error) from error
        except Exception as error:
            report("agent_command_broken", error, agent_id=self._agent.agent_id)
            raise Refusal("internal", "Something broke on our side.", fix="Send it again.") from error

    async def _do(self, command: AgentCommand) -> None:
        match command:
            case AgentHello():
                raise Refusal("hello_repeated", "This socket said hello already.", fix="Open another one.")
            case Subscribe():
                await self._subscribe(command)
            case Unsubscribe():
                self._writer.hide(ConversationId(command.conversation_id))
                await self._writer.reply(ephemeral("unsubscribed", ConversationId(command.conversation_id), {}))
            case AgentTyping():
                await self._work.tell_typing(command)
            case AskForDraft():
                self._drafts.begin(command)
            case AgentPing():
                await self._writer.reply(ephemeral("pong", None, {}))
            case _:
                await self._do_work(command)

    async def _do_work(self, work: Work) -> None:
        position = await unbroken(self._work.do(work))
        self._desk.nudge()
        conversation_id, name = ConversationId(work.conversation_id), COMMAND_NAMES[type(work)]
        await self._writer.reply(agent_frames.agent_ack(conversation_id, name, position, _client_msg_id(work)))

    async def _draft(self, asked: AskForDraft) -> None:
        """Write one draft and answer for it, beside whatever else the agent asks."""
        try:
            await self._guard(self._offer(asked))
        except Refusal as refusal:
            self._gateway.metrics.refused.labels(refusal.code).inc()
            await self._answer_refusal(refusal, asked)

    async def _offer(self, asked: AskForDraft) -> None:
        position = await self._work.draft(asked)
        self._desk.nudge()
        conversation_id = ConversationId(asked.conversation_id)
        await self._writer.reply(agent_frames.agent_ack(conversation_id, "draft", position, None))

    async def _subscribe(self, asked: Subscribe) -> None:
        parts = self._gateway.parts
        self._writer.check_room_for(ConversationId(asked.conversation_id))
        head = await head_for(self._agent, parts.log, asked.conversation_id)
        feed = AgentFeed(head, asked, log=parts.log, bus=parts.bus, manager=parts.manager, send=self._wire.send)
        self._writer.show(feed)

    def _told(self, error: AssistantError) -> Refusal:
        """The error as agents may know it; what concerns the operator alone goes to the log."""
        code = TOLD.get(type(error))
        if code is not None:
            return Refusal(code, error.message, fix=error.fix)
        report("agent_command_failed", error, agent_id=self._agent.agent_id)
        return Refusal("not_stored", "It could not be stored.", fix="Send it again.")

    async def _refuse(self, refusal: Refusal, command: AgentCommand | None) -> None:
        """Answer with an ``error`` frame, and close where it says so or where it was one too many."""
        self._gateway.metrics.refused.labels(refusal.code).inc()
        await self._answer_refusal(refusal, command)
        if refusal.close_code is not None:
            await self._leave(CloseCode(refusal.close_code))
        if command is None and await self._gateway.limits.is_abused(self._agent.agent_id, by_rate=False):
            await self._leave(CloseCode.PROTOCOL)

    async def _answer_refusal(self, refusal: Refusal, command: AgentCommand | None) -> None:
        taken = refusal.__cause__ if isinstance(refusal.__cause__, TakenByAnother) else None
        holder = await self._staff.agents.by_id(taken.holder) if taken else None
        if command is not None:
            refusal.client_msg_id = _client_msg_id(command)
        error = agent_frames.agent_error(
            refusal,
            conversation_id=None if command is None else _conversation_id(command),
            command=None if command is None else COMMAND_NAMES[type(command)],
            holder=holder,
        )
        await self._writer.reply(error)

    async def _leave(self, code: CloseCode) -> NoReturn:
        """Let the writer close after the replies before it, or close without them."""
        await self._writer.reply(code)
        await asyncio.sleep(CLOSE_S)
        raise Ended(code)


def _client_msg_id(command: AgentCommand) -> str | None:
    return command.client_msg_id if isinstance(command, AgentReply | WriteNote) else None


def _conversation_id(command: AgentCommand) -> ConversationId | None:
    return None if isinstance(command, AgentHello | AgentPing) else ConversationId(command.conversation_id)
