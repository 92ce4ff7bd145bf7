"""Which messages wish for an action of the demo shop, and which only ask about it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assistant.actions.wishes import Wishes
from tests.actions.customer import shipped_settings
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.unit

WISHES = {
    "order_status": [
        "Hi! Could you please tell me where my order is? Thanks", "I'd like to know the status of my order",
        "track LO10000001",
        "can you check the status of order LO10000001 for me", "I bought a lamp. Where is my parcel?",
        "我想查一下我的快递到哪了",
        "麻烦帮我看看我的订单", "請問我的包裹到哪了", "你好，我的订单什么时候到？",
    ],
    "return_request": [
        "Hello, I would like to return my order", "I want to return LO10000001", "can you start a return for me?",
        "the lamp is broken, I want to send it back", "我想退货", "灯坏了，我要退货", "麻烦帮我办理退货",
        "我要申請退貨",
    ],
    "callback": ["Please call me back", "could you give me a call tomorrow", "请给我回个电话", "能不能给我打个电话"],
}  # fmt: skip
NO_WISHES = [
    "How do I return an item?", "can I return shoes", "what does a return cost", "I do not want to return it",
    "return policy",
    "I want to exchange my order", "I want to cancel my order", "I returned my order, where is my refund?",
    "where is your shop",
    "I have already requested a return", "if I want to return it, who pays", "What does my order status mean?",
    "can I call you",
    "nobody called me back", "退货运费多少", "能退货吗", "怎么退货", "我不想退货了", "退款到哪了", "取消订单",
    "我要换货", "退货流程",
    "已经申请退货了，多久退款", "没人给我回电话", "你们电话是多少", "订单状态是什么意思", "怎么查物流", "hello",
    "谢谢", "?!", "",
]  # fmt: skip


@pytest.mark.parametrize(("text", "name"), [(text, name) for name, texts in WISHES.items() for text in texts])
def test_a_wish_is_recognised(tmp_path: Path, text: str, name: str) -> None:
    wish = Wishes(shipped_settings(tmp_path).actions).find(text)
    assert wish is not None
    assert wish.action.name == name


@pytest.mark.parametrize("text", NO_WISHES)
def test_what_asks_or_denies_or_is_near_is_no_wish(tmp_path: Path, text: str) -> None:
    assert Wishes(shipped_settings(tmp_path).actions).find(text) is None


def test_few_of_the_faqs_own_wordings_are_taken_for_wishes(tmp_path: Path) -> None:
    wishes = Wishes(shipped_settings(tmp_path).actions)
    wordings = [
        (match[1] or match[2])
        for file in (REPOSITORY / "knowledge_base").glob("*/*.md")
        for match in re.finditer(r"^## (.*?) \{#|^> (?:also: |又问：)(.*)$", file.read_text(encoding="utf-8"), re.M)
    ]
    taken = [wording for wording in wordings if wishes.find(wording)]
    assert len(wordings) > 500
    assert len(taken) <= 0.005 * len(wordings), taken
