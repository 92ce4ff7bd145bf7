"""Which language a text is in, and the one spelling in which it is read."""

from __future__ import annotations

import pytest

from assistant.language import HAN, detect, fold, simplify

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("我要跳樓", "我要跳楼"),
        ("活著沒意思", "活着没意思"),
        ("沙發著火了", "沙发着火了"),
        ("妳們甚麼時候發貨", "你们什么时候发货"),
        ("ＨＵＭＡＮ", "HUMAN"),
        ("訂單ＬＯ１２３４５６７８，謝謝！", "订单LO12345678，谢谢！"),
        ("ａｎｎａ＠ｘ．ｃｏｍ", "anna@x.com"),
        ("＜｜ｉｍ＿ｓｔａｒｔ｜＞ ［ＩＮＳＴ］", "＜｜im_start｜＞ ［INST］"),
        ("著名品牌的著作", "著名品牌的著作"),
        ("Größe ½ … ok", "Größe ½ … ok"),
    ],
)
def test_width_and_script_are_folded_where_they_stand(written: str, read: str) -> None:
    assert fold(written) == read
    assert len(read) == len(written)


@pytest.mark.parametrize("text", ["ﬁ", "㎏", "…", "e\u0301", "\U0001f600", "\U0002a6d6", "\ufffd", "ﷺ", "①", "가", "ｶﾞ"])
def test_what_has_no_form_of_one_character_keeps_its_place(text: str) -> None:
    assert len(fold(text)) == len(text)


@pytest.mark.parametrize("character", ["一", "鿿", "㐀", "豈", "\U00020000", "\U0003134a"])
def test_extensions_and_compatibility_forms_are_chinese(character: str) -> None:
    assert HAN.fullmatch(character)


def test_simplifying_leaves_other_scripts_alone() -> None:
    assert simplify("where is my order?") == "where is my order?"
    assert simplify("주문") == "주문"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("where is the 檯燈 I ordered", "en"),
        ("這個 lamp can be dimmed 嗎", "zh"),
        ("Ｗｈｅｒｅ　ｉｓ　ｍｙ　ｐａｒｃｅｌ　ｔｏｄａｙ", "en"),
        ("注文した商品がまだ届きません。確認をお願いします", "ja"),
        ("配送状況を確認したいのですが", "ja"),
    ],
)
def test_the_language_is_known_in_either_script_and_width(text: str, language: str) -> None:
    assert detect(text, fallback="zh" if language == "en" else "en") == language
