from __future__ import annotations

import pytest

from assistant.dialogue.breaker import Breaker
from assistant.errors import ModelUnavailable

pytestmark = pytest.mark.unit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(max_failures=3, pause_s=30, clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        attempt = breaker.begin()
        attempt.fail()
        attempt.end()


def test_it_opens_after_so_many_failures_in_a_row_and_refuses_at_once(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert breaker.state == "open"
    with pytest.raises(ModelUnavailable, match="failed 3 times in a row"):
        breaker.begin()


def test_a_success_between_them_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.begin().succeed()
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_after_the_pause_one_attempt_is_let_through_and_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now = 30
    probe = breaker.begin()
    with pytest.raises(ModelUnavailable):
        breaker.begin()
    probe.succeed()
    assert breaker.state == "closed"
    breaker.begin()


def test_a_probe_that_fails_opens_it_for_another_pause(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now = 30
    fail(breaker, 1)
    clock.now = 59.9
    assert breaker.state == "open"
    clock.now = 60
    assert breaker.state == "half_open"
    assert breaker.num_openings == 2


def test_a_probe_that_shows_nothing_lets_the_next_one_try(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now = 30
    breaker.begin().end()  # its customer left before the first word
    breaker.begin()


def test_failures_of_attempts_begun_before_it_opened_do_not_prolong_the_pause(breaker: Breaker, clock: Clock) -> None:
    late = breaker.begin()
    fail(breaker, 3)
    clock.now = 20
    late.fail()
    clock.now = 30
    assert breaker.state == "half_open"
