"""How well intents are told apart, and questions of another kind from all of them.

A company's rows are fitted on (`assistant.insight.intents.IntentHead`) and other rows of it judged. AUROC is the
probability that a message in scope scores higher than one out of scope (0.5 is guessing); FPR at 95 % TPR the share
of messages out of scope that pass the threshold which 95 % of those in scope pass. The threshold itself is printed:
the score of a message does not depend on the other messages, so it can be put to use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score
from sklearn.preprocessing import MultiLabelBinarizer

from assistant.evaluation.intent_rows import IntentRow, Sides
from assistant.insight.encoding import EncoderPair
from assistant.insight.intents import Guess, IntentHead

TRUE_POSITIVE_RATE = 0.95


@dataclass(frozen=True, slots=True)
class IntentScore:
    """How well one intent is told apart; ``support`` is how many test rows have it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ScopeReport:
    """What was measured; None where the test rows cannot tell, with the reason in ``notes``."""

    n_train: int
    n_in: int
    n_out: int
    accuracy: float | None
    auroc: float | None
    fpr_at_95_tpr: float | None
    threshold_at_95_tpr: float | None
    per_intent: dict[str, IntentScore]
    macro_f1: float | None
    notes: list[str] = field(default_factory=list)


def measure(sides: Sides, encoders: EncoderPair) -> ScopeReport:
    """Fit on the train rows and judge the test rows. Blocking."""
    head = IntentHead.fit(encoders, [row.text for row in sides.train], [row.labels for row in sides.train])
    dropped = f"{sides.dropped} test rows whose text is trained on were left out"
    return judge(sides.train, sides.test, _guesses(head, sides.test), [dropped] if sides.dropped else [])


def judge(
    train: Sequence[IntentRow], test: Sequence[IntentRow], guesses: Sequence[Guess], notes: Sequence[str] = ()
) -> ScopeReport:
    """The report on guesses that were made for the test rows, in their order."""
    inside = [(row.labels, guess) for row, guess in zip(test, guesses, strict=True) if row.in_scope]
    outside = [guess.scope for row, guess in zip(test, guesses, strict=True) if not row.in_scope]
    scores = np.array([guess.scope for _, guess in inside])
    threshold = float(np.quantile(scores, 1 - TRUE_POSITIVE_RATE)) if inside else None
    can_separate = bool(inside and outside)
    per_intent = _per_intent([labels for labels, _ in inside], [guess.labels for _, guess in inside])
    return ScopeReport(
        n_train=len(train),
        n_in=len(inside),
        n_out=len(outside),
        accuracy=_share([labels == guess.labels for labels, guess in inside]),
        auroc=_auroc(scores, outside) if can_separate else None,
        fpr_at_95_tpr=_share([score >= threshold for score in outside]) if threshold is not None else None,
        threshold_at_95_tpr=threshold,
        per_intent=per_intent,
        macro_f1=sum(score.f1 for score in per_intent.values()) / len(per_intent) if per_intent else None,
        notes=[*notes, *_notes(train, inside, outside)],
    )


def _guesses(head: IntentHead, rows: Sequence[IntentRow]) -> list[Guess]:
    """A guess for each row, rows of one language together."""
    found: dict[int, Guess] = {}
    for language in sorted({row.language for row in rows}):
        places = [place for place, row in enumerate(rows) if row.language == language]
        guesses = head.guess([rows[place].text for place in places], language=language)
        found.update(zip(places, guesses, strict=True))
    return [found[place] for place in range(len(rows))]


def _auroc(inside: np.ndarray[tuple[int], np.dtype[np.float64]], outside: Sequence[float]) -> float:
    truth = [True] * len(inside) + [False] * len(outside)
    return float(roc_auc_score(truth, [*inside, *outside]))


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _per_intent(truth: Sequence[frozenset[str]], guessed: Sequence[frozenset[str]]) -> dict[str, IntentScore]:
    """Precision, recall and F1 of every intent that the test rows have; a ratio without cases counts as 0."""
    names = sorted(frozenset().union(*truth))
    if not names:
        return {}
    marks = MultiLabelBinarizer(classes=names).fit(names)
    known = frozenset(names)
    expected = marks.transform(truth)
    answered = marks.transform([labels & known for labels in guessed])
    columns = precision_recall_fscore_support(expected, answered, zero_division=0.0)
    return {
        name: IntentScore(float(p), float(r), float(f), int(s))
        for name, p, r, f, s in zip(names, *columns, strict=True)
    }


def _notes(train: Sequence[IntentRow], inside: Sequence[object], outside: Sequence[object]) -> list[str]:
    notes = []
    if not outside:
        notes.append("the test has no rows out of scope: AUROC and FPR are not defined")
    if not inside:
        notes.append("the test has no rows in scope: accuracy, AUROC and the threshold are not defined")
    if len(frozenset().union(*(row.labels for row in train))) == 1:
        notes.append("only one intent is trained on: every message gets it, only the scope score tells anything")
    return notes
