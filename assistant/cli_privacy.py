"""`assistant privacy`: tell what is held about a visitor, erase it, and erase what is too old.

Heavy parts are imported by the command that needs them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from assistant.cli_options import settings_of
from assistant.errors import ConfigError, StorageError
from assistant.terminal import note, out, print_json

if TYPE_CHECKING:
    from assistant.erasing import Erasing

privacy_app = typer.Typer(help="What is held about customers: telling and erasing it.", no_args_is_help=True)

VisitorOption = Annotated[str, typer.Option("--visitor", help="The visitor's id, such as v_0193....")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@privacy_app.command("export")
def export(
    context: typer.Context,
    visitor: VisitorOption,
    to: Annotated[Path | None, typer.Option("--out", help="The file to write (mode 0600). Default: print it.")] = None,
) -> None:
    """Write everything that is held about a visitor as JSON: conversations with all events, rows, names of files."""
    erasing = _erasing(context)
    if to is None:
        asyncio.run(erasing.export(visitor, sys.stdout.write))
        return
    num_conversations = _write_file(to, erasing, visitor)
    note.print(f"{num_conversations} conversations in {escape(str(to))}", soft_wrap=True)


@privacy_app.command("erase")
def erase(
    context: typer.Context,
    visitor: VisitorOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase a visitor from the log, the files and the data sets. Their events become tombstones. It cannot be undone.

    Again does what is left, for instance after a crash.
    """
    erasing = _erasing(context)
    if not yes and not typer.confirm(f"Erase everything of {visitor}? It cannot be undone.", err=True):
        raise typer.Exit(1)
    _tell(asyncio.run(erasing.erase(visitor)), as_json=as_json)


@privacy_app.command("retain")
def retain(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase conversations older than the settings' retention_days now; a running server does it every hour."""
    erasing = _erasing(context)
    if not dry_run:
        _tell(asyncio.run(erasing.retain()), as_json=as_json)
        return
    num_expired = asyncio.run(erasing.num_expired())
    if as_json:
        print_json({"num_expired": num_expired, "retention_days": erasing.retention_days})
    else:
        out.print(f"{num_expired} conversations are older than {erasing.retention_days} days; nothing was erased.")


def _erasing(context: typer.Context) -> Erasing:
    from assistant.erasing import Erasing

    return Erasing(settings_of(context))


def _write_file(to: Path, erasing: Erasing, visitor: str) -> int:
    """Whole or not at all, and readable by its owner only."""
    if to.exists():
        raise ConfigError(f"{to} exists.", fix="Name another file.")
    partial = to.with_name(f".{to.name}.partial")
    try:
        with suppress(FileNotFoundError):
            partial.unlink()
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            num_conversations = asyncio.run(erasing.export(visitor, file.write))
        partial.replace(to)
    except OSError as error:
        raise StorageError(f"{to} cannot be written: {error.strerror}.", fix="Name another file.") from error
    finally:
        partial.unlink(missing_ok=True)
    return num_conversations


def _tell(erasure: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(dict(erasure))
    else:
        out.print(
            f"{erasure['num_events']} events in {erasure['num_conversations']} conversations, "
            f"{erasure['num_rows']} rows, {erasure['num_elsewhere']} files and rows of data sets"
        )
    notes = erasure["notes"]
    for line in notes if isinstance(notes, list) else []:
        note.print(f"[yellow]to do:[/] {escape(str(line))}", soft_wrap=True)
    if not erasure["is_whole"]:
        note.print("[yellow]to do:[/] the database is in use, and its files may hold old bytes; erase again later.")
        raise typer.Exit(1)
