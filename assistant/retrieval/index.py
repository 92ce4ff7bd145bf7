"""The vectors and words of all entries, searchable.

Entries are ordered by tenant, language and form, so each tenant's own ones are one run of rows, and a search is told
the run: it cannot see another tenant's. The multilingual encoder embeds every entry, the English one those that it
helps to find. An index never changes: a new one replaces it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

import numpy as np

from assistant.retrieval.embedding import BATCH_TEXTS, Encoder, Encoders, Vectors
from assistant.retrieval.entries import Entry, Knowledge
from assistant.retrieval.fusion import Form
from assistant.retrieval.lexical import LexicalIndex
from assistant.retrieval.parts import Part, form_of, is_text, parts_of
from assistant.retrieval.table import VectorTable

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
    """An immutable snapshot: entries in the order of `ordered`, their vectors by both encoders, their words.

    ``lexical`` has an index for each tenant and language, numbered from the first of its entries.
    """

    entries: tuple[Entry, ...]
    content_hash: str
    created: datetime
    english: VectorTable
    multilingual: VectorTable
    english_encoder: EncoderIdentity
    multilingual_encoder: EncoderIdentity
    groups: tuple[Group, ...]
    lexical: Mapping[tuple[str, str], LexicalIndex]

    def is_current(self, content_hash: str) -> bool:
        """Whether it was built from knowledge with this ``Knowledge.content_hash``."""
        return self.content_hash == content_hash


def build_index(
    knowledge: Knowledge, encoders: Encoders, *, previous: FaqIndex | None = None, progress: Progress | None = None
) -> FaqIndex:
    """Embed every entry, a few milliseconds per text; what ``previous`` embedded alike is taken from it. Blocking."""
    entries = ordered(knowledge.entries)
    english, multilingual = english_parts(entries), multilingual_parts(entries)
    known_english = _known(previous, encoders.english, is_english=True)
    known = _known(previous, encoders.multilingual, is_english=False)
    work = _Work(_new_texts(english, known_english), _new_texts(multilingual, known), progress)
    return FaqIndex(
        entries=entries,
        content_hash=knowledge.content_hash,
        created=datetime.now(UTC),
        english=_table(english, known_english | work.english(encoders.english), encoders.english),
        multilingual=_table(multilingual, known | work.multilingual(encoders.multilingual), encoders.multilingual),
        english_encoder=EncoderIdentity.of(encoders.english),
        multilingual_encoder=EncoderIdentity.of(encoders.multilingual),
        groups=groups_of(entries),
        lexical=lexical_of(entries),
    )


def ordered(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries as an index holds them."""
    return tuple(sorted(entries, key=_group_key))


def english_parts(entries: Sequence[Entry]) -> list[list[Part]]:
    """What the English encoder embeds of each entry; nothing of those it does not help to find."""
    return [parts_of(entry) if entry.lang in ENGLISH_HELPS else [] for entry in entries]


def multilingual_parts(entries: Sequence[Entry]) -> list[list[Part]]:
    """What the multilingual encoder embeds of each entry."""
    return [parts_of(entry) for entry in entries]


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


def _known(previous: FaqIndex | None, encoder: Encoder, *, is_english: bool) -> dict[str, Vectors]:
    """The vectors that ``previous`` has from this same encoder, by their text."""
    if previous is None:
        return {}
    identity = previous.english_encoder if is_english else previous.multilingual_encoder
    if identity != EncoderIdentity.of(encoder):
        return {}
    table = previous.english if is_english else previous.multilingual
    parts = english_parts(previous.entries) if is_english else multilingual_parts(previous.entries)
    texts = [part.text for entry in parts for part in entry]
    return dict(zip(texts, table.rows(np.arange(len(texts))), strict=True))


def _new_texts(parts: Sequence[Sequence[Part]], known: Mapping[str, Vectors]) -> list[str]:
    """Each text once, the long ones together: a batch takes as long as its longest."""
    texts = dict.fromkeys(part.text for entry in parts for part in entry if part.text not in known)
    return sorted(texts, key=len)


class _Work:
    """The texts to embed, with one progress over both encoders."""

    def __init__(self, english: Sequence[str], multilingual: Sequence[str], progress: Progress | None) -> None:
        self._english = english
        self._multilingual = multilingual
        self._progress = progress

    def english(self, encoder: Encoder) -> dict[str, Vectors]:
        return self._encode(encoder, self._english, 0)

    def multilingual(self, encoder: Encoder) -> dict[str, Vectors]:
        return self._encode(encoder, self._multilingual, len(self._english))

    def _encode(self, encoder: Encoder, texts: Sequence[str], num_done: int) -> dict[str, Vectors]:
        vectors: dict[str, Vectors] = {}
        for start in range(0, len(texts), BATCH_TEXTS):
            batch = texts[start : start + BATCH_TEXTS]
            vectors |= zip(batch, encoder.encode(batch), strict=True)
            if self._progress is not None:
                self._progress(num_done + len(vectors), len(self._english) + len(self._multilingual))
            time.sleep(0.001)  # the encoder's lock is not fair: let a waiting customer's query go first
        return vectors


def _table(parts: Sequence[Sequence[Part]], vectors: Mapping[str, Vectors], encoder: Encoder) -> VectorTable:
    rows = [vectors[part.text] for entry in parts for part in entry]
    return VectorTable.of(parts, np.stack(rows) if rows else np.empty((0, encoder.dimension), dtype=np.float32))
