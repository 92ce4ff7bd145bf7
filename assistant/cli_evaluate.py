"""The commands of `assistant evaluate`: measurements on a company's own questions."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.config import LogSettings, Settings, load
from assistant.errors import DatasetError, GenerationError
from assistant.terminal import note, out, print_json, progress_bar, set_up_logging, tell
from assistant.values import ChatMessage, Piece, Sampling

if TYPE_CHECKING:
    from assistant.conversation.bus import Bus
    from assistant.conversation.log import ConversationLog
    from assistant.dialogue.manager import DialogueManager
    from assistant.dialogue.turn import Generator, Reader, Retriever
    from assistant.evaluation.answers import AnswerReport
    from assistant.evaluation.cases import Case
    from assistant.evaluation.indexes import CaseIndexes
    from assistant.evaluation.playing import Played
    from assistant.evaluation.retrieval import Choice, FaqField, RetrievalReport
    from assistant.retrieval.entries import Knowledge

evaluate_app = typer.Typer(
    help="Measure search, scope, answers and safety on your own questions.", no_args_is_help=True
)

CONCURRENCY = 8

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


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
    report = measure_retrieval(_settings(context), faq, queries, choice)
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
    as_json: JsonOption = False,
) -> None:
    """Play conversations through the assistant and judge the last answer of each."""
    from assistant.evaluation.tables import answers_table

    settings = _settings(context)
    found = find_cases(settings, cases, knowledge)[:limit]
    changed = _changed(settings, no_model=no_model, adapter=adapter)
    report = asyncio.run(measure_answers(changed, found, knowledge=knowledge))
    if as_json:
        print_json(report)
    else:
        out.print(*answers_table(report), sep="\n", soft_wrap=True)


# -- search


def measure_retrieval(settings: Settings, faq: Path, queries: Path, choice: Choice) -> RetrievalReport:
    """What `assistant evaluate retrieval` measures. Blocking. Raises `DatasetError`."""
    from assistant.evaluation.records import read_faq, read_queries
    from assistant.evaluation.retrieval import choose, evaluate_retrieval
    from assistant.retrieval.embedding import load_encoders

    task = choose(read_faq(faq), read_queries(queries), choice)
    _fetch(settings, *settings.retrieval.encoders)
    encoders = load_encoders(settings)
    with progress_bar("Indexing") as on_index, progress_bar("Asking") as on_search:
        return evaluate_retrieval(
            task, encoders, settings.retrieval, history=choice.history, on_index=on_index, on_search=on_search
        )


def _fields(text: str) -> tuple[FaqField, ...]:
    from assistant.evaluation.retrieval import FAQ_FIELDS

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


def find_cases(settings: Settings, cases: Path | None = None, knowledge: Path | None = None) -> list[Case]:
    """The cases of a file or folder; else those beside the entries and those approved later. Raises `DatasetError`."""
    from assistant.evaluation.cases import load_cases

    if cases:
        return load_cases([cases])
    root = knowledge if knowledge and (knowledge / "cases").is_dir() else settings.knowledge.root
    folders = [root / "cases", settings.data_dir / "cases"]
    there = [folder for folder in folders if folder.is_dir()]
    return load_cases(there or folders[:1])


async def measure_answers(settings: Settings, cases: Sequence[Case], *, knowledge: Path | None = None) -> AnswerReport:
    """What `assistant evaluate answers` measures; the user's index and log are not touched.

    Answers come from the folder or file ``knowledge``, or else from what the settings name, edits included.
    """
    from assistant.evaluation.answers import Judge, report
    from assistant.evaluation.fixed import fixed_texts

    parts = await asyncio.to_thread(_parts, settings, knowledge)
    judge = Judge(parts.knowledge.entries, fixed_texts(settings))
    with _elsewhere(settings) as own:
        played = await _play(own, cases, parts)
    return report([await asyncio.to_thread(judge.judge, one) for one in played])


@dataclass(frozen=True, slots=True)
class _Parts:
    """What answers rest on: the entries, the searches over them, and what reads the customers' messages."""

    knowledge: Knowledge
    indexes: CaseIndexes
    reader: Reader


def _parts(settings: Settings, root: Path | None) -> _Parts:
    from assistant.evaluation.indexes import CaseIndexes
    from assistant.insight.encoding import EncoderPair
    from assistant.insight.reader import MessageReader
    from assistant.retrieval.embedding import load_encoders

    knowledge = _main_knowledge(settings, root)
    _fetch(settings, *settings.retrieval.encoders)
    encoders = load_encoders(settings)
    with progress_bar("Indexing") as on_index:
        indexes = CaseIndexes(knowledge, encoders, settings.retrieval, progress=on_index)
    views = EncoderPair(encoders.english, encoders.multilingual, encoders.passage)
    return _Parts(knowledge, indexes, MessageReader.fit(views))


def _main_knowledge(settings: Settings, root: Path | None) -> Knowledge:
    """The main brand's entries; what cannot be read is told."""
    from assistant.retrieval.entries import Knowledge
    from assistant.retrieval.overlay import MAIN_TENANT, load_all
    from assistant.retrieval.sources import load_knowledge

    found = load_knowledge(root) if root else load_all(settings)
    for problem in found.problems:
        tell(f"Left out: {problem}")
    return Knowledge.of((entry for entry in found.entries if entry.tenant == MAIN_TENANT), found.problems)


@contextmanager
def _elsewhere(settings: Settings) -> Iterator[Settings]:
    """The settings with log and data in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="assistant-evaluate-") as folder:
        yield settings.model_copy(update={"data_dir": Path(folder), "log": LogSettings(level=settings.log.level)})


async def _play(settings: Settings, cases: Sequence[Case], parts: _Parts) -> list[Played]:
    from assistant.conversation.bus import Bus
    from assistant.conversation.database import Database
    from assistant.conversation.log import ConversationLog
    from assistant.conversation.visitors import Visitors
    from assistant.evaluation.playing import Player

    async with AsyncExitStack() as stack:
        bus, database = Bus(), Database(settings.log_url)
        await database.open()
        stack.push_async_callback(database.close)
        log = ConversationLog(database, bus)
        generator = await stack.enter_async_context(_generator(settings))
        managers: dict[object, DialogueManager] = {}
        for added in dict.fromkeys(case.knowledge for case in cases):
            retriever = await asyncio.to_thread(parts.indexes.retriever, added)
            managers[added] = _manager(retriever, generator, parts.reader, log, bus, settings)
            stack.push_async_callback(managers[added].close)
        visitor, _ = await Visitors(database).add(settings.tenant)
        concurrency = min(CONCURRENCY, settings.dialogue.max_turns)
        player = Player(log, bus, lambda case: managers[case.knowledge], visitor, concurrency=concurrency)
        on_case = stack.enter_context(progress_bar("Playing"))
        return await player.play(cases, progress=on_case)


def _manager(
    retriever: Retriever, generator: Generator, reader: Reader, log: ConversationLog, bus: Bus, settings: Settings
) -> DialogueManager:
    """The dialogue as it serves customers."""
    from assistant.dialogue.manager import DialogueManager
    from assistant.dialogue.responder import Responder

    responder = Responder(retriever, generator, settings, reader=reader)
    return DialogueManager(log=log, bus=bus, responder=responder, settings=settings)


@asynccontextmanager
async def _generator(settings: Settings) -> AsyncIterator[Generator]:
    """The chat model on its thread; none where nothing is composed with it."""
    from assistant import server

    if settings.dialogue.compose == "extract":
        yield Mute()
        return
    _fetch(settings, settings.generation.model)
    async with server.running_engine(settings) as engine:
        yield engine


class Mute:
    """Stands where the chat model would: it can write nothing."""

    languages: Sequence[str] | None = ()
    model_name = "none"
    adapter_name: str | None = None

    def count(self, messages: Sequence[ChatMessage]) -> int:
        """Characters, as there are no tokens."""
        return sum(len(message["content"]) for message in messages)

    async def stream(self, messages: Sequence[ChatMessage], *, sampling: Sampling) -> AsyncGenerator[Piece]:
        """Raise `GenerationError`."""
        raise GenerationError("No chat model is loaded.", fix="Leave --no-model out.")
        yield


def _settings(context: typer.Context) -> Settings:
    settings = load(context.obj)
    set_up_logging(settings.log.level)
    return settings


def _changed(settings: Settings, *, no_model: bool, adapter: Path | None) -> Settings:
    changes: dict[str, object] = {}
    if no_model:
        changes["dialogue"] = settings.dialogue.model_copy(update={"compose": "extract"})
    if adapter:
        changes["generation"] = settings.generation.model_copy(update={"adapter": adapter})
    return settings.model_copy(update=changes)


def _fetch(settings: Settings, *names: str) -> None:
    """Fetch the built-in models among these that are not on this machine."""
    from assistant import models

    for name in names:
        if name in models.BUILT_IN:
            models.pull(settings, name)
