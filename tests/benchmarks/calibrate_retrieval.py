"""Fit the curves of `assistant.retrieval.calibration` and measure the retriever on public data.

Run with ``ASSISTANT_EVAL_DATA`` set: ``python -m tests.benchmarks.calibrate_retrieval`` prints the curves
to put into calibration.py; with ``--measure`` it prints hit rates, and precision and coverage per
threshold, with the curves that stand there; with ``--timing`` how long a query takes beside a busy model.

A trial is the best entry that one query found. Half of the assumed customers ask what the FAQ
answers; a quarter ask something near it, made by taking the right entry out; a quarter something far
(another data set's questions). The weights make every data set follow that mix. Queries are split in two
by the entry they belong to: the curves are fitted on one half and everything printed is of the other.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.linear_model import LogisticRegression

from assistant.config import RetrievalSettings, load
from assistant.retrieval.calibration import Curve, Relation
from assistant.retrieval.embedding import Encoder, Encoders, Vectors, load_encoders
from assistant.retrieval.index import build_index
from assistant.retrieval.retriever import FaqRetriever
from assistant.retrieval.sources import Entry, Knowledge, load_knowledge
from tests.conftest import REPOSITORY

Scope = Literal["in", "near", "far"]
Key = tuple[str, Relation]

MIX: dict[Scope, float] = {"in": 0.5, "near": 0.25, "far": 0.25}
THRESHOLDS = (0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
FAR_QUERIES = 600


@dataclass(frozen=True)
class Query:
    """A customer's words and the id of the entry that answers them; empty if none does."""

    text: str
    relevant: str


@dataclass(frozen=True)
class Task:
    """Queries against documents of one language; ``far`` holds texts that none of them answers."""

    name: str
    queries: Sequence[Query]
    ids: Sequence[str]
    questions: Sequence[str]
    answers: Sequence[str]
    far: Sequence[str]
    query_language: str = "en"
    language: str = "en"


@dataclass(frozen=True)
class Trial:
    """What one query found: its cosine or confidence, and whether it was right."""

    value: float
    is_right: bool
    scope: Scope
    is_test: bool
    task: str


def main() -> None:
    """Print what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--timing", action="store_true")
    options = parser.parse_args()
    encoders = load_encoders(load())
    if options.timing:
        time_queries(encoders)
    elif options.measure:
        measure(encoders)
    else:
        fit_all(encoders)


# The data.


def read(name: str) -> list[dict[str, object]]:
    """The rows of one public data file."""
    path = Path(os.environ["ASSISTANT_EVAL_DATA"]) / f"{name}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def texts(name: str, keep: Callable[[dict[str, object]], bool] = lambda row: True) -> list[str]:
    """A fixed sample of the texts of an intent file."""
    rows = [str(row["text"]) for row in read(name) if keep(row)]
    return [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:FAR_QUERIES]]


def stackfaq() -> Task:
    """1,249 human rephrasings of 125 questions about web applications."""
    faq, queries = read("faq_stackfaq_en"), read("queries_stackfaq_en")
    far = [*texts("intents_banking77_en")[: FAR_QUERIES // 2], *texts("intents_hwu64_en")[: FAR_QUERIES // 2]]
    return _task("stackfaq", faq, _queries(queries), far)


def apache(source: str, language: str) -> Task:
    """A product's FAQ; its queries are its questions, so only the answers may be searched."""
    faq = [row for row in read("faq_apache_en_zh") if source in str(row["source"]) and row["lang"] == language]
    ids = {row["id"] for row in faq}
    queries = [q for q in _queries(read("queries_apache_en_zh"), "question_to_answer") if q.relevant in ids]
    far = texts("intents_banking77_en") if language == "en" else chinese_far()
    return _task(f"{source}-{language}", faq, queries, far, language, language)


def apisix_across(query_language: str, language: str) -> Task:
    """APISIX's questions in one language against its FAQ in the other."""
    faq = [row for row in read("faq_apache_en_zh") if "apisix" in str(row["source"]) and row["lang"] == language]
    queries = _queries(read("queries_apache_en_zh"), f"cross_lingual_{query_language}2{language}")
    far = texts("intents_banking77_en") if query_language == "en" else chinese_far()
    return _task(f"apisix-{query_language}-{language}", faq, queries, far, query_language, language)


def xquad_questions(query_language: str, language: str) -> Task:
    """One question per paragraph against the same questions in the other language (translations)."""
    asked, wanted = _xquad_questions(query_language), _xquad_questions(language)
    ids = [str(number) for number in range(len(wanted))]
    queries = [Query(str(row["text"]), number) for row, number in zip(asked, ids, strict=True)]
    far = texts("intents_banking77_en") if query_language == "en" else texts("intents_crosswoz_zh")
    questions = [str(row["text"]) for row in wanted]
    return Task(
        f"xquad-questions-{query_language}-{language}",
        queries,
        ids,
        questions,
        [],
        far,
        query_language,
        language,
    )


def demo_twins(query_language: str, language: str) -> Task:
    """The demo FAQ's questions in one language against their twins: customer service, freely translated."""
    entries = load_knowledge(REPOSITORY / "knowledge_base").entries
    wanted = [entry for entry in entries if entry.lang == language]
    queries = [Query(entry.question, entry.id) for entry in entries if entry.lang == query_language]
    far = texts("intents_hwu64_en") if query_language == "en" else chinese_far()
    ids, questions = [entry.id for entry in wanted], [entry.question for entry in wanted]
    answers = [entry.answer for entry in wanted]
    return Task("demo-twins", queries, ids, questions, answers, far, query_language, language)


def chinese_far() -> list[str]:
    """Travel requests and general knowledge in Chinese: far from any product's FAQ."""
    return texts("intents_scope_zh")


def _xquad_questions(language: str) -> list[dict[str, object]]:
    # The two languages list the same questions in the same order; one per paragraph keeps near ones apart.
    seen: dict[str, dict[str, object]] = {}
    for row in read("queries_xquad_en_zh"):
        if row["lang"] == language:
            seen.setdefault(str(row["relevant"]), row)
    return list(seen.values())


def _queries(rows: Iterable[dict[str, object]], kind: str | None = None) -> list[Query]:
    return [Query(str(row["text"]), str(row["relevant"][0])) for row in rows if kind is None or row["kind"] == kind]  # type: ignore[index]


def _task(
    name: str,
    faq: Sequence[dict[str, object]],
    queries: Sequence[Query],
    far: Sequence[str],
    query_language: str = "en",
    language: str = "en",
) -> Task:
    ids, questions, answers = ([str(row[key]) for row in faq] for key in ("id", "question", "answer"))
    return Task(name, queries, ids, questions, answers, far, query_language, language)


# Fitting.


def fit_all(encoders: Encoders) -> None:
    """Print a curve per encoder and relation, and how it does on the other half."""
    for key, trials in collect(encoders).items():
        curve = fit([trial for trial in trials if not trial.is_test])
        held_out = [trial for trial in trials if trial.is_test]
        print(f"        {key}: Curve({curve.slope:.2f}, {curve.intercept:.2f}),".replace("'", '"'))
        print(f"            # {summary(held_out, curve)}")


def collect(encoders: Encoders) -> dict[Key, list[Trial]]:
    """All trials by the curve that they belong to."""
    english, multilingual = encoders.english, encoders.multilingual
    pairs = (("en", "zh"), ("zh", "en"))
    # There are no public Chinese rephrasings of an FAQ: Chinese questions share the curve that the encoder
    # gets on English ones. tests/retrieval/paraphrases.py checks it.
    sources: dict[Key, list[tuple[Encoder, Task]]] = {
        (english.name, "same"): [(english, stackfaq())],
        (multilingual.name, "same"): [(multilingual, stackfaq())],
        (multilingual.name, "cross"): [
            (multilingual, make(*pair)) for pair in pairs for make in (apisix_across, xquad_questions, demo_twins)
        ],
    }
    return {
        key: [trial for encoder, task in tasks for trial in trials_of(encoder, task)] for key, tasks in sources.items()
    }


def trials_of(encoder: Encoder, task: Task) -> list[Trial]:
    """What every query of the task finds, each entry being as good as its better field."""
    documents = encoder.encode([*task.questions, *task.answers])
    ids = np.array([*task.ids, *task.ids][: len(documents)])
    cosines = encoder.encode([query.text for query in task.queries]) @ documents.T
    trials = []
    for query, row in zip(task.queries, cosines, strict=True):
        right, is_test = ids == query.relevant, in_test_half(query.relevant)
        trials.append(Trial(float(row.max()), bool(right[row.argmax()]), "in", is_test, task.name))
        trials.append(Trial(float(row[~right].max()), False, "near", is_test, task.name))
    return trials + _far_trials(task, encoder, documents)


def _far_trials(task: Task, encoder: Encoder, documents: Vectors) -> list[Trial]:
    best = (encoder.encode(task.far) @ documents.T).max(axis=1)
    return [
        Trial(float(cosine), False, "far", in_test_half(text), task.name)
        for text, cosine in zip(task.far, best, strict=True)
    ]


def in_test_half(text: str) -> bool:
    """Whether a query of this entry (or of these words) is measured, not fitted on."""
    return zlib.crc32(text.encode()) % 2 == 1


def weights(trials: Sequence[Trial]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Every task counts the same, and within it the scopes as `MIX` says."""
    sizes: dict[tuple[str, Scope], int] = {}
    for trial in trials:
        sizes[trial.task, trial.scope] = sizes.get((trial.task, trial.scope), 0) + 1
    return np.array([MIX[trial.scope] / sizes[trial.task, trial.scope] for trial in trials])


def fit(trials: Sequence[Trial]) -> Curve:
    """The logistic curve of greatest weighted likelihood."""
    cosines = np.array([[trial.value] for trial in trials])
    model = LogisticRegression(C=1e6).fit(
        cosines, [trial.is_right for trial in trials], sample_weight=1000 * weights(trials)
    )
    return Curve(float(model.coef_[0, 0]), float(model.intercept_[0]))


def summary(trials: Sequence[Trial], curve: Curve) -> str:
    """Log loss and expected calibration error in ten bins."""
    probability = np.array([curve(trial.value) for trial in trials])
    right = np.array([trial.is_right for trial in trials], dtype=float)
    weight = weights(trials) / weights(trials).sum()
    loss = -(weight * np.log(np.where(right == 1, probability, 1 - probability).clip(1e-9))).sum()
    bins = np.minimum((probability * 10).astype(int), 9)
    gaps = [abs((weight * (right - probability))[bins == number].sum()) for number in range(10)]
    return f"held out: log loss {loss:.3f}, calibration error {sum(gaps):.3f}, {len(trials)} trials"


# Measuring the whole retriever.


def measure(encoders: Encoders) -> None:
    """Hit rates on all queries, then precision and coverage on the half that no curve was fitted on."""
    for task in (stackfaq(), *(apache(source, lang) for source in ("apisix", "dolphin") for lang in ("en", "zh"))):
        print_hits(task, encoders)
    for pair in (("en", "zh"), ("zh", "en")):
        print_hits(apisix_across(*pair), encoders)
    print_thresholds("stackfaq", [stackfaq()], encoders)
    across = [apisix_across("en", "zh"), apisix_across("zh", "en")]
    print_thresholds("apisix across languages", across, encoders)


def retriever_for(task: Task, encoders: Encoders) -> FaqRetriever:
    """The task's FAQ, as the assistant would index it."""
    # Where the queries are the questions themselves, the questions may not be indexed.
    questions = [""] * len(task.ids) if _asks_its_own_questions(task) else task.questions
    entries = tuple(
        Entry(entry_id, task.language, "", question, (), answer, (), None, "", 0, 0)
        for entry_id, question, answer in zip(task.ids, questions, task.answers, strict=True)
    )
    index = build_index(Knowledge(entries, (), ""), encoders)
    return FaqRetriever(index, encoders, RetrievalSettings(floor=0))


def _asks_its_own_questions(task: Task) -> bool:
    return {query.text for query in task.queries} <= set(task.questions)


def print_hits(task: Task, encoders: Encoders) -> None:
    """Hit rates at 1 and 5 over all queries."""
    retriever = retriever_for(task, encoders)
    ranks = []
    for query in task.queries:
        found = [hit.passage.entry_id for hit in retriever.search(query.text, language=task.query_language, limit=5)]
        ranks.append(found.index(query.relevant) if query.relevant in found else 5)
    rates = [np.mean(np.array(ranks) < cut) for cut in (1, 5)]
    print(f"{task.name:20s} {len(ranks):5d} queries: hit@1 {rates[0]:.3f}  hit@5 {rates[1]:.3f}")


def print_thresholds(name: str, tasks: Sequence[Task], encoders: Encoders) -> None:
    """For each threshold, how many in-scope queries get an answer, how many answers are right, and what slips in."""
    trials = [trial for task in tasks for trial in whole_trials(task, encoders) if trial.is_test]
    print(f"\n{name}, held-out half\nthreshold  coverage  precision(in)  precision(mix)  answered near  answered far")
    for threshold in THRESHOLDS:
        rates = {scope: _rates([t for t in trials if t.scope == scope], threshold) for scope in MIX}
        answered = sum(MIX[scope] * rates[scope][0] for scope in MIX)
        right = MIX["in"] * rates["in"][1]
        shares = f"{rates['in'][1] / max(rates['in'][0], 1e-9):13.3f}  {right / max(answered, 1e-9):14.3f}"
        print(f"{threshold:9.2f}  {rates['in'][0]:8.3f}  {shares}  {rates['near'][0]:13.3f}  {rates['far'][0]:12.3f}")


def whole_trials(task: Task, encoders: Encoders) -> list[Trial]:
    """What the retriever's first hit is worth; "near" is the first hit of another entry than the right one."""
    retriever = retriever_for(task, encoders)
    trials = []
    for query in task.queries:
        hits = retriever.search(query.text, language=task.query_language, limit=2)
        others = [hit.confidence for hit in hits if hit.passage.entry_id != query.relevant]
        is_right, is_test = hits[0].passage.entry_id == query.relevant, in_test_half(query.relevant)
        trials.append(Trial(hits[0].confidence, is_right, "in", is_test, task.name))
        trials.append(Trial(others[0], False, "near", is_test, task.name))
    for text in task.far:
        hits = retriever.search(text, language=task.query_language, limit=1)
        trials.append(Trial(hits[0].confidence, False, "far", in_test_half(text), task.name))
    return trials


def _rates(trials: Sequence[Trial], threshold: float) -> tuple[float, float]:
    """The share answered, and the share answered rightly."""
    answered = [trial for trial in trials if trial.value >= threshold]
    return len(answered) / len(trials), sum(trial.is_right for trial in answered) / len(trials)


# Timing.


def time_queries(encoders: Encoders) -> None:
    """Median and worst time of one query, with idle cores and beside a thread that multiplies matrices."""
    import torch

    busy = threading.Event()
    done = threading.Event()

    def burn() -> None:
        matrix = torch.randn(1024, 1024)
        while not done.is_set():
            busy.wait(0.1)
            if busy.is_set():
                matrix @ matrix

    thread = threading.Thread(target=burn)
    thread.start()
    for encoder in (encoders.english, encoders.multilingual):
        for state in ("idle", "busy"):
            busy.set() if state == "busy" else busy.clear()
            times = sorted(_seconds(encoder) for _ in range(40))
            print(f"{encoder.name:20s} {state}: median {1e3 * times[20]:.1f} ms, worst {1e3 * times[-1]:.1f} ms")
    busy.clear()
    done.set()
    thread.join()


def _seconds(encoder: Encoder) -> float:
    started = time.perf_counter()
    encoder.encode(["How long does it take to return an item?"])
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
