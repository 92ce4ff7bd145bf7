"""What is recognised without a search: small talk, a wish for a person, languages, safe markup."""

from __future__ import annotations

import pytest

from assistant.dialogue.handoff import email_address, wants_person
from assistant.dialogue.markup import plain_html, to_html
from assistant.dialogue.smalltalk import pleasantry
from assistant.language import detect, primary_language

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Hello!", "greeting"), ("hi there", "greeting"), ("Good morning", "greeting"), ("你好", "greeting"),
        ("您好，在吗？", "greeting"), ("thanks a lot!", "thanks"), ("ok thank you", "thanks"), ("好的，谢谢", "thanks"),
        ("谢谢您", "thanks"), ("bye", "goodbye"), ("再见", "goodbye"), ("Who are you?", "identity"),
        ("你是机器人吗？", "identity"), ("hello, thank you", "greeting"),
    ],
)  # fmt: skip
def test_small_talk_is_known(text: str, kind: str) -> None:
    assert pleasantry(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "hello, where is my order?",
        "谢谢，那运费呢？",
        "How do I say thanks?",
        "hi can I return shoes",
        "你好，怎么退货",
        "",
        "?",
    ],
)
def test_a_question_is_no_small_talk(text: str) -> None:
    assert pleasantry(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "I want to talk to a person", "can I speak with someone please", "human please", "agent", "I need a real person",
        "connect me to an agent", "let me speak to your manager", "转人工", "我要找人工客服", "帮我转接人工客服", "人工", "Talk to a person",
        "转人工客服",
    ],
)  # fmt: skip
def test_a_wish_for_a_person_is_heard(text: str) -> None:
    assert wants_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "When can I speak to someone?", "How do I return an item?", "人工客服几点上班？", "Is the lamp made by a real person or a machine",
        "What are your opening hours?", "如何退货？", "can someone else collect my parcel", "我需要一个订单",
    ],
)  # fmt: skip
def test_other_questions_do_not_call_a_person(text: str) -> None:
    assert not wants_person(text)


def test_an_email_address_is_found_in_any_sentence() -> None:
    assert email_address("我的邮箱是li.lei@example.cn，谢谢") == "li.lei@example.cn"
    assert email_address("Write to anna+shop@mail.example.com.") == "anna+shop@mail.example.com"
    assert email_address("no address @ all") is None


@pytest.mark.parametrize(
    ("text", "fallback", "language"),
    [
        ("How do I return shoes?", "zh", "en"), ("如何退货", "en", "zh"), ("我的order在哪", "en", "zh"),
        ("Wo ist meine Bestellung?", "en", "de"), ("配送はいつですか", "zh", "ja"), ("refund pls", "en", "en"),
        ("DHL", "zh", "zh"), ("12345", "zh", "zh"), ("lamp broke", "en", "en"), ("", "en", "en"),
        ("do u do gift wrap", "en", "en"),
    ],
)  # fmt: skip
def test_the_language_follows_the_text_where_it_is_clear(text: str, fallback: str, language: str) -> None:
    assert detect(text, fallback=fallback) == language


def test_locales_fold_into_languages() -> None:
    assert [primary_language(tag) for tag in ("zh-Hant-TW", "en_US", "DE", "")] == ["zh", "en", "de", ""]


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>", "[x](javascript:alert(1))", "<img src=x onerror=alert(1)>", "![x](https://e.example/i.png)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)", "<a href='https://ok.example' onclick='x()'>y</a>", "`<svg/onload=alert(1)>`",
    ],
)  # fmt: skip
def test_no_markup_of_an_answer_can_run(attack: str) -> None:
    page = to_html(attack).lower()
    assert not any(tag in page for tag in ("<script", "<img", "<svg", 'javascript:"', 'href="javascript', 'href="data'))
    assert "<a href='https://ok.example' onclick" not in page


def test_markdown_becomes_lists_and_links() -> None:
    page = to_html("1. Log in\n2. **Return**\n\n[account](https://shop.example/a)")
    assert "<ol>" in page
    assert "<strong>Return</strong>" in page
    assert 'rel="noopener noreferrer nofollow"' in page


def test_a_customers_text_is_never_markup() -> None:
    assert plain_html("<b>hi</b>\n**x**") == "<p>&lt;b&gt;hi&lt;/b&gt;<br>**x**</p>"
