"""Who may come in no more is put out, whichever process or command says so."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import OperationalError

from assistant.config import Settings
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.tables import visitors
from assistant.erasing import privacy_of
from assistant.gateway import revoking
from assistant.gateway.protocol import CloseCode
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig, VisitorClient

pytestmark = pytest.mark.unit

WITHIN_S = 5


async def test_erasing_a_visitor_closes_their_sockets_in_other_processes_too(
    rig: Rig, visitor: VisitorClient, settings: Settings
) -> None:
    theirs = [await visitor.join(), await visitor.join()]
    await theirs[0].say("forget this soon")
    await theirs[0].until_answered()
    bystander = await (await rig.visitor()).join()
    elsewhere = Database(settings.log_url)  # as the command line's process opens it
    await elsewhere.open()
    await privacy_of(settings, elsewhere, Bus()).eraser().erase(visitor.visitor_id)
    await elsewhere.close()
    async with asyncio.timeout(WITHIN_S):
        assert [await socket.closed() for socket in theirs] == [CloseCode.AUTH] * 2
    await bystander.say("still here")
    await bystander.until_answered()


async def test_a_visitor_whom_retention_removed_is_put_out_and_an_agent_is_not(
    rig: Rig, visitor: VisitorClient
) -> None:
    socket = await visitor.join()
    assert await rig.parts.visitors.revoked_among([visitor.visitor_id, "a_1", "v_unknown"]) == ["v_unknown"]
    async with rig.parts.visitors._database.writing() as connection:
        await connection.execute(delete(visitors).where(visitors.c.visitor_id == visitor.visitor_id))
    async with asyncio.timeout(WITHIN_S):
        assert await socket.closed() == CloseCode.AUTH


async def test_a_database_that_is_away_for_a_while_does_not_end_the_looking(
    start: StartRig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(revoking, "LOOK_S", 0.01)
    rig = await start()
    visitor = await rig.visitor()
    socket, ask = await visitor.join(), rig.parts.visitors.revoked_among
    failed = asyncio.Event()

    async def away(_: object) -> list[str]:
        failed.set()
        raise OperationalError("SELECT", None, Exception("away"))

    monkeypatch.setattr(rig.parts.visitors, "revoked_among", away)
    async with asyncio.timeout(WITHIN_S):
        await failed.wait()
    monkeypatch.setattr(rig.parts.visitors, "revoked_among", ask)
    await rig.parts.visitors.sign_out(visitor.secret)
    async with asyncio.timeout(WITHIN_S):
        assert await socket.closed() == CloseCode.AUTH
    assert "revoking_failed" in "".join(capfd.readouterr())
