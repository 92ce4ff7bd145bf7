"""Erasures that a crash breaks off, at every step of the way, and a large database."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
from sqlalchemy import select

from assistant.conversation.erasure_tables import erasures
from assistant.privacy.erasure import Eraser
from tests.privacy.shop import Shop

pytestmark = pytest.mark.reliability

MIA, TOM = "canary-mia-7f3a", "canary-tom-91bd"
Held = Callable[[str], list[str]]


async def test_bytes_are_gone_from_a_large_database_with_many_writers(shop: Shop, held_bytes: Held) -> None:
    mia = await shop.customer(MIA, num_conversations=8, num_messages=30)
    for number in range(6):
        await shop.customer(f"canary-other-{number}", num_conversations=2, num_messages=20)
    await shop.eraser().erase(mia.visitor_id)
    assert held_bytes(MIA) == []


class Crash(Exception):
    pass


class CrashingLog:
    """The real log, up to one call."""

    def __init__(self, log: Any, name: str, nth: int, *, after: bool) -> None:
        self._log, self._name, self._left, self._after = log, name, nth, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._log, name)

        async def call(*args: object, **options: object) -> object:
            if name != self._name:
                return await method(*args, **options)
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Crash
            result = await method(*args, **options)
            if self._left == 0:
                raise Crash
            return result

        return call


STEPS = ["begin", "conversations_of", "ids", "note", "blank", "forget", "scrub", "finish"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_an_erasure_that_crashed_at_any_step_is_finished_by_the_next_run(
    shop: Shop, held_bytes: Held, step: str, after: bool
) -> None:
    mia, tom = await shop.customer(MIA), await shop.customer(TOM)
    adapter = shop.train("chats-1")
    whole = shop.eraser()
    crashing = CrashingLog(whole._log, step, 1, after=after)
    with pytest.raises(Crash):
        await Eraser(crashing, whole._holdings, data_dir=shop.data_dir).erase(mia.visitor_id)  # type: ignore[arg-type]

    resumed = await shop.eraser().resume()
    if step == "begin" and not after:
        assert resumed == []  # the wish itself was not stored, and the command had failed
        return
    assert resumed == ([] if (step, after) == ("finish", True) else [mia.visitor_id])
    assert held_bytes(MIA) == []
    assert TOM in str(await shop.events(tom.conversation_ids[0]))
    assert await shop.eraser().resume() == []
    async with shop.database.reading() as connection:
        row = (await connection.execute(select(erasures))).one()
    assert row.finished_at
    assert any(str(adapter) in note for note in row.notes)


class CrashingHolding:
    name = "crashing"

    def held(self, ids: Collection[str]) -> list[str]:
        return []

    def advice(self, ids: Collection[str]) -> list[str]:
        return []

    def erase(self, ids: Collection[str]) -> int:
        raise Crash


async def test_a_place_that_fails_leaves_the_log_for_the_next_run_but_the_secret_is_gone(
    shop: Shop, held_bytes: Held
) -> None:
    mia = await shop.customer(MIA)
    whole = shop.eraser()
    with pytest.raises(Crash):
        await Eraser(whole._log, [CrashingHolding()], data_dir=shop.data_dir).erase(mia.visitor_id)
    assert await shop.visitors.by_secret(mia.secret) is None
    assert await shop.eraser().resume() == [mia.visitor_id]
    assert held_bytes(MIA) == []
