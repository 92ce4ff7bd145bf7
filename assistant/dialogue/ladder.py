"""The rungs that answers come down to where something fails, counted for those who watch over the server.

``without_model``: the model hung, failed or was left alone, and the answer was put together without it.
``cut_short``: it failed half way, and what it had written is the answer. ``person``: the turn itself failed or came too
late, and a person was offered. Which rung an answer took depends on no word of the customer's.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, get_args

Rung = Literal["without_model", "cut_short", "person"]
RUNGS: tuple[Rung, ...] = get_args(Rung)


class Ladder:
    """How many answers came down to each rung since the start. Use it from one event loop."""

    def __init__(self) -> None:
        self._num_taken: Counter[Rung] = Counter()

    def step_down(self, rung: Rung) -> None:
        """One more answer came down to this rung."""
        self._num_taken[rung] += 1

    def num_taken(self, rung: Rung) -> int:
        """How many did."""
        return self._num_taken[rung]
