"""Many things done at once, within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

CONCURRENCY = 8

Progress = Callable[[int, int], None]
T = TypeVar("T")
R = TypeVar("R")


async def each(
    do: Callable[[T], Awaitable[R]],
    items: Sequence[T],
    *,
    concurrency: int = CONCURRENCY,
    progress: Progress | None = None,
) -> list[R]:
    """Do something with every item, so many at a time; the results stand in the order of the items.

    The first that fails ends the others, and is raised.
    """
    places = asyncio.Semaphore(concurrency)
    done = 0

    async def one(item: T) -> R:
        nonlocal done
        async with places:
            result = await do(item)
        done += 1
        if progress:
            progress(done, len(items))
        return result

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]
