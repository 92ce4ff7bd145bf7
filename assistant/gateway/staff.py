"""The people who answer, as the gateway needs them: accounts, logins, the list of conversations; who calls by HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from aiohttp import hdrs, web

from assistant.conversation.agent_sessions import AgentSession, AgentSessions
from assistant.conversation.agents import Agent, Agents
from assistant.conversation.database import Database
from assistant.conversation.drafts import Drafts
from assistant.conversation.events import ConversationId
from assistant.conversation.log import ConversationLog, Head
from assistant.conversation.overview import Overview
from assistant.errors import UnknownConversation
from assistant.gateway.auth import Origins, bearer
from assistant.gateway.protocol import Refusal
from assistant.gateway.roles import Permission, require


@dataclass(frozen=True)
class Staff:
    """Everything about the people who answer that is in the database."""

    agents: Agents
    sessions: AgentSessions
    overview: Overview
    drafts: Drafts

    @classmethod
    def over(cls, database: Database, *, agents: Agents | None = None) -> Self:
        """All of it over one database."""
        return cls(agents or Agents(database), AgentSessions(database), Overview(database), Drafts(database))


async def logged_in(staff: Staff, request: web.Request) -> AgentSession | None:
    """Whose session's secret is in the Authorization header; None where it is none's."""
    secret = bearer(request.headers.get(hdrs.AUTHORIZATION, ""))
    return await staff.sessions.by_secret(secret) if secret else None


async def admit(staff: Staff, request: web.Request, permission: Permission) -> AgentSession:
    """The session of whoever calls. Raises `Refusal` without one, and where its role has not the permission."""
    session = await logged_in(staff, request)
    if session is None:
        raise Refusal(
            "unauthorized",
            "The session is missing, ended or unknown.",
            fix="Log in with POST /v1/agent/login and send Authorization: Bearer <session>.",
        )
    require(session.agent.role, permission)
    return session


async def head_for(agent: Agent, log: ConversationLog, conversation_id: str) -> Head:
    """Where a conversation of a tenant that the agent serves stands. Raises `UnknownConversation` for any other."""
    try:
        head = await log.head(ConversationId(conversation_id))
    except UnknownConversation:
        head = None
    if head is None or not agent.serves(head.tenant):  # in the same words, so that nobody learns which it was
        raise UnknownConversation(f"There is no conversation {conversation_id}.", fix="Choose one of the list.")
    return head


def check_staff_origin(allowed: Origins, request: web.Request) -> str | None:
    """The page that calls. Raises `Refusal` for the shop's: only this server's own pages and the listed ones may."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not allowed.allows(origin, host=request.headers.get(hdrs.HOST, "")):
        raise Refusal(
            "wrong_origin",
            f"The origin {origin[:200]!r} may not use the agents' interface.",
            fix="Add it to [agents] allowed_origins.",
        )
    return origin
