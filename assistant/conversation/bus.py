"""Wake-ups: whoever watches a conversation is told that there is something new, never what.

The news itself is read from the log or from the running turn, so a slow watcher misses nothing and
nothing piles up: a watcher holds one flag, however much happens. While a conversation is watched its latest commits
are kept (`recent.py`), so that the log is not asked for what this process has just written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from assistant.conversation.appending import Appended
from assistant.conversation.events import ConversationId
from assistant.conversation.recent import Recent


@dataclass(slots=True)
class _Watched:
    flags: set[asyncio.Event] = field(default_factory=set)
    num_commits: int = 0
    recent: Recent = field(default_factory=Recent)


class Bus:
    """Wake-ups inside one process. Use it from the event loop's thread.

    ``on_commit`` is told what this process commits; `relay.py` passes it on to other processes.
    """

    def __init__(self) -> None:
        self._watched: dict[ConversationId, _Watched] = {}
        self.on_commit: Callable[[ConversationId], None] | None = None

    @contextmanager
    def watch(self, conversation_id: ConversationId) -> Iterator[asyncio.Event]:
        """An event that is set whenever something happens in the conversation; clear it before you look."""
        flag = asyncio.Event()
        watched = self._watched.setdefault(conversation_id, _Watched())
        watched.flags.add(flag)
        try:
            yield flag
        finally:
            watched.flags.discard(flag)
            if not watched.flags:
                del self._watched[conversation_id]

    def wake(self, conversation_id: ConversationId, *, committed: bool = False) -> None:
        """Tell every watcher of the conversation to look again; ``committed``: the log has changed."""
        if committed:
            self._pass_on(conversation_id)
            self.recent(conversation_id).forget()
        self._wake(conversation_id, committed=committed)

    def publish(self, appended: Appended) -> None:
        """Tell every watcher of the conversation that this was committed."""
        conversation_id = appended.head.conversation_id
        self._pass_on(conversation_id)
        self.recent(conversation_id).add(appended)
        self._wake(conversation_id, committed=True)

    def recent(self, conversation_id: ConversationId) -> Recent:
        """The conversation's latest events; none are kept of one that nobody watches."""
        watched = self._watched.get(conversation_id)
        return watched.recent if watched else Recent()

    def hear(self, conversation_id: ConversationId) -> None:
        """Another process has committed something to the conversation."""
        self.recent(conversation_id).forget()
        self._wake(conversation_id, committed=True)

    def wake_all(self) -> None:
        """Tell every watcher that the log may have more."""
        for conversation_id in list(self._watched):
            self.hear(conversation_id)

    def _pass_on(self, conversation_id: ConversationId) -> None:
        if self.on_commit is not None:
            self.on_commit(conversation_id)

    def _wake(self, conversation_id: ConversationId, *, committed: bool) -> None:
        watched = self._watched.get(conversation_id)
        if watched is None:
            return
        watched.num_commits += committed
        for flag in watched.flags:
            flag.set()

    def num_commits(self, conversation_id: ConversationId) -> int:
        """How many commits woke the watchers so far: only where this moved is the log worth reading again."""
        watched = self._watched.get(conversation_id)
        return watched.num_commits if watched else 0
