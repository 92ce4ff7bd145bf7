"""Who may change how the server works: the commands on its machine by the admin key, and people by their role."""

from __future__ import annotations

from aiohttp import hdrs, web

from assistant.gateway.auth import Origins, has_key
from assistant.gateway.parts import GATEWAY, Gateway
from assistant.gateway.protocol import Refusal
from assistant.gateway.roles import Permission, require
from assistant.gateway.staff import check_staff_origin, logged_in


async def admit_operator(request: web.Request, *, key: str, permission: Permission) -> None:
    """Let in who has the admin key and is no page, or is logged in with a role that has the permission.

    Raises `Refusal` for everybody else; guesses are counted.
    """
    gateway = request.app[GATEWAY]
    is_page = hdrs.ORIGIN in request.headers
    if has_key(request.headers.get(hdrs.AUTHORIZATION, ""), key) and not is_page:
        return
    if await _is_allowed(gateway, request, permission):
        return
    if is_page:
        raise Refusal("wrong_origin", "No page may use the admin interface.", fix="Call it from a program.")
    await gateway.limits.handshake(gateway.address(request))
    raise Refusal("unauthorized", "The admin key is missing or wrong.", fix="Send Authorization: Bearer <key>.")


async def _is_allowed(gateway: Gateway, request: web.Request, permission: Permission) -> bool:
    """Whether somebody is logged in; raises `Refusal` where their page or their role may not."""
    staff = gateway.parts.staff
    session = await logged_in(staff, request) if staff is not None else None
    if session is None:
        return False
    check_staff_origin(Origins(gateway.parts.settings.agents.allowed_origins), request)
    require(session.agent.role, permission)
    if session.agent.tenants:
        raise Refusal("forbidden", "This account serves single tenants, and here is all tenants' matter.")
    return True
