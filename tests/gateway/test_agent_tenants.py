"""Agents who serve single tenants: everybody else's conversations are as if there were none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assistant.conversation.agents import Agent
from assistant.errors import AccountError
from tests.gateway.agents_rig import PASSWORD, customer, hire
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig

pytestmark = pytest.mark.unit

NOWHERE = "c_there_is_no_such_conversation"


@pytest.fixture
async def rig(start: StartRig, tmp_path: Path) -> Rig:
    tenants = {name: {"root": tmp_path} for name in ("oak", "elm")}
    return await start(extra={"agents": {"refresh_s": 0.05}, "tenants": tenants})


async def test_the_list_its_counts_and_its_news_are_of_the_served_tenants(rig: Rig) -> None:
    oak, elm = await customer(rig, tenant="oak"), await customer(rig, tenant="elm")
    mia = await (await hire(rig, "Mia", tenants=["oak"])).join()
    lea = await (await hire(rig, "Lea", "supervisor")).join()
    whole = mia.frames[-1]["data"]
    assert [entry["conversation_id"] for entry in whole["conversations"]] == [oak.conversation_id]
    assert whole["counts"]["bot"] == 1
    assert lea.frames[-1]["data"]["counts"]["bot"] == 2
    await elm.send("handoff")
    await lea.until_listed(elm.conversation_id, mode="waiting")
    await oak.send("handoff")
    await mia.until_listed(oak.conversation_id, mode="waiting")
    assert mia.frames[-1]["data"]["counts"]["waiting"] == 1
    assert elm.conversation_id not in str(mia.frames)


TRIED: dict[str, dict[str, Any]] = {
    "claim": {},
    "release": {},
    "reply": {"client_msg_id": "r", "text": "Hello"},
    "note": {"client_msg_id": "n", "text": "Hm"},
    "label": {"label": "returns"},
    "close": {},
    "typing": {},
}


@pytest.mark.parametrize("role", ["agent", "supervisor"])
async def test_another_tenants_conversation_cannot_be_told_from_none(rig: Rig, role: Any) -> None:
    theirs = (await customer(rig, tenant="elm")).conversation_id
    mia = await hire(rig, "Mia", role, tenants=["oak", "default"])
    socket = await mia.join()
    before = (await rig.parts.log.head(theirs)).last_position  # type: ignore[arg-type]
    tried = TRIED | {"assign": {"agent_id": mia.agent_id}}
    if role == "supervisor":
        tried |= {"assign": {"agent_id": mia.agent_id, "force": True}, "claim": {"force": True}}
    for kind, fields in tried.items():
        told = [await socket.refused(kind, place, **fields) for place in (theirs, NOWHERE)]
        assert told[0]["code"] == "unknown_conversation", kind
        assert told[0] | {"message": told[0]["message"].replace(theirs, NOWHERE)} == told[1], kind
    await socket.send("subscribe", conversation_id=theirs)
    assert (await socket.until("error"))["data"]["code"] == "unknown_conversation"
    answers = [await mia.get(f"/v1/agent/conversations/{place}/events") for place in (theirs, NOWHERE)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert (await rig.parts.log.head(theirs)).last_position == before  # type: ignore[arg-type]


async def test_what_is_served_is_worked_on_as_ever(rig: Rig) -> None:
    buyer = await customer(rig, tenant="oak")
    socket = await (await hire(rig, "Mia", tenants=["oak"])).join()
    await socket.watch(buyer.conversation_id)
    await socket.did("claim", buyer.conversation_id)
    await socket.did("reply", buyer.conversation_id, client_msg_id="r", text="I am Mia.")
    await buyer.until("message", author="agent", text="I am Mia.")


async def test_a_conversation_is_assigned_to_nobody_who_does_not_serve_its_tenant(rig: Rig) -> None:
    place = (await customer(rig, tenant="oak")).conversation_id
    wei, lea = await hire(rig, "Wei", tenants=["elm"]), await hire(rig, "Lea", tenants=["oak", "elm"])
    mia = await (await hire(rig, "Mia", tenants=["oak"])).join()
    colleagues = {one["name"] for one in mia.frames[0]["data"]["colleagues"]}
    assert colleagues == {"Mia", "Lea"}, "who shares no tenant is no colleague"
    await mia.did("claim", place)
    assert (await mia.refused("assign", place, agent_id=wei.agent_id))["code"] == "unknown_agent"
    await mia.did("assign", place, agent_id=lea.agent_id)


async def test_what_concerns_all_tenants_is_not_for_who_serves_single_ones(rig: Rig) -> None:
    assert rig.parts.staff is not None
    agents = rig.parts.staff.agents
    with pytest.raises(AccountError, match="for all tenants, not for oak alone"):
        await agents.add("ada@shop.example", PASSWORD, role="admin", tenants=["oak"])
    mia = await agents.add("mia@shop.example", PASSWORD, role="agent", tenants=["oak", "oak"])
    assert mia.tenants == ("oak",)
    with pytest.raises(AccountError, match="admin"):
        await agents.set_role(mia.email, "admin")
    assert (await agents.set_tenants(mia.email, [])).tenants == ()
    assert (await agents.set_role(mia.email, "admin")).role == "admin"


async def test_other_tenants_end_the_sessions(rig: Rig) -> None:
    assert rig.parts.staff is not None
    mia = await hire(rig, "Mia", tenants=["oak"])
    socket = await mia.join()
    await rig.parts.staff.agents.set_tenants(mia.email, ["elm"])
    assert await socket.closed() == 4401


def test_whoever_has_no_tenants_named_serves_all() -> None:
    everybody, one = Agent("a", "a@b.c", "A", "agent"), Agent("a", "a@b.c", "A", "agent", tenants=("oak",))
    assert [everybody.serves("oak"), everybody.serves("elm"), one.serves("oak"), one.serves("elm")] == [1, 1, 1, 0]
