"""Entries made in a line."""

from __future__ import annotations

from assistant.retrieval.entries import Entry
from assistant.values import PassageKind


def entry(
    question: str,
    answer: str,
    *,
    id: str = "only",
    lang: str = "en",
    wordings: tuple[str, ...] = (),
    tags: tuple[str, ...] = (),
    tenant: str = "",
    kind: PassageKind = "faq",
) -> Entry:
    return Entry(id, lang, "", question, wordings, answer, tags, None, f"{lang}/made.md", 0, len(answer), tenant, kind)
