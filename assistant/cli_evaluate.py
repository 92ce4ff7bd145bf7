"""The commands of `assistant evaluate`: measurements on a company's own questions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.cli_options import JsonOption, TenantOption, settings_of, tenant_of
from assistant.config import Settings
from assistant.errors import DatasetError
from assistant.terminal import note, out, print_json, progress_bar

if TYPE_CHECKING:
    from assistant.evaluating import Parts, Stage
    from assistant.evaluation.answers import AnswerReport
    from assistant.evaluation.cases import Case
    from assistant.evaluation.playing import Played
    from assistant.evaluation.records import FaqField
    from assistant.evaluation.retrieval import Choice, RetrievalReport

evaluate_app = typer.Typer(
    help="Measure search, scope, answers and safety on your own questions.", no_args_is_help=True
)


@evaluate_app.command("retrieval")
def retrieval(
    context: typer.Context,
    faq: Annotated[Path, typer.Option(help="Entries: {id, lang, question, answer}, .jsonl or .jsonl.gz.")],
    queries: Annotated[Path, typer.Option(help="Questions: {qid, lang, text, relevant}, .jsonl or .jsonl.gz.")],
    fields: Annotated[str, typer.Option(help="What of an entry is indexed.")] = "question,answer",
    history: Annotated[int, typer.Option(help="How many turns of a query's context count.", min=0)] = 0,
    faq_lang: Annotated[str | None, typer.Option(help="Index the entries of this language only.")] = None,
    query_lang: Annotated[str | None, typer.Option(help="Ask the questions of this language only.")] = None,
    kind: Annotated[str | None, typer.Option(help="Ask the questions of this kind only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how often search finds the right entry: hit@1, hit@5, MRR@10."""
    from assistant.evaluation.retrieval import Choice
    from assistant.evaluation.tables import retrieval_table

    choice = Choice(_fields(fields), history, faq_lang, query_lang, kind)
    report = measure_retrieval(settings_of(context), faq, queries, choice)
    if as_json:
        print_json(_retrieval_object(report, choice))
    else:
        out.print(*retrieval_table(report), sep="\n", soft_wrap=True)
        for line in report.notes:
            note.print(line, style="yellow", markup=False, soft_wrap=True)


@evaluate_app.command("answers")
def answers(
    context: typer.Context,
    cases: Annotated[
        Path | None, typer.Option(help="Cases: a .jsonl file or a folder of them. Default: the knowledge base's own.")
    ] = None,
    knowledge: Annotated[
        Path | None, typer.Option(help="Answer from this folder or .jsonl file instead of the settings'.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Play only the first cases.", min=1)] = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="Compose without the chat model.")] = False,
    adapter: Annotated[Path | None, typer.Option(help="The LoRA adapter to answer with.")] = None,
    tenant: TenantOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play conversations through the assistant and judge the last answer of each.

    Everything is as it is served, but no call to your own systems is made.
    """
    from assistant.evaluation.tables import answers_table

    settings = settings_of(context)
    chosen = tenant_of(settings, tenant)
    found = find_cases(settings, cases, knowledge, tenant=chosen)[:limit]
    changed = _changed(settings, no_model=no_model, adapter=adapter)
    report = asyncio.run(measure_answers(changed, found, knowledge=knowledge, tenant=chosen))
    if as_json:
        print_json(report)
    else:
        out.print(*answers_table(report), sep="\n", soft_wrap=True)


# -- search


def measure_retrieval(settings: Settings, faq: Path, queries: Path, choice: Choice) -> RetrievalReport:
    """What `assistant evaluate retrieval` measures. Blocking. Raises `DatasetError`."""
    from assistant.evaluating import open_encoders
    from assistant.evaluation.records import read_faq, read_queries
    from assistant.evaluation.retrieval import choose, evaluate_retrieval

    task = choose(read_faq(faq), read_queries(queries), choice)
    encoders = open_encoders(settings)
    with progress_bar("Indexing") as on_index, progress_bar("Asking") as on_search:
        return evaluate_retrieval(
            task, encoders, settings.retrieval, history=choice.history, on_index=on_index, on_search=on_search
        )


def _fields(text: str) -> tuple[FaqField, ...]:
    from assistant.evaluation.records import FAQ_FIELDS

    wanted = [name.strip() for name in text.split(",") if name.strip()]
    for name in wanted:
        if name not in FAQ_FIELDS:
            raise DatasetError(f"--fields has {name!r}.", fix=f"Use {', '.join(FAQ_FIELDS)}, or one of them.")
    return tuple(name for name in FAQ_FIELDS if name in wanted) or FAQ_FIELDS


def _retrieval_object(report: RetrievalReport, choice: Choice) -> dict[str, object]:
    return {
        **asdict(report.total),
        "by_language": {language: asdict(figures) for language, figures in report.by_language.items()},
        "num_entries": report.num_entries,
        "settings": asdict(choice),
        "notes": list(report.notes),
    }


# -- answers


def find_cases(
    settings: Settings, cases: Path | None = None, knowledge: Path | None = None, *, tenant: str = ""
) -> list[Case]:
    """The cases of a file or folder; else those beside the tenant's entries and those approved later.

    Raises `DatasetError`.
    """
    from assistant.evaluation.cases import load_cases
    from assistant.retrieval.overlay import shelf_of

    if cases:
        return load_cases([cases])
    shelf = shelf_of(settings, tenant)
    root = knowledge if knowledge and (knowledge / "cases").is_dir() else shelf.root
    folders = [root / "cases", shelf.overlay.parent / "cases"]
    there = [folder for folder in folders if folder.is_dir()]
    return load_cases(there or folders[:1])


async def measure_answers(
    settings: Settings, cases: Sequence[Case], *, knowledge: Path | None = None, tenant: str = ""
) -> AnswerReport:
    """What `assistant evaluate answers` measures; the user's index and log are not touched.

    Answers come from the folder or file ``knowledge``, or else from what the settings name, edits included.
    """
    from assistant.evaluating import open_parts, open_stage
    from assistant.evaluation.answers import Judge, report
    from assistant.evaluation.fixed import fixed_texts

    parts = await asyncio.to_thread(open_parts, settings, tenant=tenant, root=knowledge)
    judge = Judge(parts.knowledge.entries, fixed_texts(settings, tenant=tenant))
    async with open_stage(settings, parts) as stage:
        played = await _play(stage, parts, cases)
    return report([await asyncio.to_thread(judge.judge, one) for one in played])


async def _play(stage: Stage, parts: Parts, cases: Sequence[Case]) -> list[Played]:
    from assistant.evaluation.playing import Conversations, Player

    conversations: dict[object, Conversations] = {}
    for added in dict.fromkeys(case.knowledge for case in cases):
        conversations[added] = stage.conversations(await asyncio.to_thread(parts.indexes.retriever, added))
    player = Player(lambda case: conversations[case.knowledge], concurrency=stage.concurrency)
    with progress_bar("Playing") as on_case:
        return await player.play(cases, progress=on_case)


def _changed(settings: Settings, *, no_model: bool, adapter: Path | None) -> Settings:
    from assistant.evaluating import without_model

    generation = settings.generation.model_copy(update={"adapter": adapter}) if adapter else settings.generation
    changed = settings.model_copy(update={"generation": generation})
    return without_model(changed) if no_model else changed
