"""`assistant privacy` where no server runs: on the data folder itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from assistant.cli import app as cli
from assistant.config import Settings
from assistant.conversation.database import Database
from tests.privacy.shop import Customer, Shop

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_logging")]

MIA, TOM = "canary-mia-7f3a", "canary-tom-91bd"
Held = Callable[[str], list[str]]


@pytest.fixture
def customers(settings: Settings) -> list[Customer]:
    async def made() -> list[Customer]:
        database = Database(settings.log_url)
        await database.open()
        shop = Shop(settings, database)
        found = [await shop.customer(MIA), await shop.customer(TOM)]
        await database.close()
        return found

    return asyncio.run(made())


@pytest.fixture
def command(settings: Settings, tmp_path: Path) -> Callable[..., Result]:
    config = tmp_path / "assistant.toml"
    config.write_text(f'data_dir = "{settings.data_dir}"\n[privacy]\nretention_days = 30\n')

    def run(*words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["--config", str(config), "privacy", *words], input=answer)

    return run


def test_an_export_has_everything_of_the_visitor_and_nothing_of_others(
    customers: list[Customer], command: Callable[..., Result]
) -> None:
    mia, tom = customers
    told = json.loads(command("export", "--visitor", mia.visitor_id).stdout)
    assert [c["conversation_id"] for c in told["conversations"]] == mia.conversation_ids
    kinds = {event["kind"] for c in told["conversations"] for event in c["events"]}
    assert kinds == {"opened", "message", "feedback", "action", "note"}
    assert told["rows"]["uploads"][0]["name"] == f"{MIA}.png"
    assert told["rows"]["customers"][0]["user_id"] == f"user-{MIA}"
    assert len(told["rows"]["visitor_secrets"]) == 1
    assert len(told["elsewhere"]["data_sets"]) == 4
    assert told["elsewhere"]["files"] == [f"{mia.upload_id[-2:]}/{mia.upload_id}"]
    assert told["visitor"]["has_secret"] is True
    assert TOM not in json.dumps(told)
    assert tom.visitor_id not in json.dumps(told)


def test_an_export_has_no_secret_and_no_hash_of_one(
    customers: list[Customer], command: Callable[..., Result], settings: Settings
) -> None:
    told = command("export", "--visitor", customers[0].visitor_id).stdout
    for name in ("secret_hash", "token_hash", "device-", customers[0].secret):
        assert name not in told


def test_an_erased_visitor_can_still_be_told_that_nothing_is_left(
    customers: list[Customer], command: Callable[..., Result], held_bytes: Held
) -> None:
    mia, tom = customers
    done = command("erase", "--visitor", mia.visitor_id, "--yes")
    assert done.exit_code == 0, done.output
    assert "24 events in 2 conversations, 3 rows, 5 files and rows of data sets" in done.stdout
    assert held_bytes(MIA) == []
    assert TOM in command("export", "--visitor", tom.visitor_id).stdout
    told = json.loads(command("export", "--visitor", mia.visitor_id).stdout)
    assert told["visitor"]["has_secret"] is False
    assert {event["kind"] for c in told["conversations"] for event in c["events"]} == {"erased"}
    assert list(told["rows"]) == ["erasures"]


def test_without_a_yes_nothing_is_erased(
    customers: list[Customer], command: Callable[..., Result], held_bytes: Held
) -> None:
    assert command("erase", "--visitor", customers[0].visitor_id, answer="n\n").exit_code == 1
    assert held_bytes(MIA)


def test_a_file_that_exists_is_not_written_over(
    customers: list[Customer], command: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "kept.json"
    file.write_text("mine")
    assert command("export", "--visitor", customers[0].visitor_id, "--out", str(file)).exit_code == 1
    assert file.read_text() == "mine"
    assert command("export", "--visitor", "v_nobody", "--out", str(tmp_path / "b.json")).exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["assistant.toml", "kept.json"]


def test_counting_what_is_too_old_erases_nothing(customers: list[Customer], command: Callable[..., Result]) -> None:
    told = json.loads(command("retain", "--dry-run", "--json").stdout)
    assert told == {"num_expired": 0, "retention_days": 30}
    assert command("retain").exit_code == 0
