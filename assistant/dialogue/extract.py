"""Answers put together from the passages' own sentences, without the model.

A curated answer is taken as it was written. Of a document's section the sentences are taken that the question
is about, because it was written for readers and not as an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from assistant.conversation.events import Citation
from assistant.dialogue.grounding import Span, quote, sentences
from assistant.dialogue.rewording import LISTED, Rewording
from assistant.dialogue.words import content_words
from assistant.values import Hit, Passage

MAX_SENTENCES = 4
MAX_CHARACTERS = 500


def excerpt(passage: Passage, question: str) -> Span:
    """The part of a passage that answers: all of a curated one, the best run of sentences of a document's."""
    if passage.kind == "faq":
        return Span(passage.text, 0, len(passage.text))
    told = sentences(passage.text)
    asked = content_words(question)
    best = max(_runs(told), key=lambda run: _worth(passage.text, run, asked))
    return Span(passage.text[best[0].start : best[-1].end], best[0].start, best[-1].end)


def _runs(told: Sequence[Span]) -> list[Sequence[Span]]:
    runs = [told[i:j] for i in range(len(told)) for j in range(i + 1, min(i + MAX_SENTENCES, len(told)) + 1)]
    short = [run for run in runs if run[-1].end - run[0].start <= MAX_CHARACTERS]
    return short or [told[:1]]


def _worth(text: str, run: Sequence[Span], asked: frozenset[str]) -> tuple[int, int]:
    """How much of the question a run of sentences holds; of equal ones the shorter is worth more."""
    return len(asked & content_words(text[run[0].start : run[-1].end])), -len(run)


class Composition:
    """An answer under construction: text, and which of it rests on which passage."""

    def __init__(self, text: str = "", citations: Sequence[Citation] = ()) -> None:
        self.text = text
        self.citations = list(citations)

    def say(self, text: str) -> None:
        """Add a paragraph of the assistant's own."""
        if text:
            self.text += f"{self._gap()}{text}"

    def tell(self, hit: Hit, question: str, *, heading: bool) -> None:
        """Add what a passage says, under its title where an answer has several."""
        if heading:
            self.say(f"**{hit.passage.title}**")
        span = excerpt(hit.passage, question)
        gap = "\n" if heading and not span.text.startswith(("-", "*", "1.", "|")) else self._gap()
        start = len(self.text) + len(gap)
        self.text += f"{gap}{span.text}"
        self.citations.append(quote(hit.passage, span, start, start + len(span.text)))

    def tell_again(self, hit: Hit, rewording: Rewording) -> None:
        """Add what a passage says in another layout of its own sentences."""
        for number, part in enumerate(rewording.parts):
            is_point = rewording.layout == "points"
            gap = "\n" if is_point and number else " " if number and _goes_on(part, self.text) else self._gap()
            self.text += f"{gap}- " if is_point else gap
            start = len(self.text)
            self.text += part.text
            self.citations.append(quote(hit.passage, part, start, len(self.text)))

    def _gap(self) -> str:
        return "\n\n" if self.text else ""


def _goes_on(part: Span, text: str) -> bool:
    """Whether a sentence may follow in the same paragraph: neither it nor what stands before is a list."""
    return "\n" not in part.text and not LISTED.match(text.rpartition("\n")[2])
