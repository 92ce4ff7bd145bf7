"""The entries of one group, ranked for one query.

Up to `EXHAUSTIVE` entries all are compared. In a larger group only those are that one of the systems finds near: the
fused ranking is then exact but for an entry that no system has among its first few hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from assistant.retrieval.calibration import MOST_LEAD, Relation, Situation, confidence
from assistant.retrieval.embedding import SYSTEMS, Encoders, System, Vectors
from assistant.retrieval.fusion import Floats, Weights, blend, lexical_spread, likeness, spread, weights
from assistant.retrieval.index import FaqIndex, Group
from assistant.retrieval.table import Numbers, VectorTable

EXHAUSTIVE = 2_000
NEAR_ROWS = 256
NEAR_TEXTS = 128
SAMPLE = 512
STRESS_WEIGHT = 0.5

_MAY_BE_ONE: tuple[tuple[System, System], ...] = (
    ("english", "multilingual"),
    ("passage", "multilingual"),
    ("passage", "english"),
)

MOST_LEAD_BY_WORDS = 0.08
"""One rare word in common puts an entry far ahead without saying that it answers."""

FOCUS_BONUS = 3.0
"""What an entry about the thing in focus gains, in spreads: more than one wording of its question over another."""


class Query:
    """What is searched for, encoded when an encoder is first asked, and once."""

    def __init__(self, text: str, language: str, encoders: Encoders, *, stress: str = "") -> None:
        self.language = language
        self.words = f"{text} {stress}".strip()
        self._texts = [text, stress] if stress else [text]
        self._encoders = encoders.by_system()
        self._vectors: dict[int, Vectors] = {}

    @property
    def systems(self) -> frozenset[System]:
        """Those that can be asked."""
        return frozenset(self._encoders)

    def vector(self, system: System) -> Vectors:
        """The whole query, and its stressed part with half the weight; shape (dimension,), length 1."""
        encoder = self._encoders[system]
        if id(encoder) not in self._vectors:
            vectors = encoder.encode(self._texts)
            summed: Vectors = vectors[0] + STRESS_WEIGHT * vectors[1:].sum(axis=0)
            length = float(np.linalg.norm(summed))
            self._vectors[id(encoder)] = summed / length if length else summed
        return self._vectors[id(encoder)]


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry's number, and the estimated probability that it answers the query."""

    entry: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """A group's entries, best first, and what speaks for each.

    ``cosines`` are those of the encoders, by their weights; ``coverage`` is how much of the query's words, by their
    rarity, an entry has (0 to 1); ``scores`` are what the encoders say, in spreads over the group, and ``order``
    what the entries are ordered by: with what words say (one rare word in common says little), and a bonus in focus.
    """

    situation: Situation
    entries: Numbers
    cosines: Floats
    coverage: Floats
    scores: Floats
    order: Floats

    def leads(self) -> Floats:
        """How much the first entry is ahead of the second; none of the others leads.

        By their cosines, or, where words and both encoders count much, by the fused score (in spreads, a tenth of it).
        """
        leads = np.zeros(len(self.entries), dtype=np.float32)
        if len(self.entries) > 1:
            leads[0] = self.lead(0)
        return leads

    def lead(self, place: int) -> float:
        """How much the entry at this place is ahead of the next."""
        nearer = float(np.clip(self.cosines[place] - self.cosines[place + 1], 0, MOST_LEAD))
        if self.situation.form != "taught":
            return nearer
        fused = float(self.order[place] - self.order[place + 1]) / 10
        return min(max(fused, 0), nearer + MOST_LEAD_BY_WORDS, MOST_LEAD)


@dataclass(frozen=True, slots=True)
class _View:
    """One encoder's view of a query."""

    table: VectorTable
    vector: Vectors
    weight: float
    encoder: str


def rank(index: FaqIndex, group: Group, query: Query, *, limit: int, focus: Numbers | None = None) -> list[Ranked]:
    """The group's ``limit`` best entries, best first, their confidence falling.

    ``focus`` are the numbers of entries about the thing that is spoken of, ascending: they go before others.
    """
    found = gather(index, group, query, limit=limit, focus=focus)
    sure = confidence(found.situation, found.cosines, found.coverage, found.leads(), found.scores)
    # An entry is no less likely than one ranked below it.
    falling = np.maximum.accumulate(sure[::-1])[::-1]
    return [Ranked(int(entry), float(value)) for entry, value in zip(found.entries, falling, strict=True)][:limit]


def gather(index: FaqIndex, group: Group, query: Query, *, limit: int, focus: Numbers | None = None) -> Evidence:
    """What `rank` judges by, of two entries at the least, where there are so many."""
    chosen = route(index, query, group)
    views = _views(index, query, chosen)
    lexical = _lexical(index, group, query) if chosen.lexical else np.zeros(group.end - group.start, dtype=np.float32)
    entries = _candidates(group, views, lexical, limit, focus)
    cosines = [_cosines(view, group, entries) for view in views]
    scores = np.zeros(len(entries), dtype=np.float32)
    for view, values in zip(views, cosines, strict=True):
        scores = scores + view.weight * values / _spread(view, group, entries, values)
    order = scores + chosen.lexical * lexical[entries - group.start] / lexical_spread(lexical)
    if focus is not None:
        order = order + FOCUS_BONUS * np.isin(entries, focus)
    best = np.argsort(-order, kind="stable")[: max(limit, 2)]
    mixed = np.average(cosines, axis=0, weights=[view.weight for view in views])
    covered = lexical[entries[best] - group.start] / _attainable(index, group, query, chosen)
    case = situation(index, query.language, group, chosen)
    return Evidence(case, entries[best], mixed[best], covered, scores[best], order[best])


def route(index: FaqIndex, query: Query, group: Group) -> Weights:
    """How the systems are weighed for this group; an encoder that serves as two of them is asked once."""
    chosen = weights(query.words, query.language, group.language, group.form, has_passage="passage" in query.systems)
    for system, other in _MAY_BE_ONE:
        chosen = _asked_once(index, chosen, system, other)
    return chosen


def _asked_once(index: FaqIndex, chosen: Weights, system: System, other: System) -> Weights:
    """The first system's weight given to the second where one encoder is both."""
    if not (chosen.of(system) and chosen.of(other)) or index.encoders[system] != index.encoders[other]:
        return chosen
    return replace(chosen, **{system: 0.0, other: chosen.of(system) + chosen.of(other)})


def situation(index: FaqIndex, language: str, group: Group, chosen: Weights) -> Situation:
    """Which curve tells the confidence."""
    names = tuple(index.encoders[system].name for system in SYSTEMS if chosen.of(system))
    return Situation(names, _relation(language, group.language), group.form)


def _relation(query_language: str, entry_language: str) -> Relation:
    if query_language != entry_language:
        return "across"
    return "en" if query_language == "en" else "zh" if query_language == "zh" else "other"


def _views(index: FaqIndex, query: Query, chosen: Weights) -> list[_View]:
    """The encoders that are asked, the one that counts most first."""
    asked = sorted((system for system in SYSTEMS if chosen.of(system)), key=lambda system: -chosen.of(system))
    return [
        _View(index.tables[system], query.vector(system), chosen.of(system), index.encoders[system].name)
        for system in asked
    ]


def _lexical(index: FaqIndex, group: Group, query: Query) -> Floats:
    """BM25 of each of the group's entries."""
    start = group.start - _first(index, group)
    scores: Floats = index.lexical[group.tenant, group.language].scores(query.words)
    return scores[start : start + group.end - group.start]


def _first(index: FaqIndex, group: Group) -> int:
    """Where the entries of the group's tenant and language begin."""
    key = group.tenant, group.language
    return min(other.start for other in index.groups if (other.tenant, other.language) == key)


def _attainable(index: FaqIndex, group: Group, query: Query, chosen: Weights) -> float:
    if not chosen.lexical:
        return 1.0
    return index.lexical[group.tenant, group.language].attainable(query.words) or 1.0


def _candidates(
    group: Group,
    views: Sequence[_View],
    lexical: Floats,
    limit: int,
    focus: Numbers | None,
) -> Numbers:
    if group.end - group.start <= EXHAUSTIVE:
        return np.arange(group.start, group.end)
    first = views[0]
    near = first.table.nearest(first.vector, group.start, group.end, num_rows=max(NEAR_ROWS, 8 * limit))
    found = [near, _most(lexical, max(NEAR_TEXTS, limit)) + group.start]
    if focus is not None:
        found.append(focus[(focus >= group.start) & (focus < group.end)][:EXHAUSTIVE])
    return np.unique(np.concatenate(found))


def _most(scores: Floats, number: int) -> Numbers:
    """Where the highest scores above 0 stand."""
    places = np.argpartition(-scores, number)[:number] if number < len(scores) else np.arange(len(scores))
    return places[scores[places] > 0]


def _cosines(view: _View, group: Group, entries: Numbers) -> Floats:
    found = view.table.cosines(view.vector, entries, by_mean=group.form == "taught")
    return likeness(blend(*found, group.form), view.encoder)


def _spread(view: _View, group: Group, entries: Numbers, values: Floats) -> float:
    """The spread over the whole group, by an even sample where only some entries were compared."""
    if len(entries) == group.end - group.start:
        return spread(values)
    sample = np.linspace(group.start, group.end - 1, SAMPLE).astype(np.int64)
    return spread(_cosines(view, group, sample))
