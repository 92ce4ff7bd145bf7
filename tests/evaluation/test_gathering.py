from __future__ import annotations

import asyncio

import pytest

from assistant.evaluation.gathering import each

pytestmark = pytest.mark.unit


async def test_results_stand_in_the_order_of_the_items_and_no_more_run_at_once_than_may() -> None:
    running, most, told = 0, 0, list[tuple[int, int]]()

    async def double(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5 - number):
            await asyncio.sleep(0)
        running -= 1
        return 2 * number

    found = await each(double, range(5), concurrency=2, progress=lambda done, total: told.append((done, total)))
    assert found == [0, 2, 4, 6, 8]
    assert most == 2
    assert told == [(done, 5) for done in range(1, 6)]


async def test_the_first_failure_ends_the_others_and_is_raised_itself() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        if number == 1:
            raise ValueError("one is refused")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(ValueError, match="one is refused"):
        await each(work, range(3), concurrency=3)
    assert sorted(ended) == [0, 2]
