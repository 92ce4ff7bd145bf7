"""Keeps the sockets of this process in step with the database, whichever process changed it.

Every ``refresh_s`` it looks what changed, wakes who watches it, tells the agents' sockets, stops answers that a person
has taken over, and closes the agents' sockets whose session has ended. Bounds: `MAX_LISTED` conversations a look;
`PAUSE_S` at least between two looks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, Protocol

from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId
from assistant.conversation.log import ConversationLog
from assistant.conversation.overview import MAX_LISTED, Counts, Moved, Summary, ago
from assistant.dialogue.manager import DialogueManager
from assistant.faults import report
from assistant.gateway.protocol import CloseCode
from assistant.gateway.staff import Staff

OVERLAP_S = 5.0  # a commit may become visible after one that has a later time
PAUSE_S = 0.02


class Member(Protocol):
    """An agent's open socket."""

    @property
    def session_id(self) -> str:
        """Whose it is."""

    def notice(self, changed: Sequence[Summary] | None, counts: Counts) -> None:
        """These conversations changed; None: too many to name. Returns at once."""

    def end(self, code: CloseCode) -> None:
        """Ask it to close; returns at once."""


class Desk:
    """Watches the conversations and the sessions for all sockets of this process."""

    def __init__(
        self, staff: Staff, *, log: ConversationLog, bus: Bus, manager: DialogueManager, refresh_s: float
    ) -> None:
        self._staff = staff
        self._log = log
        self._bus = bus
        self._manager = manager
        self._refresh_s = refresh_s
        self._members: set[Member] = set()
        self._seen: dict[ConversationId, Moved] = {}
        self._looked_at = ago(0)
        self._is_line_due = True
        self._nudged = asyncio.Event()

    @contextmanager
    def joined(self, member: Member) -> Iterator[None]:
        """The socket is told what happens for as long as this lasts."""
        self._members.add(member)
        try:
            yield
        finally:
            self._members.discard(member)

    def nudge(self) -> None:
        """Look now: something happened in this process."""
        self._nudged.set()

    def close_session(self, session_id: str) -> None:
        """Close the sockets of a session that was just ended here."""
        for member in [member for member in self._members if member.session_id == session_id]:
            member.end(CloseCode.AUTH)

    async def run(self) -> NoReturn:
        """Look again and again; a database that is away for a while ends nothing."""
        while True:
            try:
                await self._look()
                await self._end_revoked()
            except Exception as error:
                report("desk_failed", error)
            await asyncio.sleep(PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_s):
                    await self._nudged.wait()
            self._nudged.clear()

    async def _look(self) -> None:
        looked_at = ago(OVERLAP_S)
        moved = await self._staff.overview.moved_since(self._looked_at)
        news = [one for one in moved if self._seen.get(one.conversation_id) != one]
        self._seen = {one.conversation_id: one for one in moved}
        self._looked_at = looked_at
        for one in news:
            self._catch_up(one)
        self._is_line_due |= len(moved) >= MAX_LISTED or any(self._is_of_line(one) for one in news)
        if news and self._members:
            await self._tell(news if len(moved) < MAX_LISTED else None)
        if self._is_line_due:
            self._manager.line.keep(await self._staff.overview.waiting())
            self._is_line_due = False

    def _is_of_line(self, moved: Moved) -> bool:
        """Whether it waits for a person, or did."""
        return moved.mode == "waiting" or self._manager.line.place(moved.conversation_id) is not None

    async def _tell(self, news: Sequence[Moved] | None) -> None:
        overview = self._staff.overview
        changed = None if news is None else await overview.of([one.conversation_id for one in news])
        counts = await overview.counts()
        for member in list(self._members):
            member.notice(changed, counts)

    def _catch_up(self, moved: Moved) -> None:
        """Do here what another process could only commit: wake the sockets, and stop an answer that runs here."""
        if self._log.is_from_elsewhere(moved.conversation_id, moved.last_position):
            self._bus.wake(moved.conversation_id, committed=True)
        if moved.mode in ("human", "closed"):
            self._manager.interrupt(moved.conversation_id)

    async def _end_revoked(self) -> None:
        theirs = {member.session_id for member in self._members}
        if not theirs:
            return
        living = await self._staff.sessions.living(theirs)
        for session_id in theirs - living:
            self.close_session(session_id)
