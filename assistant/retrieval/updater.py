"""Keeps the index in step with the knowledge base while it is searched.

One refresh at a time: in this process by a lock, across processes by a file lock. Each reads everything again, embeds
what has changed, saves the new index and swaps it in; a failure at any step leaves the old one live and saved.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from filelock import FileLock, Timeout
from pydantic import ValidationError

from assistant.config import Settings
from assistant.errors import KnowledgeError, StorageError, UnknownEntry
from assistant.retrieval.artifact import save_index
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.entries import LANGUAGE, Entry, EntryKey
from assistant.retrieval.index import FaqIndex, Progress, build_index
from assistant.retrieval.overlay import load_all, shelf_of, write_edit
from assistant.retrieval.rows import Row, explain

LOCK_TIMEOUT_S = 600.0
MAX_NAMES = 5
MAX_PROBLEMS = 100

log = structlog.get_logger(__name__)


class Searcher(Protocol):
    """What searches the index."""

    def replace_index(self, index: FaqIndex) -> None:
        """Search ``index`` from now on."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a refresh changed, and what it had to leave out."""

    added: tuple[EntryKey, ...]
    changed: tuple[EntryKey, ...]
    removed: tuple[EntryKey, ...]
    num_entries: int
    problems: tuple[KnowledgeError, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def as_record(self) -> dict[str, object]:
        """As JSON values: counts, the first few names (``+`` added, ``~`` changed, ``-`` removed), the problems."""
        marked = (("+", self.added), ("~", self.changed), ("-", self.removed))
        names = [mark + _name(key) for mark, keys in marked for key in keys]
        return {
            "num_added": len(self.added),
            "num_changed": len(self.changed),
            "num_removed": len(self.removed),
            "num_entries": self.num_entries,
            "names": names[:MAX_NAMES],
            "num_problems": len(self.problems),
            "problems": [str(problem) for problem in self.problems[:MAX_PROBLEMS]],
        }


class IndexUpdater:
    """Refreshes one index. All methods block and may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        encoders: Encoders,
        searcher: Searcher | None,
        index: FaqIndex | None,
        *,
        problems: Sequence[KnowledgeError] = (),
    ) -> None:
        """``index`` is what ``searcher`` searches now, ``problems`` what was left out of it."""
        self._settings = settings
        self._encoders = encoders
        self._searcher = searcher
        self._index = index
        self._problems = tuple(problems)
        self._lock = threading.RLock()
        self._file_lock = FileLock(settings.data_dir / ".knowledge.lock", timeout=LOCK_TIMEOUT_S, thread_local=False)

    @property
    def index(self) -> FaqIndex | None:
        """The index as it is now; None until the first refresh where there was none."""
        return self._index

    def refresh(self, progress: Progress | None = None) -> Changes:
        """Take up what has changed in the files.

        Raises `KnowledgeError` (nothing to index), `StorageError` and what the encoders raise; then all stays as
        it was.
        """
        with self._alone():
            return self._refresh(progress)

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
        """Add an entry, or replace the one of this id. Raises `KnowledgeError` naming the field that is wrong.

        ``tenant`` is empty, or the settings' own ``tenant``, for the main brand.
        """
        row = {"id": entry_id, "lang": lang, "question": question, "answer": answer}
        return self._edit(self._named(tenant), lang, _checked(row | {"wordings": list(wordings), "tags": list(tags)}))

    def remove_entry(self, lang: str, entry_id: str, *, tenant: str = "") -> Changes:
        """Take an entry away; the file it came from is left as it is. Raises `UnknownEntry`."""
        tenant = self._named(tenant)
        with self._alone():
            if EntryKey(tenant, lang, entry_id) not in _by_key(self._index):
                raise UnknownEntry(f"There is no entry {entry_id!r} in {lang!r}.", fix="See `assistant search`.")
            return self._edit(tenant, lang, {"id": entry_id, "lang": lang, "removed": True})

    def status(self) -> dict[str, object]:
        """What is served, as JSON values."""
        index, problems = self._index, self._problems
        entries = index.entries if index else ()
        return {
            "num_entries": len(entries),
            "by_language": Counter(entry.lang for entry in entries),
            "by_tenant": Counter(entry.tenant or self._settings.tenant for entry in entries),
            "by_kind": Counter(entry.kind for entry in entries),
            "created": index.created.isoformat() if index else None,
            "num_problems": len(problems),
            "problems": [str(problem) for problem in problems[:MAX_PROBLEMS]],
        }

    def _named(self, tenant: str) -> str:
        return "" if tenant == self._settings.tenant else tenant

    def _edit(self, tenant: str, lang: str, row: dict[str, object]) -> Changes:
        """Write one row and refresh; where that fails the row is taken back."""
        overlay = shelf_of(self._settings, tenant).overlay
        with self._alone():
            undo = write_edit(overlay, lang, row)
            try:
                return self._refresh(None)
            except BaseException:
                undo()
                raise

    def _refresh(self, progress: Progress | None) -> Changes:
        knowledge = load_all(self._settings)
        old = self._index
        if old is None or not old.is_current(knowledge.content_hash):
            new = build_index(knowledge, self._encoders, previous=old, progress=progress)
            save_index(new, self._settings.index_dir)
            if self._searcher is not None:
                self._searcher.replace_index(new)
            self._index = new
        self._problems = knowledge.problems
        changes = _compare(old, knowledge.entries, knowledge.problems)
        log.info(
            "index.refreshed",
            num_added=len(changes.added),
            num_changed=len(changes.changed),
            num_removed=len(changes.removed),
            num_entries=changes.num_entries,
            num_problems=len(changes.problems),
        )
        return changes

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """May be entered again by the thread that is in it."""
        path = Path(self._file_lock.lock_file)
        with self._lock:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file_lock.acquire()
            except Timeout as error:
                raise StorageError(
                    f"Another process has kept {path} for {LOCK_TIMEOUT_S:.0f} s.", fix="End it, then try again."
                ) from error
            except OSError as error:
                raise StorageError(
                    f"{path} cannot be locked: {error.strerror}.", fix="Give write access there."
                ) from error
            try:
                yield
            finally:
                self._file_lock.release()


def _checked(row: dict[str, object]) -> dict[str, object]:
    """The row as it is kept, without space around its texts."""
    if not row["id"]:
        raise KnowledgeError("The entry has an empty id.", fix="Name it with letters, digits and hyphens.")
    if not LANGUAGE.fullmatch(str(row["lang"])):
        raise KnowledgeError(f"The language {row['lang']!r} is no ISO 639-1 code.", fix="Write such as en or zh.")
    try:
        kept = Row.model_validate(row)
    except ValidationError as error:
        raise KnowledgeError(
            f"The entry is not taken: {explain(error)}.", fix="Correct it and send it again."
        ) from error
    return kept.model_dump(include={"id", "lang", "question", "answer", "wordings", "tags"}, mode="json")


def _compare(old: FaqIndex | None, entries: Sequence[Entry], problems: tuple[KnowledgeError, ...]) -> Changes:
    before = _by_key(old)
    after = {entry.key: entry for entry in entries}
    return Changes(
        added=tuple(key for key in after if key not in before),
        changed=tuple(key for key, entry in after.items() if key in before and _said(before[key]) != _said(entry)),
        removed=tuple(key for key in before if key not in after),
        num_entries=len(after),
        problems=problems,
    )


def _name(key: EntryKey) -> str:
    """A name for people, with the language once: many ids begin with it."""
    lang = "" if key.id.startswith(f"{key.lang}/") else key.lang
    return "/".join(part for part in (key.tenant, lang, key.id) if part)


def _by_key(index: FaqIndex | None) -> dict[EntryKey, Entry]:
    return {entry.key: entry for entry in index.entries} if index else {}


def _said(entry: Entry) -> tuple[object, ...]:
    """What an entry says, wherever it stands: one that only moved within its file has not changed."""
    return entry.topic, entry.question, entry.wordings, entry.answer, entry.tags, entry.review, entry.kind
