"""How often one may log in wrongly, so that passwords are not guessed and nobody keeps somebody else out.

Only failures count: tightly for an account from one address, for an address, and for an account wherever they are from.
An address from which that account logged in rightly has the last count for itself, so that whoever knows an e-mail
address cannot use it up for its owner. An unknown account is counted like a known one.
Bounds: ``logins_per_minute``, ``address_logins_per_minute``, ``account_failures_per_hour``; right logins are remembered
for `KNOWN_S`, without Redis until a restart.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from limits import RateLimitItemPerHour, RateLimitItemPerMinute

from assistant.config import AgentSettings
from assistant.conversation.agents import folded_email
from assistant.gateway.addresses import MULTIPLES, networks_of
from assistant.gateway.limits import Allowance, Counting, OnRefused
from assistant.gateway.protocol import Refusal
from assistant.gateway.shared import Shared

KNOWN_S = 30 * 86_400


class _Bound(NamedTuple):
    """An allowance and whose."""

    allowance: Allowance
    key: str


class Logins:
    """The failures of one server, or of all that share a Redis."""

    def __init__(
        self,
        settings: AgentSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        shared: Shared | None = None,
        on_refused: OnRefused = lambda limit: None,
    ) -> None:
        counting = Counting(clock=clock, shared=shared, on_refused=on_refused)
        self._known = Counting(clock=clock, shared=shared)  # of its own: what fails cannot crowd out what is known
        amount = settings.address_logins_per_minute
        here = RateLimitItemPerMinute(settings.logins_per_minute, namespace="logins")
        anywhere = RateLimitItemPerHour(settings.account_failures_per_hour, namespace="account_logins")
        together = [RateLimitItemPerMinute(amount * width, namespace="address_logins") for width in MULTIPLES]
        self._here, self._anywhere = Allowance(here, counting), Allowance(anywhere, counting)
        self._together = [Allowance(item, counting) for item in together]
        self._under_way: Counter[_Bound] = Counter()

    @asynccontextmanager
    async def trying(self, email: str, address: str) -> AsyncIterator[None]:
        """Check a password in here; an ``unauthorized`` that is raised counts. Raises `Refusal` for one too many."""
        account = hashlib.sha256(folded_email(email).encode()).hexdigest()
        bounds = await self._bounds(account, address)
        self._under_way.update(bounds)  # what is being checked may fail as well
        try:
            await self._refuse_excess(bounds)
            yield
            await self._known.ask(lambda storage: storage.incr(_mark(account, address), KNOWN_S))
        except Refusal as refusal:
            if refusal.code == "unauthorized":
                for bound in bounds:
                    await bound.allowance.take(bound.key)
            raise
        finally:
            self._under_way.subtract(bounds)
            self._under_way = +self._under_way  # without those that have none any more

    async def _bounds(self, account: str, address: str) -> list[_Bound]:
        is_known = await self._known.ask(lambda storage: storage.get(_mark(account, address))) > 0
        pair = f"{account}@{address}"
        own = [_Bound(self._here, pair), _Bound(self._anywhere, pair if is_known else account)]
        return [*own, *(_Bound(*one) for one in zip(self._together, networks_of(address), strict=False))]

    async def _refuse_excess(self, bounds: list[_Bound]) -> None:
        for bound in bounds:
            wait_s = await bound.allowance.wait_s(bound.key, num=self._under_way[bound])
            if wait_s > 0:
                raise Refusal(
                    "rate_limited",
                    "There were too many wrong logins.",
                    fix=f"Wait {wait_s:.1f} s.",
                    retry_after_ms=max(1, round(wait_s * 1000)),
                )


def _mark(account: str, address: str) -> str:
    return f"logged_in/{account}@{address}"
