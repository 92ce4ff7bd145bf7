"""Programs that come in with an API key: ``Authorization: Bearer ask_...``, made by ``assistant keys add``."""

from __future__ import annotations

from aiohttp import hdrs, web

from assistant.conversation.api_keys import ApiKey, ApiKeys
from assistant.gateway.auth import BEARER
from assistant.gateway.parts import GATEWAY
from assistant.gateway.protocol import Refusal

MAX_SECRET_CHARS = 128


async def by_api_key(request: web.Request, keys: ApiKeys) -> ApiKey:
    """Whose key the request has. Raises `Refusal` without a valid one, and for too many requests with one.

    Wrong keys count as handshakes of their address, so that guessing is slow.
    """
    gateway = request.app[GATEWAY]
    if gateway.sockets.is_draining:
        raise Refusal("draining", "The assistant is shutting down.", fix="Try again.", retry_after_ms=2_000)
    given = request.headers.get(hdrs.AUTHORIZATION, "")
    secret = given.removeprefix(BEARER).strip() if given.startswith(BEARER) else ""
    key = await keys.by_secret(secret) if secret.isascii() and 0 < len(secret) <= MAX_SECRET_CHARS else None
    if key is None:
        await gateway.limits.handshake(gateway.address(request))
        raise await _refusal(keys)
    await gateway.limits.request(f"key:{key.key_id}")
    return key


async def _refusal(keys: ApiKeys) -> Refusal:
    if await keys.exist():
        fix = "Send Authorization: Bearer <key>, with a key that `assistant keys list` shows as valid."
        return Refusal("unauthorized", "The API key is missing, wrong or revoked.", fix=fix)
    fix = "Make one on the server's machine: assistant keys add NAME"
    return Refusal("unauthorized", "This interface is closed: no API key has been made.", fix=fix)
