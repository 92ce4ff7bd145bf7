"""Whether what an answer says stands in its sources: an independent check of what was sent.

It shares no code with the grounding that decides what may be sent, and works another way: each sentence is laid in
tiles on the sources (`alignment`), word for word as far as that goes. It has support when its numbers, prices, dates
and addresses lie in a tile among the same words, no tile turns a yes into a no, its names are known, and the tiles
cover most of what it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import rjieba

from assistant.evaluation.alignment import Tile, align, contains
from assistant.evaluation.tokens import LIST_MARK, Token, facts, folded, tokens
from assistant.language import HAN

SENTENCE_END = re.compile(r"(?<=[。！？；])|(?<=[.!?])[\"”')]*\s+|\n+")
CAPITALISED = re.compile(r"\b[A-Z][^\W\d_]+(?:['’-][^\W\d_]+)*")
SENTENCE_START = re.compile(r"(?:^|[.!?:|\n])[\s*\[“\"(>#-]*$")
NAME_TAGS = ("nr", "nrfg", "nrt", "ns", "nt")
PLACEHOLDER = re.compile(r"\{\w*\}")

MIN_PAIRS, MIN_PAIRS_HAN = 3, 4
MIN_COVERED, MIN_TOGETHER = 0.6, 0.8
MAX_UNKNOWN = 0.25
MAX_PLACEHOLDER_CHARS = 500
SHORT = 4
MIN_TELLING = 3
CLAUSE_DISTANCE = 5
NEAR = 2


@dataclass(frozen=True, slots=True)
class Doubt:
    """A sentence of an answer that has no support, and why."""

    sentence: str
    why: str


@dataclass(frozen=True)
class Sources:
    """What an answer may rest on.

    ``texts`` are the cited entries with their titles (and what a business system returned), ``said`` what the customer
    said, ``fixed`` the assistant's own texts, with ``{placeholders}``, and the settings' (name, address, hours).
    """

    texts: Sequence[str]
    said: Sequence[str] = ()
    fixed: Sequence[str] = ()
    known: str = field(init=False)
    keys: frozenset[str] = field(init=False)
    given: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        everything = [*self.texts, *self.said, *self.fixed]
        object.__setattr__(self, "known", folded("\n".join(everything)))
        object.__setattr__(self, "keys", frozenset(t.key for text in everything for t in tokens(text)))
        object.__setattr__(self, "given", facts([t for text in (*self.said, *self.fixed) for t in tokens(text)]))


def doubts(answer: str, sources: Sources) -> list[Doubt]:
    """The sentences of an answer that its sources do not support, in order."""
    own = _without_fixed(answer, sources.fixed)
    found = ((sentence, _doubt(sentence, sources)) for sentence in sentences(own))
    return [Doubt(sentence, why) for sentence, why in found if why]


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, one line at a time."""
    return (piece.strip() for piece in SENTENCE_END.split(LIST_MARK.sub("", text)) if piece and piece.strip())


def _doubt(sentence: str, sources: Sources) -> str:
    """Why a sentence has no support; empty where it has."""
    own = tokens(sentence)
    if sum(token.says_something for token in own) < MIN_TELLING and not any(t.kind in ("fact", "not") for t in own):
        return ""
    if any(_stands(own, tokens(text)) for text in sources.texts):
        return ""
    if name := _unknown_name(sentence, sources.known):
        return f"the name {name!r} is not in the sources"
    tiles = list(_tiles(own, 0, len(own), [tokens(text) for text in (*sources.texts, *sources.said)]))
    return _unbound_fact(own, tiles, sources) or _turned(own, tiles) or _uncovered(own, tiles, sources)


def _stands(sentence: Sequence[Token], source: Sequence[Token]) -> bool:
    """Whether the source has the sentence word for word, not cut out of a negation; a short one as a whole clause."""
    for start in contains(source, sentence):
        end = start + len(sentence)
        begins = start == 0 or source[start - 1].clause != source[start].clause
        ends = end == len(source) or source[end].clause != source[end - 1].clause
        whole = (begins and ends) or len(sentence) >= SHORT or not facts(sentence)
        if whole and not _negated_before(source, start):
            return True
    return False


# -- tiling


def _tiles(own: Sequence[Token], start: int, end: int, texts: Sequence[Sequence[Token]]) -> Iterator[Tile]:
    """The best tile of a stretch, then those of what is left on both sides, while they are long enough."""
    if end - start < 1:
        return
    found = (tile for text in texts if (tile := align(own, start, end, text)))
    best = max(found, key=lambda tile: tile.score, default=None)
    if best is None or not _is_long_enough(own, best):
        return
    yield from _tiles(own, start, best.first[0], texts)
    yield best
    yield from _tiles(own, best.last[0] + 1, end, texts)


def _is_long_enough(own: Sequence[Token], tile: Tile) -> bool:
    paired = [own[row] for row, _ in tile.pairs]
    if len(paired) == len(own) and not facts(own):
        return True
    han = sum(token.kind == "han" for token in paired)
    return len(paired) >= (MIN_PAIRS_HAN if han * 2 > len(paired) else MIN_PAIRS)


# -- what may be wrong


def _unbound_fact(own: Sequence[Token], tiles: Sequence[Tile], sources: Sources) -> str:
    """A number, price, date or address that no source has among the same words, and the customer did not name."""
    paired = {row: (tile.source, column) for tile in tiles for row, column in tile.pairs}
    for row, token in enumerate(own):
        if token.kind != "fact" or token.key in sources.given:
            continue
        if not token.key.startswith("#"):
            bound = token.key in sources.keys
        elif row in paired:
            bound = not _belongs_elsewhere(own, row, paired)
        else:
            bound = any(_is_tied(own, row, tokens(text)) for text in sources.texts)
        if not bound:
            return f"{token.key.removeprefix('#')!r} does not stand there in the sources"
    return ""


def _belongs_elsewhere(own: Sequence[Token], row: int, paired: Mapping[int, tuple[Sequence[Token], int]]) -> bool:
    """Whether a word beside the number was put there, and the source ties that word to another number."""
    source, column = paired[row]
    put = {token.key for at, token in _beside(own, row) if at not in paired}
    tied = {key: _nearest(source, key, column) for key in put}
    return any(numbers and own[row].key not in numbers for numbers in tied.values())


def _is_tied(own: Sequence[Token], row: int, source: Sequence[Token]) -> bool:
    """Whether the source ties the number to words that stand beside it here: "furniture (returned) for 14 days"."""
    unit, key = _unit(own, row), own[row].key
    same = next((at for at, token in enumerate(source) if token.key == key and _unit(source, at) == unit), None)
    if same is None:
        return False
    tied = [
        numbers for _, token in _beside(own, row) if token.key != unit if (numbers := _nearest(source, token.key, same))
    ]
    return bool(tied) and key in tied[0] and {key} in tied


def _beside(own: Sequence[Token], row: int) -> Iterator[tuple[int, Token]]:
    """The words of a number's clause."""
    return ((at, token) for at, token in enumerate(own) if token.kind == "word" and token.clause == own[row].clause)


def _nearest(source: Sequence[Token], key: str, column: int) -> set[str]:
    """The numbers nearest to each place of a word, among those of one unit with the number at ``column``."""
    unit = _unit(source, column)
    numbers = [at for at, token in enumerate(source) if token.key.startswith("#") and _unit(source, at) == unit]
    places = [at for at, token in enumerate(source) if token.key == key]
    return {source[min(numbers, key=lambda at: _distance(source, at, place))].key for place in places}


def _distance(source: Sequence[Token], one: int, other: int) -> int:
    return abs(one - other) + CLAUSE_DISTANCE * abs(source[one].clause - source[other].clause)


def _unit(source: Sequence[Token], at: int) -> str:
    """What a number counts: the currency before it, or the word after it."""
    if at and source[at - 1].kind == "fact" and not source[at - 1].key.startswith("#"):
        return source[at - 1].key
    return source[at + 1].key if at + 1 < len(source) else ""


def _turned(own: Sequence[Token], tiles: Sequence[Tile]) -> str:
    """A negation that the sentence has and its source has not, or the other way round."""
    paired = {row for tile in tiles for row, _ in tile.pairs}
    negations = [row for row, token in enumerate(own) if token.kind == "not"]
    confirmed = any(row in paired for row in negations)
    for row in negations:
        alone = sum(token.clause == own[row].clause for token in own) == 1
        if row not in paired and not (alone and confirmed):
            return "it denies what the sources say"
    if any(_lost_negation(tile) for tile in tiles):
        return "it leaves out that the sources deny it"
    return ""


def _lost_negation(tile: Tile) -> bool:
    """Whether a negation of the source was left out between words that were kept, or just before them."""
    paired = {column for _, column in tile.pairs}
    inside = range(tile.first[1], tile.last[1] + 1)
    lost = [column for column in inside if tile.source[column].kind == "not" and column not in paired]
    return _negated_before(tile.source, tile.first[1]) or any(
        near in paired and tile.source[near].clause == tile.source[column].clause
        for column in lost
        for near in range(column - NEAR, column + NEAR + 1)
    )


def _negated_before(source: Sequence[Token], start: int) -> bool:
    """Whether a negation stands in the same clause just before a position: "do not" before "wash it"."""
    before = source[max(0, start - NEAR) : start]
    return any(token.kind == "not" and token.clause == source[start].clause for token in before)


def _uncovered(own: Sequence[Token], tiles: Sequence[Tile], sources: Sources) -> str:
    """Whether too much of it stands nowhere, or in no connection."""
    covered = {row for tile in tiles for row, _ in tile.pairs}
    together = [{token.key for token in tokens(text)} for text in sources.texts]
    telling = [row for row, token in enumerate(own) if token.says_something]
    unknown = sum(own[row].key not in sources.keys for row in telling)
    if unknown > MAX_UNKNOWN * len(telling):
        return f"{unknown} of {len(telling)} words are not in the sources"
    num_covered = sum(row in covered for row in telling)
    num_together = max((sum(own[row].key in held for row in telling) for held in together), default=0)
    if num_covered < MIN_COVERED * len(telling) and num_together < MIN_TOGETHER * len(telling):
        return f"only {max(num_covered, num_together)} of {len(telling)} words stand together in a source"
    return ""


def _unknown_name(sentence: str, known: str) -> str:
    """A name that no source has: capitalised inside a sentence, or tagged as one by the Chinese segmenter."""
    for match in CAPITALISED.finditer(sentence):
        inside = not SENTENCE_START.search(sentence[: match.start()])
        if inside and not _knows(known, match.group()):
            return match.group()
    tagged = rjieba.tag(sentence) if HAN.search(sentence) else []
    return next((w for w, tag in tagged if tag in NAME_TAGS and len(w) > 1 and not _knows(known, w)), "")


def _knows(known: str, name: str) -> bool:
    plain = folded(name).removesuffix("'s")
    return bool(re.search(rf"(?<![a-z]){re.escape(plain)}", known))


# -- the assistant's own texts


def _without_fixed(answer: str, fixed: Sequence[str]) -> str:
    """The answer without the literal parts of the assistant's own texts; what fills their placeholders stays."""
    for text in sorted(fixed, key=len, reverse=True):
        literals = [part.strip() for part in PLACEHOLDER.split(text)]
        if max(map(len, literals), default=0) >= SHORT:
            answer = _pattern(tuple(literals)).sub(lambda match: "\n".join(match.groups(default="")), answer)
    return answer


@lru_cache(maxsize=1024)
def _pattern(literals: tuple[str, ...]) -> re.Pattern[str]:
    gap = rf"\s*(.{{0,{MAX_PLACEHOLDER_CHARS}}}?)\s*"
    return re.compile(gap.join(re.escape(literal) for literal in literals))
