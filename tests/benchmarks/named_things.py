"""How much it helps to know which of many things a conversation is about.

Run with ``ASSISTANT_EVAL_DATA`` set: ``python -m tests.benchmarks.named_things [--json]``. Out of public Chinese
dialogues about restaurants, sights and hotels an FAQ is made with one entry for each thing and attribute that an agent
stated. The questions are the customers' own turns that ask for one attribute; what was said before is the context.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.config import RetrievalSettings, load
from assistant.retrieval.embedding import Encoders, load_encoders
from assistant.retrieval.entries import Entry, Knowledge
from assistant.retrieval.index import build_index
from assistant.retrieval.retriever import FaqRetriever
from tests.benchmarks.retrieval_tasks import read

NAME = "名称"
LANGUAGE = "zh"


@dataclass(frozen=True)
class Asked:
    """A customer's turn, what was said before, and the entry that answers it."""

    text: str
    context: tuple[str, ...]
    entry_id: str


def main() -> None:
    """Print hit rates with and without the context."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rates = measure(load_encoders(load()))
    print(json.dumps(rates) if options.json else rates)


def measure(encoders: Encoders) -> dict[str, float]:
    """Hit rates at 1 and 5 without and with the context."""
    facts, asked = _read_dialogues()
    entries = [
        Entry(_id(*key), LANGUAGE, "", f"{key[0]}的{key[1]}是什么？", (), value, (), None, "", 0, 0)
        for key, value in facts.items()
    ]
    index = build_index(Knowledge.of(entries, ()), encoders)
    retriever = FaqRetriever(index, encoders, RetrievalSettings(floor=0))
    rates: dict[str, float] = {"num_entries": len(entries), "num_queries": len(asked)}
    for name, uses_context in (("without", False), ("with", True)):
        found = [_search(retriever, question, uses_context) for question in asked]
        for depth in (1, 5):
            hits = sum(q.entry_id in ids[:depth] for q, ids in zip(asked, found, strict=True))
            rates[f"hit_at_{depth}_{name}_context"] = round(hits / len(asked), 4)
    return rates


def _search(retriever: FaqRetriever, asked: Asked, uses_context: bool) -> list[str]:
    context = asked.context if uses_context else ()
    return [hit.passage.entry_id for hit in retriever.search(asked.text, language=LANGUAGE, limit=5, context=context)]


def _read_dialogues() -> tuple[dict[tuple[str, str], str], list[Asked]]:
    """What agents stated of named things, and who asked for it."""
    facts: dict[tuple[str, str], str] = {}
    asked = []
    for dialogue in read("transcripts_crosswoz_zh"):
        turns = dialogue["turns"]
        for number in range(0, len(turns) - 1, 2):
            for question, key, value in _answered(turns, number):
                facts.setdefault(key, value)
                asked.append(question)
    return facts, asked


def _answered(turns: Sequence[dict[str, Any]], number: int) -> Iterator[tuple[Asked, tuple[str, str], str]]:
    """The turn's question, where it asks for one attribute of a thing and the agent stated it."""
    wanted = [act.split("/")[1:] for act in turns[number].get("acts", []) if act.startswith("Request/")]
    if len(wanted) != 1 or wanted[0][1] == NAME:
        return
    domain, attribute = wanted[0]
    stated = [value for act in turns[number + 1].get("acts", []) if (value := _value(act, domain, attribute))]
    name = _thing(turns[: number + 2], domain)
    if stated and name:
        context = tuple(turn["text"] for turn in turns[:number])
        key = name, attribute
        yield Asked(turns[number]["text"], context, _id(*key)), key, "，".join(stated)


def _thing(turns: Sequence[dict[str, Any]], domain: str) -> str:
    """The thing of this domain that was named last; of several in one turn none, because the turn may mean any."""
    for turn in reversed(turns):
        names = {value for act in turn.get("acts", []) if (value := _value(act, domain, NAME))}
        if names:
            return names.pop() if len(names) == 1 else ""
    return ""


def _value(act: str, domain: str, attribute: str) -> str:
    prefix = f"Inform/{domain}/{attribute}="
    return act.removeprefix(prefix) if act.startswith(prefix) else ""


def _id(name: str, attribute: str) -> str:
    return f"{name}/{attribute}"


if __name__ == "__main__":
    main()
