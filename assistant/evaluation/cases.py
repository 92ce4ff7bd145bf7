"""Answer cases: a conversation and what its last answer has to be, as JSON Lines.

    {"id": "en-combine-01", "lang": "en", "kind": "combine", "turns": [{"role": "customer", "text": "..."}],
     "expect": {"entry_ids": ["a", ["b", "c"]], "include": ["60 days"], "exclude": [], "decision": ["verbatim"]},
     "knowledge": [{"id": "planted", "lang": "en", "question": "...", "answer": "..."}]}

Where a list stands inside `entry_ids` or `include`, one of its elements is enough. Bounds: `MAX_TURNS` a case,
`MAX_CASES` a run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from assistant.conversation.events import Decision
from assistant.errors import DatasetError
from assistant.evaluation.records import FaqRow, Language, Row, Text, Turn, read_rows, refuse_repeated
from assistant.evaluation.tokens import folded

MAX_TURNS = 50
MAX_CASES = 10_000
UNSPECIFIED = "unspecified"

OneOf = Annotated[tuple[Text, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
"""A text, or several of which one is enough."""
Decisions = Annotated[tuple[Decision, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Expect(BaseModel):
    """What the last answer has to be; what is left out may be anything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry_ids: tuple[OneOf, ...] = ()
    include: tuple[OneOf, ...] = ()
    exclude: tuple[Text, ...] = ()
    decision: Decisions = ()

    @model_validator(mode="after")
    def _expects_something(self) -> Expect:
        if not (self.entry_ids or self.include or self.exclude or self.decision):
            raise ValueError("it expects nothing; name entry_ids, include, exclude or decision")
        return self

    @property
    def wants_answer(self) -> bool:
        """Whether to abstain would be wrong."""
        return bool(self.entry_ids or self.include) and "abstained" not in self.decision


class Case(Row):
    """One conversation. Only the customer's turns are played; others tell a reader what was said in reality."""

    id: Text
    lang: Language
    turns: tuple[Turn, ...] = Field(min_length=1, max_length=MAX_TURNS)
    expect: Expect
    kind: str = UNSPECIFIED
    knowledge: tuple[FaqRow, ...] = ()

    @model_validator(mode="after")
    def _has_a_customer(self) -> Case:
        if not self.asked:
            raise ValueError("no turn is the customer's")
        return self

    @property
    def asked(self) -> tuple[str, ...]:
        """The customer's messages, oldest first."""
        return tuple(turn.text for turn in self.turns if turn.by_customer)


@dataclass(frozen=True, slots=True)
class Given:
    """What came as the last answer, as far as it is judged."""

    text: str
    decision: Decision
    cited: frozenset[str]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was missing of the expected, in words; right where nothing was."""

    missing: tuple[str, ...]
    has_excluded: bool

    @property
    def is_right(self) -> bool:
        """Whether everything was as expected."""
        return not self.missing


def load_cases(paths: Sequence[Path]) -> list[Case]:
    """The cases of files, and of folders' ``*.jsonl`` and ``*.jsonl.gz``, in the order of their names.

    Raises `DatasetError` with file and line for a row that is no case, for an id used twice, and for no case at all.
    """
    placed = [item for path in paths for file in _files(path) for item in read_rows(file, Case)]
    refuse_repeated((f"case id {item.row.id!r}", item.where) for item in placed)
    if not placed:
        raise DatasetError(f"No case lies in {' or '.join(map(str, paths))}.", fix="Name a file or folder by --cases.")
    if len(placed) > MAX_CASES:
        raise DatasetError(
            f"There are {len(placed)} cases; the limit is {MAX_CASES}.", fix="Use --limit or fewer files."
        )
    return [item.row for item in placed]


def judge(expect: Expect, given: Given) -> Judgement:
    """Compare an answer with what is expected; texts after NFKC and without regard to case and white space."""
    text = _comparable(given.text)
    missing = []
    if expect.decision and given.decision not in expect.decision:
        missing.append(f"decision {' or '.join(expect.decision)}")
    missing += [f"entry {' or '.join(ids)}" for ids in expect.entry_ids if not given.cited.intersection(ids)]
    missing += [f"text {' or '.join(texts)}" for texts in expect.include if not any(_has(text, t) for t in texts)]
    unwanted = [f"no {excluded}" for excluded in expect.exclude if _has(text, excluded)]
    return Judgement((*missing, *unwanted), bool(unwanted))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.name.endswith((".jsonl", ".jsonl.gz")))
    return [path]


def _comparable(text: str) -> str:
    """Folded, and without the spaces that some put between Chinese and digits."""
    return re.sub(r"(?<=[㐀-鿿]) | (?=[㐀-鿿])", "", folded(text))


def _has(text: str, part: str) -> bool:
    """Whether the part stands in the text; a number never inside a longer one, but 12 in 12.00."""
    wanted = _comparable(part)
    before = r"(?<!\d)(?<!\d[.,])" if wanted[:1].isdigit() else ""
    after = r"(?!\d|[.,]\d)|(?=\.00(?!\d))" if wanted[-1:].isdigit() else ""
    return re.search(before + re.escape(wanted) + f"(?:{after})", text) is not None
