"""Questions whose right answer is known, out of the public data and the demo FAQ, in both languages."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assistant.retrieval.entries import Entry
from assistant.retrieval.sources import load_knowledge
from tests.conftest import REPOSITORY

FAR_QUERIES = 300
OTHER = "xx"
Record = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """A customer's words and the id of the entry that answers them."""

    text: str
    relevant: str
    others: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Task:
    """Queries against entries of one language and form; ``far`` holds texts that none of them answers.

    The name ends in the query's language.
    """

    name: str
    queries: Sequence[Query]
    entries: Sequence[Entry]
    far: Sequence[str]
    query_language: str


def question_tasks() -> Iterator[Task]:
    """FAQs whose questions are known: StackFAQ in English, the demo FAQ in both languages.

    There are no public Chinese rephrasings of an FAQ. Of the demo FAQ the other wordings are the queries, and taken
    out of the index; and StackFAQ is searched once more as if its language were one that only the multilingual encoder
    knows.
    """
    rows, queries = read("faq_stackfaq_en"), read("queries_stackfaq_en")
    entries = [_entry(row["id"], "en", row["question"], row["answer"]) for row in rows]
    for language in ("en", OTHER):
        own = [replace(entry, lang=language) for entry in entries]
        yield Task(f"stackfaq-{language}", [_query(row) for row in queries], own, _far("stackfaq", "en"), language)
    for language in ("en", "zh"):
        known = [entry for entry in load_knowledge(REPOSITORY / "knowledge_base").entries if entry.lang == language]
        wordings = [Query(wording, entry.id) for entry in known for wording in entry.wordings]
        entries = [replace(entry, wordings=()) for entry in known]
        yield Task(f"demo-{language}", wordings, entries, _far("demo", language), language)


def taught_tasks() -> Iterator[Task]:
    """The demo FAQ with all its wordings, asked by the answer cases of one turn; no public FAQ has many wordings."""
    entries = load_knowledge(REPOSITORY / "knowledge_base").entries
    for language in ("en", "zh"):
        known = [entry for entry in entries if entry.lang == language]
        yield Task(f"taught-{language}", list(_asked_in_cases(language)), known, _far("demo", language), language)


def _asked_in_cases(language: str) -> Iterator[Query]:
    for path in sorted(
        (REPOSITORY / "knowledge_base" / "cases").glob(f"[!u]*.{language}.jsonl")
    ):  # not the unseen ones
        for line in path.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            wanted = case["expect"].get("entry_ids")
            if case["kind"] in ("paraphrase", "typo", "mixed") and wanted and len(case["turns"]) == 1:
                first, *others = wanted[0] if isinstance(wanted[0], list) else wanted[:1]
                yield Query(case["turns"][0]["text"], first, frozenset(others))


def text_tasks() -> Iterator[Task]:
    """Texts without a question: two products' answers together, and paragraphs of an encyclopedia."""
    rows, queries = read("faq_apache_en_zh"), read("queries_apache_en_zh")
    for language in ("en", "zh"):
        entries = [_entry(row["id"], language, "", row["answer"]) for row in rows if row["lang"] == language]
        asked = [_query(row) for row in queries if row["kind"] == "question_to_answer" and row["lang"] == language]
        yield Task(f"apache-{language}", asked, entries, _far("apache", language), language)
        paragraphs = [row for row in read("passages_xquad_en_zh") if row["lang"] == language]
        entries = [_entry(row["id"], language, "", row["answer"]) for row in paragraphs]
        asked = [_query(row) for row in read("queries_xquad_en_zh") if row["lang"] == language]
        yield Task(f"xquad-{language}", asked, entries, _far("xquad", language), language)


def across_tasks() -> Iterator[Task]:
    """Questions in one language, entries in the other: questions with answers, and texts alone."""
    for asked, wanted in (("en", "zh"), ("zh", "en")):
        yield _apisix(asked, wanted)
        yield _demo_twins(asked, wanted)
        paragraphs = [row for row in read("passages_xquad_en_zh") if row["lang"] == wanted]
        entries = [_entry(row["id"], wanted, "", row["answer"]) for row in paragraphs]
        rows = [row for row in read("queries_xquad_en_zh") if row["lang"] == asked]
        queries = [Query(row["text"], row["relevant_other_lang"][0]) for row in rows]
        yield Task(f"xquad-across-{asked}", queries, entries, _far("xquad", asked), asked)


def read(name: str) -> list[Record]:
    """The rows of one public data file."""
    path = Path(os.environ["ASSISTANT_EVAL_DATA"]) / f"{name}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _apisix(asked: str, wanted: str) -> Task:
    rows = [row for row in read("faq_apache_en_zh") if row["lang"] == wanted]
    entries = [_entry(row["id"], wanted, row["question"], row["answer"]) for row in rows]
    kind = f"cross_lingual_{asked}2{wanted}"
    queries = [_query(row) for row in read("queries_apache_en_zh") if row["kind"] == kind]
    return Task(f"apisix-across-{asked}", queries, entries, _far("apache", asked), asked)


def _demo_twins(asked: str, wanted: str) -> Task:
    """The demo FAQ's questions in one language against their twins: customer service, freely translated."""
    known = load_knowledge(REPOSITORY / "knowledge_base").entries
    entries = [entry for entry in known if entry.lang == wanted]
    ids = {entry.id for entry in entries}
    queries = [Query(entry.question, entry.id) for entry in known if entry.lang == asked and entry.id in ids]
    return Task(f"demo-across-{asked}", queries, entries, _far("demo", asked), asked)


def _far(task: str, language: str) -> list[str]:
    """Texts that nothing in the task answers: bank and household requests, travel, general knowledge."""
    if language == "en":
        return _sample("intents_hwu64_en" if task == "demo" else "intents_banking77_en")
    travel = _sample("intents_scope_zh", lambda row: bool(row["in_scope"]))
    return (
        travel
        if task == "xquad"
        else [*travel[::2], *_sample("intents_scope_zh", lambda row: not row["in_scope"])[::2]]
    )


def _sample(name: str, keep: Callable[[Record], bool] = lambda row: True) -> list[str]:
    texts = [str(row["text"]) for row in read(name) if keep(row)]
    return [texts[place] for place in np.random.default_rng(0).permutation(len(texts))[:FAR_QUERIES]]


def _query(row: Record) -> Query:
    return Query(row["text"], row["relevant"][0])


def _entry(entry_id: str, language: str, question: str, answer: str) -> Entry:
    return Entry(entry_id, language, "", question, (), answer, (), None, "", 0, 0)
