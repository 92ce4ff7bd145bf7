"""How a command finds the server on its data, and what a dead one leaves."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from assistant import running
from assistant.errors import AssistantError, StorageError

pytestmark = pytest.mark.unit


class Handler(BaseHTTPRequestHandler):
    """Alive, and says which key it was shown."""

    def do_GET(self) -> None:
        self._answer(200, b'{"status": "alive"}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers["Authorization"] != "Bearer the-key":
            return self._answer(401, b'{"error": {"code": "unauthorized", "message": "The admin key is wrong."}}')
        return self._answer(200, b'{"body": %s}' % (body or b"null"))

    def do_PUT(self) -> None:
        self._answer(200, b"not json")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_that_announced_itself_is_found_and_called(tmp_path: Path, url: str) -> None:
    announced = running.announce(tmp_path / "data", url=url, admin_key="the-key")
    found = running.find(tmp_path / "data")
    assert found == announced
    assert running.call(found, "POST", "/v1/admin/index", {"a": "文"}) == {"body": {"a": "文"}}
    assert running.call(found, "POST", "/v1/admin/index") == {"body": None}


def test_only_the_owner_can_read_the_key(tmp_path: Path) -> None:
    running.announce(tmp_path, url="http://127.0.0.1:1", admin_key="the-key")
    assert stat.S_IMODE((tmp_path / "server.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["server.json"]


def test_a_server_withdraws_its_own_announcement_and_no_other(tmp_path: Path, url: str) -> None:
    running.announce(tmp_path, url=url, admin_key="the-key")
    running.withdraw(tmp_path, admin_key="another")
    assert running.find(tmp_path) is not None
    running.withdraw(tmp_path, admin_key="the-key")
    assert not (tmp_path / "server.json").exists()
    running.withdraw(tmp_path, admin_key="the-key")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": "http://127.0.0.1:1"}'])
def test_what_is_no_announcement_is_no_server(tmp_path: Path, content: str) -> None:
    assert running.find(tmp_path) is None
    (tmp_path / "server.json").write_text(content)
    assert running.find(tmp_path) is None


async def test_what_a_crash_left_behind_is_no_server(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    running.announce(tmp_path, url=f"http://127.0.0.1:{port}", admin_key="the-key")
    assert await asyncio.to_thread(running.find, tmp_path) is None  # somebody else's port now
    server.close()
    await server.wait_closed()
    assert await asyncio.to_thread(running.find, tmp_path) is None


def test_what_the_server_refuses_is_told(tmp_path: Path, url: str) -> None:
    server = running.announce(tmp_path, url=url, admin_key="old")
    with pytest.raises(AssistantError, match=r"refused \(401\): The admin key is wrong"):
        running.call(server, "POST", "/v1/admin/index")


def test_an_answer_that_cannot_be_understood_is_told(tmp_path: Path, url: str) -> None:
    server = running.announce(tmp_path, url=url, admin_key="the-key")
    with pytest.raises(AssistantError, match="did not answer"):
        running.call(server, "PUT", "/v1/admin/index")


@pytest.mark.parametrize(
    ("listens", "reached"),
    [
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://[::]:8080", "http://[::1]:8080"),
        ("http://10.0.0.2:80", "http://10.0.0.2:80"),
    ],
)
def test_a_server_on_every_address_is_reached_on_this_machines_own(tmp_path: Path, listens: str, reached: str) -> None:
    assert running.announce(tmp_path, url=listens, admin_key="k").url == reached


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StorageError, match=r"data/server\.json cannot be written"):
        running.announce(tmp_path / "data", url="http://127.0.0.1:1", admin_key="k")


def test_keys_are_long_and_never_the_same() -> None:
    keys = {running.new_admin_key() for _ in range(10)}
    assert len(keys) == 10
    assert min(map(len, keys)) >= 43
