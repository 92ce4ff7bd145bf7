"""Token ids become text that may be shown: whole characters only, and nothing of a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

HALF_CHARACTER = "\ufffd"
# Tokens decoded before the new ones, so that a decoder which looks at a word's left neighbour sees it.
CONTEXT_TOKENS = 4
# A character has at most four bytes, and a token may end one and begin the next: a longer tail is garbage.
MAX_HALF_TOKENS = 8


class TextStream:
    """Turns one sequence's tokens into releasable text, a token at a time.

    Held back: a tail that ends in half a character, and a tail that may become a stop string. What follows a
    stop string, and the stop string itself, is never released.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: tuple[str, ...] = ()) -> None:
        self._decode = decode
        self._stop = tuple(text for text in stop if text)
        self._ids: list[int] = []
        self._context_start = 0
        self._decoded_to = 0
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """The text that this token releases, often none. After a stop string `stopped` is true."""
        self._ids.append(token)
        return self._release(self._decode_new(final=False))

    def flush(self) -> str:
        """What was held back, at the end; a half character is dropped."""
        if self.stopped:
            return ""
        released = self._release(self._decode_new(final=True)) + self._held
        self._held = ""
        return released

    def _decode_new(self, *, final: bool) -> str:
        before = self._decode(self._ids[self._context_start : self._decoded_to])
        text = self._decode(self._ids[self._context_start :])[len(before) :]
        if text.endswith(HALF_CHARACTER):
            if final:
                return text.rstrip(HALF_CHARACTER)
            if len(self._ids) - self._decoded_to < MAX_HALF_TOKENS:
                return ""
        self._decoded_to = len(self._ids)
        self._context_start = max(self._context_start, self._decoded_to - CONTEXT_TOKENS)
        return text

    def _release(self, text: str) -> str:
        text = self._held + text
        if (place := self._find_stop(text)) is not None:
            self._held, self.stopped = "", True
            return text[:place]
        kept = self._held_length(text)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def _find_stop(self, text: str) -> int | None:
        return min((place for stop in self._stop if (place := text.find(stop)) >= 0), default=None)

    def _held_length(self, text: str) -> int:
        """Length of the longest tail that a stop string begins with."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        lengths = range(min(longest, len(text)), 0, -1)
        return next((size for size in lengths if any(stop.startswith(text[-size:]) for stop in self._stop)), 0)
