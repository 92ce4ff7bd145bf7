"""`assistant webhooks`, on a real database and a real receiver."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from assistant.cli import app
from assistant.config import load
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId
from assistant.conversation.failed_webhooks import FailedWebhook, FailedWebhooks
from assistant.conversation.outbox import Outbox
from assistant.errors import ConfigError

pytestmark = pytest.mark.unit
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return write(tmp_path, "https://hooks.example/x")


def write(folder: Path, url: str, more: str = "") -> Path:
    path = folder / "assistant.toml"
    path.write_text(
        f'data_dir = "data"\n[[webhooks]]\nname = "crm"\nurl = "{url}"\nsecret_env = "HOOK_SECRET"\n{more}',
        encoding="utf-8",
    )
    return path


def webhooks(config: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(app, ["--config", str(config), "webhooks", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def fill(config: Path) -> None:
    async def work() -> None:
        database = Database(load(config).log_url)
        await database.open()
        await Outbox(database).begin("crm")
        now = Outbox(database).at()
        failed = [
            FailedWebhook("crm", f"evt_{number}", ConversationId("c_1"), number, "message.created", "http_500", now)
            for number in (1, 2)
        ]
        await FailedWebhooks(database).add(failed)
        await database.close()

    asyncio.run(work())


def test_an_address_that_no_server_has_served_yet_is_listed_as_such(config: Path) -> None:
    assert "not served yet" in webhooks(config, "list").stdout
    [listed] = json.loads(webhooks(config, "list", "--json").stdout)["webhooks"]
    assert (listed["name"], listed["num_failed"]) == ("crm", 0)


def test_what_failed_is_listed_and_marked_to_be_sent_again(config: Path) -> None:
    fill(config)
    assert json.loads(webhooks(config, "list", "--json").stdout)["webhooks"][0]["num_failed"] == 2
    assert "1 will be sent again" in webhooks(config, "retry", "evt_2").stdout
    failed = json.loads(webhooks(config, "failed", "--json").stdout)["failed"]
    assert [(row["webhook_id"], row["retry_at"] is None) for row in failed] == [("evt_1", True), ("evt_2", False)]
    assert "2 will be sent again" in webhooks(config, "retry", "--name", "crm").stdout
    assert "0 will be sent again" in webhooks(config, "retry", "--name", "other").stdout
    assert json.loads(webhooks(config, "failed", "other", "--json").stdout)["failed"] == []


def test_a_retry_of_nothing_says_what_to_name(config: Path) -> None:
    with pytest.raises(ConfigError, match="--all"):
        webhooks(config, "retry")


def test_a_new_secret_serves_and_no_two_are_alike(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (webhooks(config, "secret").stdout.strip() for _ in range(2))
    assert one != two
    monkeypatch.setenv("HOOK_SECRET", one)
    assert webhooks(config, "test", "crm").exit_code == 1  # it is taken; nobody answers at hooks.example


def test_the_test_says_what_came_back(tmp_path: Path, config: Path) -> None:
    with answering(202) as url:
        taken = webhooks(write(tmp_path, url, "allow_private = true\n"), "test", "crm")
    assert taken.exit_code == 0
    assert "http_202" in taken.stdout
    with answering(500) as url:
        assert webhooks(write(tmp_path, url, "allow_private = true\n"), "test", "crm").exit_code == 1
    with answering(200) as url:
        private = webhooks(write(tmp_path, url.replace("http:", "https:")), "test", "crm")
    assert (private.exit_code, "private_address" in private.stdout) == (1, True)


def test_an_unknown_name_is_refused_with_the_known_ones(config: Path) -> None:
    with pytest.raises(ConfigError, match="There is: crm"):
        webhooks(config, "test", "shop")


def test_the_secret_is_never_printed(config: Path) -> None:
    fill(config)
    for arguments in (["list"], ["list", "--json"], ["failed"], ["test", "crm"]):
        assert SECRET not in webhooks(config, *arguments).output


@contextmanager
def answering(status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is the library's
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
