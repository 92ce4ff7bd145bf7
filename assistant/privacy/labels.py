"""What the words before a number say it is: a telephone, a card, or something else that has a number."""

from __future__ import annotations

import re
from typing import Literal

Label = Literal["phone", "card", "other"]

BEFORE = 28
MAX_WORDS_BETWEEN = 16  # characters between a word that says "no telephone" and the number

PHONE = re.compile(
    r"(?<![A-Za-z])(?:tele)?(?:phone|fax)s?(?![A-Za-z])|(?<![A-Za-z])(?:tel|mob|mobile|cell|call|calls|text|texted|sms|ring|dial"
    r"|whatsapp|signal|telegram|contact|reach|hotline|landline)(?![A-Za-z])"
    r"|电话|電話|手机|手機|手机号码?|致电|致電|拨打|撥打|联系|聯繫|聯絡|来电|短信|传真|热线|座机|微信|打给|打到|呼叫",
    re.I,
)
CARD = re.compile(
    r"(?<![A-Za-z])(?:(?:credit|debit|bank)?\s?cards?|visa|mastercard|amex|pan|unionpay)(?![A-Za-z])"
    r"|卡号|卡號|银行卡|信用卡|储蓄卡|借记卡|银联",
    re.I,
)
OTHER = re.compile(
    r"(?<![A-Za-z])(?:orders?|purchase|tracking|track|shipment|parcel|package|waybill|consignment|delivery|invoice|ref|reference"
    r"|item|article|product|part|sku|serial|model|ticket|case|batch|lot|barcode|ean|upc|gtin|isbn|imei|version|build|transaction"
    r"|booking|reservation|confirmation|member|membership|customer|account|acct|voucher|coupon|code|pin|otp|policy|rma|po"
    r"|timestamp|uid|id|awb|s/n|sn)(?![A-Za-z])"
    r"|订单号码?|訂單號碼?|订单编号|订单|訂單|单号|單號|编号|編號|运单号?|快递|物流|包裹|发票号码?|發票|流水号?|货号|型号|序列号|序號|条码"
    r"|条形码|商品|产品|批号|版本|工单|案件|会员号?|會員|交易号?|追踪|追蹤|验证码|驗證碼|券码|兑换码|账号|帐号|帳號|取件码|税号|学号|工号",
    re.I,
)
WORD = re.compile(r"[^\W\d_]{2}|[A-Za-z]/")
CLAUSE_END = re.compile(r"[\d,;!?，。；！？、\n]")


def label_before(text: str, start: int) -> Label | None:
    """What the nearest telling word before ``start`` makes of the number there; None where none tells.

    A word for another thing counts only in the same clause and without another number between: in "order 12345,
    4155550123" it belongs to the first.
    """
    before = text[max(0, start - BEFORE) : start]
    if not WORD.search(before):
        return None
    found: list[tuple[int, int, Label]] = []
    for label, words in _WORDS:
        for match in words.finditer(before):
            between = before[match.end() :]
            if label != "other" or (len(between) <= MAX_WORDS_BETWEEN and not CLAUSE_END.search(between)):
                found.append((match.end(), match.end() - match.start(), label))
    return max(found)[2] if found else None


def is_label(word: str) -> bool:
    """Whether the word says that a telephone or card number follows: ``Tel-``, ``card``."""
    return bool(PHONE.fullmatch(word) or CARD.fullmatch(word))


_WORDS: tuple[tuple[Label, re.Pattern[str]], ...] = (("phone", PHONE), ("card", CARD), ("other", OTHER))
