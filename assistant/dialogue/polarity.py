"""Whether a sentence says yes or no as its source does, clause by clause."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.dialogue.words import content_words

CLAUSE_END = re.compile(r"[,;:、\n|]\s*|\s(?:and|or|but|while)\s|[.!?]\s")
NEGATION = re.compile(r"\b(?:not|no|never|cannot|without|neither|nor|none)\b|n't\b|[不没未无非勿]", re.I)
# Where 不 or 没 denies nothing: 能不能, 不锈钢, 不同.
NO_NEGATION = re.compile(
    r"(?P<verb>[一-鿿])[不没](?P=verb)|不过|不但|不仅|不锈钢|不同|不错|不客气|不好意思|对不起|差不多|不论|不管|无论|无线|未来|非常"
    r"|有没有|不少|不足|not only|no later|no more than"
)


@dataclass(frozen=True, slots=True)
class Polarity:
    """A clause's words, and whether it denies something; who denies twice ("not without") affirms."""

    words: frozenset[str]
    denies: bool


def polarities(text: str) -> tuple[Polarity, ...]:
    """The clauses of a text in normal form, in order."""
    parts = (NO_NEGATION.sub(" ", part) for part in CLAUSE_END.split(text))
    return tuple(Polarity(content_words(part), len(NEGATION.findall(part)) % 2 == 1) for part in parts)


def denies(text: str) -> bool:
    """Whether any clause of a text denies something."""
    return any(clause.denies for clause in polarities(text))


def agree(sentence: Sequence[Polarity], source: Sequence[Polarity]) -> bool:
    """Whether each clause of the sentence denies what the source's most similar one denies, and nothing else."""
    if any(clause.denies for clause in sentence) and not any(clause.denies for clause in source):
        return False
    return all(_is_said(clause, source) for clause in sentence if clause.words)


def _is_said(clause: Polarity, source: Sequence[Polarity]) -> bool:
    most = max((len(clause.words & other.words) for other in source), default=0)
    nearest = [other for other in source if len(clause.words & other.words) == most]
    return not most or any(other.denies == clause.denies for other in nearest)
