"""Conversation ids that are handed out before anything is stored under them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from assistant.conversation.events import VisitorId
from assistant.conversation.tables import conversations
from assistant.conversation.visitors import Visitor
from assistant.gateway.resume import is_reserved_for, reserved_id
from tests.gateway.conftest import StartRig

pytestmark = pytest.mark.unit


async def test_a_reserved_conversation_is_kept_by_every_process(start: StartRig) -> None:
    one, other = await start(), await start()
    visitor = await one.visitor()
    first = await visitor.join()
    visitor.rig = other
    second = await visitor.join(conversation_id=first.conversation_id, epoch=1, last_seq=0)
    assert second.conversation_id == first.conversation_id
    await second.say("sent before the drop, answered after it", "same")
    await second.until_answered()
    visitor.rig = one
    third = await visitor.connect(conversation_id=first.conversation_id, epoch=1, last_seq=0)
    assert (await third.next("welcome"))["data"]["last_seq"] == 2


async def test_a_reserved_id_that_went_to_another_is_not_handed_out_again(start: StartRig) -> None:
    rig = await start()
    stranger, customer = await rig.visitor(), await rig.visitor()
    socket = await stranger.join()
    await socket.say("mine, until I sign in")
    await socket.until_answered()
    place = socket.conversation_id
    await socket.close()
    async with rig.parts.visitors._database.writing() as connection:
        this = conversations.c.conversation_id == place
        await connection.execute(update(conversations).where(this).values(visitor_id=customer.visitor_id))
    again = await stranger.connect(conversation_id=place)
    assert (await again.next("welcome"))["data"]["last_seq"] == 0
    assert (await again.next("resume_failed"))["data"]["reason"] == "unknown_conversation"
    assert again.frames[0]["conversation_id"] != place
    upload = {"name": "a.png", "media_type": "image/png", "bytes": 9}
    headers = {"Authorization": f"Bearer {stranger.secret}"}
    url = rig.url(f"/v1/conversations/{place}/uploads")
    assert (await rig.http.post(url, json=upload, headers=headers)).status == 404


@given(mangled=st.text("0123456789abcdefc_.:-", max_size=64), place=st.integers(0, 40), letter=st.sampled_from("0f"))
def test_an_id_that_was_not_reserved_for_a_visitor_is_not_theirs(mangled: str, place: int, letter: str) -> None:
    mine, other = (Visitor(VisitorId(f"v_{number}"), "default") for number in range(2))
    reserved = reserved_id(mine)
    changed = reserved[:place] + letter + reserved[place + 1 :]
    assert is_reserved_for(mine, reserved)
    assert not is_reserved_for(other, reserved)
    assert not is_reserved_for(Visitor(mine.visitor_id, "shop"), reserved), "a tenant's ids are its own"
    assert changed == reserved or not is_reserved_for(mine, changed)
    assert not is_reserved_for(mine, mangled)
