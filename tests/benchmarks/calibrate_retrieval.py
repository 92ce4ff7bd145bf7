"""Fit the curves of `assistant.retrieval.calibration` and measure the retriever on public data.

Run with ``ASSISTANT_EVAL_DATA`` set: ``python -m tests.benchmarks.calibrate_retrieval`` prints the curves
to put into calibration.py; with ``--measure`` it prints hit rates, calibration error, and precision and coverage per
threshold, with the curves that stand there.

A trial is the best entry that one query found. Half of the assumed customers ask what the FAQ
answers; a quarter ask something near it, made by taking the right entry out; a quarter something far
(another data set's questions). The weights make every data set follow that mix. Queries are split in two
by the entry they belong to: the curves are fitted on one half and everything printed is of the other.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.linear_model import LogisticRegression

from assistant.config import RetrievalSettings, load
from assistant.retrieval import ranking
from assistant.retrieval.calibration import Curve, Situation
from assistant.retrieval.embedding import Encoders, load_encoders
from assistant.retrieval.entries import Knowledge
from assistant.retrieval.index import build_index
from assistant.retrieval.retriever import FaqRetriever
from tests.benchmarks.retrieval_tasks import OTHER, Task, across_tasks, question_tasks, taught_tasks, text_tasks

Scope = Literal["in", "near", "far"]
MIX: dict[Scope, float] = {"in": 0.5, "near": 0.25, "far": 0.25}
# Who writes a dozen wordings to an entry has looked at what is asked: more of it has an answer.
TAUGHT_MIX: dict[Scope, float] = {"in": 0.7, "near": 0.15, "far": 0.15}
THRESHOLDS = (0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
DEPTH = 5


@dataclass(frozen=True)
class Trial:
    """What one query found first: its evidence or its confidence, and whether it was right."""

    values: tuple[float, ...]
    is_right: bool
    scope: Scope
    is_test: bool
    task: str
    situation: Situation | None = None


def main() -> None:
    """Print what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    encoders = load_encoders(load())
    if options.measure:
        measure(encoders)
    else:
        fit_all(encoders)


# Fitting.


def fit_all(encoders: Encoders) -> None:
    """Print a curve for each situation, and how it does on the other half."""
    trials = [
        trial
        for task in (*question_tasks(), *taught_tasks(), *text_tasks(), *across_tasks())
        for trial in evidence(task, encoders)
    ]
    for case in dict.fromkeys(trial.situation for trial in trials):
        of_case = [trial for trial in trials if trial.situation == case]
        curve = fit([trial for trial in of_case if not trial.is_test])
        held_out = [trial for trial in of_case if trial.is_test]
        print(f"{case}:\n    {curve}")
        print(f"    # {summary(held_out, curve)}; {sorted({trial.task for trial in held_out})}")


def evidence(task: Task, encoders: Encoders) -> list[Trial]:
    """The best entry of every query, with the right entry in the index and without it."""
    index = build_index(Knowledge.of(task.entries, ()), encoders)
    (group,) = index.groups

    def gather(text: str) -> ranking.Evidence:
        query = ranking.Query(text, task.query_language, encoders)
        return ranking.gather(index, group, query, limit=3)

    def trial(found: ranking.Evidence, place: int, is_right: bool, scope: Scope, half: str) -> Trial:
        values = (
            float(found.cosines[place]),
            float(found.coverage[place]),
            found.lead(place),
            float(found.scores[place]),
        )
        return Trial(values, is_right, scope, in_test_half(half), task.name, found.situation)

    trials = []
    for query in task.queries:
        found = gather(query.text)
        is_right = index.entries[found.entries[0]].id in {query.relevant, *query.others}
        trials.append(trial(found, 0, is_right, "in", query.relevant))
        trials.append(trial(found, int(is_right), False, "near", query.relevant))
    trials.extend(trial(gather(text), 0, False, "far", text) for text in task.far)
    return trials


def in_test_half(text: str) -> bool:
    """Whether a query of this entry (or of these words) is measured, not fitted on."""
    return zlib.crc32(text.encode()) % 2 == 1


def weights(trials: Sequence[Trial]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Every task counts the same, and within it the scopes as `MIX` says."""
    sizes: dict[tuple[str, Scope], int] = {}
    for trial in trials:
        sizes[trial.task, trial.scope] = sizes.get((trial.task, trial.scope), 0) + 1
    return np.array([_mix(trial)[trial.scope] / sizes[trial.task, trial.scope] for trial in trials])


def _mix(trial: Trial) -> dict[Scope, float]:
    is_taught = trial.situation is not None and trial.situation.form == "taught"
    return TAUGHT_MIX if is_taught else MIX


def fit(trials: Sequence[Trial]) -> Curve:
    """The logistic curve of greatest weighted likelihood; what speaks against an entry in it is left out."""
    values = np.array([trial.values for trial in trials])
    right = [trial.is_right for trial in trials]
    kept = [0, 1, 2, 3]
    while True:
        model = LogisticRegression(C=1e6, max_iter=1000)
        model.fit(values[:, kept], right, sample_weight=1000 * weights(trials))
        if (model.coef_[0] >= 0).all():
            break
        kept.pop(int(model.coef_[0].argmin()))
    slopes = np.zeros(4)
    slopes[kept] = model.coef_[0]
    return Curve(*map(float, slopes), float(model.intercept_[0]))


def summary(trials: Sequence[Trial], curve: Curve) -> str:
    """How well the curve tells the chance, in numbers."""
    values = np.array([trial.values for trial in trials])
    return f"held out: calibration error {calibration_error(trials, curve(*values.T)):.3f}, {len(trials)} trials"


def calibration_error(trials: Sequence[Trial], probability: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The expected calibration error in ten bins (Naeini et al. 2015)."""
    right = np.array([trial.is_right for trial in trials], dtype=float)
    weight = weights(trials) / weights(trials).sum()
    bins = np.minimum((probability * 10).astype(int), 9)
    return float(sum(abs((weight * (right - probability))[bins == number].sum()) for number in range(10)))


# Measuring the whole retriever.


def measure(encoders: Encoders) -> None:
    """Hit rates on all queries, then precision and coverage on the half that no curve was fitted on."""
    kinds: tuple[tuple[str, Callable[[], Iterable[Task]]], ...] = (
        ("questions", question_tasks),
        ("texts", text_tasks),
        ("across languages", across_tasks),
    )
    for kind, tasks in kinds:
        trials = [trial for task in tasks() for trial in whole_trials(task, encoders)]
        for language in ("en", "zh", OTHER):
            held_out = [trial for trial in trials if trial.is_test and trial.task.endswith(language)]
            if held_out:
                print_thresholds(f"{kind}, {language}", held_out)


def whole_trials(task: Task, encoders: Encoders) -> list[Trial]:
    """What the retriever's first hit is worth; "near" is the first hit of another entry than the right one."""
    retriever = FaqRetriever(
        build_index(Knowledge.of(task.entries, ()), encoders), encoders, RetrievalSettings(floor=0)
    )
    trials, ranks = [], []
    for query in task.queries:
        hits = retriever.search(query.text, language=task.query_language, limit=DEPTH)
        ids = [hit.passage.entry_id for hit in hits]
        ranks.append(ids.index(query.relevant) if query.relevant in ids else DEPTH)
        other = next(hit.confidence for hit in hits if hit.passage.entry_id != query.relevant)
        is_test = in_test_half(query.relevant)
        trials.append(Trial((hits[0].confidence,), ranks[-1] == 0, "in", is_test, task.name))
        trials.append(Trial((other,), False, "near", is_test, task.name))
    for text in task.far:
        hits = retriever.search(text, language=task.query_language, limit=1)
        trials.append(Trial((hits[0].confidence,), False, "far", in_test_half(text), task.name))
    rates = [np.mean(np.array(ranks) < cut) for cut in (1, DEPTH)]
    print(f"{task.name:28s} {len(ranks):5d} queries: hit@1 {rates[0]:.3f}  hit@5 {rates[1]:.3f}", flush=True)
    return trials


def print_thresholds(name: str, trials: Sequence[Trial]) -> None:
    """For each threshold, how many in-scope queries get an answer, how many answers are right, and what slips in."""
    error = calibration_error(trials, np.array([trial.values[0] for trial in trials]))
    print(f"\n{name}, held-out half, calibration error {error:.3f}")
    print("threshold  answered  right  right in the mix  near   far")
    for threshold in THRESHOLDS:
        rates = {scope: _rates([t for t in trials if t.scope == scope], threshold) for scope in MIX}
        answered = sum(MIX[scope] * rates[scope][0] for scope in MIX)
        right, in_mix = rates["in"][1] / max(rates["in"][0], 1e-9), MIX["in"] * rates["in"][1] / max(answered, 1e-9)
        shares = f"{right:.3f}  {in_mix:.3f}             {rates['near'][0]:.3f}  {rates['far'][0]:.3f}"
        print(f"{threshold:9.2f}  {rates['in'][0]:.3f}     {shares}")


def _rates(trials: Sequence[Trial], threshold: float) -> tuple[float, float]:
    """The share answered, and the share answered rightly; every task counts the same."""
    weight = weights(trials) / weights(trials).sum()
    answered = np.array([trial.values[0] >= threshold for trial in trials])
    right = np.array([trial.is_right for trial in trials])
    return float(weight[answered].sum()), float(weight[answered & right].sum())


if __name__ == "__main__":
    main()
