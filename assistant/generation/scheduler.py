"""Who waits for the model and who is being written: the policy, without tensors and threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from assistant.errors import QueueFull
from assistant.generation.sequence import Sequence


class Scheduler:
    """First come, first served: ``queue_size`` may wait, ``max_batch`` are written together.

    At most one is admitted per step, so that those being written pause for one prompt at a time.
    """

    def __init__(self, *, queue_size: int, max_batch: int) -> None:
        self._queue_size = queue_size
        self._max_batch = max_batch
        self._waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    @property
    def num_waiting(self) -> int:
        """How many wait for their first token."""
        return len(self._waiting)

    @property
    def has_room(self) -> bool:
        """Whether one more may wait; those for whom the batch has a place do not count as waiting."""
        return self.num_waiting + len(self.running) < self._queue_size + self._max_batch

    @property
    def has_work(self) -> bool:
        """Whether any sequence waits or is being written."""
        return bool(self._waiting or self.running)

    def require_room(self) -> None:
        """Raise `QueueFull` unless one more may wait."""
        if not self.has_room:
            raise QueueFull(
                f"{self.num_waiting} conversations wait for the model already, and queue_size is {self._queue_size}.",
                fix="Try again in a few seconds; raise [generation] queue_size or max_batch if this happens often.",
            )

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait. Raises `QueueFull` at once."""
        self.require_room()
        self._waiting.append(sequence)

    def admit(self) -> Sequence | None:
        """The next to be written, or none: nobody waits, or the batch is full."""
        if not self._waiting or len(self.running) >= self._max_batch:
            return None
        sequence = self._waiting.popleft()
        self.running.append(sequence)
        return sequence

    def cancel(self, sequence: Sequence) -> None:
        """Nobody reads this one any more: its waiting place is free now, its place in the batch after the step."""
        sequence.cancelled = True
        if sequence in self._waiting:
            self._waiting.remove(sequence)

    def leave(self) -> list[Sequence]:
        """Take those out of the batch that ended or were cancelled, and return them."""
        left = [sequence for sequence in self.running if sequence.is_over]
        self.running = [sequence for sequence in self.running if not sequence.is_over]
        return left

    def drain(self) -> Iterator[Sequence]:
        """Take out everyone, those being written first."""
        yield from self.running
        yield from self._waiting
        self.running = []
        self._waiting.clear()
