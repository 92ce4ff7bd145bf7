"""Reads what is measured on: FAQ rows and questions, as JSON Lines, plain or gzipped.

    {"id": "return-window", "lang": "en", "question": "...", "answer": "...", "wordings": ["..."]}
    {"qid": "q1", "lang": "en", "text": "...", "relevant": ["return-window"], "kind": "...",
     "context": [{"role": "customer", "text": "..."}], "relevant_other_lang": ["..."]}

Keys beyond these are left alone. Bounds: `MAX_LINE_CHARS` a row, `MAX_ROWS` a file.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from assistant.errors import DatasetError
from assistant.language import primary_language
from assistant.retrieval.entries import Entry

MAX_LINE_CHARS = 1_000_000
MAX_ROWS = 1_000_000

Text = Annotated[str, Field(min_length=1)]
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2}([-_]\w+)*$"), AfterValidator(primary_language)]
Speaker = Literal["customer", "user", "agent", "assistant"]
FaqField = Literal["question", "answer"]
FAQ_FIELDS: tuple[FaqField, ...] = ("question", "answer")
M = TypeVar("M", bound=BaseModel)


class Row(BaseModel):
    """One row of a file; what else it carries is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Turn(Row):
    """Something said in a conversation; ``user`` is another word for the customer."""

    role: Speaker
    text: Text

    @property
    def by_customer(self) -> bool:
        """Whether the customer said it."""
        return self.role in ("customer", "user")


class FaqRow(Row):
    """One entry of an FAQ: a question, an answer, or both."""

    id: Text
    lang: Language
    question: str = ""
    answer: str = ""
    wordings: tuple[Text, ...] = ()
    source: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> FaqRow:
        if not self.question.strip() and not self.answer.strip():
            raise ValueError("the entry has neither question nor answer")
        return self

    def entry(self, *, fields: Collection[FaqField] = FAQ_FIELDS, tenant: str = "") -> Entry | None:
        """The row as an entry with only these fields (a question with its other wordings); None if it has neither."""
        question = self.question.strip() if "question" in fields else ""
        answer = self.answer.strip() if "answer" in fields else ""
        if not question and not answer:
            return None
        return Entry(
            id=self.id,
            lang=self.lang,
            topic="",
            question=question,
            wordings=self.wordings if "question" in fields else (),
            answer=answer,
            tags=(),
            review=None,
            source=self.source,
            source_start=0,
            source_end=len(answer),
            tenant=tenant,
        )


class Query(Row):
    """One question and the ids of the entries that answer it, any of which counts."""

    qid: Text
    lang: Language
    text: Text
    relevant: tuple[Text, ...] = Field(min_length=1)
    relevant_other_lang: tuple[Text, ...] = ()
    kind: str = ""
    context: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed(Generic[M]):
    """A row and where it stands, as ``file:line``."""

    row: M
    where: str


def read_faq(path: Path) -> list[FaqRow]:
    """The entries of a file. Raises `DatasetError` with file and line, also where an id is used twice in a language."""
    placed = list(read_rows(path, FaqRow))
    refuse_repeated((f"{item.row.lang} id {item.row.id!r}", item.where) for item in placed)
    return [item.row for item in placed]


def read_queries(path: Path) -> list[Query]:
    """The questions of a file. Raises `DatasetError` with file and line, also where a qid is used twice."""
    placed = list(read_rows(path, Query))
    refuse_repeated((f"qid {item.row.qid!r}", item.where) for item in placed)
    return [item.row for item in placed]


def read_rows(path: Path, model: type[M]) -> Iterator[Placed[M]]:
    """Every row of a .jsonl or .jsonl.gz file, checked.

    Raises `DatasetError` naming file, line, the key and the fix; also for a file that is missing or has no row.
    """
    empty = True
    for where, line in _lines(path):
        empty = False
        yield Placed(_checked(_parsed(line, where), where, model), where)
    if empty:
        raise DatasetError(f"{path} has no row.", fix="Write one JSON object per line.")


def refuse_repeated(named: Iterator[tuple[str, str]]) -> None:
    """Raise `DatasetError` for the first name, given as (name, ``file:line``), that stands twice."""
    first: dict[str, str] = {}
    for name, where in named:
        if name in first:
            raise DatasetError(f"{where}: the {name} stands at {first[name]} already.", fix="Give each row its own.")
        first[name] = where


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    number = 0
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as file
        ):
            while line := file.readline(MAX_LINE_CHARS + 1):
                number += 1
                _refuse_too_much(path, number, line)
                if line.strip():
                    yield f"{path}:{number}", line
    except FileNotFoundError as error:
        raise DatasetError(f"The file {path} does not exist.", fix="Give an existing .jsonl or .jsonl.gz.") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path}:{number + 1}: cannot be read: {error}.", fix="Give a UTF-8 file, .jsonl or .jsonl.gz."
        ) from error


def _refuse_too_much(path: Path, number: int, line: str) -> None:
    if len(line) > MAX_LINE_CHARS:
        raise DatasetError(
            f"{path}:{number}: the row is longer than {MAX_LINE_CHARS} characters.", fix="Split it into several."
        )
    if number > MAX_ROWS:
        raise DatasetError(f"{path} has more than {MAX_ROWS} rows.", fix="Measure on a part of it.")


def _parsed(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f"{where}: is not JSON: {error}.", fix="Write one JSON object per line.") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: is {type(row).__name__}, not an object.", fix="Write one JSON object per line.")
    return row


def _checked(row: dict[str, Any], where: str, model: type[M]) -> M:
    try:
        return model.model_validate(row)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    cause = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        raise DatasetError(f"{where}: the key {key} is missing.", fix=f"Add {key} to the row.")
    found = f"{key} = {problem['input']!r:.40}: " if key else ""
    raise DatasetError(f"{where}: {found}{cause}.", fix="Correct the row.")
