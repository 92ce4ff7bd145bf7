from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.errors import DatasetError
from assistant.evaluation.intent_rows import Sides, read_sides
from assistant.evaluation.scope import ScopeReport, judge, measure
from assistant.insight.encoding import EncoderPair
from assistant.insight.intents import Guess
from tests.evaluation.rows import write_rows
from tests.retrieval.hashing import HashingEncoder

pytestmark = pytest.mark.unit

TRAIN = [
    {"text": f"{verb} my {thing}", "intent": verb}
    for verb in ("return", "cancel")
    for thing in ("lamp", "sofa", "table")
]
TEST = [
    {"text": "return my chair", "intent": "return"},
    {"text": "cancel my chair", "intent": "cancel"},
    {"text": "zebra vortex quiz", "intent": "none", "in_scope": False},
]


def files(tmp_path: Path, train: list[object], test: list[object]) -> tuple[Path, Path]:
    return write_rows(tmp_path / "train.jsonl", *train), write_rows(tmp_path / "test.jsonl.gz", *test)


def measured(sides: Sides) -> ScopeReport:
    return measure(sides, EncoderPair(HashingEncoder("one"), HashingEncoder("two")))


def test_intents_are_told_apart_and_what_is_outside_from_them(tmp_path: Path) -> None:
    report = measured(read_sides(*files(tmp_path, TRAIN, TEST)))
    assert (report.n_train, report.n_in, report.n_out) == (6, 2, 1)
    assert (report.accuracy, report.auroc, report.fpr_at_95_tpr) == (1.0, 1.0, 0.0)
    assert report.per_intent["return"].support == 1
    assert report.per_intent["return"].f1 == 1.0


def test_of_a_file_with_splits_each_side_takes_its_own(tmp_path: Path) -> None:
    rows = [row | {"split": "train"} for row in TRAIN] + [row | {"split": "test"} for row in TEST]
    rows += [
        {"text": "far away", "intent": "x", "split": "train", "in_scope": False},
        {"text": "v", "split": "valid", "intent": "x"},
    ]
    path = write_rows(tmp_path / "all.jsonl", *rows)
    sides = read_sides(path, path)
    assert [row.text for row in sides.train] == [row["text"] for row in TRAIN]
    assert [row.text for row in sides.test] == [row["text"] for row in TEST]


def test_a_text_on_both_sides_is_refused_with_its_places(tmp_path: Path) -> None:
    train, test = files(tmp_path, TRAIN, [*TEST, TRAIN[1]])
    with pytest.raises(DatasetError) as error:
        read_sides(train, test)
    assert "return my sofa" in str(error.value)
    assert f"{test}:4" in str(error.value)
    assert f"{train}:2" in str(error.value)


def test_shared_texts_can_be_dropped_and_are_counted(tmp_path: Path) -> None:
    sides = read_sides(*files(tmp_path, TRAIN, [*TEST, TRAIN[1]]), drop_shared=True)
    assert (len(sides.test), sides.dropped) == (3, 1)
    assert "1 test rows" in measured(sides).notes[0]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"intent": "x"}, "the key text is missing"),
        ({"text": "  ", "intent": "x"}, "the text is empty"),
        ({"text": "hello"}, "has no intent"),
        ({"text": "hello", "intent": "x", "in_scope": "maybe"}, "in_scope"),
        ({"text": "hello", "intents": "x"}, "intents"),
        ({"text": "y" * 8001, "intent": "x"}, "8000"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, row: dict[str, object], told: str) -> None:
    train, test = files(tmp_path, [*TRAIN, row], TEST)
    with pytest.raises(DatasetError, match=told) as error:
        read_sides(train, test)
    assert f"{train}:7" in str(error.value)


@pytest.mark.parametrize("train", [[], [TEST[2]], [TRAIN[0] | {"split": "test"}]])
def test_a_side_without_rows_is_refused(tmp_path: Path, train: list[object]) -> None:
    with pytest.raises(DatasetError):
        read_sides(*files(tmp_path, train, TEST))


def test_without_rows_out_of_scope_there_is_no_auroc_and_a_note_says_so(tmp_path: Path) -> None:
    report = measured(read_sides(*files(tmp_path, TRAIN, TEST[:1])))
    assert (report.auroc, report.fpr_at_95_tpr, report.n_out) == (None, None, 0)
    assert any("out of scope" in line for line in report.notes)
    assert report.accuracy == 1.0


def test_without_rows_in_scope_there_is_no_accuracy(tmp_path: Path) -> None:
    report = measured(read_sides(*files(tmp_path, TRAIN, TEST[2:])))
    assert (report.accuracy, report.auroc, report.threshold_at_95_tpr, report.per_intent) == (None, None, None, {})


def test_one_row_and_one_intent_are_enough(tmp_path: Path) -> None:
    report = measured(read_sides(*files(tmp_path, TRAIN[:1], [TEST[0], TEST[2]])))
    assert (report.accuracy, report.n_in, report.n_out) == (1.0, 1, 1)
    assert any("only one intent" in line for line in report.notes)


def test_the_threshold_lets_95_percent_of_what_is_in_scope_pass(tmp_path: Path) -> None:
    rows = [{"text": f"in {number}", "intent": "a"} for number in range(100)]
    rows += [{"text": f"out {number}", "in_scope": False} for number in range(4)]
    sides = read_sides(*files(tmp_path, TRAIN, rows))
    scores = [number / 100 for number in range(100)] + [0.01, 0.02, 0.5, 0.6]
    report = judge(sides.train, sides.test, [Guess(frozenset(["a"]), score) for score in scores])
    assert report.threshold_at_95_tpr == pytest.approx(0.0495)
    assert report.fpr_at_95_tpr == 0.5
    assert report.auroc == pytest.approx((98.5 + 97.5 + 49.5 + 39.5) / 400)  # ties count half


def test_rows_with_several_intents_are_right_only_with_all_of_them(tmp_path: Path) -> None:
    sides = read_sides(
        *files(tmp_path, TRAIN, [{"text": "both", "intents": ["a", "b"]}, {"text": "one", "intents": ["a"]}])
    )
    report = judge(sides.train, sides.test, [Guess(frozenset(["a"]), 1.0), Guess(frozenset(["a"]), 1.0)])
    assert report.accuracy == 0.5
    assert report.per_intent["b"].recall == 0.0
    assert json.dumps(report.per_intent["a"].f1) == "1.0"
