"""Where one text stands in another, almost word for word: local alignment of tokens.

Smith and Waterman (1981), with gaps that cost more across a clause's end, so that a number does not slip from one
clause to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.evaluation.tokens import Token

MATCH, UNEQUAL, CLAUSE_END = 2.0, -1.0, -2.0
FUNCTION_WEIGHT = 0.5

Step = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tile:
    """A stretch of a sentence laid on a stretch of a source.

    ``pairs`` are positions (in the sentence, in the source) of equal tokens in order, ``swapped`` those of unequal ones
    that stand in each other's place.
    """

    source: Sequence[Token]
    pairs: tuple[Step, ...]
    swapped: tuple[Step, ...]
    score: float

    @property
    def first(self) -> Step:
        """Where it begins."""
        return self.pairs[0]

    @property
    def last(self) -> Step:
        """Where it ends, inclusive."""
        return self.pairs[-1]


def contains(source: Sequence[Token], part: Sequence[Token]) -> list[int]:
    """The positions in ``source`` at which ``part`` stands word for word."""
    keys, wanted = [token.key for token in source], [token.key for token in part]
    if not wanted:
        return []
    return [
        start
        for start in range(len(keys) - len(wanted) + 1)
        if keys[start] == wanted[0] and keys[start : start + len(wanted)] == wanted
    ]


def align(sentence: Sequence[Token], start: int, end: int, source: Sequence[Token]) -> Tile | None:
    """The best local alignment of ``sentence[start:end]`` with the source; None where nothing is equal."""
    width = len(source) + 1
    above, best, where = [0.0] * width, 0.0, (0, 0)
    moves: list[bytearray] = []  # 0 begin, 1 pair, 2 skip a token of the sentence, 3 skip one of the source
    weights = [_weight(token) for token in source]
    for row in range(start, end):
        token, scores, move = sentence[row], [0.0] * width, bytearray(width)
        weight = _weight(token)
        for column in range(1, width):
            other, light = source[column - 1], min(weight, weights[column - 1])
            score, step = above[column - 1] + (MATCH * weight if other.key == token.key else UNEQUAL * light), 1
            if (skip := above[column] + UNEQUAL * weight) > score:
                score, step = skip, 2
            left = scores[column - 1] + UNEQUAL * weights[column - 1]
            if column > 1 and source[column - 2].clause != other.clause:
                left += CLAUSE_END
            if left > score:
                score, step = left, 3
            if score > 0:
                scores[column], move[column] = score, step
                if score > best:
                    best, where = score, (row, column)
        moves.append(move)
        above = scores
    return _trace(sentence, start, source, moves, where, best) if best > 0 else None


def _weight(token: Token) -> float:
    return FUNCTION_WEIGHT if token.kind == "function" else 1.0


def _trace(
    sentence: Sequence[Token],
    start: int,
    source: Sequence[Token],
    moves: Sequence[bytearray],
    where: Step,
    score: float,
) -> Tile:
    row, column = where
    pairs: list[Step] = []
    swapped: list[Step] = []
    while row >= start and (step := moves[row - start][column]):
        if step == 1:
            equal = sentence[row].key == source[column - 1].key
            (pairs if equal else swapped).append((row, column - 1))
        row -= step in (1, 2)
        column -= step in (1, 3)
    return Tile(source, tuple(reversed(pairs)), tuple(reversed(swapped)), score)
