"""The commands `assistant evaluate scope` and `assistant evaluate safety`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.cli_evaluate import evaluate_app
from assistant.cli_options import JsonOption, TenantOption, settings_of, tenant_of
from assistant.config import Settings
from assistant.terminal import out, print_json, progress_bar

__all__ = ["evaluate_app"]

if TYPE_CHECKING:
    from assistant.evaluating import Parts, Stage
    from assistant.evaluation.attacks import Attack
    from assistant.evaluation.planting import PlantingRetriever
    from assistant.evaluation.safety import Bias, Outcome, Refusals, SafetyReport, Trial


@evaluate_app.command("scope")
def scope(
    context: typer.Context,
    train: Annotated[Path, typer.Option(help="Rows to learn: {text, intent}, .jsonl or .jsonl.gz.")],
    test: Annotated[Path, typer.Option(help="Rows to judge: {text, intent, in_scope}, .jsonl or .jsonl.gz.")],
    drop_shared: Annotated[
        bool, typer.Option("--drop-shared", help="Leave test rows out whose text is trained on.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how well intents are told apart, and questions of another kind from all of them."""
    from assistant.evaluating import open_encoders
    from assistant.evaluation.intent_rows import read_sides
    from assistant.evaluation.report import scope_table
    from assistant.evaluation.scope import measure
    from assistant.insight.encoding import EncoderPair

    sides = read_sides(train, test, drop_shared=drop_shared)
    encoders = open_encoders(settings_of(context))
    report = measure(sides, EncoderPair(encoders.english, encoders.multilingual))
    if as_json:
        print_json(asdict(report))
    else:
        out.print(*scope_table(report), sep="\n")


@evaluate_app.command("safety")
def safety(
    context: typer.Context,
    attacks: Annotated[Path, typer.Option(help="Attacks: {text, kind, lang}, .jsonl or .jsonl.gz.")],
    limit: Annotated[
        int | None, typer.Option(help="Play only so many, of every kind and language its share.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed and limit choose the same attacks.")] = 0,
    show: Annotated[bool, typer.Option("--show", help="Print the texts of what failed, too: they offend.")] = False,
    no_model: Annotated[bool, typer.Option("--no-model", help="Compose without the chat model.")] = False,
    tenant: TenantOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure whether the assistant resists attacks, answers ordinary questions, and treats people alike.

    Everything is as it is served, but no call to your own systems is made.
    """
    from assistant.evaluation.attacks import read_attacks
    from assistant.evaluation.report import safety_table

    found = read_attacks(attacks, limit=limit, seed=seed)
    settings = settings_of(context)
    chosen = tenant_of(settings, tenant)
    report = asyncio.run(measure_safety(settings, found, tenant=chosen, no_model=no_model))
    if as_json:
        print_json(report if show else _without_texts(report))
    else:
        out.print(*safety_table(report, show=show), sep="\n")


async def measure_safety(
    settings: Settings, attacks: Sequence[Attack], *, tenant: str = "", no_model: bool = False
) -> SafetyReport:
    """What `assistant evaluate safety` measures; the user's index and log are not touched."""
    from assistant.evaluating import open_parts
    from assistant.evaluation.safety import report

    parts = await asyncio.to_thread(open_parts, settings, tenant=tenant)
    ordinary, bias = await measure_refusals(settings, parts, ordinary_of(parts))
    outcomes = await measure_attacks(settings, parts, attacks, no_model=no_model)
    return report(outcomes, ordinary, bias)


def ordinary_of(parts: Parts) -> list[tuple[str, str]]:
    """Ordinary questions, each with its language: the knowledge base's own, and ours that only look dangerous."""
    from assistant.evaluation.probes import PROBE_LANGUAGES, ordinary_questions

    own = [(text, entry.lang) for entry in parts.knowledge.entries for text in (entry.question, *entry.wordings)]
    return own + [(text, language) for language in PROBE_LANGUAGES for text in ordinary_questions(language)]


async def measure_refusals(
    settings: Settings, parts: Parts, questions: Sequence[tuple[str, str]]
) -> tuple[Refusals, Bias]:
    """How many of these questions are declined, and how many of our pairs are answered differently.

    Both are decided before the model writes, so none is loaded.
    """
    from assistant.evaluating import open_stage, without_model
    from assistant.evaluation.probes import PROBE_LANGUAGES, pairs
    from assistant.evaluation.safety import declined, differing

    async with open_stage(without_model(settings), parts) as stage:
        speaker, concurrency = stage.conversations(parts.indexes.retriever(())), stage.concurrency
        with progress_bar("Asking ordinary questions") as on_question:
            ordinary = await declined(speaker, questions, concurrency=concurrency, progress=on_question)
        probes = [pair for language in PROBE_LANGUAGES for pair in pairs(language)]
        return ordinary, await differing(speaker, probes, concurrency=concurrency)


async def measure_attacks(
    settings: Settings, parts: Parts, attacks: Sequence[Attack], *, no_model: bool = False
) -> list[Outcome]:
    """What comes of each attack, asked or planted, in their order."""
    from assistant.evaluating import open_stage, without_model
    from assistant.evaluation.planting import PlantingRetriever
    from assistant.evaluation.safety import try_attacks

    planting = PlantingRetriever(parts.indexes.retriever(()))
    async with open_stage(without_model(settings) if no_model else settings, parts) as stage:
        with progress_bar("Attacking") as on_attack:
            return await try_attacks(_trial(settings, parts, planting, stage), attacks, progress=on_attack)


def _trial(settings: Settings, parts: Parts, planting: PlantingRetriever, stage: Stage) -> Trial:
    from assistant.evaluation.fixed import fixed_texts
    from assistant.evaluation.safety import Trial

    hosts: dict[str, list[str]] = {}
    for entry in parts.knowledge.entries:
        hosts.setdefault(entry.lang, []).append(entry.question)
    return Trial(
        speaker=stage.conversations(planting),
        planting=planting,
        hosts=hosts,
        fixed_texts=fixed_texts(settings, tenant=parts.tenant),
        max_chars=settings.gateway.max_text_chars,
        concurrency=stage.concurrency,
    )


def _without_texts(report: SafetyReport) -> dict[str, object]:
    failures = [{key: value for key, value in failure.items() if key != "text"} for failure in report["failures"]]
    return {**report, "failures": failures}
