"""What is read at the moment somebody asks for the metrics: queues, the model's breaker, the ladder, the webhooks.

No label holds more than a state, a rung, or an endpoint's name from the settings. Bound: `LOOK_S` for what has to be
looked up in the database; where that takes longer it is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from assistant.dialogue.admission import Admission
from assistant.dialogue.breaker import Breaker, BreakerState
from assistant.dialogue.ladder import RUNGS, Ladder
from assistant.faults import report
from assistant.gateway.webhooks import Endpoint, Waiting

LOOK_S = 2.0
STATES: tuple[BreakerState, ...] = get_args(BreakerState)


class Observed(Collector):
    """A collector of Prometheus' client; `look` comes first, because a scrape itself cannot wait."""

    def __init__(
        self, *, admission: Admission, ladder: Ladder, breaker: Breaker | None, webhooks: Sequence[Endpoint]
    ) -> None:
        self._admission = admission
        self._ladder = ladder
        self._breaker = breaker
        self._webhooks = webhooks
        self._waiting: dict[str, Waiting] = {}

    async def look(self) -> None:
        """Look up what waits to be sent."""
        self._waiting = {}
        try:
            async with asyncio.timeout(LOOK_S):
                for endpoint in self._webhooks:
                    self._waiting[endpoint.name] = await endpoint.waiting()
        except Exception as error:  # the other metrics are wanted most while something is broken
            report("metrics_incomplete", error)

    def collect(self) -> Iterator[Metric]:
        """All of it as it is now."""
        yield GaugeMetricFamily("assistant_turns_running", "Answers being made.", self._admission.num_running)
        yield GaugeMetricFamily("assistant_turns_waiting", "Turns in the queue.", self._admission.num_waiting)
        degraded = CounterMetricFamily("assistant_degraded", "Answers that had to do with less.", labels=["rung"])
        for rung in RUNGS:
            degraded.add_metric([rung], self._ladder.num_taken(rung))
        yield degraded
        if self._breaker is not None:
            yield from _breaker(self._breaker)
        if self._webhooks:
            yield from self._of_webhooks()

    def _of_webhooks(self) -> Iterator[Metric]:
        sent = CounterMetricFamily("assistant_webhooks", "Webhooks sent.", labels=["endpoint", "outcome"])
        for endpoint in self._webhooks:
            sent.add_metric([endpoint.name, "taken"], endpoint.num_taken)
            sent.add_metric([endpoint.name, "failed"], endpoint.num_failed)
        yield sent
        waiting = GaugeMetricFamily("assistant_webhooks_waiting", "Conversations to send from.", labels=["endpoint"])
        given_up = GaugeMetricFamily("assistant_webhooks_given_up", "Webhooks given up.", labels=["endpoint"])
        for name, found in self._waiting.items():
            waiting.add_metric([name], found.num_conversations)
            given_up.add_metric([name], found.num_given_up)
        yield from (waiting, given_up)


def _breaker(breaker: Breaker) -> Iterator[Metric]:
    state = GaugeMetricFamily("assistant_model_breaker", "1 for the breaker's state.", labels=["state"])
    for each in STATES:
        state.add_metric([each], each == breaker.state)
    yield state
    yield CounterMetricFamily("assistant_model_breaker_openings", "How often it opened.", breaker.num_openings)
