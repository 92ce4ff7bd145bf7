"""What a call to a business system came to, and what the dialogue needs of the one who makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from assistant.config import CallSettings

Kind = Literal["answered", "not_found", "refused", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """``failed`` means that nothing was done; ``unknown`` that something may have been (a time-out, HTTP 5xx).

    ``code`` is for the record, such as ``http_500``; ``body`` is the answer's JSON object, unchecked.
    """

    kind: Kind
    code: str = ""
    body: Mapping[str, object] = field(default_factory=dict)


class ActionCaller(Protocol):
    """Makes the HTTP calls of business actions. It never raises for what the other side does."""

    async def call(
        self, settings: CallSettings, arguments: Mapping[str, str], *, idempotency_key: str, name: str
    ) -> Outcome:
        """Make one call; ``name`` is the action's, for the log."""
