"""`assistant webhooks`: which addresses are told what happens, whether they take it, and what they did not.

Heavy parts are imported by the command that needs them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from assistant.cli_options import settings_of
from assistant.config import Settings, WebhookSettings
from assistant.errors import ConfigError
from assistant.terminal import note, out, print_json

if TYPE_CHECKING:
    from assistant.conversation.database import Database
    from assistant.conversation.failed_webhooks import FailedWebhook
    from assistant.conversation.outbox import Standing
    from assistant.gateway.webhook_client import Outcome

T = TypeVar("T")

webhooks_app = typer.Typer(help="The addresses that are told what happens in conversations.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@webhooks_app.command("list")
def list_endpoints(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the addresses, how much waits for each, and since when it takes nothing."""
    settings = settings_of(context)
    rows = _with_database(settings, lambda database: _standings(settings, database))
    if as_json:
        print_json({"webhooks": [_row(endpoint, standing, failed) for endpoint, standing, failed in rows]})
        return
    table = Table("name", "events", "tenants", "late", "failing since", "failed", box=None)
    for endpoint, standing, num_failed in rows:
        late = str(standing.num_late) if standing else "not served yet"
        since = (standing and standing.failing_since) or ""
        tenants = ", ".join(endpoint.tenants) or "all"
        table.add_row(endpoint.name, ", ".join(endpoint.events), escape(tenants), late, since, str(num_failed))
    out.print(table)


@webhooks_app.command("secret")
def make_secret() -> None:
    """Make a secret for an address; give it to the server and to the receiver."""
    from assistant.gateway.webhook_message import new_secret

    out.print(new_secret(), soft_wrap=True)


@webhooks_app.command("test")
def test_endpoint(
    context: typer.Context, name: Annotated[str, typer.Argument(help="The name of the address in the settings.")]
) -> None:
    """Send a signed `webhook.test` now, and say what came back."""
    endpoint = _named(settings_of(context), name)
    outcome, ms = asyncio.run(_try(endpoint))
    out.print(f"{name}: {outcome.reason} after {ms:.0f} ms")
    if not outcome.is_taken:
        note.print(_advice(outcome.reason), soft_wrap=True)
        raise typer.Exit(1)


@webhooks_app.command("failed")
def list_failed(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this address.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List what was given up after 24 hours; it is kept for 30 days."""
    from assistant.conversation.failed_webhooks import FailedWebhooks

    settings = settings_of(context)
    failed = _with_database(settings, lambda database: FailedWebhooks(database).all(endpoint=name))
    if as_json:
        print_json({"failed": [asdict(webhook) for webhook in failed]})
        return
    table = Table("id", "address", "type", "conversation", "position", "reason", "failed at", box=None)
    for webhook in failed:
        table.add_row(*_cells(webhook))
    out.print(table if failed else "Nothing failed.")


@webhooks_app.command("retry")
def retry_failed(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids that `assistant webhooks failed` lists.")] = None,
    name: Annotated[str | None, typer.Option(help="All of this address.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of every address.")] = False,
) -> None:
    """Have failed ones sent again, by the running server within seconds or by the next one."""
    from assistant.conversation.failed_webhooks import FailedWebhooks
    from assistant.conversation.outbox import Outbox

    if not (ids or name or everything):
        raise ConfigError("There is nothing to retry.", fix="Name ids, or give --name NAME or --all.")

    async def retry(database: Database) -> int:
        return await FailedWebhooks(database).retry(ids or (), endpoint=name, at=Outbox(database).at())

    num = _with_database(settings_of(context), retry)
    out.print(f"{num} will be sent again.")


def _with_database(settings: Settings, use: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    from assistant.conversation.database import Database

    async def run() -> T:
        database = Database(settings.log_url)
        await database.open()
        try:
            return await use(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def _standings(settings: Settings, database: Database) -> list[tuple[WebhookSettings, Standing | None, int]]:
    from assistant.conversation.failed_webhooks import FailedWebhooks
    from assistant.conversation.outbox import Outbox

    outbox, failed = Outbox(database), FailedWebhooks(database)
    return [
        (endpoint, await outbox.standing(endpoint.name), await failed.count(endpoint.name))
        for endpoint in settings.webhooks
    ]


def _row(endpoint: WebhookSettings, standing: Standing | None, num_failed: int) -> dict[str, object]:
    place = {"name": endpoint.name, "events": endpoint.events, "tenants": endpoint.tenants}
    return place | (asdict(standing) if standing else {}) | {"num_failed": num_failed}


def _cells(webhook: FailedWebhook) -> list[str]:
    place = [webhook.webhook_id, webhook.endpoint, webhook.type, webhook.conversation_id, str(webhook.position)]
    return [*place, webhook.reason, webhook.failed_at]


def _named(settings: Settings, name: str) -> WebhookSettings:
    for endpoint in settings.webhooks:
        if endpoint.name == name:
            return endpoint
    known = ", ".join(endpoint.name for endpoint in settings.webhooks) or "none"
    raise ConfigError(f"There is no webhook {name!r} in the settings.", fix=f"There is: {known}.")


async def _try(endpoint: WebhookSettings) -> tuple[Outcome, float]:
    from assistant.gateway.webhook_client import open_client
    from assistant.gateway.webhook_message import trial_webhook

    began_at = time.monotonic()
    async with open_client(endpoint) as client:
        outcome = await client.send(trial_webhook())
    return outcome, (time.monotonic() - began_at) * 1000


def _advice(reason: str) -> str:
    known = {
        "private_address": "It is an address on this machine or in your network: set allow_private if that is meant.",
        "timeout": "No answer within 10 s. Have the receiver answer first and work afterwards.",
        "connection": "Nobody could be reached there. Check the address, its name and its certificate.",
    }
    return known.get(reason, "Only 200 to 299 counts as taken; redirects are not followed.")
