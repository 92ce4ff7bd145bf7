"""``assistant index``: bring the index up to date, through the running server where there is one, otherwise here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from assistant import models, running
from assistant.config import Settings
from assistant.errors import AssistantError, IndexArtifactError
from assistant.retrieval.artifact import load_index
from assistant.retrieval.embedding import load_encoders
from assistant.retrieval.index import Progress
from assistant.retrieval.updater import IndexUpdater
from assistant.retrieval.watching import POLL_S, follow

ADMIN_PATH = "/v1/admin/index"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done and what is served now, as `Changes.as_record` and `IndexUpdater.status` say it."""

    changes: Mapping[str, object]
    status: Mapping[str, object]
    place: str

    @property
    def problems(self) -> list[str]:
        """What was left out, and why."""
        return [str(problem) for problem in _list(self.changes, "problems")]

    @property
    def summary(self) -> str:
        """One line: what was added, changed and removed, with the first names."""
        counts = ", ".join(f"{self.changes.get(f'num_{what}')} {what}" for what in ("added", "changed", "removed"))
        names = " ".join(str(name) for name in _list(self.changes, "names"))
        return f"{counts}; {self.changes.get('num_entries')} entries{f'  {names}' if names else ''}"

    @property
    def total(self) -> str:
        """One line: what there is now, and where."""
        counts = self.status.get("by_language")
        languages = sorted(counts.items()) if isinstance(counts, Mapping) else []
        listed = ", ".join(f"{count} {language}" for language, count in languages)
        return f"{self.status.get('num_entries')} entries ({listed}) in {self.place}"


class Indexing:
    """The index of these settings. Encoders are loaded only where no server does the work."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._updater: IndexUpdater | None = None

    def refresh(self, progress: Progress | None = None) -> Outcome:
        """Take up what has changed. Blocking. Raises `AssistantError`."""
        server = running.find(self._settings.data_dir)
        if server is not None:
            self._updater = None  # the server writes the index now, what was loaded here grows old
            changes = running.call(server, "POST", ADMIN_PATH)
            return Outcome(changes, running.call(server, "GET", ADMIN_PATH), f"the server at {server.url}")
        if self._updater is None:
            self._updater = _make_updater(self._settings)
        changes = self._updater.refresh(progress).as_record()
        return Outcome(changes, self._updater.status(), str(self._settings.index_dir))

    async def watch(self, tell: Tell, *, every_s: float = POLL_S) -> None:
        """Refresh at every change of the files, and tell each in one line; until cancelled."""
        told: list[str] = []

        async def on_change() -> None:
            try:
                outcome = await asyncio.to_thread(self.refresh)
            except AssistantError as error:
                tell(f"not taken up: {error}")
                return
            tell(outcome.summary)
            for problem in outcome.problems:
                if problem not in told:
                    tell(f"left out: {problem}")
            told[:] = outcome.problems

        await follow(self._settings, on_change, every_s=every_s)


def _make_updater(settings: Settings) -> IndexUpdater:
    for name in settings.retrieval.encoders:
        if name in models.BUILT_IN:
            models.pull(settings, name)
    encoders = load_encoders(settings)
    try:
        index = load_index(settings.index_dir, encoders)
    except IndexArtifactError:
        index = None  # missing, damaged or from other encoders: it is built anew
    return IndexUpdater(settings, encoders, None, index)


def _list(record: Mapping[str, object], name: str) -> list[object]:
    value = record.get(name)
    return value if isinstance(value, list) else []
