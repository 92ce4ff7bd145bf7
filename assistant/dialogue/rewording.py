"""Another wording of a curated answer without a model: its own sentences, laid out in another way.

Nothing is written anew, so no fact can change: the sentences become points, what the question is about comes first,
or what answers it most directly stands alone (and the reply says that it is shortened). Steps keep their order, and a
sentence that refers to the one before ("It counts that…", 其中…) stays behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.dialogue.grounding import Span, sentences
from assistant.dialogue.words import content_words
from assistant.values import Passage

Layout = Literal["points", "first", "short", "whole"]

LISTED = re.compile(r"\s*(?:[-*+]\s|\d{1,2}[.)、]\s|\|)")
LEADS_TO_LIST = (":", "：")
APOLOGY = re.compile(r"(?:we are |i am )?sorry\b|(?:很|非常|十分)?抱歉|不好意思", re.I)
REFERS_BACK = re.compile(
    r"(?:it|its|they|them|their|this|that|these|those|he|she|such|both|then|there|otherwise|however|but|and|or|so|also"
    r"|if not|instead|after that|in that case)\b"
    r"|[它这那其此但也还则再并又]|否则|因此|所以|不过|另外|之后|然后|如果都|如都|以上|同时",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Rewording:
    """The parts of a passage to be told, in this order; as ``points`` each is one of a list."""

    layout: Layout
    parts: tuple[Span, ...]


def reworded(passage: Passage, question: str, *, attempt: int, may_shorten: bool = True) -> Rewording:
    """The passage's wording number ``attempt`` (from 1); they go round, the passage as it is written coming last."""
    wordings = list(_wordings(passage, question, may_shorten=may_shorten))
    return wordings[(attempt - 1) % len(wordings)]


def _wordings(passage: Passage, question: str, *, may_shorten: bool) -> Iterator[Rewording]:
    """All wordings that differ, the passage as it is written last."""
    told = _parts(passage.text)
    best = _most_asked(told, question)
    if len(told) > 1 and not any(_is_list(part) for part in told):
        yield Rewording("points", told)
    if best != told[0]:
        yield Rewording("first", (best, *(part for part in told if part != best)))
    if may_shorten and len(told) > 1:
        yield Rewording("short", (best,))
    yield Rewording("whole", (Span(passage.text, 0, len(passage.text)),))


def _parts(text: str) -> tuple[Span, ...]:
    """The text in parts that can stand alone: a list with its heading, a sentence with those that refer to it."""
    parts: list[Span] = []
    for sentence in sentences(text):
        if parts and _belongs(sentence, to=parts[-1]):
            start = parts.pop().start
            parts.append(Span(text[start : sentence.end], start, sentence.end))
        else:
            parts.append(sentence)
    return tuple(parts)


def _belongs(sentence: Span, *, to: Span) -> bool:
    if LISTED.match(sentence.text):
        return _is_list(to) or to.text.endswith(LEADS_TO_LIST)
    return bool(REFERS_BACK.match(sentence.text)) and not _is_list(to)


def _is_list(part: Span) -> bool:
    return any(LISTED.match(line) for line in part.text.splitlines())


def _most_asked(told: Sequence[Span], question: str) -> Span:
    asked = content_words(question)
    answering = [part for part in told if not APOLOGY.match(part.text)] or told
    return max(answering, key=lambda part: len(asked & content_words(part.text)))
