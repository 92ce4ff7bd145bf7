"""The admin endpoints over the real application: who gets in, what goes through, and what waits."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from assistant.config import Settings
from assistant.errors import KnowledgeError, StorageError, UnknownEntry
from assistant.gateway import admin as admin_module
from assistant.gateway.app import make_app
from assistant.gateway.knowledge import Admin
from tests.databases import opened
from tests.gateway.rig import PATIENCE_S, ScriptedResponder, build_parts

pytestmark = pytest.mark.unit

KEY = "the-admin-key"
INDEX = "/v1/admin/index"
BODY = {"question": "Do you ship to Norway?", "answer": "Confidential until May.", "tags": ["a"]}


@dataclass
class Did:
    names: list[str]

    def as_record(self) -> dict[str, object]:
        return {"num_added": len(self.names), "names": self.names}


@dataclass
class ScriptedEditor:
    """Remembers what it was told; fails with ``error``, waits for ``go`` where ``holds`` is set."""

    calls: list[tuple[object, ...]] = field(default_factory=list)
    error: Exception | None = None
    holds: bool = False
    go: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    num_running: int = 0
    most_running: int = 0

    def status(self) -> dict[str, object]:
        return {"num_entries": 3}

    def refresh(self) -> Did:
        return self._do("refresh")

    def put_entry(
        self,
        lang: str,
        entry_id: str,
        *,
        question: str,
        answer: str,
        wordings: Sequence[str] = (),
        tags: Sequence[str] = (),
        tenant: str = "",
    ) -> Did:
        return self._do("put", lang, entry_id, question, answer, wordings, tags, tenant)

    def remove_entry(self, lang: str, entry_id: str, *, tenant: str = "") -> Did:
        return self._do("remove", lang, entry_id, tenant)

    def _do(self, *call: object) -> Did:
        self.num_running += 1
        self.most_running = max(self.most_running, self.num_running)
        self.calls.append(call)
        if self.holds:
            assert self.go.wait(PATIENCE_S)
        self.num_running -= 1
        self.finished.set()
        if self.error is not None:
            raise self.error
        return Did(["+en/x"])


@dataclass
class Operator:
    """Someone with a key, and the server they call."""

    editor: ScriptedEditor
    http: aiohttp.ClientSession
    server: TestServer

    async def call(
        self, method: str, path: str, *, key: str = KEY, json: object = None, **headers: str
    ) -> tuple[int, dict[str, object]]:
        headers = ({"Authorization": f"Bearer {key}"} if key else {}) | headers
        url = self.server.make_url(path)
        async with self.http.request(method, url, json=json, headers=headers) as response:
            return response.status, await response.json()


Start = Callable[..., Awaitable[Operator]]


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[Start]:
    """Starts a server, with admin endpoints unless told otherwise."""
    database = await opened(settings.log_url)
    started: list[tuple[Operator, object]] = []

    async def start(*, has_admin: bool = True) -> Operator:
        parts, manager = build_parts(settings, database, ScriptedResponder(), [])
        editor = ScriptedEditor()
        admin = Admin(KEY, editor) if has_admin else None
        app: web.Application = make_app(dataclasses.replace(parts, admin=admin))
        server = TestServer(app, host="127.0.0.1")
        await server.start_server(access_log=None)
        started.append((Operator(editor, aiohttp.ClientSession(), server), manager))
        return started[-1][0]

    yield start
    for operator, manager in started:
        operator.editor.go.set()
        await operator.http.close()
        await operator.server.close()
        await manager.close()  # type: ignore[attr-defined]
    await database.close()


@pytest.fixture
async def operator(start: Start) -> Operator:
    return await start()


async def test_the_index_is_refreshed_and_its_state_told(operator: Operator) -> None:
    assert await operator.call("POST", INDEX) == (200, {"num_added": 1, "names": ["+en/x"]})
    assert await operator.call("GET", INDEX) == (200, {"num_entries": 3})
    assert operator.editor.calls == [("refresh",)]


async def test_an_entry_is_put_and_removed(operator: Operator) -> None:
    status, _ = await operator.call("PUT", "/v1/admin/entries/en/norway", json=BODY)
    assert status == 200
    status, _ = await operator.call("DELETE", "/v1/admin/entries/zh/norway?tenant=second")
    assert status == 200
    assert operator.editor.calls == [
        ("put", "en", "norway", BODY["question"], BODY["answer"], (), ("a",), ""),
        ("remove", "zh", "norway", "second"),
    ]


async def test_an_id_may_hold_what_addresses_must_escape(operator: Operator) -> None:
    await operator.call("DELETE", "/v1/admin/entries/en/en%2Freturns%23how-%E9%80%80-50%2541")
    assert operator.editor.calls == [("remove", "en", "en/returns#how-退-50%41", "")]


CALLS = [("GET", INDEX), ("POST", INDEX), ("PUT", "/v1/admin/entries/en/x"), ("DELETE", "/v1/admin/entries/en/x")]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("key", ["", "wrong", KEY + "x", KEY[:-1], "é"])
async def test_without_the_key_nothing_is_done(operator: Operator, method: str, path: str, key: str) -> None:
    status, answer = await operator.call(method, path, key=key, json=BODY if method == "PUT" else None)
    assert (status, answer["error"]["code"]) == (401, "unauthorized")  # type: ignore[index]
    assert operator.editor.calls == []


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_no_page_gets_in_not_even_with_the_key(operator: Operator, method: str, path: str) -> None:
    for origin in (str(operator.server.make_url("/")).rstrip("/"), "https://elsewhere.example", "null"):
        status, answer = await operator.call(method, path, Origin=origin)
        assert (status, answer["error"]["code"]) == (403, "wrong_origin")  # type: ignore[index]
    assert operator.editor.calls == []


async def test_guessing_the_key_is_slowed_down(operator: Operator, settings: Settings) -> None:
    for _ in range(settings.gateway.handshakes_per_minute):
        assert (await operator.call("GET", INDEX, key="guess"))[0] == 401
    assert (await operator.call("GET", INDEX, key="guess"))[0] == 429
    assert (await operator.call("GET", INDEX))[0] == 200


async def test_without_an_admin_there_are_no_admin_endpoints(start: Start) -> None:
    operator = await start(has_admin=False)
    assert (await operator.call("POST", INDEX))[0] == 404


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (KnowledgeError("The field is wrong."), 400, "bad_request"),
        (UnknownEntry("There is no such entry."), 404, "not_found"),
        (StorageError("The disk is full."), 503, "not_stored"),
    ],
)
async def test_what_goes_wrong_is_said_to_the_operator(
    operator: Operator, error: Exception, status: int, code: str
) -> None:
    operator.editor.error = error
    told, answer = await operator.call("PUT", "/v1/admin/entries/en/x", json=BODY)
    assert (told, answer["error"]) == (status, {"code": code, "message": str(error)})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"question": "Q?"}, "bad_frame"),
        ({**BODY, "unknown": 1}, "bad_frame"),
        ({**BODY, "answer": 3}, "bad_frame"),
        (["a list"], "bad_frame"),
    ],
)
async def test_a_wrong_body_is_refused_by_field(operator: Operator, body: object, code: str) -> None:
    status, answer = await operator.call("PUT", "/v1/admin/entries/en/x", json=body)
    assert (status, answer["error"]["code"]) == (400, code)  # type: ignore[index]
    assert operator.editor.calls == []


async def test_a_body_over_the_limit_is_refused(operator: Operator) -> None:
    status, _ = await operator.call("PUT", "/v1/admin/entries/en/x", json={**BODY, "answer": "x" * 70_000})
    assert status == 413


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_module, "BODY_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection(operator.server.host, operator.server.port)
    head = f"PUT /v1/admin/entries/en/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 9\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(PATIENCE_S):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_edits_run_one_at_a_time_and_too_many_are_refused(operator: Operator) -> None:
    operator.editor.holds = True
    queued = [asyncio.create_task(operator.call("POST", INDEX)) for _ in range(admin_module.MAX_WAITING + 2)]
    async with asyncio.timeout(PATIENCE_S):
        done, _ = await asyncio.wait(queued, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result()[0] for task in done] == [429]
    operator.editor.go.set()
    statuses = sorted(status for status, _ in await asyncio.gather(*queued))
    assert statuses == [200] * (admin_module.MAX_WAITING + 1) + [429]
    assert operator.editor.most_running == 1


async def test_a_refresh_that_takes_too_long_goes_on_unseen(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_module, "REFRESH_TIMEOUT_S", 0.05)
    operator.editor.holds = True
    status, answer = await operator.call("POST", INDEX)
    assert (status, answer["error"]["code"]) == (408, "timeout")  # type: ignore[index]
    operator.editor.go.set()
    assert await asyncio.to_thread(operator.editor.finished.wait, PATIENCE_S)


async def test_neither_texts_nor_the_key_are_logged(operator: Operator) -> None:
    with capture_logs() as logs:
        await operator.call("PUT", "/v1/admin/entries/en/x", json=BODY)
        await operator.call("PUT", "/v1/admin/entries/en/x", json={**BODY, "answer": 3})
    assert logs
    assert not any(secret in str(logs) for secret in ("Norway", "Confidential", KEY))
