"""Actions for customers whom the site has signed in: what that tells is not asked, and nothing typed replaces it."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.actions.flow import Actions
from assistant.actions.outcome import Outcome
from assistant.config import Settings
from assistant.errors import ConfigError
from tests.actions.customer import TODAY, Customer, ScriptedCaller, changed, shipped_settings, with_actions

pytestmark = pytest.mark.unit

ANNAS = {"order_number": "LO10000001", "customer_id": "C1001", "email": "anna@example.com"}
ANSWER = Outcome("answered", "http_200", {**ANNAS, "status": "shipped", "item": "floor lamp"})
RETURN = "I want to return my order LO10000001, it is too small"


@pytest.fixture
def caller() -> ScriptedCaller:
    return ScriptedCaller()


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    return shipped_settings(tmp_path)


@pytest.fixture
def anna(shop: Settings, caller: ScriptedCaller) -> Customer:
    return Customer(Actions(shop, caller, today=lambda: TODAY), user_id="C1001")


@pytest.mark.parametrize(
    ("text", "told"), [("Where is my order LO10000001?", "on its way"), ("我的订单到哪了？LO10000001", "已发货")]
)
async def test_who_is_signed_in_is_asked_for_the_order_alone(
    anna: Customer, caller: ScriptedCaller, text: str, told: str
) -> None:
    caller.outcome = ANSWER
    assert told in await anna.hears(text)
    assert [arguments for _, arguments, _ in caller.calls] == [{"order_number": "LO10000001", "customer_id": "C1001"}]


async def test_an_order_of_somebody_else_is_not_told(anna: Customer, caller: ScriptedCaller) -> None:
    caller.outcome = Outcome("answered", "http_200", {**ANSWER.body, "customer_id": "C1002"})
    assert "floor lamp" not in await anna.hears("Where is my order LO10000001?")
    assert anna.steps[-1].error == "not_found"
    assert anna.steps[-1].result is None


@pytest.mark.parametrize("typed", ["my customer id is C1001", "customer_id=C1001", '{"customer_id": "C1001"}'])
async def test_an_anonymous_customer_gains_nothing_by_typing_an_id(
    shop: Settings, caller: ScriptedCaller, typed: str
) -> None:
    stranger = Customer(Actions(shop, caller, today=lambda: TODAY))
    assert "e-mail" in await stranger.hears(f"Where is my order LO10000001? {typed}")
    await stranger.hears("eve@example.com")
    assert [arguments for _, arguments, _ in caller.calls] == [
        {"order_number": "LO10000001", "email": "eve@example.com"}
    ]
    assert stranger.steps[-1].error == "not_found"


async def test_what_a_signed_in_customer_types_replaces_nothing(anna: Customer, caller: ScriptedCaller) -> None:
    caller.outcome = ANSWER
    await anna.hears("Where is my order LO10000001? I am customer_id C1002, tom@example.com")
    assert caller.calls[0][1] == {"order_number": "LO10000001", "customer_id": "C1001"}


async def test_a_change_is_identified_by_the_login_and_made_in_its_name(anna: Customer, caller: ScriptedCaller) -> None:
    assert "LO10000001" in await anna.hears(RETURN)
    assert "RT000001" in await anna.hears("Yes")
    assert caller.paths == ["identify", "identify", "returns"]
    assert all(arguments["customer_id"] == "C1001" for _, arguments, _ in caller.calls)
    assert not any("email" in arguments for _, arguments, _ in caller.calls)


async def test_who_signs_out_before_the_yes_is_asked_who_they_are(anna: Customer, caller: ScriptedCaller) -> None:
    await anna.hears(RETURN)
    anna.user_id = None
    assert "e-mail" in await anna.hears("Yes")
    assert "returns" not in caller.paths
    await anna.hears("eve@example.com")
    assert caller.calls[-1][1] == {"order_number": "LO10000001", "email": "eve@example.com"}
    assert "returns" not in caller.paths


async def test_a_yes_of_before_a_crash_is_not_carried_out_for_who_has_signed_out(
    anna: Customer, caller: ScriptedCaller
) -> None:
    await anna.hears(RETURN)

    def crash() -> None:
        raise RuntimeError("the server stopped")

    caller.when_called = crash
    with pytest.raises(RuntimeError):
        await anna.says("Yes")
    caller.when_called = lambda: None
    anna.user_id = None
    assert "do not know whether" in await anna.hears("Yes")
    assert "returns" not in caller.paths


async def test_who_signs_in_before_the_yes_is_identified_anew(shop: Settings, caller: ScriptedCaller) -> None:
    tom = Customer(Actions(shop, caller, today=lambda: TODAY))
    await tom.hears(f"{RETURN} anna@example.com")
    tom.user_id = "C1002"
    await tom.hears("Yes")
    assert caller.calls[1][:2] == ("identify", {"order_number": "LO10000001", "customer_id": "C1002"})
    assert caller.calls[1][2] != caller.calls[0][2], "another request under the same Idempotency-Key"


async def test_an_action_for_signed_in_customers_is_refused_to_others(shop: Settings, caller: ScriptedCaller) -> None:
    url = "https://shop.example/customers/{customer_id}/status"
    login = {"field": "customer_id", "required": True, "owner": "customer_id"}
    own = changed(
        shop.actions[0], slots=[], verify={}, login=login, call={"method": "GET", "url": url}, reply={"en": "{item}"}
    )
    actions = Actions(with_actions(shop, [own]), caller, today=lambda: TODAY)
    stranger, anna = Customer(actions), Customer(actions, user_id="C1001")
    assert "sign in" in await stranger.hears("Where is my order?")
    assert caller.calls == []
    caller.outcome = ANSWER
    assert await anna.hears("Where is my order?") == "floor lamp"
    assert caller.calls[0][1] == {"customer_id": "C1001"}


@pytest.mark.parametrize(
    ("number", "login", "says"),
    [
        (0, {"field": "email"}, "email is the signed-in customer's id and another thing"),
        (0, {"skip": ["phone"], "owner": "x"}, "phone is skipped for who is signed in but is no slot"),
        (0, {"skip": ["email"]}, "nothing tells whether what it finds is the signed-in customer's"),
        (1, {"skip": ["order_number"]}, "order_number is skipped for who is signed in and stands in its confirm"),
    ],
)
def test_a_login_that_does_not_fit_is_refused_by_name(
    shop: Settings, caller: ScriptedCaller, number: int, login: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        Actions(with_actions(shop, [changed(shop.actions[number], login=login)]), caller)


def test_the_id_stands_in_an_address_only_of_an_action_for_signed_in_customers(
    shop: Settings, caller: ScriptedCaller
) -> None:
    open_to_all = changed(
        shop.actions[2], login={"field": "customer_id"}, call={"url": "https://shop.example/{customer_id}"}
    )
    with pytest.raises(ConfigError, match="unknown of who is not signed in"):
        Actions(with_actions(shop, [open_to_all]), caller)
