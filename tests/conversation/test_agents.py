"""Accounts, sessions and tickets on a real SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from assistant.conversation.agent_sessions import AgentSessions
from assistant.conversation.agents import Agent, Agents
from assistant.conversation.agents_tables import agents as agents_table
from assistant.conversation.database import Database
from assistant.errors import AccountError
from tests.databases import opened

pytestmark = pytest.mark.unit

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
EMAIL, PASSWORD = "mia@shop.example", "a sentence to remember"
Change = Callable[[Agents], Awaitable[Agent]]
CHANGES: dict[str, Change] = {
    "disable": lambda agents: agents.disable(EMAIL),
    "passwd": lambda agents: agents.set_password(EMAIL, "another sentence"),
    "role": lambda agents: agents.set_role(EMAIL, "supervisor"),
}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await opened(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    yield database
    await database.close()


@pytest.fixture
def agents(database: Database) -> Agents:
    return Agents(database, hasher=QUICK)


@pytest.fixture
def sessions(database: Database) -> AgentSessions:
    return AgentSessions(database)


@pytest.fixture
async def mia(agents: Agents) -> Agent:
    return await agents.add(EMAIL, PASSWORD, role="agent", name="Mia")


async def test_only_the_right_password_of_an_enabled_account_is_let_in(agents: Agents, mia: Agent) -> None:
    assert await agents.by_password("  MIA@Shop.Example ", PASSWORD) == mia
    assert await agents.by_password(EMAIL, PASSWORD + "!") is None
    assert await agents.by_password("wei@shop.example", PASSWORD) is None
    await agents.disable(EMAIL)
    assert await agents.by_password(EMAIL, PASSWORD) is None
    await agents.enable(EMAIL)
    assert await agents.by_password(EMAIL, PASSWORD) == mia


async def test_a_password_is_the_same_however_the_keyboard_writes_it(agents: Agents) -> None:
    await agents.add("zoe@shop.example", "Zo\u00eb remembers １２３", role="agent")
    assert await agents.by_password("zoe@shop.example", "Zoe\u0308 remembers 123") is not None


@pytest.mark.parametrize("email", [EMAIL, "nobody@shop.example"])
async def test_every_wrong_login_costs_one_verification(agents: Agents, mia: Agent, email: str) -> None:
    seen: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            seen.append(str(hash))
            return super().verify(hash, password)

    agents._hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    assert await agents.by_password(email, "a wrong sentence") is None
    assert len(seen) == 1
    assert seen[0].startswith("$argon2id$")


async def test_a_hash_of_lower_costs_is_replaced_at_the_next_login(database: Database, mia: Agent) -> None:
    dearer = Agents(database, hasher=PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert await dearer.by_password(EMAIL, PASSWORD) == mia
    row = await dearer._find(agents_table.c.email == EMAIL)
    assert row is not None
    assert "m=16,t=2" in row.password_hash
    assert await dearer.by_password(EMAIL, PASSWORD) == mia


WRONG = [
    ("mia", PASSWORD, "", "is not an e-mail address"),
    ("a b@c.d", PASSWORD, "", "is not an e-mail address"),
    ("x" * 250 + "@c.de", PASSWORD, "", "is not an e-mail address"),
    ("x@c.de", "eleven char", "", "has 11 characters; 12 to 256"),
    ("x@c.de", "x" * 257, "", "has 257 characters; 12 to 256"),
    ("x@c.de", PASSWORD, "n" * 81, "has 81 characters; 1 to 80"),
    (EMAIL, PASSWORD, "", "There is an account mia@shop.example already"),
    (EMAIL.upper(), PASSWORD, "", "There is an account mia@shop.example already"),
]


async def test_a_wrong_account_is_refused_with_the_limit(agents: Agents, mia: Agent) -> None:
    for email, password, name, says in WRONG:
        with pytest.raises(AccountError, match=says):
            await agents.add(email, password, role="agent", name=name)
    assert await agents.list() == [mia]


async def test_an_unknown_account_cannot_be_changed(agents: Agents) -> None:
    for change in CHANGES.values():
        with pytest.raises(AccountError, match=r"There is no account mia@shop\.example"):
            await change(agents)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_changed_account_ends_its_sessions_and_tickets(
    agents: Agents, sessions: AgentSessions, mia: Agent, change: Change
) -> None:
    session, secret = await sessions.begin(mia, lifetime_s=60)
    token = await sessions.issue_ticket(session.session_id, origin=None, ttl_s=30)
    assert await sessions.living([session.session_id]) == {session.session_id}
    await change(agents)
    assert await sessions.by_secret(secret) is None
    assert await sessions.living([session.session_id]) == set()
    assert await sessions.redeem(token) is None
    await agents.enable(EMAIL)
    assert await sessions.by_secret(secret) is None, "an old session lives again"


async def test_a_session_ends_by_time_and_by_logout(sessions: AgentSessions, mia: Agent) -> None:
    _, over = await sessions.begin(mia, lifetime_s=-1)
    assert await sessions.by_secret(over) is None
    session, secret = await sessions.begin(mia, lifetime_s=60)
    other, _ = await sessions.begin(mia, lifetime_s=60)
    assert await sessions.by_secret(secret) == session
    await sessions.revoke(session.session_id)
    assert await sessions.by_secret(secret) is None
    assert await sessions.living([session.session_id, other.session_id]) == {other.session_id}


async def test_a_ticket_opens_one_socket_even_where_two_ask_at_once(
    tmp_path: Path, sessions: AgentSessions, mia: Agent
) -> None:
    elsewhere = Database(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    await elsewhere.open()
    session, _ = await sessions.begin(mia, lifetime_s=60)
    token = await sessions.issue_ticket(session.session_id, origin="https://desk.example", ttl_s=30)
    found = await asyncio.gather(sessions.redeem(token), AgentSessions(elsewhere).redeem(token))
    await elsewhere.close()
    [used] = [ticket for ticket in found if ticket is not None]
    assert (used.session, used.origin) == (session, "https://desk.example")
    assert await sessions.redeem(await sessions.issue_ticket(session.session_id, origin=None, ttl_s=-1)) is None


async def test_no_secret_stands_in_the_database(tmp_path: Path, sessions: AgentSessions, mia: Agent) -> None:
    session, secret = await sessions.begin(mia, lifetime_s=60)
    token = await sessions.issue_ticket(session.session_id, origin=None, ttl_s=30)
    content = await asyncio.to_thread(lambda: b"".join(path.read_bytes() for path in tmp_path.iterdir()))
    assert mia.agent_id.encode() in content
    for canary in (PASSWORD, secret, token):
        assert canary.encode() not in content
