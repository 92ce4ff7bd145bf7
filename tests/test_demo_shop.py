"""The demo shop by itself, and with the shipped actions talking to it over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import aiohttp
import pytest
import typer
from aiohttp import web
from typer.testing import CliRunner

from assistant.actions.caller import open_caller
from assistant.actions.flow import Actions
from assistant.config import ActionSettings, CallSettings
from assistant.demo_shop import service
from assistant.demo_shop.command import demo_shop
from assistant.demo_shop.orders import ORDERS
from tests.actions.customer import TODAY, Customer, changed, shipped_settings, with_actions

pytestmark = pytest.mark.unit

ANNA = {"order_number": "LO10000001", "email": "anna.becker@example.com"}
TOM = {"order_number": "LO10000002", "email": "tom.miller@example.com"}


@dataclass
class Running:
    """The demo shop on a port of its own, and a client."""

    address: str
    client: aiohttp.ClientSession

    async def post(self, path: str, body: object, key: str | None = "k1") -> tuple[int, dict[str, object]]:
        headers = {"Idempotency-Key": key} if key else {}
        async with self.client.post(f"{self.address}/v1/{path}", json=body, headers=headers) as response:
            return response.status, await response.json()


@pytest.fixture
async def shop() -> AsyncIterator[Running]:
    runner = web.AppRunner(service.make_app(today=lambda: TODAY, slow_s=30), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as client:
        yield Running(f"http://{host}:{port}", client)
    await runner.cleanup()


@pytest.fixture
async def customer(shop: Running, tmp_path: Path) -> AsyncIterator[Customer]:
    """Someone who talks to the shipped actions, pointed at the running shop."""
    settings = shipped_settings(tmp_path)
    actions = [changed(action, **_moved(action, shop.address)) for action in settings.actions]
    async with open_caller() as caller:
        yield Customer(Actions(with_actions(settings, actions), caller, today=lambda: TODAY))


def _moved(action: ActionSettings, address: str) -> dict[str, object]:
    def moved(call: CallSettings) -> dict[str, object]:
        return call.model_dump() | {"url": call.url.replace("http://127.0.0.1:8090", address), "timeout_s": 1}

    return {"call": moved(action.call), "identify": moved(action.identify) if action.identify else None}


# -- the service


async def test_an_order_is_told_to_who_knows_number_and_email(shop: Running) -> None:
    status, order = await shop.post("orders/status", ANNA)
    assert status == 200
    assert order["status"] == "shipped"
    assert order["expected_on"] == "2026-03-13"


async def test_a_wrong_email_and_an_unknown_order_get_the_same_answer(shop: Running) -> None:
    wrong = await shop.post("orders/status", ANNA | {"email": "x@example.com"})
    unknown = await shop.post("orders/status", ANNA | {"order_number": "LO99999999"})
    assert wrong == unknown == (404, {"error": "no such order"})
    assert await shop.post("identify", ANNA | {"email": "x@example.com"}) == wrong


async def test_a_signed_in_customer_needs_no_email_and_gets_only_what_is_theirs(shop: Running) -> None:
    own = {"order_number": "LO10000001", "customer_id": "C1001"}
    assert (await shop.post("orders/status", own))[1]["customer_id"] == "C1001"
    for other in (own | {"customer_id": "C1002"}, TOM | {"customer_id": "C1001"}, {"order_number": "LO10000001"}):
        assert await shop.post("identify", other) == (404, {"error": "no such order"})
    assert (await shop.post("orders/status", own | {"customer_id": 1001}))[0] == 422


async def test_the_same_key_registers_one_return(shop: Running) -> None:
    first = await shop.post("returns", TOM | {"reason": "faulty"}, key="a")
    assert first == (201, {"return_number": "RT000001", "send_by": "2026-03-25"})
    assert await shop.post("returns", TOM | {"reason": "faulty"}, key="a") == first
    assert (await shop.post("returns", TOM | {"reason": "other"}, key="a"))[0] == 422
    assert (await shop.post("returns", TOM | {"reason": "faulty"}, key="b"))[1]["return_number"] == "RT000002"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("returns", ANNA | {"reason": "faulty"}, 409),
        ("returns", TOM | {"reason": "because"}, 422),
        ("orders/status", {"order_number": 5, "email": "x"}, 422),
        ("orders/status", ANNA | {"email": ""}, 422),
        ("orders/status", ANNA | {"email": "x" * 201}, 422),
        ("orders/status", ["x"], 422),
        ("orders/status", {"order_number": "x" * 5000}, 413),
        ("callbacks", {"phone": "13800138000", "day": "2026-03-12", "time_of_day": "morning"}, 201),
        ("callbacks", {"phone": "x", "day": "2026-03-12", "time_of_day": "morning"}, 422),
        ("callbacks", {"phone": "13800138000", "day": "2026-03-10", "time_of_day": "morning"}, 422),
        ("callbacks", {"phone": "13800138000", "day": "2026-03-15", "time_of_day": "morning"}, 422),
        ("callbacks", {"phone": "13800138000", "day": "soon", "time_of_day": "morning"}, 422),
        ("nowhere", {}, 404),
    ],
)
async def test_what_does_not_fit_is_refused(shop: Running, path: str, body: object, status: int) -> None:
    assert (await shop.post(path, body))[0] == status


async def test_a_change_needs_a_key(shop: Running) -> None:
    assert (await shop.post("returns", TOM | {"reason": "faulty"}, key=None))[0] == 400


async def test_a_body_that_is_no_json_is_refused(shop: Running) -> None:
    for data in (b"{", b"[" * 4000, b"\xff"):
        async with shop.client.post(f"{shop.address}/v1/identify", data=data) as response:
            assert response.status == 400


def test_the_command_prints_what_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []
    monkeypatch.setattr(service, "run", ports.append)
    app = typer.Typer()
    app.command()(demo_shop)
    result = CliRunner().invoke(app, ["--port", "8123"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert ports == [8123]
    assert all(order.order_number in result.output and order.email in result.output for order in ORDERS.values())


# -- with the shipped actions


async def test_an_english_customer_learns_of_an_order_and_returns_another(customer: Customer) -> None:
    await customer.hears("Hi, where is my order LO10000001?")
    told = await customer.hears("anna.becker@example.com")
    assert told == (
        "Your order **LO10000001** (floor lamp Linden) is on its way.\n"
        "- Expected on 13 March 2026\n- Tracking number: 00340434161094000011"
    )
    assert "e-mail" in await customer.hears("thanks! I also want to return LO10000002")
    assert "Why" in await customer.hears("tom.miller@example.com")
    assert "Faulty" in await customer.hears("it came damaged")
    assert "RT000001" in await customer.hears("Yes")


async def test_a_chinese_customer_learns_of_an_order_and_returns_another(customer: Customer) -> None:
    await customer.hears("您好，我的快递到哪了？")
    await customer.hears("LO20000001")
    told = await customer.hears("wang.fang@example.cn")
    assert told == (
        "您的订单 **LO20000001**（落地灯“椴木”）目前的状态是：已发货。\n"
        "- 预计送达：2026年3月12日\n- 运单号：SF1020304050607"
    )
    assert "邮箱" in await customer.hears("我还想退货，订单号是LO20000002")
    assert "原因" in await customer.hears("li.lei@example.cn")
    assert "不想要了" in await customer.hears("不喜欢")
    assert "RT000001" in await customer.hears("确认")


async def test_a_signed_in_customer_is_asked_for_no_email(customer: Customer) -> None:
    customer.user_id = "C1002"
    assert "oak cutting board" in await customer.hears("Where is my order LO10000002?")
    await customer.hears("I want to return LO10000002, it came damaged")
    assert "RT000001" in await customer.hears("Yes")
    assert "no order of yours" in await customer.hears("Where is my order LO10000001?")


async def test_a_callback_is_arranged_over_several_turns(customer: Customer) -> None:
    assert "电话" in await customer.hears("麻烦给我回个电话")
    assert "哪天" in await customer.hears("138 0013 8000")
    assert "上午" in await customer.hears("明天吧")
    assert await customer.hears("下午") == "我们将在2026年3月12日下午拨打 13800138000 与您联系，确认吗？"
    assert "CB000001" in await customer.hears("可以")


async def test_a_day_on_which_nobody_calls_is_refused(customer: Customer) -> None:
    assert "15 March 2026 (Morning)" in await customer.hears("call me on +49 170 1234567 on Sunday morning")
    assert "cannot call on that day" in await customer.hears("yes")
    assert customer.steps[-1].error == "refused"


@pytest.mark.parametrize(
    ("text", "error"),
    [("LO90000001 slow@example.com", "timeout"), ("LO90000002 broken@example.com", "http_500")],
)
async def test_the_failing_orders_fail_as_promised(customer: Customer, text: str, error: str) -> None:
    assert "sorry" in await customer.hears(f"order status {text}")
    assert customer.steps[-1].error == error
    await customer.hears(f"I want to return my order {text}, it is broken")
    assert "do not know whether" in await customer.hears("yes")
    assert customer.steps[-1].error == f"unknown: {error}"
    assert customer.last.decision == "handoff"


async def test_a_wrong_email_learns_nothing_about_the_order(customer: Customer) -> None:
    wrong = await customer.hears("order status LO10000001 eve@example.com")
    assert wrong == await customer.hears("order status LO77777777 eve@example.com")
    assert customer.steps[-1].result is None


def test_the_orders_days_follow_the_calendar() -> None:
    shop = service.Shop(today=lambda: date(2026, 12, 31))
    assert shop.describe(ORDERS["LO10000001"])["expected_on"] == "2027-01-02"
