"""The agents' doors: log in, get a token for the socket, log out, read a conversation's older events.

Bounds: those of `logins.py` for wrong passwords; `MAX_CHECKING` passwords are checked or wait for it at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from assistant.conversation.agent_sessions import AgentSession
from assistant.conversation.agents import MAX_EMAIL_CHARS, MAX_PASSWORD_CHARS, Agent
from assistant.conversation.log import MAX_EVENTS_PER_READ
from assistant.errors import UnknownConversation
from assistant.gateway.agent import run_agent_socket
from assistant.gateway.agent_frames import agent_event_frame
from assistant.gateway.auth import Origins
from assistant.gateway.desk import Desk
from assistant.gateway.frames import to_json
from assistant.gateway.logins import Logins
from assistant.gateway.parts import Gateway
from assistant.gateway.protocol import ERROR_CODES, Refusal, load_object, validate
from assistant.gateway.rest import DEFAULT_LIMIT, read_text, whole_number
from assistant.gateway.roles import require
from assistant.gateway.staff import Staff, admit, check_staff_origin, head_for

MAX_CHECKING = 16
RETRY_MS = 2_000

log = structlog.get_logger()


class LoginBody(BaseModel):
    """The body of ``POST /v1/agent/login``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    email: str = Field(min_length=1, max_length=MAX_EMAIL_CHARS, pattern=r"^[^\x00]*$")
    password: str = Field(min_length=1, max_length=MAX_PASSWORD_CHARS)


class AgentRoutes:
    """The handlers of everything under ``/v1/agent/``, and the desk behind the sockets."""

    def __init__(self, gateway: Gateway, staff: Staff, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._staff = staff
        self._settings = settings = gateway.parts.settings.agents
        parts = gateway.parts
        self._desk = Desk(staff, log=parts.log, bus=parts.bus, manager=parts.manager, refresh_s=settings.refresh_s)
        self._origins = Origins(settings.allowed_origins)
        self._logins = Logins(settings, clock=clock, shared=gateway.shared, on_refused=gateway.metrics.limit)
        self._num_checking = 0

    def routes(self) -> list[web.RouteDef]:
        """Where the handlers are found."""
        return [
            web.post("/v1/agent/login", self.post_login),
            web.post("/v1/agent/token", self.post_token),
            web.post("/v1/agent/logout", self.post_logout),
            web.get("/v1/agent/conversations/{conversation_id}/events", self.get_events),
            web.get("/v1/agent/ws", self.get_socket, allow_head=False),
        ]

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """The desk, for as long as the application runs (`cleanup_ctx`)."""
        task = asyncio.create_task(self._desk.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def post_login(self, request: web.Request) -> web.Response:
        """A session, and the first token for a socket."""
        origin = check_staff_origin(self._origins, request)
        address = self._gateway.address(request)
        await self._gateway.limits.handshake(address)
        body = validate(LoginBody, load_object(await read_text(request)))
        async with self._logins.trying(body.email, address):
            agent = await self._check_password(body)
        session, secret = await self._staff.sessions.begin(agent, lifetime_s=self._settings.session_hours * 3600)
        log.info("agent_logged_in", agent_id=agent.agent_id, session_id=session.session_id)
        told = {"agent_id": agent.agent_id, "name": agent.name, "role": agent.role}
        return web.json_response(await self._token(session, origin) | {"session": secret, "agent": told})

    async def post_token(self, request: web.Request) -> web.Response:
        """A new token for a socket."""
        origin = check_staff_origin(self._origins, request)
        await self._gateway.limits.handshake(self._gateway.address(request))
        session = await admit(self._staff, request, "session.use")
        return web.json_response(await self._token(session, origin))

    async def post_logout(self, request: web.Request) -> web.Response:
        """End the session; its sockets are closed."""
        check_staff_origin(self._origins, request)
        await self._gateway.limits.request(self._gateway.address(request))
        session = await admit(self._staff, request, "session.use")
        await self._staff.sessions.revoke(session.session_id)
        self._desk.close_session(session.session_id)
        log.info("agent_logged_out", agent_id=session.agent.agent_id, session_id=session.session_id)
        return web.json_response({})

    async def get_events(self, request: web.Request) -> web.Response:
        """A page of any conversation that the agent serves, private events too."""
        check_staff_origin(self._origins, request)
        await self._gateway.limits.request(self._gateway.address(request))
        session = await admit(self._staff, request, "conversation.read")
        after_position = whole_number(request, "after_position", default=0, low=0, high=2**53)
        limit = whole_number(request, "limit", default=DEFAULT_LIMIT, low=1, high=MAX_EVENTS_PER_READ)
        conversations = self._gateway.parts.log
        try:
            head = await head_for(session.agent, conversations, request.match_info["conversation_id"])
        except UnknownConversation as error:
            raise Refusal("not_found", ERROR_CODES["not_found"]) from error
        events = await conversations.events(head.conversation_id, after_position=after_position, limit=limit)
        shown = [agent_event_frame(event) for event in events]
        body = to_json({"events": shown, "last_position": head.last_position})
        return web.Response(text=body, content_type="application/json")

    async def get_socket(self, request: web.Request) -> web.WebSocketResponse:
        """``GET /v1/agent/ws``: an agent's socket."""
        check_staff_origin(self._origins, request)
        return await run_agent_socket(request, self._gateway, self._staff, self._desk)

    async def _check_password(self, body: LoginBody) -> Agent:
        if self._num_checking >= MAX_CHECKING:
            raise Refusal(
                "rate_limited",
                f"{MAX_CHECKING} logins are checked already.",
                fix="Try again.",
                retry_after_ms=RETRY_MS,
            )
        self._num_checking += 1
        try:
            agent = await self._staff.agents.by_password(body.email, body.password)
        finally:
            self._num_checking -= 1
        if agent is None:
            log.info("agent_login_refused")
            raise Refusal("unauthorized", "The e-mail address or the password is wrong.", fix="Try again.")
        require(agent.role, "session.use")
        return agent

    async def _token(self, session: AgentSession, origin: str | None) -> dict[str, object]:
        ttl_s = self._gateway.tickets.ttl_s
        token = await self._staff.sessions.issue_ticket(session.session_id, origin=origin, ttl_s=ttl_s)
        return {"token": token, "expires_s": ttl_s}
