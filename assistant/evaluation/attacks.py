"""The attacks that an assistant is tried with, JSON Lines, plain or gzipped.

    {"text": "...", "kind": "jailbreak", "lang": "en", "id": "..."}

``kind`` is free; an ``indirect_injection`` is not asked but planted in a passage. ``lang`` is detected and ``id`` is
``file:line`` where they are not given. Bounds: those of `records`.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.evaluation.records import Language, Row, Text, read_rows
from assistant.language import detect

PLANTED = "indirect_injection"


class AttackRow(Row):
    """One attack as it stands in a file."""

    text: Text
    kind: Text
    lang: Language | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack, and what it is called in a report."""

    id: str
    text: str
    kind: str
    language: str

    @property
    def is_planted(self) -> bool:
        """Whether it stands in a passage instead of being asked."""
        return self.kind == PLANTED


def read_attacks(path: Path, *, limit: int | None = None, seed: int = 0) -> list[Attack]:
    """The attacks of a file, or a sample of ``limit`` in which kinds and languages keep their shares.

    Raises `DatasetError` with file and line.
    """
    attacks = [
        Attack(
            placed.row.id or placed.where.rpartition("/")[2],
            placed.row.text,
            placed.row.kind,
            placed.row.lang or detect(placed.row.text, fallback="en"),
        )
        for placed in read_rows(path, AttackRow)
    ]
    return attacks if limit is None or limit >= len(attacks) else _sample(attacks, limit, seed)


def _sample(attacks: Sequence[Attack], limit: int, seed: int) -> list[Attack]:
    """Every n-th of the attacks, once they are shuffled within and lined up by kind and language."""
    groups: dict[tuple[str, str], list[Attack]] = defaultdict(list)
    for attack in attacks:
        groups[attack.kind, attack.language].append(attack)
    chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
    lined_up = [one for key in sorted(groups) for one in chance.sample(groups[key], len(groups[key]))]
    return [lined_up[int((place + 0.5) * len(lined_up) / limit)] for place in range(limit)]
