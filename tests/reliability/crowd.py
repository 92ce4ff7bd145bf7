"""Many clients at once, and what a server of `child.py` does under them. Each function gives the measured numbers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from tests.reliability.child import Child
from tests.reliability.customer import Customer

AT_ONCE = 50  # handshakes that one client machine makes at a time
SETTLE_S = 0.5


@dataclass(frozen=True)
class Latencies:
    """Milliseconds from sending a message to its ack and to the end of its answer."""

    ack_ms: list[float]
    answer_ms: list[float]

    def __str__(self) -> str:
        return f"ack {spread(self.ack_ms)}; answer {spread(self.answer_ms)}"


def spread(values: Sequence[float]) -> str:
    p50, p95, p99 = (quantile(values, share) for share in (0.5, 0.95, 0.99))
    return f"p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms"


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def gather(http: aiohttp.ClientSession, child: Child, count: int) -> list[Customer]:
    """So many customers, each with a conversation that has caught up."""
    places = asyncio.Semaphore(AT_ONCE)
    customers = [Customer(http, child.url) for _ in range(count)]

    async def join(customer: Customer) -> None:
        async with places:
            await connected(customer)

    await asyncio.gather(*(join(customer) for customer in customers))
    return customers


async def connected(customer: Customer) -> None:
    await customer.connect()
    while True:
        frame = await customer.receive()
        customer.held.see(frame)
        if frame["type"] in ("resumed", "snapshot"):
            return


async def come_back(customers: Sequence[Customer], *, within_s: float) -> float:
    """Drop all their sockets at once; gives the seconds until the last is back."""
    for customer in customers:
        customer.drop()
    began_at = time.monotonic()
    async with asyncio.timeout(within_s):
        await asyncio.gather(*(connected(customer) for customer in customers))
    return time.monotonic() - began_at


async def kb_per_socket(http: aiohttp.ClientSession, child: Child, count: int) -> tuple[float, list[Customer]]:
    """What an idle socket costs the server's process, and the customers who hold them."""
    for customer in await gather(http, child, AT_ONCE):  # what is loaded once is not to be counted
        customer.drop()
    await asyncio.sleep(SETTLE_S)
    before = (await child.vitals(http))["rss_kb"]
    customers = await gather(http, child, count)
    await asyncio.sleep(SETTLE_S)
    return ((await child.vitals(http))["rss_kb"] - before) / count, customers


async def talk(customers: Sequence[Customer], *, per_s: float, for_s: float) -> Latencies:
    """Messages at an even rate, each from the next customer, whose last one is answered by then or waited for."""
    measured = Latencies([], [])
    began_at = time.monotonic()
    asking: set[asyncio.Task[None]] = set()
    busy = [asyncio.Lock() for _ in customers]

    async def ask(index: int) -> None:
        async with busy[index]:
            await _ask(customers[index], measured)

    for number in range(round(per_s * for_s)):
        await asyncio.sleep(max(0.0, began_at + number / per_s - time.monotonic()))
        task = asyncio.create_task(ask(number % len(customers)))
        asking.add(task)
        task.add_done_callback(asking.discard)
    await asyncio.gather(*asking)
    return measured


async def _ask(customer: Customer, measured: Latencies) -> None:
    client_msg_id = f"m{len(customer.held.acked)}-{random.getrandbits(32)}"
    sent_at = time.monotonic()
    await customer.send("message", client_msg_id=client_msg_id, text="How long does delivery to Norway take?")
    while True:
        frame = await customer.receive()
        customer.held.see(frame)
        if frame["type"] == "ack":
            measured.ack_ms.append(1_000 * (time.monotonic() - sent_at))
        elif frame["type"] == "message" and frame["data"]["author"] == "assistant":
            measured.answer_ms.append(1_000 * (time.monotonic() - sent_at))
            return
