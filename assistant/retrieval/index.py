"""The vectors and words of all entries, searchable.

Entries are ordered by tenant, language and form, so each tenant's own ones are one run of rows, and a search is told
the run: it cannot see another tenant's. Each encoder has a table of its own; the English one embeds only the entries
that it helps to find. An index never changes: a new one replaces it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

import numpy as np

from assistant.retrieval.embedding import BATCH_TEXTS, Encoder, Encoders, Role, System, Vectors
from assistant.retrieval.entries import Entry, Knowledge
from assistant.retrieval.fusion import Form
from assistant.retrieval.lexical import LexicalIndex
from assistant.retrieval.parts import Part, form_of, is_text, parts_of
from assistant.retrieval.table import VectorTable

_Text = tuple[str, Role]

Progress = Callable[[int, int], None]
"""Called with the number of texts done and of all texts."""

ENGLISH_HELPS = ("en", "zh")
"""Whose entries the English encoder embeds: in Chinese ones it knows the Latin words and the commonest characters."""


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Which encoder made the vectors."""

    name: str
    dimension: int
    fingerprint: str

    @classmethod
    def of(cls, encoder: Encoder) -> EncoderIdentity:
        """The identity to record for ``encoder``."""
        return cls(encoder.name, encoder.dimension, encoder.fingerprint)


@dataclass(frozen=True, slots=True)
class Group:
    """The run ``entries[start:end]`` of one tenant, language and form."""

    tenant: str
    language: str
    form: Form
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FaqIndex:
    """An immutable snapshot: entries in the order of `ordered`, their vectors by each encoder, their words.

    ``lexical`` has an index for each tenant and language, numbered from the first of its entries.
    """

    entries: tuple[Entry, ...]
    content_hash: str
    created: datetime
    tables: Mapping[System, VectorTable]
    encoders: Mapping[System, EncoderIdentity]
    groups: tuple[Group, ...]
    lexical: Mapping[tuple[str, str], LexicalIndex]

    @property
    def num_vectors(self) -> int:
        """By all encoders together."""
        return sum(len(table) for table in self.tables.values())

    def is_current(self, content_hash: str) -> bool:
        """Whether it was built from knowledge with this ``Knowledge.content_hash``."""
        return self.content_hash == content_hash


def build_index(
    knowledge: Knowledge, encoders: Encoders, *, previous: FaqIndex | None = None, progress: Progress | None = None
) -> FaqIndex:
    """Embed every entry, a few milliseconds per text; what ``previous`` embedded alike is taken from it. Blocking."""
    entries = ordered(knowledge.entries)
    parts = {system: parts_for(system, entries) for system in encoders.by_system()}
    known = {system: _known(previous, system, encoder) for system, encoder in encoders.by_system().items()}
    new = {system: _new_parts(parts[system], known[system]) for system in parts}
    work = _Work(sum(map(len, new.values())), progress)
    tables = {
        system: _table(parts[system], known[system] | work.encode(encoder, new[system]), encoder)
        for system, encoder in encoders.by_system().items()
    }
    return FaqIndex(
        entries=entries,
        content_hash=knowledge.content_hash,
        created=datetime.now(UTC),
        tables=tables,
        encoders={system: EncoderIdentity.of(encoder) for system, encoder in encoders.by_system().items()},
        groups=groups_of(entries),
        lexical=lexical_of(entries),
    )


def ordered(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries as an index holds them."""
    return tuple(sorted(entries, key=_group_key))


def parts_for(system: System, entries: Sequence[Entry]) -> list[list[Part]]:
    """What an encoder embeds of each entry; the English one nothing of those it does not help to find."""
    if system != "english":
        return [parts_of(entry) for entry in entries]
    return [parts_of(entry) if entry.lang in ENGLISH_HELPS else [] for entry in entries]


def groups_of(entries: Sequence[Entry]) -> tuple[Group, ...]:
    """The runs of entries that are searched together."""
    groups, start = [], 0
    for (tenant, language, _), run in groupby(entries, _group_key):
        together = list(run)
        groups.append(Group(tenant, language, form_of(together), start, start + len(together)))
        start += len(together)
    return tuple(groups)


def lexical_of(entries: Sequence[Entry]) -> dict[tuple[str, str], LexicalIndex]:
    """The words of each tenant's entries in each language: what is rare among one tenant's tells others nothing."""
    runs = groupby(entries, lambda entry: (entry.tenant, entry.lang))
    return {key: LexicalIndex([_words(entry) for entry in run]) for key, run in runs}


def _group_key(entry: Entry) -> tuple[str, str, bool]:
    return entry.tenant, entry.lang, is_text(entry)


def _words(entry: Entry) -> str:
    return "\n".join((entry.question, *entry.wordings, entry.answer))


def _known(previous: FaqIndex | None, system: System, encoder: Encoder) -> dict[_Text, Vectors]:
    """The vectors that ``previous`` has from this same encoder."""
    if previous is None or previous.encoders.get(system) != EncoderIdentity.of(encoder):
        return {}
    table = previous.tables[system]
    texts = [_text(part) for entry in parts_for(system, previous.entries) for part in entry]
    return dict(zip(texts, table.rows(np.arange(len(texts))), strict=True))


def _text(part: Part) -> _Text:
    return part.text, part.role


def _new_parts(parts: Sequence[Sequence[Part]], known: Mapping[_Text, Vectors]) -> list[_Text]:
    """Each text once, the long ones together: a batch takes as long as its longest."""
    texts = dict.fromkeys(_text(part) for entry in parts for part in entry)
    return sorted((text for text in texts if text not in known), key=lambda text: (text[1], len(text[0])))


class _Work:
    """The texts to embed, with one progress over all encoders."""

    def __init__(self, num_texts: int, progress: Progress | None) -> None:
        self._num_texts = num_texts
        self._num_done = 0
        self._progress = progress

    def encode(self, encoder: Encoder, texts: Sequence[_Text]) -> dict[_Text, Vectors]:
        vectors: dict[_Text, Vectors] = {}
        for role, run in groupby(texts, lambda text: text[1]):
            together = list(run)
            for start in range(0, len(together), BATCH_TEXTS):
                batch = together[start : start + BATCH_TEXTS]
                vectors |= zip(batch, encoder.encode([text for text, _ in batch], role), strict=True)
                self._advance(len(batch))
        return vectors

    def _advance(self, number: int) -> None:
        self._num_done += number
        if self._progress is not None:
            self._progress(self._num_done, self._num_texts)
        time.sleep(0.001)  # the encoder's lock is not fair: let a waiting customer's query go first


def _table(parts: Sequence[Sequence[Part]], vectors: Mapping[_Text, Vectors], encoder: Encoder) -> VectorTable:
    rows = [vectors[_text(part)] for entry in parts for part in entry]
    return VectorTable.of(parts, np.stack(rows) if rows else np.empty((0, encoder.dimension), dtype=np.float32))
