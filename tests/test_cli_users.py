"""`assistant users`, as it is typed."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from assistant.cli import app
from assistant.config import Settings
from assistant.conversation.agents import Agents
from assistant.conversation.database import Database
from assistant.errors import AccountError

pytestmark = pytest.mark.unit

EMAIL, PASSWORD = "mia@shop.example", "a sentence to remember"


@pytest.fixture(autouse=True)
def data_dir(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ASSISTANT_DATA_DIR", str(settings.data_dir))
    handlers = list(logging.root.handlers)
    yield settings.data_dir
    structlog.reset_defaults()  # the command's log went to the runner's standard error, which is gone
    logging.root.handlers = handlers


def users(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, ["users", *arguments], input=stdin)


def added(stdin: str = PASSWORD + "\n") -> Result:
    return users("add", EMAIL, "--role", "agent", "--name", "Mia", stdin=stdin)


def listed() -> list[dict[str, object]]:
    return [
        {name: user[name] for name in ("email", "name", "role", "is_enabled")}
        for user in json.loads(users("list", "--json").stdout)["users"]
    ]


def test_an_account_is_added_listed_changed_disabled_and_enabled(data_dir: Path) -> None:
    result = added()
    assert (result.exit_code, PASSWORD in result.output) == (0, False)
    mia = {"email": EMAIL, "name": "Mia", "role": "agent", "is_enabled": True}
    assert listed() == [mia]
    assert EMAIL in users("list").stdout
    assert users("disable", EMAIL).exit_code == 0
    assert listed() == [mia | {"is_enabled": False}]
    assert users("enable", EMAIL).exit_code == 0
    assert users("role", EMAIL, "--role", "admin").exit_code == 0
    assert listed() == [mia | {"role": "admin"}]
    stored = b"".join(path.read_bytes() for path in data_dir.glob("*.sqlite3*"))
    assert EMAIL.encode() in stored
    assert PASSWORD.encode() not in stored


async def test_the_password_is_the_first_line_of_the_standard_input(settings: Settings) -> None:
    await asyncio.to_thread(added, PASSWORD + "\r\nand another line")
    database = Database(settings.log_url)
    await database.open()
    agents = Agents(database)
    assert await agents.by_password(EMAIL, PASSWORD) is not None
    result = await asyncio.to_thread(users, "passwd", EMAIL, stdin="another sentence")
    assert result.exit_code == 0
    assert await agents.by_password(EMAIL, PASSWORD) is None
    assert await agents.by_password(EMAIL, "another sentence") is not None
    await database.close()


WRONG = [
    (("add", EMAIL, "--role", "agent"), "", "holds no password"),
    (("add", EMAIL, "--role", "agent"), "eleven char\n", "has 11 characters; 12 to 256"),
    (("add", "mia", "--role", "agent"), PASSWORD, "is not an e-mail address"),
    (("disable", "nobody@x.yz"), "", "There is no account nobody@x.yz"),
]


def test_what_is_wrong_is_said_and_nothing_is_stored() -> None:
    for arguments, stdin, says in WRONG:
        result = users(*arguments, stdin=stdin)
        assert isinstance(result.exception, AccountError)
        assert says in str(result.exception)
    assert listed() == []


def test_an_account_serves_the_tenants_it_is_given_or_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "assistant.toml"
    settings.write_text("".join(f"[tenants.{name}]\nroot = '.'\n" for name in ("oak", "elm")), encoding="utf-8")
    monkeypatch.setenv("ASSISTANT_CONFIG", str(settings))
    chosen = ("--tenant", "oak", "--tenant", "elm")
    assert "serving elm, oak" in users("add", EMAIL, "--role", "agent", *chosen, stdin=PASSWORD).stdout

    def served() -> object:
        return json.loads(users("list", "--json").stdout)["users"][0]["tenants"]

    assert served() == ["elm", "oak"]
    assert users("tenants", EMAIL, "--tenant", "default").exit_code == 0
    assert served() == ["default"]
    assert "serves all tenants now" in users("tenants", EMAIL).stdout
    assert served() == []
    unknown = users("tenants", EMAIL, "--tenant", "ash")
    assert "There is no tenant 'ash'" in str(unknown.exception)
    assert "default, oak, elm" in str(unknown.exception)


def test_a_password_is_no_argument() -> None:
    assert users("add", EMAIL, PASSWORD, "--role", "agent").exit_code == 2
    assert users("passwd", EMAIL, "--password", PASSWORD).exit_code == 2


def test_an_unknown_role_is_refused() -> None:
    assert users("add", EMAIL, "--role", "visitor", stdin=PASSWORD).exit_code == 2
