"""What agents do in conversations: committed first, and then the assistant is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from assistant.conversation.agents import Agent
from assistant.conversation.events import ConversationId, Event, Label, Message, NewEvent, Note, new_id
from assistant.conversation.log import Deciding
from assistant.dialogue import takeover
from assistant.dialogue.markup import plain_html
from assistant.dialogue.suggesting import used
from assistant.dialogue.takeover import Person
from assistant.dialogue.unbroken import unbroken
from assistant.errors import UnknownMessage
from assistant.gateway.agent_protocol import (
    AgentReply,
    AgentTyping,
    AskForDraft,
    Assign,
    Claim,
    CloseConversation,
    PutLabel,
    Release,
    WriteNote,
)
from assistant.gateway.parts import Parts
from assistant.gateway.protocol import Refusal
from assistant.gateway.staff import Staff, head_for
from assistant.language import detect, primary_language

Work = Claim | Release | AgentReply | WriteNote | PutLabel | Assign | CloseConversation


class AgentWork:
    """One agent's doings. Each gives the position of what it committed, or the last one where nothing changed."""

    def __init__(self, agent: Agent, parts: Parts, staff: Staff) -> None:
        self._agent = agent
        self._log = parts.log
        self._manager = parts.manager
        self._suggesting = parts.suggesting
        self._settings = parts.settings
        self._agents = staff.agents
        self._drafts = staff.drafts

    async def do(self, work: Work) -> int:
        """Do it and give its position. Raises `ConversationError`, `StorageError`; `Refusal` for an unknown agent."""
        if self._agent.tenants:
            await head_for(self._agent, self._log, work.conversation_id)
        match work:
            case Claim():
                return await self._claim(work)
            case Release():
                return await self._release(work)
            case AgentReply():
                return await self._reply(work)
            case WriteNote():
                note = Note(work.text, self._agent.agent_id, work.client_msg_id)
                return await self._append(work.conversation_id, [NewEvent("agent", note)])
            case PutLabel():
                return await self._label(work)
            case Assign():
                return await self._assign(work)
            case CloseConversation():
                return await self._close(work)

    async def tell_typing(self, typing: AgentTyping) -> None:
        """The customer sees that a person writes. Raises as a reply would."""
        head = await head_for(self._agent, self._log, typing.conversation_id)
        takeover.reply(head, self._person())
        self._manager.typing.tell(head.conversation_id)

    async def draft(self, asked: AskForDraft) -> int:
        """Offer a draft and give its position. Raises as a reply would, and `Refusal` where there is none."""
        head, person = await head_for(self._agent, self._log, asked.conversation_id), self._person()
        takeover.reply(head, person)
        try:
            draft = await self._suggesting.draft(head, agent_id=person.agent_id) if self._suggesting else None
        except TimeoutError as late:
            raise Refusal("no_draft", "The assistant took too long over a draft.", fix="Write it yourself.") from late
        if draft is None:
            raise Refusal("no_draft", "The assistant has nothing to propose here.", fix="Write it yourself.")
        new = [NewEvent("assistant", draft)]
        return await unbroken(self._append(head.conversation_id, new, first=lambda head: takeover.reply(head, person)))

    async def _claim(self, claim: Claim) -> int:
        person = self._person(overrides=claim.force)
        position = await self._append(claim.conversation_id, [], first=lambda head: takeover.claim(head, person))
        self._manager.interrupt(ConversationId(claim.conversation_id))
        return position

    async def _release(self, release: Release) -> int:
        person = self._person(overrides=release.force)
        note = [NewEvent("agent", Note(release.note, self._agent.agent_id))] if release.note.strip() else []
        position = await self._append(release.conversation_id, note, first=lambda head: takeover.release(head, person))
        await self._manager.resume(ConversationId(release.conversation_id))
        return position

    async def _reply(self, reply: AgentReply) -> int:
        person, conversation_id = self._person(), ConversationId(reply.conversation_id)
        head = await self._log.head(conversation_id)
        language = detect(reply.text, fallback=primary_language(head.locale) or self._settings.default_language)
        message = Message(
            new_id("m"),
            reply.text,
            plain_html(reply.text),
            language,
            client_msg_id=reply.client_msg_id,
            agent_id=self._agent.agent_id,
            draft_id=reply.draft_id,
        )
        new = [*await self._used(conversation_id, message), NewEvent("agent", message)]
        position = await self._append(conversation_id, new, first=lambda head: takeover.reply(head, person))
        self._manager.typing.end(conversation_id)
        return position

    async def _used(self, conversation_id: ConversationId, said: Message) -> list[NewEvent]:
        """What the reply makes of the draft that it names, or of the latest one. Raises `Refusal` for an unknown id."""
        offered = await self._drafts.offered(conversation_id, said.draft_id)
        if said.draft_id is not None and offered is None:
            raise Refusal("no_draft", f"There is no draft {said.draft_id} in this conversation.", fix="Leave it out.")
        return [NewEvent("agent", step) for step in await asyncio.to_thread(used, offered, said)]

    async def _label(self, put: PutLabel) -> int:
        conversation_id = ConversationId(put.conversation_id)
        if put.message_id is not None and await self._log.message(conversation_id, put.message_id) is None:
            raise UnknownMessage(
                f"There is no message {put.message_id} in this conversation.", fix="Label one that is there."
            )
        label = Label(put.label, self._agent.agent_id, put.message_id, put.is_on)
        return await self._append(conversation_id, [NewEvent("agent", label)])

    async def _assign(self, assign: Assign) -> int:
        to = await self._agents.by_id(assign.agent_id)
        head = await self._log.head(ConversationId(assign.conversation_id))
        if to is None or not to.is_enabled or not to.serves(head.tenant):
            raise Refusal("unknown_agent", f"There is no account {assign.agent_id}.", fix="Choose a colleague.")
        person, other = self._person(overrides=assign.force), Person(to.agent_id, to.name)
        position = await self._append(
            assign.conversation_id, [], first=lambda head: takeover.assign(head, person, other)
        )
        self._manager.interrupt(ConversationId(assign.conversation_id))
        return position

    async def _close(self, close: CloseConversation) -> int:
        person = self._person(overrides=close.force)
        position = await self._append(close.conversation_id, [], first=lambda head: takeover.close(head, person))
        self._manager.interrupt(ConversationId(close.conversation_id))
        return position

    async def _append(self, conversation_id: str, new: Sequence[NewEvent], *, first: Deciding | None = None) -> int:
        stored: list[Event] = await self._log.append(ConversationId(conversation_id), new, first=first)
        if stored:
            return stored[-1].position
        return (await self._log.head(ConversationId(conversation_id))).last_position

    def _person(self, *, overrides: bool = False) -> Person:
        return Person(self._agent.agent_id, self._agent.name, overrides)
