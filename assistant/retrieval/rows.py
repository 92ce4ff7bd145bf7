"""Entries as rows: JSON Lines (``.jsonl``, ``.jsonl.gz``) and tables (``.csv``).

A row has ``question`` and ``answer`` (or ``answers``, of which the first is sent), and may have ``id``, ``lang``,
``wordings`` (or ``also``), ``tags`` and ``source``, the page it was taken from. Fields with other names are passed
over. A JSON row ``{"id", "lang", "removed": true}`` takes an entry away that another folder brings.

What offsets refer to is `RowFile.text`: questions and answers one below the other, since in the file itself an answer
may be written with escapes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from assistant.errors import KnowledgeError
from assistant.language import primary_language
from assistant.retrieval.entries import LANGUAGE, Entry, derived_id, problem
from assistant.retrieval.files import read_text
from assistant.retrieval.outline import readable

ROW_SUFFIXES = (".jsonl", ".jsonl.gz", ".csv")
MAX_ROWS_BYTES = 512 * 1_048_576
MAX_LIST = 100

COLUMNS = {
    "question": ("question", "问题"),
    "answer": ("answer", "答案", "回答"),
    "id": ("id", "编号"),
    "lang": ("lang", "language", "语言"),
    "wordings": ("also", "wordings", "又问"),
    "tags": ("tags", "标签"),
    "source": ("source", "来源"),
}
"""How the columns of a ``.csv`` may be headed."""

BEGIN_WITH = "Begin with: question,answer,id,lang,also,tags"

_TAG_SEPARATOR = re.compile(r"[,，、;；|]")


def _clean(value: object) -> object:
    return readable(value).strip() if isinstance(value, str) else value


Short = Annotated[str, StringConstraints(min_length=1, max_length=2_000), BeforeValidator(_clean)]
Long = Annotated[str, StringConstraints(min_length=1, max_length=100_000), BeforeValidator(_clean)]
Id = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]{1,200}$")]


class Row(BaseModel):
    """One row, whatever it was written in."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)

    id: Id | None = None
    lang: Short | None = None
    question: Short | None = None
    answer: Long | None = None
    wordings: Annotated[tuple[Short, ...], Field(max_length=MAX_LIST)] = Field(
        default=(), validation_alias=AliasChoices("wordings", "also")
    )
    tags: Annotated[tuple[Short, ...], Field(max_length=MAX_LIST)] = ()
    source: str = Field(default="", max_length=2_000)
    removed: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_loose(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        values = {name: value for name, value in given.items() if value not in (None, "")}
        answers = values.get("answers")
        if "answer" not in values and isinstance(answers, list) and answers:
            values["answer"] = answers[0]
        if isinstance(values.get("tags"), str):
            values["tags"] = [tag for part in _TAG_SEPARATOR.split(values["tags"]) if (tag := part.strip())]
        return values

    @model_validator(mode="after")
    def _is_whole(self) -> Row:
        if self.removed and self.id is None:
            raise ValueError("a removed row needs its 'id'")
        if not self.removed and (self.question is None or self.answer is None):
            raise ValueError(f"it has no '{'answer' if self.question else 'question'}'")
        return self


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row, its line, and where its answer stands in the file's text."""

    row: Row
    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RowFile:
    """All rows of a file that could be read, and what is wrong with the others."""

    text: str
    rows: tuple[PlacedRow, ...]
    problems: tuple[KnowledgeError, ...]


def is_row_file(path: Path) -> bool:
    """Whether a file of this name holds rows."""
    return path.name.lower().endswith(ROW_SUFFIXES)


def read_rows(path: Path) -> RowFile:
    """Read a whole file; a broken row is one problem. Raises `KnowledgeError` where the file itself is unreadable."""
    read = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    problems: list[KnowledgeError] = []
    placed, texts, length = [], [], 0
    for row, line in read(read_text(path, max_bytes=MAX_ROWS_BYTES), path, problems):
        block = "" if row.removed else f"{row.question}\n{row.answer}\n\n"
        end = length + max(len(block) - 2, 0)
        placed.append(PlacedRow(row, line, end - len(row.answer or ""), end))
        texts.append(block)
        length += len(block)
    return RowFile("".join(texts), tuple(placed), tuple(problems))


def explain(error: ValidationError) -> str:
    """What is wrong with a row, naming the field, its limit, and never the whole value."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


def entry_of(placed: PlacedRow, path: Path, source: str, folder_language: str) -> Entry:
    """The entry of a row that is not a removal. Raises `KnowledgeError` where language or id cannot be told."""
    row = placed.row
    assert row.question is not None, "the model sees to it"
    assert row.answer is not None, "the model sees to it"
    stem = re.sub(r"(?:\.jsonl|\.gz|\.csv)+$", "", source, flags=re.IGNORECASE)
    entry_id = row.id or derived_id(row.question, stem)
    if not entry_id:
        raise problem(path, placed.line, "no id can be made of the question", "Give the row an 'id'.")
    return Entry(
        id=entry_id,
        lang=language_of(placed, path, folder_language),
        topic=row.source or stem.rpartition("/")[2],
        question=row.question,
        wordings=row.wordings,
        answer=row.answer,
        tags=row.tags,
        review=None,
        source=source,
        source_start=placed.start,
        source_end=placed.end,
    )


def language_of(placed: PlacedRow, path: Path, folder_language: str) -> str:
    """The row's own language, or its folder's. Raises `KnowledgeError` where neither says one."""
    language = primary_language(placed.row.lang) if placed.row.lang else folder_language
    if not LANGUAGE.fullmatch(language):
        cause = f"the language {placed.row.lang!r} is no ISO 639-1 code" if placed.row.lang else "it has no 'lang'"
        raise problem(path, placed.line, cause, "Write such as en or zh, or put the file into a folder of that name.")
    return language


def _json_rows(text: str, path: Path, problems: list[KnowledgeError]) -> Iterator[tuple[Row, int]]:
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            try:
                yield Row.model_validate_json(content), line
            except ValidationError as error:
                problems.append(_broken(path, line, explain(error)))


def _csv_rows(text: str, path: Path, problems: list[KnowledgeError]) -> Iterator[tuple[Row, int]]:
    fields, delimiter = _header(text, path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    _first_line(reader, path)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(_broken(path, line, str(error)))
            continue
        if any(cell.strip() for cell in cells):
            try:
                yield Row.model_validate(_values(fields, cells)), line
            except ValidationError as error:
                problems.append(_broken(path, line, explain(error)))


def _header(text: str, path: Path) -> tuple[list[str], str]:
    """Which field each column holds, and what parts the columns."""
    first = text.split("\n", 1)[0]
    for delimiter in (",", ";", "\t"):
        fields = [_field(cell) for cell in _first_line(csv.reader([first], delimiter=delimiter), path)]
        if {"question", "answer"} <= set(fields):
            return fields, delimiter
    raise problem(path, 1, "the first line does not name the columns", BEGIN_WITH)


def _first_line(reader: Iterator[list[str]], path: Path) -> list[str]:
    try:
        return next(reader, [])
    except csv.Error as error:
        raise problem(path, 1, f"the first line cannot be read: {error}", BEGIN_WITH) from error


def _field(heading: str) -> str:
    name = heading.strip().lower()
    return next((field for field, names in COLUMNS.items() if name in names), "")


def _values(fields: Sequence[str], cells: Sequence[str]) -> Mapping[str, object]:
    values: dict[str, object] = {field: cell.strip() for field, cell in zip(fields, cells, strict=False) if field}
    wordings = str(values.get("wordings", ""))
    return values | {"wordings": [part.strip() for part in wordings.split("|") if part.strip()]}


def _broken(path: Path, line: int, cause: str) -> KnowledgeError:
    return problem(path, line, f"the row is left out: {cause}", "Correct it; the other rows were read.")
