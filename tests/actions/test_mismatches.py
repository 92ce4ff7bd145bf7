"""Guessing whose an order is: bounded for the order and for the customer, however many conversations are begun."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from assistant.actions import mismatches
from assistant.actions.flow import Actions
from assistant.actions.mismatches import HOUR_S, MAX_AN_HOUR, Mismatches
from tests.actions.customer import TODAY, Customer, ScriptedCaller, shipped_settings

pytestmark = pytest.mark.unit

RIGHT = "anna@example.com"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def caller() -> ScriptedCaller:
    return ScriptedCaller()


@pytest.fixture
def actions(tmp_path: Path, caller: ScriptedCaller, clock: Clock) -> Actions:
    return Actions(shipped_settings(tmp_path), caller, today=lambda: TODAY, mismatches=Mismatches(clock=clock))


async def asked(actions: Actions, order: str, mail: str, *, user_id: str | None = None) -> Customer:
    """A new conversation with one message."""
    customer = Customer(actions, user_id=user_id)
    await customer.says(f"where is my order {order} {mail}")
    return customer


async def test_an_orders_address_is_guessed_a_few_times_and_then_a_person_goes_on(
    actions: Actions, caller: ScriptedCaller
) -> None:
    guesses = [await asked(actions, "LO10000001", f"guess{number}@example.com") for number in range(30)]
    assert len(caller.calls) == MAX_AN_HOUR
    assert [guess.last.decision for guess in guesses] == ["action"] * MAX_AN_HOUR + ["handoff"] * (30 - MAX_AN_HOUR)
    right = await asked(actions, "LO10000001", RIGHT)
    assert (right.last.decision, len(caller.calls)) == ("handoff", MAX_AN_HOUR), "it says nothing of who guessed right"


async def test_an_addresss_orders_are_guessed_a_few_times(actions: Actions, caller: ScriptedCaller) -> None:
    for number in range(30):
        await asked(actions, f"LO2000{number:04}", f"anna@{'EXAMPLE' if number % 2 else 'example'}.com")
    assert len(caller.calls) == MAX_AN_HOUR


async def test_other_customers_are_told_of_their_orders_meanwhile(actions: Actions) -> None:
    for number in range(30):
        await asked(actions, "LO99999999", f"guess{number}@example.com")
    assert (await asked(actions, "LO10000001", RIGHT)).statuses[-1] == "succeeded"


async def test_guesses_made_at_once_are_as_few(actions: Actions, caller: ScriptedCaller) -> None:
    guesses = [asked(actions, "LO10000001", f"guess{number}@example.com") for number in range(30)]
    await asyncio.gather(*guesses)
    assert len(caller.calls) <= MAX_AN_HOUR


async def test_right_details_are_not_counted(actions: Actions, caller: ScriptedCaller) -> None:
    for _ in range(3 * MAX_AN_HOUR):
        assert (await asked(actions, "LO10000001", RIGHT)).statuses[-1] == "succeeded"


async def test_an_hour_later_it_may_be_tried_again(actions: Actions, clock: Clock) -> None:
    for number in range(MAX_AN_HOUR):
        await asked(actions, "LO10000001", f"guess{number}@example.com")
    clock.now += HOUR_S + 1
    assert (await asked(actions, "LO10000001", RIGHT)).statuses[-1] == "succeeded"


def test_so_many_claims_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mismatches, "MAX_KEYS", 3)
    noted = Mismatches()
    for number in range(10):
        for _ in range(MAX_AN_HOUR):
            noted.note({"order": str(number)})
    with noted.trying({"order": "9"}) as last, noted.trying({"order": "0"}) as first:
        assert (last, first) == (False, True)
    assert len(noted._times) == 3
    assert not noted._under_way


def test_what_is_remembered_is_not_what_was_written() -> None:
    noted = Mismatches()
    noted.note({"email": RIGHT})
    assert RIGHT not in repr(vars(noted))
