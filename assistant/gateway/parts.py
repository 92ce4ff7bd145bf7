"""What the gateway is handed by `server.py`, and what its own rooms share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from assistant.config import Settings
from assistant.conversation.attachments import Attachments
from assistant.conversation.bus import Bus
from assistant.conversation.customers import Customers
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitors
from assistant.dialogue.breaker import Breaker
from assistant.dialogue.manager import DialogueManager
from assistant.dialogue.suggesting import Suggesting
from assistant.gateway.addresses import client_address
from assistant.gateway.auth import Origins, Tickets
from assistant.gateway.budgets import Budget
from assistant.gateway.doors import Doors
from assistant.gateway.identity import Identities
from assistant.gateway.knowledge import Admin
from assistant.gateway.limits import Limits
from assistant.gateway.metrics import Metrics
from assistant.gateway.observed import Observed
from assistant.gateway.places import Places
from assistant.gateway.shared import open_shared
from assistant.gateway.sockets import Sockets
from assistant.gateway.staff import Staff
from assistant.gateway.webhooks import Endpoint
from assistant.privacy.parts import Privacy


@dataclass(frozen=True)
class Parts:
    """The assistant's parts, built and started elsewhere. ``ready`` gives what is still missing.

    Without ``admin`` there are no admin endpoints, without ``customers`` no signed identities, without ``doors`` no
    endpoints for programs with an API key, without ``staff`` none for agents, without ``attachments`` no files from
    customers, without ``suggesting`` no drafts for agents, without ``privacy`` nothing is erased. ``breaker`` and
    ``webhooks`` are only told of in the metrics.
    """

    settings: Settings
    log: ConversationLog
    visitors: Visitors
    bus: Bus
    manager: DialogueManager
    ready: Callable[[], list[str]]
    admin: Admin | None = None
    customers: Customers | None = None
    doors: Doors | None = None
    staff: Staff | None = None
    privacy: Privacy | None = None
    attachments: Attachments | None = None
    suggesting: Suggesting | None = None
    breaker: Breaker | None = None
    webhooks: Sequence[Endpoint] = ()


class Gateway:
    """One server's state beside the conversations: tokens, allowances, open sockets, counts."""

    def __init__(self, parts: Parts, *, clock: Callable[[], float] = time.monotonic) -> None:
        settings = parts.settings.gateway
        self.parts = parts
        self.shared = shared = open_shared(settings.redis_url, clock=clock)
        self.identities = Identities(parts.settings)
        self.tickets = Tickets(ttl_s=settings.token_ttl_s, clock=clock, shared=shared)
        self.origins = Origins(settings.allowed_origins)
        self.metrics = metrics = Metrics()
        self.observed = Observed(
            admission=parts.manager.admission,
            ladder=parts.manager.ladder,
            breaker=parts.breaker,
            webhooks=parts.webhooks,
        )
        metrics.registry.register(self.observed)
        self.limits = Limits(settings, clock=clock, shared=shared, on_refused=metrics.limit)
        self.budget = Budget(parts.settings, clock=clock, shared=shared, on_refused=metrics.limit)
        self.sockets = Sockets(settings, on_refused=metrics.limit)
        self.places = Places(settings, shared=shared, on_refused=metrics.limit)

    def address(self, request: web.Request) -> str:
        """Whom to count the request for."""
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        return client_address(request.remote, forwarded, self.parts.settings.gateway.trusted_proxies)


GATEWAY = web.AppKey("gateway", Gateway)
