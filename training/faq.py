"""The FAQ as conversations to learn from: how to answer from passages, in the words of the passages.

A small model that was never shown passages rarely answers from them. Each entry is asked in its own question
and in other wordings, shown as serving shows it (beside a passage of the same topic that does not answer),
and answered by its first sentences, as they are written. Up to three such turns make a conversation, because
a customer asks more than once and each turn keeps its passages in the prompt.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Protocol, TypedDict

from assistant.conversation.events import PromptPassage
from assistant.dialogue.grounding import sentences
from assistant.dialogue.prompt import user_message
from assistant.errors import DatasetError
from assistant.values import ChatMessage

ANSWER_CHARACTERS = 180
ASKED_PER_ENTRY = 2
MAX_TURNS = 3


class FaqEntry(Protocol):
    """An entry of the knowledge base, as far as it is needed here."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def lang(self) -> str:
        """Its language, ISO 639-1."""

    @property
    def topic(self) -> str:
        """The topic it stands under."""

    @property
    def question(self) -> str:
        """Its heading."""

    @property
    def wordings(self) -> Sequence[str]:
        """Other wordings of the question."""

    @property
    def answer(self) -> str:
        """Its answer, Markdown."""


class Row(TypedDict):
    """One conversation, as `transcripts` reads it."""

    messages: list[ChatMessage]


def faq_rows(entries: Sequence[FaqEntry], *, languages: Sequence[str] | None, seed: int = 0) -> list[Row]:
    """Conversations over the entries in ``languages`` (None: all), shuffled.

    The same entries and seed give the same rows. Raises `DatasetError` where no entry is in these languages.
    """
    dice = random.Random(seed)  # noqa: S311  # no secret
    chosen = [entry for entry in entries if languages is None or entry.lang in languages]
    if not chosen:
        listed = ", ".join(languages or ())
        raise DatasetError(f"No entry of the knowledge base is in {listed}.", fix="Name a model that writes yours.")
    turns = [turn for entry in chosen for turn in _turns(entry, chosen, dice)]
    dice.shuffle(turns)
    return list(_conversations(turns, dice))


def _conversations(turns: Sequence[list[ChatMessage]], dice: random.Random) -> Iterator[Row]:
    start = 0
    while start < len(turns):
        end = start + dice.randint(1, MAX_TURNS)
        yield {"messages": [message for turn in turns[start:end] for message in turn]}
        start = end


def _turns(entry: FaqEntry, entries: Sequence[FaqEntry], dice: random.Random) -> Iterator[list[ChatMessage]]:
    beside = [other for other in entries if (other.lang, other.topic) == (entry.lang, entry.topic) and other != entry]
    shown = [entry, *([dice.choice(beside)] if beside else [])]
    passages = [PromptPassage(each.id, each.question, each.answer) for each in shown]
    asked = [entry.question, *entry.wordings]
    for question in dice.sample(asked, min(ASKED_PER_ENTRY, len(asked))):
        answered: ChatMessage = {"role": "assistant", "content": _first_sentences(entry.answer)}
        yield [user_message(question, passages), answered]


def _first_sentences(answer: str) -> str:
    """As many whole sentences as fit `ANSWER_CHARACTERS`, at least one."""
    first, *more = sentences(answer)
    ends = [first.end, *(span.end for span in more if span.end - first.start <= ANSWER_CHARACTERS)]
    return answer[first.start : max(ends)]
