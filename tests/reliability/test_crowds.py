"""Many clients at once: they come back, cost little, and nothing grows (see also benchmarks/gateway_load.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from assistant.gateway.descriptors import raise_descriptor_limit
from tests.reliability.child import Child
from tests.reliability.crowd import come_back, gather, kb_per_socket, quantile, talk

pytestmark = pytest.mark.reliability

BACK_WITHIN_S = 30
MAX_STALL_MS = 200
MAX_KB_PER_SOCKET = 60
MAX_OVERHEAD_MS = 20
MAX_GROWTH_KB = 4_096


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    raise_descriptor_limit()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        yield http


async def test_clients_dropped_at_once_are_all_back_within_30_s_without_a_stall(
    child: Child, http: aiohttp.ClientSession, is_long: bool
) -> None:
    customers = await gather(http, child, 500 if is_long else 100)
    await talk(customers, per_s=100, for_s=len(customers) / 100)  # each has a conversation to resume
    await child.vitals(http)
    assert await come_back(customers, within_s=BACK_WITHIN_S) < BACK_WITHIN_S
    stall_ms = (await child.vitals(http))["stall_ms"]
    if is_long:  # in the short form other tests may run beside it, and their load is no stall of ours
        assert stall_ms < MAX_STALL_MS
    assert [customer.held.last_seq for customer in customers] == [2] * len(customers)


async def test_an_idle_socket_costs_less_than_60_kb(child: Child, http: aiohttp.ClientSession, is_long: bool) -> None:
    kb, customers = await kb_per_socket(http, child, 1_000 if is_long else 300)
    assert kb < MAX_KB_PER_SOCKET
    if is_long:
        customers += await gather(http, child, 1_000)
        assert (await child.vitals(http))["descriptors"] > 2_000
        await talk(customers[::100], per_s=20, for_s=1)


async def test_the_gateway_adds_less_than_20_ms_to_the_model(
    child: Child, http: aiohttp.ClientSession, is_long: bool
) -> None:
    if not is_long:
        pytest.skip("a measurement: it needs a quiet machine, and --long")
    customers = await gather(http, child, 200)
    await talk(customers, per_s=100, for_s=2)
    measured = await talk(customers, per_s=100, for_s=20)
    assert quantile(measured.answer_ms, 0.99) < MAX_OVERHEAD_MS, str(measured)


@pytest.mark.timeout(1_200)
async def test_nothing_grows_while_customers_come_talk_and_go(
    child: Child, http: aiohttp.ClientSession, is_long: bool
) -> None:
    seconds, samples = (600, 10) if is_long else (8, 4)
    seen = []
    for _ in range(samples):
        customers = await gather(http, child, 20)
        await talk(customers, per_s=20, for_s=seconds / samples)
        for customer in customers:
            customer.drop()
        await asyncio.sleep(0.3)
        seen.append(await child.vitals(http))
    first, last = seen[len(seen) // 2], seen[-1]  # by then everything is loaded, and the caches are warm
    assert last["tasks"] <= first["tasks"] + 2
    assert last["descriptors"] <= first["descriptors"] + 4
    assert last["rss_kb"] <= first["rss_kb"] + MAX_GROWTH_KB
