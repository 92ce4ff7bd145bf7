"""An answer while it is written: what may be shown of it, what it rests on, and how long it took."""

from __future__ import annotations

import time
from typing import Literal, Protocol

from assistant.conversation.events import Action, Citation
from assistant.dialogue.grounding import Grounds, Span, complete, sentences
from assistant.dialogue.output_filter import OutputFilter
from assistant.values import FinishReason, Piece

Phase = Literal["searching", "writing"]


class Sink(Protocol):
    """Where a turn shows how far it is."""

    def enter(self, phase: Phase) -> None:
        """The turn reached a phase."""

    def release(self, text: str) -> None:
        """Some more of the answer, which will not be taken back."""

    async def record(self, action: Action) -> None:
        """Commit a step of a business action."""


class Draft:
    """An answer being written: whole sentences are judged, and released once one rests on a passage.

    A sentence that claims nothing ("Sure, I can help!") waits for the next that does, so that nothing is shown
    which is taken back when no claim follows. Before all that the text goes through the output filter.
    """

    def __init__(self, grounds: Grounds, sink: Sink, clock: Stopwatch, output_filter: OutputFilter) -> None:
        self.text = ""
        self.citations: list[Citation] = []
        self.finish_reason: FinishReason = "stop"
        self.reason = ""
        self._grounds = grounds
        self._sink = sink
        self._clock = clock
        self._filter = output_filter
        self._held = ""
        self._num_judged = 0

    def take(self, piece: Piece) -> bool:
        """Take some new text; False once nothing more is wanted."""
        if piece.text:
            self._clock.mark("first_token")
        text = self._filter.take(piece.text, last=piece.finish_reason is not None)
        if self._filter.stopped:
            self.end("stop", f"the model was stopped: {self._filter.stopped}")
            return False
        self._held += text if self.text or self._held else text.lstrip()
        ended = piece.finish_reason == "stop"
        if not self._judge(len(self._held) if ended else complete(self._held)):
            self.end("stop", "the rest was not supported by the passages and was not sent")
            return False
        if ended and self.citations:
            self._release(self._num_judged)
        if piece.finish_reason:
            self.finish_reason = piece.finish_reason
        return piece.finish_reason is None

    def end(self, finish_reason: FinishReason, reason: str) -> None:
        """Keep what was released, and say why there is no more."""
        self.finish_reason, self.reason = finish_reason, reason

    def _judge(self, ready: int) -> bool:
        """Judge the new sentences among the first ``ready`` characters held; False at one without support."""
        grounded, supported = 0, True
        for span in sentences(self._held[:ready]):
            if span.end <= self._num_judged:
                continue
            start = len(self.text) + span.start
            verdict = self._grounds.judge(Span(span.text, start, start + len(span.text)))
            if not verdict.supported:
                supported = False
                break
            self._num_judged = span.end
            if verdict.citation:
                self.citations.append(verdict.citation)
                grounded = span.end
        self._release(grounded)
        return supported

    def _release(self, end: int) -> None:
        if released := self._held[:end]:
            self.text += released
            self._sink.release(released)
            self._held = self._held[end:]
            self._num_judged = max(0, self._num_judged - end)


class Stopwatch:
    """Milliseconds from the turn's beginning to its marks; each mark counts once."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._marks: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """Note a moment, if it is the first of its name."""
        self._marks.setdefault(name, round((time.perf_counter() - self._begin) * 1000, 1))

    def finish(self) -> dict[str, float]:
        """All moments; an answer that was not generated has its first token at its end."""
        self.mark("total")
        return {"search": 0.0, "first_token": self._marks["total"], **self._marks}
