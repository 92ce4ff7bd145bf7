from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from assistant.config import Settings
from tests.databases import opened
from tests.gateway.rig import Rig, SocketClient, VisitorClient, start_rig, stop_rig

StartRig = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[StartRig]:
    """Starts a server with these gateway settings (and others as ``extra``)."""
    rigs: list[Rig] = []
    database = await opened(settings.log_url)

    async def start(*, extra: dict[str, object] | None = None, **gateway: object) -> Rig:
        changed = settings.model_dump() | (extra or {}) | {"gateway": settings.gateway.model_dump() | gateway}
        rigs.append(await start_rig(Settings(**changed), database))
        return rigs[-1]

    yield start
    for rig in rigs:
        await stop_rig(rig)
    await database.close()


@pytest.fixture
async def rig(start: StartRig) -> Rig:
    return await start()


@pytest.fixture
async def visitor(rig: Rig) -> VisitorClient:
    return await rig.visitor()


@pytest.fixture
async def socket(visitor: VisitorClient) -> SocketClient:
    return await visitor.join()
