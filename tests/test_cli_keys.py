"""`assistant keys`, on a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from assistant.cli import app
from assistant.errors import ConfigError

pytestmark = pytest.mark.unit


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSISTANT_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("assistant.cli_options.set_up_logging", lambda *_, **__: None)  # it would keep stderr
    return tmp_path


def keys(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["keys", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def listed() -> list[dict[str, str | None]]:
    return json.loads(keys("list", "--json").stdout)["keys"]


def test_a_secret_is_shown_once_and_stored_as_a_hash_only(data_dir: Path) -> None:
    secret = keys("add", "crm").stdout.strip()
    assert secret.startswith("ask_")
    assert len(secret) > 40
    assert secret not in keys("list").stdout + keys("list", "--json").stdout
    stored = b"".join(path.read_bytes() for path in data_dir.glob("conversations.sqlite3*"))
    assert b"crm" in stored
    assert secret.encode() not in stored


def test_a_revoked_key_stays_in_the_list_and_cannot_be_revoked_twice(data_dir: Path) -> None:
    keys("add", "old")
    keys("add", "new")
    [old, new] = listed()
    keys("revoke", str(old["key_id"]))
    assert [bool(key["revoked_at"]) for key in listed()] == [True, False]
    assert "revoked" in keys("list").stdout
    with pytest.raises(ConfigError, match="no valid key"):
        keys("revoke", str(old["key_id"]))
    assert new["tenant"] == "default"


@pytest.mark.parametrize("arguments", [("a b",), ("",), ("x" * 65,), ("crm", "--tenant", "nobody")])
def test_a_bad_name_and_an_unknown_tenant_make_no_key(data_dir: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        keys("add", *arguments)
    assert listed() == []
