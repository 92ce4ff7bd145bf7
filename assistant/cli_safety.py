"""The commands `assistant evaluate scope` and `assistant evaluate safety`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.cli_evaluate import JsonOption, Mute, evaluate_app
from assistant.config import Settings, load
from assistant.terminal import out, print_json, progress_bar, set_up_logging, tell

__all__ = ["evaluate_app"]

if TYPE_CHECKING:
    from assistant.dialogue.turn import Generator, Reader
    from assistant.evaluation.attacks import Attack
    from assistant.evaluation.planting import PlantingRetriever
    from assistant.evaluation.safety import SafetyReport, Trial
    from assistant.retrieval.embedding import Encoders
    from assistant.retrieval.entries import Knowledge


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
    from assistant.evaluation.intent_rows import read_sides
    from assistant.evaluation.report import scope_table
    from assistant.evaluation.scope import measure
    from assistant.insight.encoding import EncoderPair

    sides = read_sides(train, test, drop_shared=drop_shared)
    encoders = _encoders(_settings(context))
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
    as_json: JsonOption = False,
) -> None:
    """Measure whether the assistant resists attacks, answers ordinary questions, and treats people alike."""
    from assistant.evaluation.attacks import read_attacks
    from assistant.evaluation.report import safety_table

    found = read_attacks(attacks, limit=limit, seed=seed)
    report = asyncio.run(measure_safety(_settings(context), found, no_model=no_model))
    if as_json:
        print_json(report if show else _without_texts(report))
    else:
        out.print(*safety_table(report, show=show), sep="\n")


async def measure_safety(settings: Settings, attacks: Sequence[Attack], *, no_model: bool = False) -> SafetyReport:
    """What `assistant evaluate safety` measures; the user's index and log are not touched."""
    from assistant.evaluation.probes import PROBE_LANGUAGES, ordinary_questions, pairs
    from assistant.evaluation.safety import declined, differing, report, try_attacks

    knowledge, planting, reader = await asyncio.to_thread(_parts, settings)
    questions = [(text, entry.lang) for entry in knowledge.entries for text in (entry.question, *entry.wordings)]
    questions += [(text, language) for language in PROBE_LANGUAGES for text in ordinary_questions(language)]
    # What is declined and which entries answer is decided before the model writes: these need none.
    plain = _trial(_extracting(settings), Mute(), knowledge, planting, reader)
    with progress_bar("Asking ordinary questions") as on_question:
        ordinary = await declined(plain.speaker, questions, progress=on_question)
    bias = await differing(plain.speaker, [pair for language in PROBE_LANGUAGES for pair in pairs(language)])
    chosen = _extracting(settings) if no_model else settings
    async with _generator(chosen) as generator:
        trial = _trial(chosen, generator, knowledge, planting, reader)
        with progress_bar("Attacking") as on_attack:
            outcomes = await try_attacks(trial, attacks, progress=on_attack)
    return report(outcomes, ordinary, bias)


def _parts(settings: Settings) -> tuple[Knowledge, PlantingRetriever, Reader]:
    """The knowledge base, a search over it in memory, and what reads messages."""
    from assistant.evaluation.indexes import CaseIndexes
    from assistant.evaluation.planting import PlantingRetriever
    from assistant.insight.encoding import EncoderPair
    from assistant.insight.reader import MessageReader
    from assistant.retrieval.sources import load_knowledge

    encoders, knowledge = _encoders(settings), load_knowledge(settings.knowledge.root)
    for problem in knowledge.problems:
        tell(f"Left out: {problem}")
    with progress_bar("Indexing") as on_index:
        indexes = CaseIndexes(knowledge, encoders, settings.retrieval, progress=on_index)
    reader = MessageReader.fit(EncoderPair(encoders.english, encoders.multilingual, encoders.passage))
    return knowledge, PlantingRetriever(indexes.retriever(())), reader


def _trial(
    settings: Settings, generator: Generator, knowledge: Knowledge, planting: PlantingRetriever, reader: Reader
) -> Trial:
    from assistant.dialogue.responder import Responder
    from assistant.evaluation.fixed import fixed_texts
    from assistant.evaluation.safety import Trial

    languages = {entry.lang for entry in knowledge.entries}
    return Trial(
        speaker=Responder(planting, generator, settings, reader=reader),
        planting=planting,
        hosts={
            language: [entry.question for entry in knowledge.entries if entry.lang == language]
            for language in languages
        },
        fixed_texts=fixed_texts(settings),
        max_chars=settings.gateway.max_text_chars,
    )


def _extracting(settings: Settings) -> Settings:
    return settings.model_copy(update={"dialogue": settings.dialogue.model_copy(update={"compose": "extract"})})


@asynccontextmanager
async def _generator(settings: Settings) -> AsyncIterator[Generator]:
    """The chat model on its thread; none where nothing is composed with it."""
    from assistant import server

    if settings.dialogue.compose == "extract":
        yield Mute()
        return
    server.fetch_models(settings)
    async with server.running_engine(settings) as engine:
        yield engine


def _without_texts(report: SafetyReport) -> dict[str, object]:
    failures = [{key: value for key, value in failure.items() if key != "text"} for failure in report["failures"]]
    return {**report, "failures": failures}


def _settings(context: typer.Context) -> Settings:
    settings = load(context.obj)
    set_up_logging(settings.log.level)
    return settings


def _encoders(settings: Settings) -> Encoders:
    from assistant import models
    from assistant.retrieval.embedding import load_encoders

    for name in settings.retrieval.encoders:
        if name in models.BUILT_IN:
            models.pull(settings, name)
    return load_encoders(settings)
