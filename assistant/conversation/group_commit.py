"""Appends that wait for the disk are committed together: one transaction, one wait for the disk, for all of them.

Nobody waits for a group to fill: what has come while the last one was written is the next one. Bounds: `MAX_WAITING`
appends wait, one more is refused; `MAX_TOGETHER` of them in one transaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from assistant.conversation.appending import Appended, Order, append_all
from assistant.conversation.database import Database
from assistant.errors import AssistantError, StorageError

MAX_WAITING = 4_096
MAX_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class _Waiting:
    order: Order
    outcome: asyncio.Future[Appended]


class GroupCommit:
    """Commits orders in the order they came. ``on_commit`` is told of each before its caller is."""

    def __init__(self, database: Database, on_commit: Callable[[Appended], None]) -> None:
        self._database = database
        self._on_commit = on_commit
        self._waiting: deque[_Waiting] = deque()
        self._committing: asyncio.Task[None] | None = None

    async def append(self, order: Order) -> Appended:
        """Commit the order; gives what became of it. Raises what it is refused with, and `StorageError`.

        Who is cancelled before it is begun leaves no trace; afterwards it is committed all the same.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise StorageError(
                f"{len(self._waiting)} appends wait for the disk already; the limit is {MAX_WAITING}.",
                fix="Send it again later; if it happens often, the disk of data_dir is too slow.",
            )
        waiting = _Waiting(order, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all())
        return await waiting.outcome

    async def _commit_all(self) -> None:
        """Commit until nobody waits. Only the end of the event loop cancels it: then all who wait are."""
        group: list[_Waiting] = []
        try:
            while group := self._next_group():
                await self._commit(group)
        finally:
            for waiting in (*group, *self._waiting):
                waiting.outcome.cancel()
            self._waiting.clear()

    def _next_group(self) -> list[_Waiting]:
        """Those who have waited longest, without those who have left."""
        group: list[_Waiting] = []
        while self._waiting and len(group) < MAX_TOGETHER:
            waiting = self._waiting.popleft()
            if not waiting.outcome.done():
                group.append(waiting)
        return group

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        """Commit them together, or each alone where one of them may be what the database does not take."""
        try:
            outcomes = await self._database.write(partial(append_all, orders=[waiting.order for waiting in group]))
        except Exception as error:
            if not _may_concern_one(error):
                _fail(group, error)
                return
            for waiting in group:
                await self._commit_alone(waiting)
            return
        for waiting, outcome in zip(group, outcomes, strict=True):
            self._tell(waiting, outcome)

    async def _commit_alone(self, waiting: _Waiting) -> None:
        try:
            [outcome] = await self._database.write(partial(append_all, orders=[waiting.order]))
        except Exception as error:
            _fail([waiting], error)
            return
        self._tell(waiting, outcome)

    def _tell(self, waiting: _Waiting, outcome: Appended | AssistantError) -> None:
        if isinstance(outcome, AssistantError):
            _fail([waiting], outcome)
            return
        if outcome.is_new:
            self._on_commit(outcome)
        if not waiting.outcome.done():
            waiting.outcome.set_result(outcome)


def _may_concern_one(error: Exception) -> bool:
    """Whether a single order may be the cause, and not the disk, the connection or another's lock."""
    if not isinstance(error, StorageError):
        return True
    cause = error.__cause__
    is_away = not isinstance(cause, DBAPIError) or cause.connection_invalidated
    return not is_away and not isinstance(cause, OperationalError | InterfaceError)


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(error)
