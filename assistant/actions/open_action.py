"""Where a conversation stands with its business action, read from the log's steps alone.

An action is open from its first step until it succeeded or failed. `MAX_ASIDES` other questions may come between;
then it is left. One that found nothing may be tried again with other values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from assistant.conversation.events import Action, Decision

MAX_ASIDES = 3
MAX_MISMATCHES = 3
NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class OpenAction:
    """The last step, what it waits for, and how often the same was asked.

    ``asking``: for a slot or a yes. ``unfinished``: the customer said yes, and then the server or the turn was
    stopped, so nobody knows whether the call was made. ``mismatched``: for better values.
    """

    step: Action
    waits: Literal["asking", "unfinished", "mismatched"]
    tries: int = 0


def open_action(actions: Sequence[Action], past: Sequence[Decision]) -> OpenAction | None:
    """The conversation's open action; ``past`` are the assistant's decisions, oldest first."""
    asides = sum(1 for _ in takewhile(lambda decision: decision != "action", reversed(past)))
    if not actions or asides > MAX_ASIDES:
        return None
    last = actions[-1]
    match last.status:
        case "requested":
            alike = takewhile(lambda step: step == last, reversed(actions))
            return OpenAction(last, "asking", sum(1 for _ in alike))
        case "confirmed":
            return OpenAction(last, "unfinished")
        case "failed" if last.error == NOT_FOUND:
            return OpenAction(last, "mismatched")
    return None


def num_mismatches(actions: Sequence[Action]) -> int:
    """How often in this conversation the details given did not fit together."""
    return sum(1 for step in actions if step.status == "failed" and step.error == NOT_FOUND)
