"""Who gets in as an agent, how guessing is slowed down, and how soon somebody is out again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from assistant.config import Settings
from assistant.conversation.agents import Agents
from assistant.conversation.database import Database
from assistant.gateway import accounts
from assistant.gateway.protocol import CloseCode
from tests.gateway.agents_rig import PASSWORD, AgentClient, customer, hire
from tests.gateway.conftest import StartRig
from tests.gateway.rig import QUICK_HASHER, Rig

pytestmark = pytest.mark.unit

LOGIN = "/v1/agent/login"
REVOKED_WITHIN_S = 5.0
Change = Callable[[Agents, str], Awaitable[Any]]
CHANGES: dict[str, Change] = {
    "disable": lambda agents, email: agents.disable(email),
    "passwd": lambda agents, email: agents.set_password(email, "another sentence"),
    "role": lambda agents, email: agents.set_role(email, "supervisor"),
}


@pytest.fixture
async def mia(rig: Rig) -> AgentClient:
    return await hire(rig)


async def test_a_login_gives_a_token_and_a_session(rig: Rig, mia: AgentClient) -> None:
    answer = await mia.login()
    assert set(answer) == {"token", "session", "expires_s", "agent"}
    assert answer["agent"] == {"agent_id": mia.agent_id, "name": "Mia", "role": "agent"}
    assert answer["expires_s"] <= 30
    socket = await mia.upgrade()
    await socket.send("hello", token=answer["token"])
    await socket.next("welcome")


async def test_wrong_unknown_and_disabled_are_told_alike(rig: Rig, mia: AgentClient) -> None:
    wei = await hire(rig, "Wei")
    assert rig.parts.staff is not None
    await rig.parts.staff.agents.disable(wei.email)
    tried = [(mia.email, PASSWORD + "!"), ("nobody@shop.example", PASSWORD), (wei.email, PASSWORD), ("x", "y")]
    answers = [await mia.post(LOGIN, session="", email=email, password=password) for email, password in tried]
    assert answers == [answers[0]] * 4
    assert (answers[0][0], answers[0][1]["error"]["code"]) == (401, "unauthorized")


WRONG_BODIES: list[dict[str, object]] = [
    {},
    {"email": "a@b.c"},
    {"email": "a@b.c", "password": ""},
    {"email": 1, "password": PASSWORD},
    {"email": "a@b.c", "password": "x" * 257},
    {"email": "a@b.c", "password": "xxxx", "role": "admin"},
]


async def test_a_wrong_body_is_refused_without_its_values(rig: Rig) -> None:
    for body in WRONG_BODIES:
        async with rig.http.post(rig.url(LOGIN), json=body) as response:
            assert response.status == 400
            assert "xxxx" not in await response.text()


async def test_guessing_one_account_is_slowed_down_wherever_it_comes_from(start: StartRig) -> None:
    rig = await start(extra={"agents": {"account_failures_per_hour": 3}}, trusted_proxies=["127.0.0.1/32"])
    mia = await hire(rig)
    statuses = []
    for number in range(4):
        email = (mia.email.upper(), f" {mia.email}", mia.email.replace("m", "ｍ"), mia.email)[number]
        statuses.append(await login_from(rig, f"203.0.113.{number}", email, f"guess number {number}"))
    assert statuses == [401, 401, 401, 429]
    assert await login_from(rig, "203.0.113.99", mia.email, PASSWORD) == 429
    rig.clock.now += 7_200
    assert await login_from(rig, "203.0.113.99", mia.email, PASSWORD) == 200


async def test_guessing_from_one_address_locks_that_address_out_and_not_the_accounts_owner(start: StartRig) -> None:
    rig = await start(trusted_proxies=["127.0.0.1/32"])
    mia, guesser, owner = await hire(rig), "203.0.113.9", "198.51.100.7"
    statuses = [await login_from(rig, guesser, mia.email, f"guess {number}") for number in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert await login_from(rig, guesser, mia.email, PASSWORD) == 429
    assert await login_from(rig, owner, mia.email, PASSWORD) == 200


async def test_who_logged_in_from_there_before_is_not_kept_out_by_guesses_from_everywhere(start: StartRig) -> None:
    agents = {"account_failures_per_hour": 5, "logins_per_minute": 3}
    rig = await start(extra={"agents": agents}, trusted_proxies=["127.0.0.1/32"])
    mia, owner = await hire(rig), "198.51.100.7"
    assert await login_from(rig, owner, mia.email, PASSWORD) == 200
    guesses = [await login_from(rig, f"203.0.113.{number}", mia.email, "a guess") for number in range(7)]
    assert guesses == [401] * 5 + [429] * 2
    assert await login_from(rig, owner, mia.email, PASSWORD) == 200
    assert [await login_from(rig, owner, mia.email, "mistyped") for _ in range(4)] == [401] * 3 + [429]


async def test_right_logins_are_not_counted(start: StartRig) -> None:
    rig = await start(extra={"agents": {"logins_per_minute": 1, "address_logins_per_minute": 1}})
    mia = await hire(rig)
    for _ in range(5):
        await mia.login()


async def test_guesses_sent_at_once_are_as_few_as_those_sent_one_by_one(start: StartRig) -> None:
    rig = await start(extra={"agents": {"logins_per_minute": 3}})
    mia = await hire(rig)
    guesses = [mia.post(LOGIN, session="", email=mia.email, password=f"guess {number}") for number in range(10)]
    statuses = [status for status, _ in await asyncio.gather(*guesses)]
    assert statuses.count(401) <= 3
    assert set(statuses) == {401, 429}


async def login_from(rig: Rig, address: str, email: str, password: str) -> int:
    body, headers = {"email": email, "password": password}, {"X-Forwarded-For": address}
    async with rig.http.post(rig.url(LOGIN), json=body, headers=headers) as response:
        assert ("Retry-After" in response.headers) == (response.status == 429)
        return response.status


async def test_guessing_many_accounts_from_one_address_is_slowed_down(start: StartRig) -> None:
    rig = await start(extra={"agents": {"address_logins_per_minute": 3}})
    client = AgentClient(rig, "")
    statuses = []
    for number in range(4):
        email = f"agent{number}@shop.example"
        statuses.append((await client.post(LOGIN, email=email, password=PASSWORD))[0])
    assert statuses == [401, 401, 401, 429]


async def test_too_many_logins_at_once_are_refused_before_any_work(
    rig: Rig, mia: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "MAX_CHECKING", 0)
    status, answer = await mia.post(LOGIN, session="", email=mia.email, password=PASSWORD)
    assert (status, answer["error"]["code"]) == (429, "rate_limited")


async def test_pages_of_the_shop_may_not_use_the_agents_doors(start: StartRig) -> None:
    shop, desk = "https://shop.example", "https://desk.example"
    rig = await start(extra={"agents": {"allowed_origins": [desk]}}, allowed_origins=(shop, desk))
    mia = await hire(rig)
    body = {"email": mia.email, "password": PASSWORD}
    for origin, status in ((shop, 403), ("null", 403), (desk, 200), (rig.own_origin, 200)):
        async with rig.http.post(rig.url(LOGIN), json=body, headers={"Origin": origin}) as response:
            assert response.status == status, origin
    async with rig.http.get(rig.url("/v1/agent/ws"), headers={"Origin": shop}) as response:
        assert response.status == 403


async def test_only_a_session_opens_the_other_doors(rig: Rig, mia: AgentClient) -> None:
    buyer = await rig.visitor()
    for path in ("/v1/agent/token", "/v1/agent/logout"):
        for wrong in ("", "x", buyer.secret, mia.session + "x", "é"):
            status, answer = await mia.post(path, session=wrong)
            assert (status, answer["error"]["code"]) == (401, "unauthorized")
        assert (await mia.post(path))[0] == 200


async def test_a_logout_ends_the_session_and_closes_its_socket_at_once(rig: Rig, mia: AgentClient) -> None:
    other = AgentClient(rig, mia.email)
    await other.login()
    here, there = await mia.join(), await other.join()
    assert await mia.post("/v1/agent/logout") == (200, {})
    assert await here.closed() == CloseCode.AUTH
    assert (await mia.post("/v1/agent/token"))[0] == 401
    await there.send("ping")
    await there.until("pong")


async def test_a_changed_account_is_out_within_five_seconds_in_every_process(settings: Settings, rig: Rig) -> None:
    """A second connection to the database stands for the command line, which is another process."""
    clients = {name: await hire(rig, name) for name in ("stays", *CHANGES)}
    sockets = {name: await client.join() for name, client in clients.items()}
    elsewhere = Database(settings.log_url)
    await elsewhere.open()
    for name, change in CHANGES.items():
        await change(Agents(elsewhere, hasher=QUICK_HASHER), clients[name].email)
    await elsewhere.close()
    async with asyncio.timeout(REVOKED_WITHIN_S):
        codes = [await sockets[name].closed() for name in CHANGES]
    assert codes == [CloseCode.AUTH] * 3
    statuses = {name: (await client.post("/v1/agent/token"))[0] for name, client in clients.items()}
    assert statuses == {"stays": 200, "disable": 401, "passwd": 401, "role": 401}
    await sockets["stays"].send("ping")
    await sockets["stays"].until("pong")


async def test_older_events_are_read_by_http_private_ones_too(rig: Rig, mia: AgentClient) -> None:
    place = (await customer(rig)).conversation_id
    path = f"/v1/agent/conversations/{place}/events"
    status, page = await mia.get(path, after_position=1, limit=2)
    assert status == 200
    assert [event["position"] for event in page["events"]] == [2, 3]
    assert page["last_position"] == (await rig.parts.log.head(place)).last_position
    assert (await mia.get(path, after_position=0, limit=1))[1]["events"][0]["type"] == "opened"
    assert (await mia.get("/v1/agent/conversations/c_none/events"))[0] == 404
    assert (await mia.get(path, limit=501))[0] == 400
    mia.session = "x"
    assert (await mia.get(path))[0] == 401


async def test_nothing_secret_of_an_agent_is_logged(rig: Rig, mia: AgentClient) -> None:
    with capture_logs() as lines:
        answer = await mia.login()
        token = await mia.token()
        socket = await mia.upgrade()
        await socket.send("hello", token=token)
        await socket.next("welcome")
        await mia.post(LOGIN, session="", email=mia.email, password="a wrong sentence")
        await mia.post("/v1/agent/logout")
    assert {"agent_logged_in", "agent_login_refused", "agent_logged_out"} <= {line["event"] for line in lines}
    for secret in (PASSWORD, answer["session"], answer["token"], token, mia.email, "a wrong sentence"):
        assert secret not in str(lines)
