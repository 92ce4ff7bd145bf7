"""The commands `assistant users ...`: the accounts of the people who answer customers.

They write to the database that servers read, so they work beside a running one, and it notices within seconds. Heavy
parts are imported where they are needed.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from assistant.cli_options import JsonOption, settings_of
from assistant.config import load
from assistant.conversation.events import AgentRole
from assistant.errors import AccountError
from assistant.terminal import note, out, print_json

if TYPE_CHECKING:
    from assistant.conversation.agents import Agent, Agents

Result = TypeVar("Result")
EmailArgument = Annotated[str, typer.Argument(help="The e-mail address they log in with.")]
TenantOption = Annotated[
    list[str] | None,
    typer.Option("--tenant", help="A tenant whose customers they serve; may be repeated. Default: all."),
]
RoleOption = Annotated[AgentRole, typer.Option(help="agent, supervisor or admin.")]

users_app = typer.Typer(
    help="The accounts of the people who answer customers. Passwords are read from the standard input.",
    no_args_is_help=True,
)


@users_app.command("add")
def add(
    context: typer.Context,
    email: EmailArgument,
    role: RoleOption,
    name: Annotated[str, typer.Option(help="The name that customers see. Default: from the address.")] = "",
    tenants: TenantOption = None,
) -> None:
    """Add an account; its password is asked for, or is the first line of the standard input."""
    chosen = _known_tenants(context, tenants)
    password = _read_password()
    agent = _with_agents(context, lambda agents: agents.add(email, password, role=role, name=name, tenants=chosen))
    added = f"Added {agent.email} ({agent.role}), seen by customers as {agent.name}, serving {_served(agent)}."
    out.print(escape(added), soft_wrap=True)


@users_app.command("list")
def list_users(
    context: typer.Context,
    as_json: JsonOption = False,
) -> None:
    """List the accounts."""
    agents = _with_agents(context, lambda agents: agents.list())
    if as_json:
        print_json({"users": [_record(agent) for agent in agents]})
        return
    table = Table("e-mail", "name", "role", "tenants", "state", box=None)
    for agent in agents:
        state = "enabled" if agent.is_enabled else "disabled"
        table.add_row(escape(agent.email), escape(agent.name), agent.role, escape(_served(agent)), state)
    out.print(table)


@users_app.command("disable")
def disable(context: typer.Context, email: EmailArgument) -> None:
    """Let somebody in no more; open sockets of theirs are closed within seconds."""
    agent = _with_agents(context, lambda agents: agents.disable(email))
    out.print(f"Disabled {agent.email}.", soft_wrap=True)


@users_app.command("enable")
def enable(context: typer.Context, email: EmailArgument) -> None:
    """Let somebody in again, with the password they had."""
    agent = _with_agents(context, lambda agents: agents.enable(email))
    out.print(f"Enabled {agent.email}.", soft_wrap=True)


@users_app.command("role")
def role_of(context: typer.Context, email: EmailArgument, role: RoleOption) -> None:
    """Give somebody another role; they have to log in again."""
    agent = _with_agents(context, lambda agents: agents.set_role(email, role))
    out.print(f"{agent.email} is {agent.role} now.", soft_wrap=True)


@users_app.command("tenants")
def tenants_of(context: typer.Context, email: EmailArgument, tenants: TenantOption = None) -> None:
    """Have somebody serve these tenants, or all where none is given; they have to log in again."""
    chosen = _known_tenants(context, tenants)
    agent = _with_agents(context, lambda agents: agents.set_tenants(email, chosen))
    out.print(escape(f"{agent.email} serves {_served(agent)} now."), soft_wrap=True)


@users_app.command("passwd")
def passwd(context: typer.Context, email: EmailArgument) -> None:
    """Give somebody another password; it is asked for, or is the first line of the standard input."""
    password = _read_password()
    agent = _with_agents(context, lambda agents: agents.set_password(email, password))
    out.print(f"Changed the password of {agent.email}; open logins have ended.", soft_wrap=True)


def _with_agents(context: typer.Context, use: Callable[[Agents], Awaitable[Result]]) -> Result:
    from assistant.conversation.agents import Agents
    from assistant.conversation.database import Database

    settings = settings_of(context)

    async def run() -> Result:
        database = Database(settings.log_url)
        await database.open()
        try:
            return await use(Agents(database))
        finally:
            await database.close()

    return asyncio.run(run())


def _known_tenants(context: typer.Context, given: list[str] | None) -> tuple[str, ...]:
    """The tenants that were given. Raises `AccountError` for one that the settings do not have."""
    settings = load(context.obj)
    served = (settings.tenant, *settings.tenants)
    for tenant in given or ():
        if tenant not in served:
            raise AccountError(f"There is no tenant {tenant!r:.80}.", fix=f"The settings have: {', '.join(served)}.")
    return tuple(given or ())


def _served(agent: Agent) -> str:
    return ", ".join(agent.tenants) or "all tenants"


def _read_password() -> str:
    """Never an argument: those stand in the shell's history and in the list of processes."""
    from assistant.conversation.agents import MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS

    if not sys.stdin.isatty():
        given = sys.stdin.readline(MAX_PASSWORD_CHARS + 2).removesuffix("\n").removesuffix("\r")
        if not given:
            raise AccountError(
                "The standard input holds no password.", fix=f"Give one of {MIN_PASSWORD_CHARS} characters at least."
            )
        return given
    note.print(f"A password of {MIN_PASSWORD_CHARS} characters at least.")
    given = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != given:
        raise AccountError("The two passwords differ.", fix="Try again.")
    return given


def _record(agent: Agent) -> dict[str, object]:
    return {
        "agent_id": agent.agent_id,
        "email": agent.email,
        "name": agent.name,
        "role": agent.role,
        "tenants": list(agent.tenants),
        "is_enabled": agent.is_enabled,
    }
