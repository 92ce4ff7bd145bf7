"""Conversations that are too old are erased by themselves, in batches, and the others are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Table, select, update

from assistant.conversation import lapsed
from assistant.conversation.customer_tables import customers, visitor_secrets
from assistant.conversation.events import ConversationId, Erased, Message, NewEvent, new_id
from assistant.conversation.tables import conversations, visitors
from assistant.privacy import erasure, retention
from assistant.privacy.retention import Retention, cutoff
from tests.privacy.shop import Customer, Shop

pytestmark = pytest.mark.unit

MIA, TOM = "canary-mia-7f3a", "canary-tom-91bd"
NOW = 1_795_000_000.0
DAY_S = 86_400
Held = Callable[[str], list[str]]


async def make_old(shop: Shop, conversation_id: ConversationId, *, days: float) -> None:
    this = conversations.c.conversation_id == conversation_id
    when = cutoff(0, clock=lambda: NOW - days * DAY_S)
    async with shop.database.writing() as connection:
        await connection.execute(update(conversations).where(this).values(updated_at=when))


async def aged(shop: Shop, canary: str, *, days: float) -> Customer:
    customer = await shop.customer(canary)
    for conversation_id in customer.conversation_ids:
        await make_old(shop, conversation_id, days=days)
    return customer


def job(shop: Shop, *, days: int) -> Retention:
    return Retention(shop.eraser(), days=days, clock=lambda: NOW)


async def test_what_is_older_than_the_setting_is_erased_everywhere_and_the_rest_is_kept(
    shop: Shop, held_bytes: Held
) -> None:
    mia, tom = await aged(shop, MIA, days=31), await aged(shop, TOM, days=29)
    erased = await job(shop, days=30).run_once()
    assert (erased.num_conversations, erased.num_events, erased.is_whole) == (2, 24, True)
    assert {e.payload for e in await shop.events(mia.conversation_ids[0])} == {Erased(), Erased("retention", 12)}
    assert (await shop.log.head(tom.conversation_ids[0])).epoch == 1
    assert TOM in str(await shop.events(tom.conversation_ids[0]))
    lost = set(held_bytes(MIA))
    assert mia.upload_id not in lost
    assert "datasets" not in lost


async def test_the_visitor_may_go_on_with_an_erased_conversation(shop: Shop) -> None:
    mia = await aged(shop, MIA, days=31)
    await job(shop, days=30).run_once()
    this = mia.conversation_ids[0]
    assert await shop.visitors.by_secret(mia.secret) is not None
    assert (await shop.log.head(this)).mode == "bot"
    await shop.log.append(this, [NewEvent("customer", Message(new_id("m"), "hello again", "", "en"))])
    assert (await job(shop, days=30).run_once()).num_conversations == 0
    await make_old(shop, this, days=31)
    assert (await job(shop, days=30).run_once()).num_events == 1


async def test_who_customers_were_goes_with_the_last_of_what_they_said(shop: Shop, held_bytes: Held) -> None:
    mia, tom = await aged(shop, MIA, days=31), await aged(shop, TOM, days=29)
    stranger, _ = await shop.visitors.add("default")
    async with shop.database.writing() as connection:
        for table in (visitors, customers, visitor_secrets):
            await connection.execute(update(table).values(created_at=cutoff(40, clock=lambda: NOW)))
    newcomer, secret = await shop.visitors.add("default")
    assert (await job(shop, days=30).run_once()).num_conversations == 2
    assert await ids_in(shop, customers) == await ids_in(shop, visitor_secrets) == {tom.visitor_id}
    kept = await ids_in(shop, visitors)
    assert kept == {mia.visitor_id, tom.visitor_id, newcomer.visitor_id}, "Mia's tombstones still need theirs"
    assert stranger.visitor_id not in kept
    assert "conversations.sqlite3" not in held_bytes(MIA)
    assert await shop.visitors.by_secret(secret) == newcomer
    assert (await job(shop, days=30).run_once()).num_rows == 0


async def test_a_customer_who_signed_in_since_then_stays_known(shop: Shop) -> None:
    mia = await aged(shop, MIA, days=31)
    long_ago, lately = cutoff(40, clock=lambda: NOW), cutoff(1, clock=lambda: NOW)
    async with shop.database.writing() as connection:
        for table, when in ((visitors, long_ago), (customers, long_ago), (visitor_secrets, lately)):
            await connection.execute(update(table).values(created_at=when))
    await job(shop, days=30).run_once()
    assert await ids_in(shop, customers) == {mia.visitor_id}


async def test_identities_go_batch_by_batch(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lapsed, "BATCH", 2)
    for _ in range(5):
        await shop.visitors.add("default")
    async with shop.database.writing() as connection:
        await connection.execute(update(visitors).values(created_at=cutoff(40, clock=lambda: NOW)))
    assert (await job(shop, days=30).run_once()).num_rows == 5
    assert await shop.count("visitors") == 0


async def ids_in(shop: Shop, table: Table) -> set[str]:
    async with shop.database.reading() as connection:
        return set((await connection.execute(select(table.c.visitor_id))).scalars())


async def test_nothing_is_erased_twice_and_nothing_without_the_setting(shop: Shop) -> None:
    await aged(shop, MIA, days=400)
    assert (await job(shop, days=0).run_once()).num_conversations == 0
    assert (await job(shop, days=30).run_once()).num_conversations == 2
    assert (await job(shop, days=30).run_once()).num_conversations == 0


async def test_a_run_goes_on_batch_by_batch_up_to_its_bound(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "BATCH", 1)
    monkeypatch.setattr(erasure, "MAX_BATCHES", 3)
    for canary in (MIA, TOM):
        await aged(shop, canary, days=31)
    assert (await job(shop, days=30).run_once()).num_conversations == 3
    assert (await job(shop, days=30).run_once()).num_conversations == 1


async def test_the_job_goes_on_after_a_failure_and_looks_again_when_asked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_AFTER_S", "LOOK_AGAIN_S"):
        monkeypatch.setattr(retention, name, 0.0)
    ran, runs = asyncio.Event(), list[int]()
    this = job(shop, days=30)

    async def broken() -> erasure.Erasure:
        runs.append(len(runs))
        ran.set()
        raise OSError("the disk is away")

    monkeypatch.setattr(this, "run_once", broken)
    task = asyncio.create_task(this.run())
    for expected in (1, 2):
        await asyncio.wait_for(ran.wait(), 5)
        ran.clear()
        assert len(runs) == expected
        this.look_again_soon()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_cutoff_is_written_as_the_log_writes_times() -> None:
    assert cutoff(30, clock=lambda: 1_795_000_000.0) == "2026-10-19T11:06:40.000Z"
