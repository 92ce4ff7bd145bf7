"""`assistant keys`: who may use the interfaces for programs. A running server knows it at once.

Heavy parts are imported by the command that needs them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table

from assistant.cli_options import JsonOption, settings_of, tenant_of
from assistant.config import Settings
from assistant.errors import ConfigError
from assistant.terminal import note, out, print_json

if TYPE_CHECKING:
    from assistant.conversation.api_keys import ApiKey, ApiKeys

T = TypeVar("T")

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

keys_app = typer.Typer(
    help="API keys for programs: OpenAI's chat completions and the REST channel.", no_args_is_help=True
)


@keys_app.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for. Keys of one name share their channel's customers.")],
    tenant: Annotated[str | None, typer.Option(help="The tenant it answers for. Default: the main one.")] = None,
) -> None:
    """Make a key. Standard output has its secret, this once."""
    settings = settings_of(context)
    _check(settings, name, tenant or settings.tenant)
    key, secret = _with_keys(settings, lambda keys: keys.add(name, tenant or settings.tenant))
    out.print(secret, soft_wrap=True)
    note.print(f"{key.key_id} for the tenant {key.tenant}. Keep the secret: it cannot be shown again.", soft_wrap=True)


@keys_app.command("list")
def list_keys(
    context: typer.Context,
    as_json: JsonOption = False,
) -> None:
    """List all keys, without their secrets."""
    keys = _with_keys(settings_of(context), lambda keys: keys.all())
    if as_json:
        print_json({"keys": [asdict(key) for key in keys]})
        return
    table = Table("id", "name", "tenant", "made", "state", box=None)
    for key in keys:
        table.add_row(key.key_id, key.name, key.tenant, key.created_at, _state(key))
    out.print(table, soft_wrap=True)


@keys_app.command("revoke")
def revoke(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(help="The key's id, as `assistant keys list` shows it.")],
) -> None:
    """Let a key open nothing from its next request on."""
    if not _with_keys(settings_of(context), lambda keys: keys.revoke(key_id)):
        raise ConfigError(f"There is no valid key {key_id!r}.", fix="See their ids: assistant keys list")
    note.print(f"{key_id} is revoked.", soft_wrap=True)


def _check(settings: Settings, name: str, tenant: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"The name {name[:80]!r} is refused.", fix="Use 1 to 64 letters, digits, dots, dashes and underscores."
        )
    tenant_of(settings, tenant)  # raises for one that is not served


def _state(key: ApiKey) -> str:
    return f"revoked {key.revoked_at}" if key.revoked_at else "valid"


def _with_keys(settings: Settings, use: Callable[[ApiKeys], Awaitable[T]]) -> T:
    from assistant.conversation.api_keys import ApiKeys
    from assistant.conversation.database import Database

    async def run() -> T:
        database = Database(settings.log_url)
        await database.open()
        try:
            return await use(ApiKeys(database))
        finally:
            await database.close()

    return asyncio.run(run())
