"""The drafts that one agent's socket has asked for: written beside its reader, so that nothing else waits for them.

Bound: `MAX_DRAFTS` at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from assistant.faults import report
from assistant.gateway.agent_protocol import AskForDraft
from assistant.gateway.protocol import Refusal

MAX_DRAFTS = 2
RETRY_MS = 2_000


class AgentDrafts:
    """Runs what `write` does for each asked draft. `write` answers the agent itself, also where it fails."""

    def __init__(self, write: Callable[[AskForDraft], Awaitable[None]]) -> None:
        self._write = write
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, asked: AskForDraft) -> None:
        """Begin a draft; returns at once. Raises `Refusal` where too many are being written."""
        if len(self._tasks) >= MAX_DRAFTS:
            raise Refusal(
                "rate_limited",
                f"{MAX_DRAFTS} drafts are being written already.",
                fix="Ask again.",
                retry_after_ms=RETRY_MS,
            )
        task = asyncio.create_task(self._run(asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Stop what is being written."""
        for task in self._tasks:
            task.cancel()

    async def _run(self, asked: AskForDraft) -> None:
        try:
            await self._write(asked)
        except Exception as error:  # the agent could not even be told; the socket goes on
            report("draft_lost", error, conversation_id=asked.conversation_id)
