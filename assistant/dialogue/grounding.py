"""Whether a sentence rests on the passages, and on which words of them.

A sentence may be sent when one place of a passage (a sentence or two) holds every checkable fact in it
(number, price, date, address) beside the same words, says yes or no as it does, and has most of its content
words; names must stand in a passage or in the conversation. That place becomes its citation. A sentence that
only repeats the question claims nothing and is cited nowhere. The measure errs on the strict side: what it
refuses is replaced by the curated text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assistant.conversation.events import Citation
from assistant.dialogue.words import URL_OR_EMAIL, WORD, content_words, stems
from assistant.values import Passage

# Where a sentence ends: Chinese marks at once, Latin ones before white space, and every line.
SENTENCE_END = re.compile(r"(?<=[。！？；])|(?<=[.!?])(?=\s)|(?<=[.!?][\"”')])(?=\s)|(?<=\n)")
NO_END = re.compile(r"(?:\b(?:e\.g|i\.e|approx|no|nr|mr|mrs|ms|dr|st|vs|incl|excl)|(?:^|\n)\s*\d{1,2})\.$", re.I)
NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
CHINESE_NUMBER = re.compile(r"[一二三四五六七八九十百千万两半]+(?=[个天日周年月小时分元块折次件份号成倍])")
NAME = re.compile(r"(?<![.!?]\s)(?<!^)(?<![\"“(*\n])\b[A-Z][\w’'-]+", re.M)
NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
    )
} | {"twenty": "20", "thirty": "30", "sixty": "60", "ninety": "90"}
# "one" is mostly no number ("the one you ordered").
NUMBER_WORDS.pop("one")
CLAUSE_END = re.compile(r"[,;:，；：、。！？\n]\s*|\s(?:and|or|but|while)\s|[.!?]\s")
NEGATION = re.compile(r"\b(?:not|no|never|cannot|without|neither|nor)\b|n['’]t\b|[不没未无非]", re.I)
ABOUT_THE_PROMPT = re.compile(r"\bpassages?\b|\bthis question\b|\bthe question\b|上文|段落", re.I)
# A business system's doing, which only its own event may tell (`actions`).
CLAIMS_AN_ACTION = re.compile(
    r"\b(?:I(?:['’](?:ve|ll)|\s+have|\s+will|\s+just)?|we(?:['’]ve|\s+have))\s+(?:now\s+|just\s+|already\s+)?"
    r"(?:cancel(?:l?ed)?|refund(?:ed)?|sent|send|ordered|order|changed?|booked|book|issued?|arranged?|forward(?:ed)?"
    r"|escalated?|updated?|register(?:ed)?|checked|looked\s+up)\b"
    r"|[我已](?:们)?(?:已经?|刚刚?|经)?(?:为|帮|给|替)[您你].{0,8}(?:取消|退款|退|办理|登记|修改|更改|查询?|查到|安排|提交|下单|补发)",
    re.I,
)
LIST_MARK = re.compile(r"^\s*(?:[-*+]|\d{1,2}[.)、])\s+")

# Words that stand beside any number and so tie it to nothing.
UNITS = frozenset("day week month year hour minut work eur euro percent kg cm item order".split())
MIN_COVERAGE = 0.8
MIN_WORDS_TO_JUDGE = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text by its code-point offsets."""

    text: str
    start: int
    end: int


def sentences(text: str) -> list[Span]:
    """The sentences of a text, blank ones left out; offsets are without the white space around them."""
    spans, start = [], 0
    for cut in [*(found.start() for found in SENTENCE_END.finditer(text)), len(text)]:
        piece = text[start:cut]
        if cut < len(text) and _goes_on(piece):
            continue
        if bare := piece.strip():
            first = start + len(piece) - len(piece.lstrip())
            spans.append(Span(bare, first, first + len(bare)))
        start = cut
    return spans


def complete(text: str) -> int:
    """How many code points of a text still being written are whole sentences."""
    cuts = [found.start() for found in SENTENCE_END.finditer(text)]
    return next((cut for cut in reversed(cuts) if not _goes_on(text[:cut])), 0)


def _goes_on(piece: str) -> bool:
    """Whether the last full stop is an abbreviation's or a list number's."""
    return not piece.endswith("\n") and bool(NO_END.search(piece))


@dataclass(frozen=True, slots=True)
class _Window:
    """One or two neighbouring sentences of a passage: where a claim and its facts must stand together."""

    passage: Passage
    span: Span
    facts: frozenset[str]
    words: frozenset[str]
    negated: bool
    single: bool

    def binds(self, sentence: str, facts: frozenset[str], common: frozenset[str]) -> bool:
        """Whether each fact stands among its own words: "furniture for 14 days" does not lend its 14 to shoes.

        ``common`` are words that tie a fact to nothing here, such as those of the question.
        """
        told = [(_facts(clause), content_words(clause) - common) for clause in _clauses(self.span.text)]
        for clause in _clauses(sentence):
            words = content_words(clause) - common
            for fact in _facts(clause) & facts:
                own = frozenset().union(*(known for held, known in told if fact in held))
                foreign = frozenset().union(*(known for held, known in told if fact not in held)) - own
                if len(words & foreign) > len(words & own):
                    return False
        return True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a sentence may be sent, and what it rests on; a sentence that claims nothing rests on nothing."""

    supported: bool
    citation: Citation | None = None


class Grounds:
    """What an answer may rest on: the passages of this turn, and what the customer said."""

    def __init__(self, passages: Sequence[Passage], said: Sequence[str] = ()) -> None:
        self._windows = [window for passage in passages for window in _windows(passage)]
        self._asked = content_words("\n".join([*said[-1:], *(passage.title for passage in passages)]))
        self._said_facts = _facts("\n".join(said))
        known = [*said, *(f"{passage.title}\n{passage.text}" for passage in passages)]
        self._known = content_words("\n".join(known))
        self._lowered = "\n".join(known).lower()

    def judge(self, sentence: Span) -> Verdict:
        """Look for the window that holds the sentence's facts and most of its content words."""
        facts, words = _facts(sentence.text) - self._said_facts, content_words(sentence.text) - self._said_facts
        if not facts and (len(words) < MIN_WORDS_TO_JUDGE or words <= self._asked):
            return Verdict(supported=True)
        if len(words - facts) < MIN_WORDS_TO_JUDGE or not self._knows(sentence.text):
            return Verdict(supported=False)
        negated = bool(NEGATION.search(sentence.text))
        common = self._asked | UNITS | facts
        fitting = [w for w in self._holding(facts) if w.negated == negated and w.binds(sentence.text, facts, common)]
        best = max(fitting, key=lambda window: _similarity(words, window.words), default=None)
        if best is None or len(words & best.words) < MIN_COVERAGE * len(words):
            return Verdict(supported=False)
        return Verdict(True, quote(best.passage, best.span, sentence.start, sentence.end))

    def _holding(self, facts: frozenset[str]) -> list[_Window]:
        """The windows that hold all facts; pairs only where no single sentence does: a number stays with its own."""
        holding = [window for window in self._windows if facts <= window.facts]
        single = [window for window in holding if window.single]
        return single if facts and single else holding

    def _knows(self, sentence: str) -> bool:
        """Whether names and the subject (the first content word) stand somewhere, and it tells no doing of ours."""
        if ABOUT_THE_PROMPT.search(sentence) or CLAIMS_AN_ACTION.search(sentence):
            return False
        subject = next((stem for stem in stems(sentence) if stem != "yes"), None)
        if subject is not None and subject not in self._known:
            return False
        return all(found.group().lower() in self._lowered for found in NAME.finditer(LIST_MARK.sub("", sentence)))


def _windows(passage: Passage) -> Iterator[_Window]:
    alone = sentences(passage.text)
    for first, second in [*((span, span) for span in alone), *itertools.pairwise(alone)]:
        span = Span(passage.text[first.start : second.end], first.start, second.end)
        # The title belongs to every sentence under it: "How long is the warranty?" - "Three years."
        told = f"{passage.title}\n{span.text}"
        negated = bool(NEGATION.search(span.text))
        yield _Window(passage, span, _facts(told), content_words(told), negated, single=first is second)


def quote(passage: Passage, span: Span, text_start: int, text_end: int) -> Citation:
    """The citation that ties ``text[text_start:text_end]`` of an answer to a span of a passage."""
    return Citation(
        entry_id=passage.entry_id,
        title=passage.title,
        source=passage.source,
        lang=passage.lang,
        quote=span.text,
        source_start=passage.source_start + span.start,
        source_end=passage.source_start + span.end,
        text_start=text_start,
        text_end=text_end,
    )


def _clauses(text: str) -> list[str]:
    """The text cut into parts with a fact each: a part without one goes with the next, at the end with the last."""
    clauses: list[str] = []
    open_part = ""
    for part in CLAUSE_END.split(text):
        open_part = f"{open_part} {part}"
        if _facts(part):
            clauses.append(open_part)
            open_part = ""
    if clauses:
        clauses[-1] += f" {open_part}"
        return clauses
    return [open_part]


def _facts(text: str) -> frozenset[str]:
    """Numbers, prices, dates and addresses, in one spelling each."""
    addresses = {found.group().lower().rstrip(".,;)") for found in URL_OR_EMAIL.finditer(text)}
    rest = LIST_MARK.sub("", URL_OR_EMAIL.sub(" ", text))
    numbers = {found.group().rstrip(".,:/-").replace(",", ".") for found in NUMBER.finditer(rest)}
    spelled = {NUMBER_WORDS[word] for word in WORD.findall(rest.lower()) if word in NUMBER_WORDS}
    chinese = {found.group() for found in CHINESE_NUMBER.finditer(rest)}
    parts = {part for number in numbers for part in re.split(r"[:/-]", number)}
    return frozenset(addresses | numbers | parts | spelled | chinese)


def _similarity(left: frozenset[str], right: frozenset[str]) -> float:
    # Coverage first, then the shorter window: a pair is cited only where one sentence does not do.
    return len(left & right) / (len(left) or 1) - len(right) / 1e4
