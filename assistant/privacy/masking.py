"""Personal data out of what is logged: every string of a line, and every line of other libraries."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from assistant.privacy.finding import LANGUAGES, find

OWN_KEYS = frozenset({"level", "timestamp"})
MAX_DEPTH = 8
MAX_CHARS = 16_384  # of one string; what is longer is cut, since no log line is meant to be


def mask(text: str, languages: Sequence[str] = LANGUAGES, *, regions: Sequence[str] = ()) -> str:
    """The text with ``[email]``, ``[phone]``, ``[card]``, ``[iban]``, ``[resident_id]``, ``[ip]`` for what it holds.

    Masking twice changes nothing more.
    """
    pieces, end = list[str](), 0
    for span in find(text, languages, regions=regions):
        pieces += [text[end : span.start], f"[{span.kind}]"]
        end = span.end
    return "".join(pieces) + text[end:] if pieces else text


class MaskedLog:
    """A structlog processor; put it last before the renderer, so that it sees exceptions as text.

    ``level`` and ``timestamp`` must be made by processors before it.
    """

    def __init__(self, regions: Sequence[str] = ()) -> None:
        self._regions = tuple(regions)
        mask("0000000", regions=self._regions)  # an unknown region is told now, not with the first line

    def __call__(self, _logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The line with every value masked, but for what earlier processors made."""
        return {key: value if key in OWN_KEYS else self._masked(value, MAX_DEPTH) for key, value in line.items()}

    def _masked(self, value: object, depth: int) -> object:
        """The value in the types of JSON; an object of any other is masked as it would be printed."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str) or depth == 0:
            return mask(str(value)[:MAX_CHARS], regions=self._regions)
        if isinstance(value, Mapping):
            return {self._masked(str(key), 0): self._masked(inner, depth - 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._masked(inner, depth - 1) for inner in value]
        return mask(repr(value)[:MAX_CHARS], regions=self._regions)


class MaskedFormatter(logging.Formatter):
    """The standard library's log lines, masked: what other libraries report, their tracebacks included."""

    def __init__(self, regions: Sequence[str] = ()) -> None:
        super().__init__()
        self._regions = tuple(regions)

    def format(self, record: logging.LogRecord) -> str:
        """The record as one masked text."""
        return mask(super().format(record)[:MAX_CHARS], regions=self._regions)
