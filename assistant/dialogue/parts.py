"""A message taken apart: the questions it asks, and what is said around them.

"Hi! I bought a sofa with a gift card. How do I return it, and when do I get my money back?" asks two questions;
the greeting says nothing, and the sentence about the sofa belongs to both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.dialogue.asking import ASKING, asks, is_bare
from assistant.dialogue.context import is_follow_up, new_part
from assistant.dialogue.smalltalk import is_small_talk
from assistant.language import HAN, HAN_RANGES

MAX_QUESTIONS = 3
MAX_CLAUSES = 4
MIN_UNITS = 3
MAX_PIECES = 60  # what has more is no message of several questions

# Where one question ends and the next begins inside a sentence. White space is counted out: a long run of it, tried
# from each of its places, takes time by the square of its length.
ENGLISH_JOINT = re.compile(
    r"[,;]?\s{1,4}(?:and|also|plus|but|or)\s{1,4}(?:also\s{1,4}|then\s{1,4}|if so,?\s{1,4})?"
    rf"(?=(?:{ASKING})\b(?!\s*$))"
    r"|,\s{1,4}(?=(?:how|what|when|where|which|who|why)\b)",
    re.I,
)
CHINESE_JOINT = re.compile(
    r"[，,；;、\s]{0,4}(?:还有(?=[^，,]{2})|另外|以及|顺便(?:问一?下)?|同时|再问一?下)[，,：:]?|(?<=[吗呢么])[，,\s]{1,4}"
)
CHINESE_COMMA = re.compile(r"[，,；;]")
ENGLISH_CLAUSE = re.compile(
    r"(?<=[.!?;:])\s{1,4}|\n|,?\s{1,4}(?:but|because)\s{1,4}|,\s{1,4}(?:and|so|as|since|then)\s{1,4}"
    r"|,\s{1,4}(?=(?:i|we|my|it|they|the)\b)",
    re.I,
)
CHINESE_CLAUSE = re.compile(r"[，,。！？!?；;：:\n]|(?:再)?顺便")
# "I want to cancel, how does that work?": it asks nothing beside what stands before it.
ONLY_HOW = re.compile(
    r"(?:so |and |but )?how (?:does|do|would|can|should|must|could) (?:that|this|it|i|we) "
    r"(?:work|go|do (?:that|this|it|so)|go about (?:that|this|it))\W*"
    r"|(?:so |and )?what (?:do|should|must) i (?:have to )?do\W*"
    r"|(?:请问|那么?|我)?(?:应?该|要|得)?(?:怎么|如何|咋)(?:弄|办理?|操作|做|处理|搞)[呢啊呀]?\W*",
    re.I,
)
_UNIT = re.compile(rf"[{HAN_RANGES}]|[^\W{HAN_RANGES}]+")
SENTENCE = re.compile(r"(?<=[?!。！？；\n])|(?<=[.])(?=\s)")


@dataclass(frozen=True, slots=True)
class Message:
    """The questions of a message in order, and the sentences around them that ask nothing.

    ``clauses`` are what a message with one question consists of, where that is more than one: in "I want to return the
    wardrobe, but the box is gone, what will it cost?" each says something that the answer may depend on.
    """

    questions: tuple[str, ...]
    around: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()

    @property
    def is_compound(self) -> bool:
        """Whether it asks more than one thing."""
        return len(self.questions) > 1


def take_apart(text: str) -> Message:
    """The questions of ``text``; what cannot be split comes back whole."""
    pieces = [piece for sentence in SENTENCE.split(text) for piece in _split(sentence.strip())]
    if len(pieces) > MAX_PIECES:
        return Message((text.strip(),))
    said = [piece.strip(" ,，;；、") for piece in pieces]
    said = _with_manner([piece for piece in said if piece and not is_small_talk(piece)])
    questions = [piece for piece in said if asks(piece)]
    if not 2 <= len(questions) <= MAX_QUESTIONS:
        return Message((text.strip(),), clauses=_clauses(text))
    return Message(tuple(new_part(piece) for piece in questions), tuple(piece for piece in said if not asks(piece)))


def _with_manner(said: Sequence[str]) -> list[str]:
    """Pieces that only ask how, joined to what they ask it of."""
    joined: list[str] = []
    for piece in said:
        if joined and ONLY_HOW.fullmatch(piece):
            joined[-1] += f", {piece}"
        else:
            joined.append(piece)
    return joined


def _split(sentence: str) -> list[str]:
    if not HAN.search(sentence):
        return ENGLISH_JOINT.split(sentence)
    return [piece for part in CHINESE_JOINT.split(sentence) for piece in _at_commas(part)]


def _at_commas(part: str) -> list[str]:
    """Cut at the commas between two questions: 「退货要多久，运费谁出」."""
    pieces = CHINESE_COMMA.split(part)
    if len(pieces) > MAX_PIECES or sum(1 for piece in pieces if asks(piece)) < 2:
        return [part]
    joined: list[str] = []
    for piece in pieces:
        if joined and not asks(joined[-1]):
            joined[-1] += f"，{piece}"
        else:
            joined.append(piece)
    return joined


def _clauses(text: str) -> tuple[str, ...]:
    joint = CHINESE_CLAUSE if HAN.search(text) else ENGLISH_CLAUSE
    said = [piece.strip(" ,，;；、") for piece in joint.split(text) if piece]
    said = [piece for piece in said if len(_UNIT.findall(piece)) >= MIN_UNITS and not is_small_talk(piece)]
    told = tuple(piece for piece in said if not is_bare(piece))
    return told[:MAX_CLAUSES] if len(said) > 1 else ()


def query_for(question: str, message: Message) -> str:
    """What to search for one question of a message: with what is said around it, and before where it leans on that."""
    before = message.questions[: message.questions.index(question)] if is_follow_up(question) else ()
    lean = [*message.around, *before[-1:]]
    return " ".join([*lean, question]) if lean else question
