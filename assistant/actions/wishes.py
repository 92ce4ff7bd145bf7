"""Which business action a message wishes for, by the example phrases in its settings.

Clause by clause, the message's words and Chinese characters are compared with each example by Tversky's index: what
the example has and the message lacks counts in full, what the message has besides (a product, a reason) less, and
common words little. What asks or denies is no wish unless the example asks or denies the same: "how do I return it"
and "I want to return it, how does that work" are for the knowledge base, "I do not want to return it" is nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.actions.folding import fold
from assistant.config import ActionSettings
from assistant.language import HAN

THRESHOLD = 0.7
COMMON_WEIGHT, QUESTION_WEIGHT = 0.2, 0.5
# How much a word counts that only the message has. A Chinese character says less than a word, and changes more.
BESIDES, BESIDES_HAN, BESIDES_COMMON = 0.35, 0.8, 0.05
STRICT = 1.5  # an example of less weight, such as "call me", bears nothing besides
NUMBER = "#"  # stands for every number and address
MAX_CHARS = 1_000
MAX_CLAUSES = 12

# Each begins where its run of characters does: tried from every place of a long run, they take time by its square.
VALUES = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w.-]+|(?<![#a-z])[#a-z]*\d[\w-]*", re.ASCII)
ORDER_NUMBER = re.compile(r"(?<![\w@.+-])[#a-z]{0,6}-?\d{5,20}(?![\w@])", re.ASCII)
CLAUSE = re.compile(r"[.,;:!?，。；：！？、\n()（）]+|\b(?:and|but|because|so|then)\b|但是?|而且|然后|因为|所以")
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
COMMON_LATIN = frozenset(
    "a an the my mine me i i'd i'm i'll we our us you your it its this that these those is are am be been being was of "
    "to for from in on at with about please pls would can could will do does get have has just now know some one any "
    "there here hi hello hey also again not no yet still".split()
)
COMMON_HAN = frozenset(
    "我你您他它们的地得了着过吗呢吧啊呀嘛请问帮给替把让要想需一下个这那有在和跟与就都还再又也能可以现麻烦件些点忙询"
)
COMMON = COMMON_LATIN | COMMON_HAN
QUESTION = frozenset("how why when what which who where want like need".split()) | set("怎什么时候几哪多久")

POLITE = re.compile(r"^(?:(?:hi|hello|please) )*(?:can|could|would|will) you (?:please |kindly )?")
CHINESE_POLITE = re.compile(
    r"^(?:请问|你好|您好)*(?:(?:能不能|可不可以|能否|可否|可以|能|麻烦|请)*[你您]?(?:帮忙|帮我|给我|替我|帮)|麻烦[你您]?|请(?!问))"
)
CHINESE_ENDING = re.compile(r"[吗么嘛吧呗啊呀]+$")
DENIALS = re.compile(r"\b(?:not|no|never|without|cannot|\w+n't)\b|不|没|未|别|无")
QUESTIONS = re.compile(
    r"\b(?:how|why|when|what|which|who|whose|where)\b|^(?:is|are|was|does|do|has)\b"
    r"|\b(?:can|could|may|must|should|shall|do|did|does|have|will|would) (?:i|we|you|they|it|he|she)\b"
    r"|怎么|怎样|咋|如何|为什么|为啥|什么|啥|多久|多少|多长|几|哪|谁|是否|能|可以|可不|吗"
)
CONDITIONS = re.compile(r"\b(?:if|unless|whether|until|after|before|mean|already)\b|如果|要是|的话|以后|之后|之前|已经")


@dataclass(frozen=True, slots=True)
class Wish:
    """An action that a message wishes for, and how surely (0 to 1)."""

    action: ActionSettings
    score: float


@dataclass(frozen=True, slots=True)
class _Phrase:
    text: str
    words: Counter[str]
    questions: frozenset[str]
    conditions: frozenset[str]
    denies: bool


class Wishes:
    """Recognises wishes."""

    def __init__(self, actions: Sequence[ActionSettings]) -> None:
        self._examples = [
            (action, _phrase(example))
            for action in actions
            for examples in action.when.values()
            for example in examples
        ]

    def find(self, text: str, *, tenant: str = "") -> Wish | None:
        """The action that the message wishes for most clearly, if any."""
        clauses = [_phrase(clause) for clause in _clauses(text)]
        asks = any(clause.questions for clause in clauses)
        wishes = [
            Wish(action, self._score(clause, example))
            for action, example in self._examples
            if (not action.tenants or tenant in action.tenants) and (example.questions or not asks)
            for clause in clauses
        ]
        best = max(wishes, key=lambda wish: wish.score, default=None)
        return best if best and best.score >= THRESHOLD else None

    def _score(self, clause: _Phrase, example: _Phrase) -> float:
        if not clause.words or clause.denies != example.denies:
            return 0.0
        if clause.questions - example.questions or clause.conditions - example.conditions:
            return 0.0
        return similarity(clause.words, example.words)


def similarity(said: Counter[str], example: Counter[str]) -> float:
    """Tversky's index (Features of similarity, 1977): what both have, over that and what only one of them has."""
    if NUMBER not in example:
        said = Counter({word: count for word, count in said.items() if word != NUMBER})
    strict = _weight(example) < STRICT
    both = _weight(said & example)
    lacking = _weight(example - said)
    besides = sum(
        count * (1 if strict and word not in COMMON else _weight_besides(word))
        for word, count in (said - example).items()
    )
    return both / (both + lacking + besides) if both else 0.0


def has_words(text: str) -> bool:
    """Whether the text says more than numbers and addresses."""
    return any(character.isalpha() for character in VALUES.sub(" ", fold(text[:MAX_CHARS])))


def _clauses(text: str) -> list[str]:
    """The message's clauses, with a sign for each number and address, and with "order" for an order number."""
    text = fold(text[:MAX_CHARS])
    marked = VALUES.sub(f" {NUMBER} ", text)
    named = ORDER_NUMBER.sub(" 订单 " if HAN.search(text) else " order ", text)
    parts = [*CLAUSE.split(marked), *(CLAUSE.split(VALUES.sub(" ", named)) if named != text else ())]
    return [part for part in dict.fromkeys(map(str.strip, parts)) if part][:MAX_CLAUSES]


def _phrase(text: str) -> _Phrase:
    text = " ".join(VALUES.sub(f" {NUMBER} ", fold(text)).replace("'s ", " is ").split())
    polite = CHINESE_POLITE.match(text)
    text = CHINESE_ENDING.sub("", text[polite.end() :]) if polite else POLITE.sub("", text)
    words = Counter([_singular(word) for word in WORD.findall(text)] + HAN.findall(text))
    if NUMBER in text:
        words[NUMBER] = 1
    return _Phrase(text, words, _all(QUESTIONS, text), _all(CONDITIONS, text), bool(DENIALS.search(text)))


def _all(pattern: re.Pattern[str], text: str) -> frozenset[str]:
    return frozenset(match.group() for match in pattern.finditer(text))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _weight(words: Counter[str]) -> float:
    return sum(count * _weight_of(word) for word, count in words.items())


def _weight_of(word: str) -> float:
    if word in COMMON:
        return COMMON_WEIGHT
    return QUESTION_WEIGHT if word in QUESTION else 1.0


def _weight_besides(word: str) -> float:
    if word in COMMON:
        return BESIDES_COMMON
    return BESIDES_HAN if HAN.match(word) else BESIDES
