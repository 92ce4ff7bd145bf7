"""Work that goes on to its end though whoever waits for it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from assistant.errors import AssistantError, StorageError
from assistant.faults import report

Result = TypeVar("Result")


async def unbroken(work: Coroutine[Any, Any, Result]) -> Result:
    """Finish the work however often the caller is cancelled meanwhile; the cancellation is raised after it.

    For what must not be done by halves: a committed message must get its turn, an answer its place in the log.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    failure = None if task.cancelled() else task.exception()
    if failure is not None and (isinstance(failure, StorageError) or not isinstance(failure, AssistantError)):
        report("work_failed_unseen", failure)  # a refusal is no fault: who was refused has left, and that is all
    raise cancelled
