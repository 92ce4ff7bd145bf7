"""What the gateway counts. No label ever holds an id or a customer's words."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from assistant.conversation.events import Decision, Message

Door = Literal["socket", "rest", "rasa", "openai"]

MAX_TURNS = 10_000
FIRST_TEXT_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
TURN_S = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)


class Metrics:
    """Prometheus metrics in a registry of their own, so that two servers in one process do not mix."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.sockets = Gauge("assistant_sockets", "Open sockets.", registry=registry)
        self.sockets_closed = Counter(
            "assistant_sockets_closed", "Sockets ended, by close code.", ["code"], registry=registry
        )
        self.messages = Counter("assistant_messages", "Customers' messages committed.", registry=registry)
        self.questions = Counter("assistant_questions", "Questions taken, by door.", ["door"], registry=registry)
        self.busy = Counter("assistant_busy", "Questions refused for overload.", registry=registry)
        self.limited = Counter("assistant_limited", "What was one too many, by limit.", ["limit"], registry=registry)
        self.turns = Counter("assistant_turns", "Answers sent, by decision.", ["decision"], registry=registry)
        self.first_text = Histogram(
            "assistant_first_text_seconds",
            "From a customer's message to the first text of its answer on the wire.",
            buckets=FIRST_TEXT_S,
            registry=registry,
        )
        self.turn = Histogram(
            "assistant_turn_seconds",
            "From a customer's message to its final answer on the wire.",
            buckets=TURN_S,
            registry=registry,
        )
        self.refused = Counter(
            "assistant_refused", "Frames and requests refused, by error code.", ["code"], registry=registry
        )
        self.http = Counter(
            "assistant_http_requests", "HTTP requests.", ["method", "route", "status"], registry=registry
        )
        self.times = TurnTimes(self)

    def limit(self, kind: str) -> None:
        """Something was refused because of this limit."""
        self.limited.labels(kind).inc()

    def limit_turns(self) -> None:
        """A question was refused because too many turns run and wait."""
        self.busy.inc()
        self.limit("turns")

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


@dataclass(slots=True)
class _Turn:
    began_at: float
    has_text: bool = False
    is_over: bool = False


class TurnTimes:
    """Takes each turn's times once, however many sockets show it. Remembers the last `MAX_TURNS` turns."""

    def __init__(self, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._turns: OrderedDict[str, _Turn] = OrderedDict()

    def begin(self, message_id: str, *, at: float, door: Door = "socket") -> None:
        """A customer's message was committed, or a program's question taken (``openai``, where nothing is stored).

        ``at`` is when it came. A repeated one changes nothing.
        """
        if message_id in self._turns:
            return
        self._metrics.questions.labels(door).inc()
        if door != "openai":
            self._metrics.messages.inc()
        self._turns[message_id] = _Turn(at)
        if len(self._turns) > MAX_TURNS:
            self._turns.popitem(last=False)

    def text_sent(self, reply_to: str) -> None:
        """Some text of the answer to this message went out."""
        turn = self._turns.get(reply_to)
        if turn is None or turn.has_text:
            return
        turn.has_text = True
        self._metrics.first_text.observe(self._clock() - turn.began_at)

    def final_sent(self, final: Message) -> None:
        """An answer went out whole."""
        self.ended(final.reply_to or "", final.decision)

    def ended(self, reply_to: str, decision: Decision | None) -> None:
        """The answer to this question went out whole."""
        turn = self._turns.get(reply_to)
        if turn is None or turn.is_over:
            return
        self.text_sent(reply_to)
        turn.is_over = True
        self._metrics.turns.labels(decision or "none").inc()
        self._metrics.turn.observe(self._clock() - turn.began_at)
