"""The rows of an intents file, JSON Lines, plain or gzipped.

    {"text": "...", "intent": "card_arrival", "lang": "en", "in_scope": true, "split": "train"}

``intents``, a list, stands for ``intent`` where a message has several; ``in_scope`` is true where it is not said,
``lang`` is detected. Bounds: `MAX_CHARS` a text, and those of `records`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from assistant.errors import DatasetError
from assistant.evaluation.records import Language, Placed, Row, Text, read_rows
from assistant.language import detect

MAX_CHARS = 8_000
SHOWN_CHARS = 80

Side = Literal["train", "test"]


class IntentRow(Row):
    """One message and its intents; none where it has none of the known ones."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]
    intent: str | None = None
    intents: tuple[Text, ...] | None = None
    lang: Language | None = None
    in_scope: bool = True
    split: str | None = None

    @field_validator("text")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("the text is empty")
        return text

    @model_validator(mode="after")
    def _has_an_intent(self) -> IntentRow:
        if self.in_scope and not self.labels:
            raise ValueError("the row is in scope and has no intent")
        return self

    @property
    def labels(self) -> frozenset[str]:
        """Its intents."""
        return frozenset(self.intents if self.intents is not None else (self.intent,) if self.intent else ())

    @property
    def language(self) -> str:
        """The language it is in."""
        return self.lang or detect(self.text, fallback="en")


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows to fit on and the rows to judge; ``dropped`` test rows were left out as known by heart."""

    train: list[IntentRow]
    test: list[IntentRow]
    dropped: int = 0


def read_sides(train_path: Path, test_path: Path, *, drop_shared: bool = False) -> Sides:
    """Both sides. Raises `DatasetError` for a row that cannot be used, and for a text that stands on both sides.

    What was learned by heart measures nothing; ``drop_shared`` leaves such test rows out instead.
    """
    train, test = _side(train_path, "train"), _side(test_path, "test")
    learned = {placed.row.text: placed.where for placed in train}
    shared = [placed for placed in test if placed.row.text in learned]
    if shared and not drop_shared:
        _refuse(shared, learned[shared[0].row.text])
    kept = [placed.row for placed in test if placed.row.text not in learned]
    if not kept:
        raise DatasetError(f"{test_path} has no row that is not trained on.", fix="Give other rows to test on.")
    return Sides([placed.row for placed in train], kept, len(shared))


def _side(path: Path, side: Side) -> list[Placed[IntentRow]]:
    """Of a file whose rows carry ``split`` that split; to train on only what is in scope."""
    rows = [placed for placed in read_rows(path, IntentRow) if placed.row.split in (None, side)]
    if side == "train":
        rows = [placed for placed in rows if placed.row.in_scope]
    if not rows:
        wanted = '"split": "train" and "in_scope": true' if side == "train" else '"split": "test"'
        raise DatasetError(f"{path} has no row to {side} on.", fix=f"Give rows without split, or with {wanted}.")
    return rows


def _refuse(shared: Sequence[Placed[IntentRow]], learned_at: str) -> None:
    text, where = shared[0].row.text, shared[0].where
    shown = text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"
    others = f" {len(shared) - 1} more are on both sides." if len(shared) > 1 else ""
    raise DatasetError(
        f"{where}: the text {shown!r} is trained on, at {learned_at}.{others}",
        fix="Remove it from one side, or leave such rows out of the test with --drop-shared.",
    )
