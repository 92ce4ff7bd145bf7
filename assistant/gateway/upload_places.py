"""Whose files come in just now: few at a time, and never all of the places for one visitor or one address.

Bounds: `MAX_AT_ONCE` files in all, `MAX_OF_VISITOR`, `MAX_OF_ADDRESS` and twice that for a wider network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from assistant.conversation.attachments import Upload
from assistant.gateway.protocol import Refusal

MAX_AT_ONCE = 16
MAX_OF_VISITOR = 2
MAX_OF_ADDRESS = 4
RETRY_MS = 5_000


class UploadPlaces:
    """The places of this process."""

    def __init__(self) -> None:
        self._upload_ids: set[str] = set()
        self._num_of: Counter[str] = Counter()

    @contextmanager
    def taken(self, upload: Upload, networks: Sequence[str]) -> Iterator[None]:
        """A place while the file comes in, one request at a time for each file. Raises `Refusal`.

        ``networks`` are those of the address it comes from, the narrowest first.
        """
        bounds = {network: MAX_OF_ADDRESS * (2 if is_wider else 1) for is_wider, network in enumerate(networks)}
        bounds[upload.visitor_id] = MAX_OF_VISITOR
        is_crowded = any(self._num_of[whose] >= bound for whose, bound in bounds.items())
        if is_crowded or upload.upload_id in self._upload_ids or len(self._upload_ids) >= MAX_AT_ONCE:
            raise Refusal("rate_limited", "Too many files are coming in.", fix="Wait.", retry_after_ms=RETRY_MS)
        self._upload_ids.add(upload.upload_id)
        self._num_of.update(list(bounds))
        try:
            yield
        finally:
            self._upload_ids.discard(upload.upload_id)
            self._num_of.subtract(list(bounds))
            self._num_of = +self._num_of  # without those that have none any more
