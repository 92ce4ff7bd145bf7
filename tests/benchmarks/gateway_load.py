"""The gateway under load: ``python -m tests.benchmarks.gateway_load [stampede|idle|messages|soak]``.

A server with a scripted model in a process of its own, clients in this one, both on this machine. Messages are
measured from the client's side: whatever is not the model, which here takes no time, is the gateway's overhead.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

import aiohttp

from assistant.gateway.descriptors import raise_descriptor_limit
from tests.reliability.child import Child, open_nursery, running_child
from tests.reliability.crowd import come_back, gather, kb_per_socket, talk


async def stampede(http: aiohttp.ClientSession, child: Child, options: argparse.Namespace) -> None:
    customers = await gather(http, child, options.sockets or 500)
    await talk(customers, per_s=200, for_s=len(customers) / 200)
    await child.vitals(http)
    seconds = await come_back(customers, within_s=60)
    vitals = await child.vitals(http)
    print(f"{len(customers)} dropped at once: back in {seconds:.1f} s, longest stall {vitals['stall_ms']} ms")


async def idle(http: aiohttp.ClientSession, child: Child, options: argparse.Namespace) -> None:
    kb, customers = await kb_per_socket(http, child, options.sockets or 1_000)
    print(f"{len(customers)} idle sockets: {kb:.1f} KB each, {await child.vitals(http)}")


async def messages(http: aiohttp.ClientSession, child: Child, options: argparse.Namespace) -> None:
    customers = await gather(http, child, options.sockets or 200)
    await talk(customers, per_s=options.rate, for_s=2)
    before = await child.vitals(http)
    measured = await talk(customers, per_s=options.rate, for_s=options.seconds)
    after = await child.vitals(http)
    cpu_s = after["cpu_s"] - before["cpu_s"]
    cpu, per_message_ms = cpu_s / options.seconds, 1_000 * cpu_s / len(measured.answer_ms)
    print(f"{len(customers)} sockets, {options.rate:.0f} messages/s for {options.seconds:.0f} s: {measured}")
    print(f"longest stall {after['stall_ms']} ms, {cpu:.2f} of a core, {per_message_ms:.2f} ms of it for each message")


async def soak(http: aiohttp.ClientSession, child: Child, options: argparse.Namespace) -> None:
    for minute in range(max(1, round(options.seconds / 60))):
        customers = await gather(http, child, options.sockets or 50)
        measured = await talk(customers, per_s=options.rate, for_s=min(60.0, options.seconds))
        for customer in customers:
            customer.drop()
        await asyncio.sleep(1)
        print(f"minute {minute + 1}: {await child.vitals(http)}; {measured}", flush=True)


RUNS = {"stampede": stampede, "idle": idle, "messages": messages, "soak": soak}


async def main(options: argparse.Namespace) -> None:
    raise_descriptor_limit()
    connector = aiohttp.TCPConnector(limit=0)
    with tempfile.TemporaryDirectory() as folder, open_nursery() as nursery:
        async with running_child(nursery, Path(folder)) as child, aiohttp.ClientSession(connector=connector) as http:
            await RUNS[options.run](http, child, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("--sockets", type=int, default=0)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    asyncio.run(main(parser.parse_args()))
