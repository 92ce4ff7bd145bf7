"""From a question to the entries that answer it, or to none.

Entries of the query's own language are ranked by their words and by the encoders (`ranking`); only where none of them
is likely are those of other languages looked at too. Curated questions and other texts are ranked apart, because they
need other weights, and merged by how sure each is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import structlog

from assistant.config import RetrievalSettings
from assistant.retrieval.calibration import calibrated_encoders
from assistant.retrieval.embedding import ENGLISH, Encoders, System
from assistant.retrieval.entries import Entry
from assistant.retrieval.focus import Focus
from assistant.retrieval.index import EncoderIdentity, FaqIndex, Group
from assistant.retrieval.pinyin import PinyinSpeller
from assistant.retrieval.ranking import Query, Ranked, rank
from assistant.retrieval.spelling import Speller
from assistant.retrieval.table import Numbers
from assistant.values import Hit, Passage

LIKELY = 0.8
"""Below it, an entry in another language may be better than the best in the query's own."""

MAX_QUERY_CHARS = 2_000


class Corrector(Protocol):
    """Puts misspelt words of a query right."""

    def correct(self, query: str) -> str:
        """The query, corrected or as it is."""


SPELLERS: Mapping[str, Callable[[Iterable[str]], Corrector]] = MappingProxyType({"en": Speller, "zh": PinyinSpeller})
"""What corrects which language, made of the texts whose words count as right."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """An index and where each entry is in it; a search uses one from start to end."""

    index: FaqIndex
    numbers: dict[tuple[str, str, str], int] = field(init=False)
    twins: dict[tuple[str, str], list[int]] = field(init=False)
    focuses: dict[str, Focus] = field(init=False)
    spellers: dict[tuple[str, str], Corrector] = field(init=False)

    def __post_init__(self) -> None:
        numbers, twins = {}, dict[tuple[str, str], list[int]]()
        for number, entry in enumerate(self.index.entries):
            numbers[entry.tenant, entry.id, entry.lang] = number
            twins.setdefault((entry.tenant, entry.id), []).append(number)
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "twins", twins)
        object.__setattr__(self, "focuses", _focuses(self.index.entries))
        object.__setattr__(self, "spellers", _spellers(self.index.entries))

    def entry(self, tenant: str, entry_id: str, language: str) -> Entry | None:
        """The tenant's entry in that language, or its first twin in another one."""
        number = self.numbers.get((tenant, entry_id, language))
        if number is None:
            number = next(iter(self.twins.get((tenant, entry_id), ())), None)
        return None if number is None else self.index.entries[number]


class FaqRetriever:
    """Searches an index. Blocking and thread-safe; `replace_index` may be called while searches run."""

    def __init__(self, index: FaqIndex, encoders: Encoders, settings: RetrievalSettings) -> None:
        self._encoders = encoders
        self._settings = settings
        self._snapshot = _Snapshot(index)
        _warn_of_uncalibrated(index)

    def search(
        self,
        query: str,
        *,
        language: str,
        tenant: str = "",
        limit: int | None = None,
        stress: str = "",
        context: Sequence[str] = (),
        floor: float | None = None,
    ) -> list[Hit]:
        """At most ``limit`` of the tenant's entries for ``query``, by falling confidence, all above the floor.

        ``stress`` is the part of the query that is to count more: of "How long can I return an item? for
        shoes?" the shoes. In 17 follow-ups of the demo FAQ it lifted the first hit from 15 to 17 right.
        ``context`` is what was said before by anybody, oldest first: a thing it names goes before others of its kind.

        ``language`` is the query's ISO 639-1 code. Of twins only one is returned, in the query's
        language where there is one. An empty query finds nothing; of a long one the beginning counts. ``floor`` is
        the least confidence, the settings' where it is None.
        """
        text = query.strip()[:MAX_QUERY_CHARS]
        limit = self._settings.limit if limit is None else limit
        if not text or limit < 1:
            return []
        snapshot = self._snapshot
        if (tenant, language) in snapshot.spellers:
            text, stress = map(snapshot.spellers[tenant, language].correct, (text, stress))
        asked = Query(text, language, self._encoders, stress=stress.strip()[:MAX_QUERY_CHARS])
        least = self._settings.floor if floor is None else floor
        groups = [group for group in snapshot.index.groups if group.tenant == tenant]
        focus = snapshot.focuses[tenant].of(text, context) if tenant in snapshot.focuses else None
        ranked = self._rank(
            snapshot, [group for group in groups if group.language == language], asked, limit, focus, least
        )
        if not ranked or ranked[0].confidence < LIKELY:
            others = [group for group in groups if group.language != language]
            ranked = _merge([*ranked, *self._rank(snapshot, others, asked, limit, focus, least)])
        return _hits(snapshot, ranked, asked, limit)

    def entry(self, entry_id: str, language: str, *, tenant: str = "") -> Passage | None:
        """The tenant's entry of this id in ``language``, else in another language, else None."""
        entry = self._snapshot.entry(tenant, entry_id, language)
        return _passage(entry) if entry else None

    def names(self, tenant: str) -> Sequence[str]:
        """The things of which the tenant's entries say the same, one by one: its branches, its products."""
        focus = self._snapshot.focuses.get(tenant)
        return focus.names if focus else ()

    def replace_index(self, index: FaqIndex) -> None:
        """Search ``index`` from now on; searches that run finish on the old one.

        Raises `ValueError` if ``index`` was made with other encoders.
        """
        ours = {system: EncoderIdentity.of(encoder) for system, encoder in self._encoders.by_system().items()}
        if dict(index.encoders) != ours:
            raise ValueError(f"the index was made with {dict(index.encoders)}")
        self._snapshot = _Snapshot(index)

    def _rank(
        self,
        snapshot: _Snapshot,
        groups: Iterable[Group],
        asked: Query,
        limit: int,
        focus: Numbers | None,
        least: float,
    ) -> list[Ranked]:
        """The best of all these groups, at ``least`` so sure; twins are still among them, so more than ``limit``."""
        found = [hit for group in groups for hit in rank(snapshot.index, group, asked, limit=limit, focus=focus)]
        return _merge(hit for hit in found if hit.confidence >= least)


def _focuses(entries: Sequence[Entry]) -> dict[str, Focus]:
    """What each tenant's entries are about."""
    numbers: dict[str, list[int]] = {}
    for number, entry in enumerate(entries):
        numbers.setdefault(entry.tenant, []).append(number)
    return {tenant: Focus([entries[number] for number in run], run) for tenant, run in numbers.items()}


def _spellers(entries: Sequence[Entry]) -> dict[tuple[str, str], Corrector]:
    """What knows the words of each tenant's entries, in the languages that can be put right."""
    texts: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if entry.lang in SPELLERS:
            texts.setdefault((entry.tenant, entry.lang), []).extend((entry.question, *entry.wordings, entry.answer))
    return {(tenant, language): SPELLERS[language](told) for (tenant, language), told in texts.items()}


def _merge(found: Iterable[Ranked]) -> list[Ranked]:
    return sorted(found, key=lambda hit: -hit.confidence)


def _hits(snapshot: _Snapshot, ranked: Sequence[Ranked], asked: Query, limit: int) -> list[Hit]:
    hits: dict[str, Hit] = {}
    for hit in ranked:
        entry = snapshot.index.entries[hit.entry]
        if entry.id not in hits:
            hits[entry.id] = _hit(snapshot, entry, hit, asked)
        if len(hits) == limit:
            break
    return list(hits.values())


def _hit(snapshot: _Snapshot, found: Entry, hit: Ranked, asked: Query) -> Hit:
    index = snapshot.index
    system: System = "english" if found.lang == asked.language == ENGLISH else "multilingual"
    best, cosine = index.tables[system].best_field(asked.vector(system), hit.entry)
    shown = snapshot.numbers.get((found.tenant, found.id, asked.language), hit.entry)
    return Hit(_passage(index.entries[shown]), cosine, hit.confidence, best)


def _passage(entry: Entry) -> Passage:
    return Passage(
        entry_id=entry.id,
        title=entry.question,
        text=entry.answer,
        lang=entry.lang,
        source=entry.source,
        source_start=entry.source_start,
        source_end=entry.source_end,
        tags=entry.tags,
        kind=entry.kind,
    )


def _warn_of_uncalibrated(index: FaqIndex) -> None:
    names = {encoder.name for encoder in index.encoders.values()}
    if names - calibrated_encoders():
        log.warning("encoder.not_calibrated", encoders=sorted(names - calibrated_encoders()))
