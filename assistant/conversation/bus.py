"""Wake-ups: whoever watches a conversation is told that there is something new, never what.

The news itself is read from the log or from the running turn, so a slow watcher misses nothing and
nothing piles up: a watcher holds one flag, however much happens.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from assistant.conversation.events import ConversationId


class Bus:
    """Wake-ups inside one process. Use it from the event loop's thread."""

    def __init__(self) -> None:
        self._watchers: dict[ConversationId, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def watch(self, conversation_id: ConversationId) -> Iterator[asyncio.Event]:
        """An event that is set whenever something happens in the conversation; clear it before you look."""
        flag = asyncio.Event()
        self._watchers[conversation_id].add(flag)
        try:
            yield flag
        finally:
            self._watchers[conversation_id].discard(flag)
            if not self._watchers[conversation_id]:
                del self._watchers[conversation_id]

    def wake(self, conversation_id: ConversationId) -> None:
        """Tell every watcher of the conversation to look again."""
        for flag in self._watchers.get(conversation_id, ()):
            flag.set()
