"""Whether a sentence rests on the passages, and on which words of them.

A sentence may be sent when one place of a passage (a sentence or two) holds every checkable fact in it (`facts`)
beside the same words, says yes or no as it does, and has most of its content words; names (`names`) must stand in a
passage or in the conversation. That place becomes its citation. A sentence that
only repeats the question claims nothing and is cited nowhere. The measure errs on the strict side: what it
refuses is replaced by the curated text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from assistant.conversation.events import Citation
from assistant.dialogue.facts import Fact, FactReading, borne_out, claimed, normal, read_facts
from assistant.dialogue.names import KnownNames
from assistant.dialogue.polarity import CLAUSE_END, Polarity, agree, denies, polarities
from assistant.dialogue.words import content_words, stems
from assistant.values import Passage

# Where a sentence ends: Chinese marks at once, Latin ones before white space, and every line.
SENTENCE_END = re.compile(r"(?<=[。！？；])|(?<=[.!?])(?=\s)|(?<=[.!?][\"”')])(?=\s)|(?<=\n)")
NO_END = re.compile(r"(?:\b(?:e\.g|i\.e|approx|no|nr|mr|mrs|ms|dr|st|vs|incl|excl)|(?:^|\n)[^\S\n]*\d{1,2})\.$", re.I)
ABOUT_THE_PROMPT = re.compile(r"\bpassages?\b|\bthis question\b|\bthe question\b|上文|段落", re.I)
# A business system's doing, which only its own event may tell (`actions`).
CLAIMS_AN_ACTION = re.compile(
    r"\b(?:I(?:['’](?:ve|ll)|\s+have|\s+will|\s+just)?|we(?:['’]ve|\s+have))\s+(?:now\s+|just\s+|already\s+)?"
    r"(?:cancel(?:l?ed)?|refund(?:ed)?|sent|send|ordered|order|changed?|booked|book|issued?|arranged?|forward(?:ed)?"
    r"|escalated?|updated?|register(?:ed)?|checked|looked\s+up)\b"
    r"|[我已](?:们)?(?:已经?|刚刚?|经)?(?:为|帮|给|替)[您你].{0,8}(?:取消|退款|退|办理|登记|修改|更改|查询?|查到|安排|提交|下单|补发)",
    re.I,
)
# An order, a number or a purchase that is the customer's: what they called it by may be repeated.
REFERS = {
    "number": re.compile(
        r"(?:\b(?:order|number|no|invoice|parcel|customer)\.?|#|订?单(?:编?号码?)?|编号|号码?)[\s#:]*$", re.I
    ),
    "date": re.compile(
        r"\b(?:order(?:ed)?|bought|purchased?|placed|paid|received|delivered|arrived|dated)\b(?:\s(?:it|them))?"
        r"\s*(?:(?:from|of|on|dated|placed)\s*)*$|(?:下单|购买|签收|收到|付款)(?:日期|时间)?(?:是|为|于|在)?\s*$",
        re.I,
    ),
}
IS_REFERRED_TO = re.compile(
    r"^\s*(?:(?:下单|下的单|购买|买|签收|收到|付款)(?:的(?:那[个笔])?(?:订单|商品|东西)?)?|的(?:那[个笔])?订单)"
)
# Words that stand beside any number and so tie it to nothing.
UNITS = frozenset("day week month year hour minut work eur euro percent kg cm item order".split())
# Words that may stand for another of them: "within 60 days", "for 60 days".
PREPOSITIONS = frozenset("within during about into per via".split())
# How much of what the customer said is looked at.
MAX_SAID = 20
MAX_SAID_CHARS = 2_000
MIN_COVERAGE = 0.8
MIN_WORDS_TO_JUDGE = 2  # or facts
# What of an entry's title is told and not asked.
TOLD_BY_TITLE = ("code", "date")


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
class Verdict:
    """Whether a sentence may be sent, and what it rests on; a sentence that claims nothing rests on nothing."""

    supported: bool
    citation: Citation | None = None


class Grounds:
    """What an answer may rest on: the passages of this turn; what the customer said lends only its names.

    A number, a date or an address that only the customer told may be repeated where it says which order or purchase
    is meant, never as a condition or a promise: a question is no answer.
    """

    def __init__(self, passages: Sequence[Passage], said: Sequence[str] = ()) -> None:
        said = [text[:MAX_SAID_CHARS] for text in said[-MAX_SAID:]]
        self._windows = [window for passage in passages for window in _windows(passage)]
        question = content_words(normal("\n".join(said[-1:])))
        self._question = question
        self._asked = question | content_words(normal("\n".join(passage.title for passage in passages)))
        self._said = borne_out(read_facts("\n".join(said)).facts)
        known = [*said, *(f"{passage.title}\n{passage.text}" for passage in passages)]
        self._known = content_words(normal("\n".join(known)))
        self._names = KnownNames(known)

    def judge(self, sentence: Span) -> Verdict:
        """Look for the window that holds the sentence's facts and most of its content words."""
        read = self._without_references(read_facts(sentence.text))
        facts, words = claimed(read.facts), content_words(read.plain)
        if not facts and (len(words) < MIN_WORDS_TO_JUDGE or words <= self._asked):
            # "No." alone tells what was asked for: some passage must deny something.
            return Verdict(supported=not denies(read.plain) or any(denies(w.span.text) for w in self._windows))
        if len(words) + len(facts) < MIN_WORDS_TO_JUDGE or not self._knows(read):
            return Verdict(supported=False)
        clauses, says = _clauses(read), polarities(read.plain)
        fitting = [w for w in self._holding(facts) if agree(says, w.says) and self._binds(w, clauses)]
        best = max(fitting, key=lambda window: _similarity(words, window.words), default=None)
        told = words - PREPOSITIONS
        if best is None or len(told & best.words) < MIN_COVERAGE * len(told):
            return Verdict(supported=False)
        return Verdict(True, quote(best.passage, best.span, sentence.start, sentence.end))

    def _without_references(self, read: FactReading) -> FactReading:
        """The sentence without what only says which order, purchase or address of the customer's is meant."""
        referring = [(fact, _reference(fact, read)) for fact in read.facts if fact.claims <= self._said]
        cut = {fact: span for fact, span in referring if span}
        plain = read.plain
        for start, end in cut.values():
            plain = plain[:start] + " " * (end - start) + plain[end:]
        return FactReading(read.text, plain, tuple(fact for fact in read.facts if fact not in cut))

    def _holding(self, facts: frozenset[str]) -> list[_Window]:
        """The windows that hold all facts; pairs only where no single sentence does: a number stays with its own."""
        holding = [window for window in self._windows if facts <= window.facts]
        single = [window for window in holding if window.single]
        return single if facts and single else holding

    def _binds(self, window: _Window, clauses: Sequence[_Clause]) -> bool:
        """Whether each fact stands among its own words: "furniture for 14 days" does not lend its 14 to shoes."""
        return all(
            window.binds(fact, (clause.words | clause.facts) - {fact}, self._asked | UNITS, self._question)
            for clause in clauses
            for fact in clause.facts
        )

    def _knows(self, read: FactReading) -> bool:
        """Whether names and the subject (the first content word) stand somewhere, and it tells no doing of ours."""
        if ABOUT_THE_PROMPT.search(read.plain) or CLAIMS_AN_ACTION.search(read.plain):
            return False
        subject = next((stem for stem in stems(read.plain) if stem != "yes"), None)
        if subject is not None and subject not in self._known:
            return False
        return not self._names.lack(read.plain)


@dataclass(frozen=True, slots=True)
class _Clause:
    """A part of a text that holds a fact: what the facts claim and bear out, and the words around them."""

    facts: frozenset[str]
    borne_out: frozenset[str]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Window:
    """One or two neighbouring sentences of a passage: where a claim and its facts must stand together."""

    passage: Passage
    span: Span
    facts: frozenset[str]
    words: frozenset[str]
    clauses: tuple[_Clause, ...]
    says: tuple[Polarity, ...]
    single: bool

    def binds(self, fact: str, beside: frozenset[str], common: frozenset[str], question: frozenset[str]) -> bool:
        """Whether the fact stands here among the words and facts that the sentence has ``beside`` it.

        ``common`` are words that tie a fact to nothing here, such as the question's. Where a sentence has no others
        ("You have 14 days."), the question's own decide, if several facts are told.
        """
        tellers = [each for each in self.clauses if fact in each.borne_out]
        others = [each for each in self.clauses if fact not in each.borne_out]
        own = frozenset().union(*(each.words | each.borne_out for each in tellers))
        foreign = frozenset().union(*(each.words | each.borne_out for each in others)) - own
        if telling := beside - common:
            return len(telling & foreign) <= len(telling & own)
        stands_alone = any(not each.words and each.facts == {fact} for each in tellers)
        rivals = any(_unit(fact) == _unit(other) for each in others for other in each.facts)
        if not rivals or stands_alone or (beside and beside <= own):
            return True
        return len(question & foreign) < len(question & own)


@lru_cache(maxsize=512)
def _windows(passage: Passage) -> tuple[_Window, ...]:
    return tuple(_read_windows(passage))


def _read_windows(passage: Passage) -> Iterator[_Window]:
    alone = sentences(passage.text)
    title = read_facts(passage.title)
    told_by_title = borne_out(fact for fact in title.facts if fact.kind in TOLD_BY_TITLE)
    for first, second in [*((span, span) for span in alone), *itertools.pairwise(alone)]:
        span = Span(passage.text[first.start : second.end], first.start, second.end)
        read = read_facts(span.text)
        # The title belongs to every sentence under it: "How long is the warranty?" - "Three years."
        words = content_words(f"{title.plain}\n{read.plain}")
        facts = borne_out(read.facts) | told_by_title
        yield _Window(
            passage, span, facts, words, tuple(_clauses(read)), polarities(read.plain), single=first is second
        )


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


def _reference(fact: Fact, read: FactReading) -> tuple[int, int] | None:
    """Where a fact stands with the words that make it a mere name of an order, a purchase or an address."""
    if fact.kind in ("code", "phone") or (fact.kind == "address" and any("@" in claim for claim in fact.claims)):
        return fact.start, fact.end
    before = REFERS.get("date" if fact.kind == "weekday" else fact.kind)
    if before is not None and (match := before.search(read.text[: fact.start])):
        return match.start(), fact.end
    if fact.kind in ("date", "weekday") and (match := IS_REFERRED_TO.search(read.text[fact.end :])):
        return fact.start, fact.end + match.end()
    return None


def _clauses(read: FactReading) -> list[_Clause]:
    """The text cut into parts with a fact each: a part without one goes with the next, at the end with the last."""
    clauses: list[_Clause] = []
    start = 0
    for cut in [*(found.start() + 1 for found in CLAUSE_END.finditer(read.plain)), len(read.plain)]:
        inside = [fact for fact in read.facts if start <= fact.start < cut]
        if inside:
            clauses.append(_Clause(claimed(inside), borne_out(inside), content_words(read.plain[start:cut])))
            start = cut
    if clauses and start < len(read.plain):
        last = clauses.pop()
        clauses.append(_Clause(last.facts, last.borne_out, last.words | content_words(read.plain[start:])))
    return clauses


def _unit(fact: str) -> str:
    return fact.rpartition(" ")[2]


def _similarity(left: frozenset[str], right: frozenset[str]) -> float:
    # Coverage first, then the shorter window: a pair is cited only where one sentence does not do.
    return len(left & right) / (len(left) or 1) - len(right) / 1e4
