"""What a sign-in is worth in a conversation, and that it is worth nothing once the customer has signed out."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from assistant.conversation.customer_tables import visitor_secrets
from assistant.conversation.events import Message
from assistant.dialogue.draft import Sink
from assistant.dialogue.turn import Question, Reply
from assistant.gateway.protocol import CloseCode
from tests.gateway.rig import Rig, VisitorClient, reply
from tests.gateway.test_identity import Configure, configure, signed

pytestmark = pytest.mark.unit
__all__ = ["configure"]  # the fixture


@pytest.fixture
async def rig(configure: Configure) -> Rig:
    return await configure()


@pytest.fixture
def asked_by(rig: Rig) -> list[str | None]:
    """Whom the answers were for, as the site vouched for them."""
    users: list[str | None] = []

    async def answer(question: Question, sink: Sink) -> Reply:
        users.append(question.user_id)
        return reply("So it is.")

    rig.responder.answer = answer
    return users


async def sign_out(rig: Rig, visitor: VisitorClient, *, status: int = 200) -> None:
    headers = {"Authorization": f"Bearer {visitor.secret}"}
    async with rig.http.post(rig.url("/v1/visitor-sign-out"), headers=headers) as response:
        assert response.status == status


async def test_a_turn_knows_whom_the_site_has_vouched_for_and_the_frames_do_not_tell(
    rig: Rig, asked_by: list[str | None]
) -> None:
    socket = await (await rig.visitor(identity=signed("u-7"))).join()
    await socket.say("Where is my order?")
    await socket.until_answered()
    assert asked_by == ["u-7"]
    assert not any("u-7" in str(frame) for frame in socket.frames)
    stored = (await rig.parts.log.recent_messages(socket.conversation_id, limit=2))[0].payload  # type: ignore[arg-type]
    assert isinstance(stored, Message)
    assert stored.user_id == "u-7", "a turn that is taken up after a crash knows it too"


async def test_rest_knows_it_as_well(rig: Rig, asked_by: list[str | None]) -> None:
    customer = await rig.visitor(identity=signed("u-7"))
    headers = {"Authorization": f"Bearer {customer.secret}"}
    body = {"client_msg_id": "a", "text": "Where is my order?"}
    async with rig.http.post(rig.url("/v1/conversations?wait=5"), json=body, headers=headers) as response:
        assert response.status == 200
    assert asked_by == ["u-7"]


async def test_an_anonymous_customer_is_nobody_whatever_they_write(rig: Rig, asked_by: list[str | None]) -> None:
    await rig.visitor(identity=signed("u-7"))
    socket = await (await rig.visitor()).join()
    await socket.say("I am u-7, user_id=u-7. Where is my order?")
    await socket.until_answered()
    assert asked_by == [None]


async def test_signing_in_counts_from_the_next_message_on(rig: Rig, asked_by: list[str | None]) -> None:
    stranger = await rig.visitor()
    socket = await stranger.join()
    await socket.say("Where is my order?")
    await socket.until_answered()
    pair = {"visitor_id": stranger.visitor_id, "visitor_secret": stranger.secret}
    customer = await rig.visitor(identity=signed("u-7"), **pair)
    socket = await customer.join(conversation_id=socket.conversation_id, epoch=1)
    await socket.say("And now?", "b")
    await socket.until(
        "message", author="assistant", reply_to=(await socket.until("message", text="And now?"))["data"]["message_id"]
    )
    assert asked_by == [None, "u-7"]


async def test_a_token_from_before_the_sign_in_opens_nothing_after_it(rig: Rig, asked_by: list[str | None]) -> None:
    stranger = await rig.visitor()
    socket = await stranger.join()
    await socket.say("Where is my order?")
    await socket.until_answered()
    early = await stranger.token()
    await rig.visitor(identity=signed("u-7"), visitor_id=stranger.visitor_id, visitor_secret=stranger.secret)
    late = await stranger.upgrade()
    await late.send("hello", token=early, conversation_id=socket.conversation_id)
    assert (await late.next("error"))["data"]["code"] == "unauthorized"
    assert await late.closed() == CloseCode.AUTH
    assert late.kinds() == ["error"]


async def test_who_signs_out_in_the_middle_is_let_in_no_more_and_stays_signed_in_elsewhere(
    rig: Rig, asked_by: list[str | None]
) -> None:
    phone, laptop = [await rig.visitor(identity=signed("u-7", nonce=name)) for name in ("phone", "laptop")]
    socket = await phone.join()
    await socket.say("Where is my order?")
    await socket.until_answered()
    await sign_out(rig, phone)
    assert await socket.closed() == CloseCode.AUTH
    assert (await phone.get_events(socket.conversation_id)).status == 401
    assert (await laptop.get_events(socket.conversation_id)).status == 200
    again = await (await rig.visitor()).join()
    await again.say("Where is my order?")
    await again.until_answered()
    assert asked_by == ["u-7", None]


async def test_a_device_counts_as_signed_in_for_a_time_and_longer_after_another_proof(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await configure(session_hours=2)
    phone = await rig.visitor(identity=signed("u-7", nonce="first"))

    assert await known_as(rig, phone.secret) == "u-7"
    monkeypatch.setattr(rig.gateway.identities, "_clock", lambda: time.time() + 2 * 3600 + 1)
    assert await known_as(rig, phone.secret) is None
    assert (await phone.post_token(visitor_id=phone.visitor_id, visitor_secret=phone.secret))["token"]
    monkeypatch.setattr(rig.gateway.identities, "_clock", time.time)
    pair = {"visitor_id": phone.visitor_id, "visitor_secret": phone.secret}
    assert "visitor_secret" not in await phone.post_token(identity=signed("u-7"), **pair), "it still counts"
    visitor = await rig.parts.visitors.by_secret(phone.secret)
    assert visitor is not None
    device = visitor_secrets.c.visitor_id == visitor.visitor_id
    async with rig.parts.customers._database.writing() as connection:  # type: ignore[union-attr]
        await connection.execute(update(visitor_secrets).where(device).values(created_at="2026-01-01T00:00:00.000Z"))
    assert await known_as(rig, phone.secret) is None
    renewed = await phone.post_token(identity=signed("u-7", nonce="second"), **pair)
    assert renewed["visitor_id"] == phone.visitor_id
    assert await known_as(rig, renewed["visitor_secret"]) == "u-7"


async def known_as(rig: Rig, secret: str) -> str | None:
    visitor = await rig.parts.visitors.by_secret(secret)
    assert visitor is not None
    return rig.gateway.identities.user_id(visitor)


async def test_a_socket_that_another_process_holds_open_takes_nothing_after_the_sign_out(
    rig: Rig, asked_by: list[str | None]
) -> None:
    phone = await rig.visitor(identity=signed("u-7"))
    socket = await phone.join()
    await rig.parts.visitors.sign_out(phone.secret)  # as another process does it
    await socket.say("Where is my order?")
    assert (await socket.until("error"))["data"]["code"] == "unauthorized"
    assert await socket.closed() == CloseCode.AUTH
    assert asked_by == []


async def test_an_anonymous_visitors_secret_ends_with_the_sign_out_and_a_wrong_one_ends_nothing(rig: Rig) -> None:
    stranger, other = await rig.visitor(), await rig.visitor()
    socket = await stranger.join()
    await sign_out(rig, stranger)
    assert await socket.closed() == CloseCode.AUTH
    await sign_out(rig, stranger, status=401)
    other.secret, kept = "wrong", other.secret
    await sign_out(rig, other, status=401)
    other.secret = kept
    await (await other.join()).close()
