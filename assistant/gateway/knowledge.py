"""What the gateway needs to let operators change the knowledge base; `server.py` fits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Changes(Protocol):
    """What an edit or a refresh did."""

    def as_record(self) -> dict[str, object]:
        """As JSON values."""


class KnowledgeEditor(Protocol):
    """Changes what is indexed. Blocking and thread-safe; raises `KnowledgeError` and `StorageError`."""

    def status(self) -> dict[str, object]:
        """What is served, as JSON values."""

    def refresh(self) -> Changes:
        """Take up what has changed in the files."""

    def put_entry(
        self,
        lang: str,
        entry_id: str,
        *,
        question: str,
        answer: str,
        wordings: Sequence[str] = (),
        tags: Sequence[str] = (),
        tenant: str = "",
    ) -> Changes:
        """Add an entry, or replace the one of this id."""

    def remove_entry(self, lang: str, entry_id: str, *, tenant: str = "") -> Changes:
        """Take an entry away; raises `UnknownEntry`."""


@dataclass(frozen=True)
class Admin:
    """What operators may do on this server, and the key that they need."""

    key: str
    knowledge: KnowledgeEditor
