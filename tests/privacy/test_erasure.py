"""Erasing: what is gone, what stays, and that a crash in the middle loses nothing of the wish."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import text

from assistant.conversation.events import Erased
from assistant.errors import StorageError, UnknownVisitor
from assistant.privacy.data_sets import DataSets
from assistant.privacy.erasure import Eraser
from assistant.privacy.identifiers import Identifiers
from tests.privacy.shop import Customer, Shop

pytestmark = pytest.mark.unit

MIA, TOM = "canary-mia-7f3a", "canary-tom-91bd"
Held = Callable[[str], list[str]]


async def test_nothing_of_a_visitor_is_left_in_any_file_and_nothing_of_others_is_touched(
    shop: Shop, held_bytes: Held
) -> None:
    mia, tom = await shop.customer(MIA), await shop.customer(TOM)
    assert "conversations.sqlite3-wal" in held_bytes(MIA)
    assert {"b.jsonl.gz", "chats.jsonl", mia.upload_id} < set(held_bytes(MIA))
    toms = [await shop.events(conversation_id) for conversation_id in tom.conversation_ids]
    erasure = await shop.eraser().erase(mia.visitor_id)

    assert held_bytes(MIA) == []
    assert set(held_bytes(TOM)) == {"b.jsonl.gz", "chats.jsonl", "conversations.sqlite3", tom.upload_id}
    assert [await shop.events(conversation_id) for conversation_id in tom.conversation_ids] == toms
    assert (erasure.num_conversations, erasure.num_events, erasure.is_whole) == (2, 24, True)
    assert (erasure.num_rows, erasure.num_elsewhere) == (3, 5)
    assert (await shop.visitors.by_secret(tom.secret)) is not None


async def test_events_become_tombstones_that_keep_their_numbers(shop: Shop) -> None:
    mia = await shop.customer(MIA)
    this = mia.conversation_ids[0]
    before, head = await shop.events(this), await shop.log.head(this)
    await shop.eraser().erase(mia.visitor_id)
    after, erased = await shop.events(this), await shop.log.head(this)

    *tombstones, record = after
    assert [(e.position, e.seq, e.ts, e.author, e.visibility) for e in tombstones] == [
        (e.position, e.seq, e.ts, e.author, e.visibility) for e in before
    ]
    assert {e.payload for e in tombstones} == {Erased()}
    assert (record.payload, record.author) == (Erased("request", len(before)), "system")
    assert (record.position, record.seq) == (head.last_position + 1, head.last_seq + 1)
    assert (erased.epoch, erased.last_position, erased.last_seq) == (head.epoch + 1, record.position, record.seq)
    assert (erased.mode, erased.locale) == ("closed", "")


async def test_the_secret_opens_nothing_any_more(shop: Shop) -> None:
    mia = await shop.customer(MIA)
    await shop.eraser().erase(mia.visitor_id)
    assert await shop.visitors.by_secret(mia.secret) is None
    async with shop.database.reading() as connection:
        row = (await connection.execute(text("SELECT secret_hash, revoked_at FROM visitors"))).one()
    assert row.secret_hash.startswith("erased:")
    assert row.revoked_at


async def test_erasing_twice_changes_nothing_more(shop: Shop) -> None:
    mia = await shop.customer(MIA)
    await shop.eraser().erase(mia.visitor_id)
    events, head = await shop.events(mia.conversation_ids[0]), await shop.log.head(mia.conversation_ids[0])
    again = await shop.eraser().erase(mia.visitor_id)
    assert (again.num_events, again.num_rows, again.num_elsewhere, again.is_whole) == (0, 0, 0, True)
    assert await shop.events(mia.conversation_ids[0]) == events
    assert await shop.log.head(mia.conversation_ids[0]) == head


async def test_an_unknown_visitor_is_refused_and_nothing_noted(shop: Shop) -> None:
    with pytest.raises(UnknownVisitor, match="v_nobody"):
        await shop.eraser().erase("v_nobody")
    assert await shop.count("erasures") == 0


async def test_what_is_written_while_it_is_erased_goes_too(shop: Shop, held_bytes: Held) -> None:
    mia = await shop.customer(MIA)
    whole, said = shop.eraser(), []

    async def late(visitor_id: str, conversation_ids: Sequence[str]) -> None:
        if len(said) < 2:
            said.append(await say(shop, mia))

    erasing = Eraser(whole._log, whole._holdings, data_dir=shop.data_dir, quiet=late)
    assert (await erasing.erase(mia.visitor_id)).is_whole
    assert len(said) == 2
    assert held_bytes(MIA) == []


async def test_what_is_written_after_it_was_erased_is_found_by_the_next_look(shop: Shop, held_bytes: Held) -> None:
    mia = await shop.customer(MIA)
    await shop.eraser().erase(mia.visitor_id)
    await say(shop, mia)
    assert held_bytes(MIA)
    assert await shop.eraser().resume() == [mia.visitor_id]
    assert held_bytes(MIA) == []
    assert (await shop.log.head(mia.conversation_ids[0])).epoch == 3


async def say(shop: Shop, customer: Customer) -> object:
    from assistant.conversation.events import Message, NewEvent, new_id

    message = Message(new_id("m"), customer.canary, "", "en")
    return await shop.log.append(customer.conversation_ids[0], [NewEvent("customer", message)])


async def test_a_reader_that_does_not_end_leaves_the_erasure_open(
    shop: Shop, held_bytes: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.conversation.database.BUSY_TIMEOUT_MS", 50)
    await shop.database.close()
    await shop.database.open()
    mia = await shop.customer(MIA)
    async with shop.database.reading() as reader:
        await reader.execute(text("SELECT count(*) FROM events"))
        erasure = await shop.eraser().erase(mia.visitor_id)
        assert not erasure.is_whole
    assert await shop.eraser().resume() == [mia.visitor_id]
    assert held_bytes(MIA) == []


async def test_adapters_that_were_trained_on_the_rows_are_named(shop: Shop) -> None:
    mia = await shop.customer(MIA)
    trained = shop.train("chats-1")
    await shop.customer(TOM)
    later = shop.train("chats-2")
    erasure = await shop.eraser().erase(mia.visitor_id)
    told = " ".join(erasure.notes)
    assert str(later) in told
    assert str(trained) not in told  # of another version of the file; its own lineage is lost with that version
    assert "datasets/chats.jsonl" in told


async def test_data_sets_keep_the_other_rows_byte_for_byte(shop: Shop) -> None:
    await shop.customer(TOM)
    sets = shop.data_dir / "datasets"
    (sets / "chats.jsonl").write_text((sets / "chats.jsonl").read_text() + '{"a": "no line end, 文"}')
    before = (sets / "chats.jsonl").read_bytes()
    packed = gzip.decompress((sets / "b.jsonl.gz").read_bytes())
    mia = await shop.customer(MIA)
    (sets / "chats.jsonl").write_bytes(
        before.replace(b"}\n", b"}\r\n") + b"\n" + (sets / "chats.jsonl").read_bytes()[len(before) :]
    )
    await shop.eraser().erase(mia.visitor_id)
    assert (sets / "chats.jsonl").read_bytes() == before.replace(b"}\n", b"}\r\n") + b"\n"
    assert gzip.decompress((sets / "b.jsonl.gz").read_bytes()) == packed
    assert sorted(path.name for path in sets.iterdir()) == ["b.jsonl.gz", "chats.jsonl"]


async def test_a_broken_data_set_is_named_and_the_erasure_stays_open(shop: Shop) -> None:
    mia = await shop.customer(MIA)
    broken = shop.data_dir / "datasets" / "c.jsonl.gz"
    broken.write_bytes(b"no gzip")
    with pytest.raises(StorageError, match=r"c\.jsonl\.gz"):
        await shop.eraser().erase(mia.visitor_id)
    broken.unlink()
    assert await shop.eraser().resume() == [mia.visitor_id]


def test_ids_are_found_with_something_hung_on_and_nowhere_else() -> None:
    ids = Identifiers({"c_" + "0a" * 17 + "0", "odd:id"})
    one = "c_" + "0a" * 17 + "0"
    assert ids.is_in(f'{{"from": "{one}:12"}}')
    assert ids.is_in(f"row_{one}_3")
    assert ids.is_in("x odd:id y")
    assert not ids.is_in(one[:-1] + "1")
    assert not ids.is_in("c_ odd id")


def test_what_lies_apart_is_not_touched(shop: Shop) -> None:
    index = shop.settings.index_dir
    index.mkdir(parents=True)
    (index / "rows.jsonl").write_text("v_1\n")
    assert DataSets(shop.data_dir, apart=[index]).erase({"v_1"}) == 0
    assert DataSets(shop.data_dir).erase({"v_1"}) == 1


async def test_what_people_have_edited_is_named_and_left_to_them(shop: Shop) -> None:
    mia = await shop.customer(MIA)
    edits = shop.data_dir / "knowledge_base" / "en" / "edits.jsonl"
    edits.parent.mkdir(parents=True)
    edits.write_text(f'{{"id": "a"}}\n{{"id": "b", "from": "{mia.conversation_ids[0]}"}}\n')
    erasure = await shop.eraser().erase(mia.visitor_id)
    assert f"Edit {edits} line 2" in " ".join(erasure.notes)
    assert len(edits.read_text().splitlines()) == 2
