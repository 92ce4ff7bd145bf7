"""How often search finds the right entry, on anybody's FAQ and questions.

It is the retriever that serves customers, asked once for each question: alone, or a follow-up joined to what it refers
to. What the dialogue makes of several searches (a message taken apart into its questions, a short question weighed
together with the one before it, less weight to what was just told) is no part of it; `assistant evaluate answers`
plays that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.config import RetrievalSettings
from assistant.dialogue.context import new_part, standalone
from assistant.errors import DatasetError
from assistant.evaluation.ranking import DEPTH, Ranking, rank_of, ranking
from assistant.evaluation.records import FAQ_FIELDS, FaqField, FaqRow, Query
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.entries import Entry, Knowledge
from assistant.retrieval.index import build_index
from assistant.retrieval.retriever import FaqRetriever

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the files is measured.

    ``fields`` of an entry are indexed (`question` with its other wordings); rows are kept by language and kind where
    one is named; the last ``history`` turns of a query's context count.
    """

    fields: tuple[FaqField, ...] = FAQ_FIELDS
    history: int = 0
    faq_lang: str | None = None
    query_lang: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, and the ids of the entries in the index that answer it."""

    query: Query
    relevant: frozenset[str]


@dataclass(frozen=True, slots=True)
class Task:
    """What to index, what to ask of it, and what has to be said about the choice."""

    entries: tuple[Entry, ...]
    asked: tuple[Asked, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """All queries together, and by the query's language."""

    total: Ranking
    by_language: dict[str, Ranking]
    num_entries: int
    notes: tuple[str, ...]


def choose(faq: Sequence[FaqRow], queries: Sequence[Query], choice: Choice) -> Task:
    """Fit the queries to the part of the FAQ that is searched.

    A query whose entries are of a language that ``choice`` leaves out is asked for its ``relevant_other_lang``, and
    left out where it has none there. One whose entries stand nowhere in the FAQ counts as a miss. Both are told in the
    notes. Raises `DatasetError` where nothing is left to index or to ask.
    """
    kept = [row for row in faq if choice.faq_lang in (None, row.lang)]
    entries = tuple(entry for row in kept if (entry := row.entry(fields=choice.fields)))
    if not entries:
        raise DatasetError(
            f"No entry in the FAQ has {' or '.join(choice.fields)} in the language {choice.faq_lang or 'of any row'}.",
            fix="Choose other --fields or another --faq-lang.",
        )
    wanted = [
        query for query in queries if choice.query_lang in (None, query.lang) and choice.kind in (None, query.kind)
    ]
    indexed, known = {entry.id for entry in entries}, {row.id for row in faq}
    fitted = [Asked(query, _relevant(query, indexed)) for query in wanted]
    asked = tuple(item for item in fitted if item.relevant or not known & set(item.query.relevant))
    if not asked:
        raise DatasetError(_nothing_to_ask(queries, choice), fix="Choose another --query-lang, --kind or --faq-lang.")
    return Task(entries, asked, _notes(len(fitted) - len(asked), asked))


def evaluate_retrieval(
    task: Task,
    encoders: Encoders,
    settings: RetrievalSettings,
    *,
    history: int = 0,
    on_index: Progress | None = None,
    on_search: Progress | None = None,
) -> RetrievalReport:
    """Index the entries in memory and ask every query with no floor. Blocking; no stored index is touched."""
    index = build_index(Knowledge.of(task.entries, ()), encoders, progress=on_index)
    retriever = FaqRetriever(index, encoders, settings.model_copy(update={"floor": 0.0, "limit": DEPTH}))
    ranks: list[tuple[str, int | None]] = []
    for number, item in enumerate(task.asked, start=1):
        ranks.append((item.query.lang, rank_of(_found(retriever, item.query, history), item.relevant)))
        if on_search:
            on_search(number, len(task.asked))
    return _report(ranks, task)


def _found(retriever: FaqRetriever, query: Query, history: int) -> list[str]:
    """The ids found by one search, as the dialogue makes its first: a follow-up standalone, its new part stressed."""
    context = query.context[-history:] if history else ()
    text = standalone(query.text, [turn.text for turn in context if turn.by_customer])
    hits = retriever.search(
        text,
        language=query.lang,
        limit=DEPTH,
        stress=new_part(query.text) if text != query.text else "",
        context=[turn.text for turn in context],
    )
    return [hit.passage.entry_id for hit in hits]


def _report(ranks: Sequence[tuple[str, int | None]], task: Task) -> RetrievalReport:
    languages = sorted({language for language, _ in ranks})
    return RetrievalReport(
        total=ranking([rank for _, rank in ranks]),
        by_language={name: ranking([rank for language, rank in ranks if language == name]) for name in languages},
        num_entries=len(task.entries),
        notes=task.notes,
    )


def _relevant(query: Query, indexed: set[str]) -> frozenset[str]:
    return frozenset(indexed.intersection(query.relevant) or indexed.intersection(query.relevant_other_lang))


def _notes(num_left_out: int, asked: Sequence[Asked]) -> tuple[str, ...]:
    notes = []
    if num_left_out:
        notes.append(f"{num_left_out} queries were left out: the entries that answer them are not indexed.")
    if missing := [item.query.qid for item in asked if not item.relevant]:
        notes.append(f"{len(missing)} queries name no entry of the FAQ and count as misses; the first is {missing[0]}.")
    return tuple(notes)


def _nothing_to_ask(queries: Sequence[Query], choice: Choice) -> str:
    kinds = sorted({query.kind for query in queries if query.kind})
    languages = sorted({query.lang for query in queries})
    has = f"The file has the languages {', '.join(languages)} and the kinds {', '.join(kinds) or '(none)'}."
    return f"No query is left for language {choice.query_lang or 'any'} and kind {choice.kind or 'any'}. {has}"
