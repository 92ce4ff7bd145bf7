"""Whole dialogues about business actions, in both languages, with a scripted business system."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.actions.flow import Actions
from assistant.actions.outcome import Outcome
from assistant.config import Settings
from assistant.conversation.events import Action
from assistant.dialogue.turn import Question
from assistant.errors import StorageError
from tests.actions.customer import (
    KNOWN,
    TODAY,
    Customer,
    ScriptedCaller,
    changed,
    new_customer,
    shipped_settings,
    with_actions,
    without_last_reply,
)

pytestmark = pytest.mark.unit

RETURN_EN = "I want to return my order LO10000001, anna@example.com, it is too small"
RETURN_ZH = "我要退货，订单号LO10000001，邮箱anna@example.com，尺寸太小了"


@pytest.fixture
def caller() -> ScriptedCaller:
    return ScriptedCaller()


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    return shipped_settings(tmp_path)


@pytest.fixture
def customer(shop: Settings, caller: ScriptedCaller) -> Customer:
    return new_customer(shop, caller)


# -- order status


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Where is my order LO10000001? My e-mail is anna@example.com", ["on its way", "13 March 2026", "floor lamp"]),
        ("我的订单到哪了？LO10000001，anna@example.com", ["已发货", "2026年3月13日"]),
        ("請問我的訂單到哪了？ＬＯ１００００００１ anna@example.com", ["已发货"]),
    ],
)
async def test_an_order_is_told_at_once_when_both_details_are_there(
    customer: Customer, caller: ScriptedCaller, text: str, told: list[str]
) -> None:
    answer = await customer.hears(text)
    assert all(part in answer for part in told)
    assert caller.calls[0][1] == KNOWN
    assert customer.statuses == ["requested", "succeeded"]
    assert customer.last.decision == "action"
    assert customer.steps[1].idempotency_key == caller.calls[0][2] == customer.steps[0].idempotency_key


async def test_a_line_without_its_field_is_left_out_and_other_fields_are_not_kept(customer: Customer) -> None:
    answer = await customer.hears("order status LO10000001 anna@example.com")
    assert "Tracking" not in answer
    assert "DE89" not in answer + str(customer.steps)
    assert customer.steps[-1].result == {"status": "shipped", "item": "floor lamp", "expected_on": "2026-03-13"}


async def test_the_details_are_asked_for_one_by_one(customer: Customer, caller: ScriptedCaller) -> None:
    assert "order number" in await customer.hears("Where is my order?")
    assert "e-mail" in await customer.hears("it's lo 1000 0001")
    assert "on its way" in await customer.hears("anna@example.com")
    assert [step.arguments for step in customer.steps[:3]] == [{}, {"order_number": "LO10000001"}, KNOWN]
    assert len({step.idempotency_key for step in customer.steps}) == 1
    assert len(caller.calls) == 1


async def test_the_details_are_asked_for_one_by_one_in_chinese(customer: Customer) -> None:
    assert "订单号" in await customer.hears("帮我查一下我的订单")
    assert "邮箱" in await customer.hears("10000001")
    assert "已发货" in await customer.hears("是 Anna@Example.com")


async def test_asking_follows_the_language_of_the_message(customer: Customer) -> None:
    await customer.says("Where is my order?")
    assert "邮箱" in await customer.hears("订单号是LO10000001")
    assert "on its way" in await customer.hears("my mail address is anna@example.com")


async def test_details_the_customer_wrote_before_are_offered_and_not_taken(
    customer: Customer, caller: ScriptedCaller
) -> None:
    await customer.says("Is LO10000001 made of oak?")
    await customer.says("where is my order?")
    assert customer.last.quick_replies == ("LO10000001",)
    assert caller.calls == []


# -- who the customer is


@pytest.mark.parametrize("text", ["LO10000001 other@example.com", "LO99999999 anna@example.com"])
async def test_wrong_details_tell_nothing_and_not_whether_the_order_exists(customer: Customer, text: str) -> None:
    answer = await customer.hears(f"order status {text}")
    assert answer == "I found no order of yours that fits these details. Please check them and send me the right ones."
    assert customer.steps[-1].error == "not_found"
    assert customer.steps[-1].result is None


async def test_an_answer_about_somebody_else_is_not_told(shop: Settings) -> None:
    careless = ScriptedCaller(Outcome("answered", body={**KNOWN, "email": "tom@example.com", "status": "shipped"}))
    customer = new_customer(shop, careless)
    assert "no order" in await customer.hears("order status LO10000001 anna@example.com")
    assert customer.steps[-1].error == "not_found"
    assert customer.steps[-1].result is None


async def test_a_corrected_detail_is_tried_with_a_new_key(customer: Customer, caller: ScriptedCaller) -> None:
    await customer.says("order status LO10000001 ana@example.com")
    assert "on its way" in await customer.hears("sorry, anna@example.com")
    assert len({key for _, _, key in caller.calls}) == 2


async def test_guessing_ends_with_a_person(customer: Customer, caller: ScriptedCaller) -> None:
    await customer.says("order status LO10000001 a@example.com")
    await customer.says("b@example.com")
    await customer.says("c@example.com")
    assert customer.last.decision == "handoff"
    await customer.says("anna@example.com")
    assert customer.last.decision == "handoff"
    await customer.says("order status LO10000001 anna@example.com")
    assert customer.last.decision == "handoff"
    assert len(caller.calls) == 3


async def test_nothing_is_read_back_for_an_order_that_is_not_the_customers(
    customer: Customer, caller: ScriptedCaller
) -> None:
    answer = await customer.hears(RETURN_EN.replace("anna", "tom"))
    assert "no order" in answer
    assert caller.paths == ["identify"]
    assert set(caller.calls[0][1]) == {"order_number", "email"}


# -- confirmation


@pytest.mark.parametrize(
    ("wish", "asked", "yes", "told"),
    [
        (RETURN_EN, "Shall I register a return for order LO10000001? Reason: Does not fit.", "yes please", "25 March"),
        (RETURN_ZH, "我将为订单 LO10000001 提交退货申请，退货原因：尺寸不合适。确认提交吗？", "好的", "2026年3月25日"),
    ],
)
async def test_a_return_is_made_after_a_yes(
    customer: Customer, caller: ScriptedCaller, wish: str, asked: str, yes: str, told: str
) -> None:
    assert await customer.hears(wish) == asked
    assert customer.last.quick_replies in (("Yes", "No"), ("确认", "取消"))
    assert caller.paths == ["identify"]
    answer = await customer.hears(yes)
    assert told in answer
    assert "RT000001" in answer
    assert caller.paths == ["identify", "returns"]
    assert caller.calls[1][1] == {**KNOWN, "reason": "does_not_fit"}
    assert customer.statuses == ["requested", "confirmed", "succeeded"]


@pytest.mark.parametrize(
    ("wish", "no"), [(RETURN_EN, "No"), (RETURN_EN, "never mind"), (RETURN_ZH, "取消"), (RETURN_ZH, "算了，不退了")]
)
async def test_nothing_is_made_after_a_no(customer: Customer, caller: ScriptedCaller, wish: str, no: str) -> None:
    await customer.says(wish)
    await customer.says(no)
    assert caller.paths == ["identify"]
    assert customer.steps[-1].error == "cancelled"
    assert customer.last.decision == "action"
    assert await customer.says("yes") is None
    assert caller.paths == ["identify"]


@pytest.mark.parametrize("answer", ["hmm", "yes but not that one", "maybe later", "嗯……", "再看看"])
async def test_only_an_explicit_yes_counts(customer: Customer, caller: ScriptedCaller, answer: str) -> None:
    await customer.says(RETURN_EN)
    assert "LO10000001" in await customer.hears(answer)
    assert "returns" not in caller.paths
    assert "RT000001" in await customer.hears("yes")


async def test_a_changed_value_is_read_back_again(customer: Customer, caller: ScriptedCaller) -> None:
    await customer.says(RETURN_EN)
    assert "Faulty or damaged" in await customer.hears("no, it is broken")
    await customer.says("Yes")
    assert caller.calls[-1][1]["reason"] == "faulty"


async def test_a_yes_after_another_answer_is_a_yes_to_that(customer: Customer, caller: ScriptedCaller) -> None:
    await customer.says(RETURN_EN)
    assert await customer.says("how long does the refund take?") is None
    assert "Shall I register" in await customer.hears("yes")
    assert "returns" not in caller.paths
    await customer.says("yes")
    assert caller.paths[-1] == "returns"


async def test_a_yes_to_what_was_never_shown_makes_nothing(customer: Customer, caller: ScriptedCaller) -> None:
    await customer.says(RETURN_EN)
    customer.said[-1] = "Shall I register a return for order LO10000009? Reason: Does not fit."
    await customer.says("yes")
    assert "returns" not in caller.paths


@pytest.mark.parametrize(
    "text", ["yes", "Yes please", "确认", "好的", "cancel", "no", "LO10000001", "anna@example.com"]
)
async def test_without_an_open_action_nothing_is_taken(customer: Customer, text: str) -> None:
    assert await customer.says(text) is None
    assert customer.steps == []


async def test_a_second_yes_does_nothing(customer: Customer, caller: ScriptedCaller) -> None:
    await customer.says(RETURN_EN)
    await customer.says("yes")
    assert await customer.says("yes") is None
    assert caller.paths.count("returns") == 1


# -- in between


@pytest.mark.parametrize(
    ("wish", "aside", "value", "asked"),
    [
        ("I want to return my order", "What are your opening hours?", "LO10000001", "e-mail"),
        ("I want to return my order", "How much does a return cost?", "LO10000001", "e-mail"),
        ("我要退货", "退货运费谁出？", "LO10000001", "邮箱"),
        ("我要退货", "谢谢", "订单号LO10000001", "邮箱"),
    ],
)
async def test_a_question_in_between_is_left_to_be_answered(
    customer: Customer, wish: str, aside: str, value: str, asked: str
) -> None:
    await customer.says(wish)
    assert await customer.says(aside) is None
    assert asked in await customer.hears(value)


@pytest.mark.parametrize(
    ("wish", "reminder"),
    [
        ("I want to return my order LO10000001", "And which e-mail address did you order with?"),
        (RETURN_EN, "Shall I register a return for order LO10000001? Reason: Does not fit."),
        ("我要退货", "请提供您的订单号"),
    ],
)
async def test_what_is_still_asked_can_stand_after_another_answer(customer: Customer, wish: str, reminder: str) -> None:
    assert customer.actions.reminder(customer.asking("hello")) is None
    await customer.says(wish)
    assert reminder in (customer.actions.reminder(customer.asking("?")) or "")
    await customer.says("cancel")
    assert customer.actions.reminder(customer.asking("?")) is None


async def test_an_action_is_left_after_three_other_questions(customer: Customer) -> None:
    await customer.says("I want to return my order")
    for _ in range(4):
        assert await customer.says("What are your opening hours?") is None
    assert await customer.says("LO10000001") is None


async def test_changing_ones_mind_begins_the_other_action_with_what_is_known(
    customer: Customer, caller: ScriptedCaller
) -> None:
    await customer.says("Where is my order LO10000001?")
    assert "e-mail" in await customer.hears("actually I want to return it")
    assert [(step.name, step.status, step.error) for step in customer.steps] == [
        ("order_status", "requested", None),
        ("order_status", "failed", "cancelled"),
        ("return_request", "requested", None),
    ]
    assert customer.steps[-1].arguments == {"order_number": "LO10000001"}
    assert customer.steps[-1].idempotency_key != customer.steps[0].idempotency_key


async def test_the_same_wish_again_asks_again(customer: Customer) -> None:
    await customer.says("Where is my order?")
    assert "order number" in await customer.hears("where is my order")
    assert {step.idempotency_key for step in customer.steps} == {customer.steps[0].idempotency_key}


@pytest.mark.parametrize(("wish", "cancel"), [("Where is my order?", "forget it"), ("我的订单到哪了", "算了")])
async def test_an_action_is_cancelled_at_any_point(customer: Customer, wish: str, cancel: str) -> None:
    await customer.says(wish)
    await customer.says(cancel)
    assert customer.steps[-1].error == "cancelled"
    assert await customer.says("LO10000001") is None


async def test_an_option_that_sounds_like_giving_up_is_the_option(customer: Customer) -> None:
    await customer.says("I want to return my order LO10000001, anna@example.com")
    assert "I changed my mind" in customer.last.quick_replies
    assert "Reason: I changed my mind" in await customer.hears("I changed my mind")
    await customer.says("cancel")
    await customer.says("我要退货，LO10000001，anna@example.com")
    assert "退货原因：不想要了" in await customer.hears("不想要了")


async def test_a_wish_for_a_person_is_left_to_the_dialogue(customer: Customer) -> None:
    await customer.says("Where is my order?")
    assert await customer.says("I want to talk to a person") is None


@pytest.mark.parametrize(
    ("wish", "unclear"), [("Where is my order?", "the blue one"), ("我的订单到哪了", "蓝色的那个")]
)
async def test_three_unclear_answers_end_with_a_person(
    customer: Customer, caller: ScriptedCaller, wish: str, unclear: str
) -> None:
    await customer.says(wish)
    await customer.says(unclear)
    await customer.says(unclear)
    assert customer.last.decision == "action"
    await customer.says(unclear)
    assert customer.last.decision == "handoff"
    assert customer.steps[-1].error == "no_answer"
    assert caller.calls == []


@pytest.mark.parametrize(
    "text",
    [
        "How do I return an item?",
        "怎么退货？",
        "Can I return shoes?",
        "I do not want to return it",
        "不想退货",
        "Hello",
    ],
)
async def test_questions_about_it_are_for_the_knowledge_base(customer: Customer, text: str) -> None:
    assert await customer.says(text) is None


# -- failures


@pytest.mark.parametrize("code", ["timeout", "http_500", "connection", "response_not_json"])
@pytest.mark.parametrize(
    ("wish", "yes", "told"), [(RETURN_EN, "yes", "do not know whether"), (RETURN_ZH, "确认", "暂时无法确定")]
)
async def test_a_change_without_a_clear_answer_is_said_to_be_unknown(
    shop: Settings, code: str, wish: str, yes: str, told: str
) -> None:
    caller = ScriptedCaller(Outcome("unknown", code))
    customer = new_customer(shop, caller)
    await customer.says(wish)
    assert told in await customer.hears(yes)
    assert customer.last.decision == "handoff"
    assert customer.steps[-1].error == f"unknown: {code}"
    assert "RT000001" not in customer.last.text


@pytest.mark.parametrize(
    "outcome", [Outcome("unknown", "timeout"), Outcome("failed", "connection"), Outcome("refused", "http_409")]
)
async def test_a_failed_lookup_says_so_and_claims_nothing(shop: Settings, outcome: Outcome) -> None:
    customer = new_customer(shop, ScriptedCaller(outcome))
    answer = await customer.hears("order status LO10000001 anna@example.com")
    assert "sorry" in answer
    assert "on its way" not in answer
    assert customer.last.quick_replies == ("Talk to a person",)
    assert customer.statuses == ["requested", "failed"]


async def test_a_refused_change_is_told_as_refused(shop: Settings) -> None:
    customer = new_customer(shop, ScriptedCaller(Outcome("refused", "http_409")))
    await customer.says(RETURN_EN)
    assert "not accepted" in await customer.hears("yes")
    assert customer.steps[-1].error == "refused"


async def test_nothing_is_called_when_the_step_cannot_be_kept(shop: Settings, caller: ScriptedCaller) -> None:
    async def full_disk(step: Action) -> None:
        raise StorageError("The disk is full.")

    question = Question("order status LO10000001 anna@example.com", "en")
    with pytest.raises(StorageError):
        await Actions(shop, caller, today=lambda: TODAY).take(question, full_disk)
    assert caller.calls == []


async def test_a_stopped_change_is_made_again_with_its_key_by_the_same_yes(
    customer: Customer, caller: ScriptedCaller
) -> None:
    await customer.says(RETURN_EN)
    caller.when_called = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        await customer.says("yes")
    caller.when_called = lambda: None
    assert "RT000001" in await customer.hears("yes")
    assert caller.calls[-1][2] == caller.calls[-2][2]
    assert customer.statuses == ["requested", "confirmed", "succeeded"]


async def test_after_a_stopped_change_anything_else_hears_that_it_is_unknown(
    customer: Customer, caller: ScriptedCaller
) -> None:
    await customer.says(RETURN_EN)
    caller.when_called = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        await customer.says("yes")
    assert "do not know whether" in await customer.hears("what are your opening hours?")
    assert customer.steps[-1].error == "unknown: interrupted"
    assert caller.paths.count("returns") == 1


async def test_a_message_answered_again_after_a_crash_goes_on_where_it_was(customer: Customer) -> None:
    await customer.says("Where is my order LO10000001?")
    again = without_last_reply(customer)
    assert "e-mail" in await again.hears("Where is my order LO10000001?")
    assert len({step.idempotency_key for step in again.steps}) == 1


# -- what customers may put into a slot


async def test_hostile_text_reaches_neither_the_call_nor_the_page_as_markup(tmp_path: Path) -> None:
    action = next(a for a in shipped_settings(tmp_path).actions if a.name == "return_request")
    slots = [s.model_dump() for s in action.slots[:2]] + [{"name": "reason", "ask": {"en": "Why?", "zh": "为什么？"}}]
    settings = with_actions(shipped_settings(tmp_path), [changed(action, slots=slots)])
    caller = ScriptedCaller()
    customer = new_customer(settings, caller)
    await customer.says("I want to return my order LO10000001 anna@example.com")
    asked = await customer.hears("x\r\nX-Admin: 1\x00 [click](https://evil.example) <b>{email}</b> ../../admin")
    assert "[click]" not in asked
    assert "\\[click\\]" in asked
    assert "anna@example.com" not in asked
    await customer.says("yes")
    reason = caller.calls[-1][1]["reason"]
    assert reason == "x X-Admin: 1 [click](https://evil.example) <b>{email}</b> ../../admin"


async def test_a_huge_text_is_not_taken(tmp_path: Path) -> None:
    action = next(a for a in shipped_settings(tmp_path).actions if a.name == "return_request")
    slots = [s.model_dump() for s in action.slots[:2]] + [{"name": "reason", "ask": {"en": "Why?"}, "max_chars": 50}]
    customer = new_customer(with_actions(shipped_settings(tmp_path), [changed(action, slots=slots)]), ScriptedCaller())
    await customer.says("I want to return my order LO10000001 anna@example.com")
    assert "50 characters at most" in await customer.hears("because " * 1000)
    assert "reason" not in customer.steps[-1].arguments


# -- whose actions


async def test_another_brands_customers_have_no_such_action(shop: Settings, caller: ScriptedCaller) -> None:
    settings = with_actions(shop, [changed(action, tenants=("second",)) for action in shop.actions])
    customer = new_customer(settings, caller)
    assert await customer.says("Where is my order?") is None
    customer.tenant = ""  # the main one
    assert await customer.says("Where is my order?") is None
    customer.tenant = "second"
    assert "order number" in await customer.hears("Where is my order?")


async def test_an_action_of_the_main_brand_is_its_customers(shop: Settings, caller: ScriptedCaller) -> None:
    settings = with_actions(shop, [changed(action, tenants=(shop.tenant,)) for action in shop.actions])
    customer = new_customer(settings, caller)
    customer.tenant = ""
    assert "order number" in await customer.hears("Where is my order?")
    assert "e-mail" in await customer.hears("LO10000001")


async def test_a_yes_after_an_aside_counts_where_the_reminder_showed_the_same(customer: Customer) -> None:
    await customer.says(RETURN_EN)
    read_back = customer.last.text
    await customer.says("What are your opening hours?", answered=f"From 9 to 18.\n\nShall we go on? {read_back}")
    await customer.says("yes")
    assert "confirmed" in customer.statuses


async def test_a_yes_after_an_aside_without_a_reminder_does_nothing(customer: Customer) -> None:
    await customer.says(RETURN_EN)
    await customer.says("What are your opening hours?")
    await customer.says("yes")
    assert "confirmed" not in customer.statuses
