"""What a message names: order and tracking numbers, addresses of mail and post, phones, money, dates, products.

Every kind has a normal form, so that a business action can be called with it. Where two readings overlap, the one
found first in `FINDERS` order stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from assistant.insight.dates import dates
from assistant.insight.names import Names
from assistant.language import fold
from assistant.values import Entity

MAX_CHARS = 8_000
MAX_ENTITIES = 32

EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}(?![A-Za-z])", re.ASCII
)
TRACKING = re.compile(
    r"\b(?:1Z[0-9A-Z]{16}|JJD\d{16,20}|JD[A-Z]?\d{12,18}|0034\d{16}|SF\d{12,15}|YT\d{13,15}|ZTO\d{10,13}|[A-Z]{2}\d{9}[A-Z]{2})\b"
    r"|(?:(?:tracking|shipment|parcel|waybill)\s(?:number|no\.?|code|id)|(?:快递|物流|运单|包裹)(?:单号|编号|号码?))\s?(?:is|是|为)?\s?[:：#]?\s?(?P<id>[A-Z0-9][A-Z0-9-]{7,29})",
    re.I,
)
ORDER = re.compile(
    r"(?:\b(?:order|purchase|invoice|booking)(?:\s(?:number|no\.?|id|code))?|订单(?:编号|号码?|号)?|单号)"
    r"\s?(?:is|是|为)?\s?[:：#]{0,2}\s?(?P<id>(?:[A-Z]{1,5}[- ]?)?\d[\dA-Z-]{3,23})(?![\d年月日元天个])"
    r"|(?<![\w-])#(?P<hash>\d{4,12})\b|(?<![\w-])(?P<plain>[A-Z]{1,4}-?\d{5,14})(?![\w-])",
    re.I,
)
PHONE = re.compile(
    r"(?<![\d+])(?P<cn>(?:(?:\+|00)86[\s-]?)?1[3-9]\d[\s-]?\d{4}[\s-]?\d{4})(?!\d)"
    r"|(?<![\d+])(?P<cn_fixed>(?:0\d{2,3}-\d{7,8}|400-?\d{3,4}-?\d{3,4}))(?!\d)"
    r"|(?<![\w+])(?P<world>(?:\+|00)(?:[1-9]\d{0,2})(?:[\s./()-]{0,2}\d){6,13})(?!\d)"
    r"|(?<![\d+])(?P<us>\(\d{3}\)\s?\d{3}-\d{4}|\d{3}-\d{3}-\d{4})(?!\d)"
)
_AMOUNT = r"\d{1,3}(?:[,.]\d{3}){1,3}(?:[.,]\d{1,2})?(?!\d)|\d{1,9}(?:[.,]\d{1,2})?(?!\d)"
MONEY = re.compile(
    rf"(?P<before>€|\$|£|¥|￥|\b(?:EUR|USD|GBP|CNY|RMB|CHF)\b|人民币)\s?(?P<first>{_AMOUNT})"
    rf"|(?<![\d.,])(?P<second>{_AMOUNT})\s?(?P<after>€|\$|£|¥|￥|(?:euros?|EUR|USD|dollars?|bucks|GBP|pounds?|CNY|RMB|yuan|CHF)\b|元|块钱?|欧元?|美元|英镑)(?!\w*素)",
    re.I,
)
POSTCODE = re.compile(
    r"(?:\b(?:post(?:al)?\s?code|zip(?:\s?code)?|plz)|邮(?:政)?编(?:码)?)\s?(?:is|是|为)?\s?[:：]?\s?(?P<id>[A-Z0-9]{2,4}[\s-]?[A-Z0-9]{3,4}|\d{5,6})\b"
    r"|\b(?P<uk>[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2})\b|\b(?P<de>\d{5})(?=\s(?:Berlin|Hamburg|M(?:ü|ue)nchen|Munich|K(?:ö|oe)ln|Cologne|Frankfurt|Stuttgart|D(?:ü|ue)sseldorf|Leipzig|Dresden|Hannover)\b)",
    re.I,
)
_CURRENCIES = {
    "€": "EUR", "eur": "EUR", "euro": "EUR", "euros": "EUR", "欧元": "EUR", "欧": "EUR",
    "$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD", "bucks": "USD", "美元": "USD",
    "£": "GBP", "gbp": "GBP", "pound": "GBP", "pounds": "GBP", "英镑": "GBP", "chf": "CHF",
    "¥": "CNY", "￥": "CNY", "cny": "CNY", "rmb": "CNY", "yuan": "CNY",
    "元": "CNY", "块": "CNY", "块钱": "CNY", "人民币": "CNY",
}  # fmt: skip
NOT_A_DIGIT = re.compile(r"[^\d+]")


class EntityFinder:
    """Finds what messages name; ``names`` are the products and other things the knowledge base knows."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = Names(names)

    def find(self, text: str) -> tuple[Entity, ...]:
        """The entities in the order they stand in the text, with values in half width."""
        said = fold(text[:MAX_CHARS])
        chosen: list[Entity] = []
        for finder in (*FINDERS, self._names.find):
            for entity in finder(said):
                if len(chosen) < MAX_ENTITIES and all(entity.end <= o.start or entity.start >= o.end for o in chosen):
                    chosen.append(entity)
        return tuple(sorted(chosen, key=lambda entity: entity.start))


def _emails(text: str) -> Iterator[Entity]:
    for match in EMAIL.finditer(text):
        yield Entity("email", match.group().lower(), match.start(), match.end())


def _tracking_numbers(text: str) -> Iterator[Entity]:
    for match in TRACKING.finditer(text):
        if match["id"] is None:
            yield Entity("tracking_number", match.group().upper(), match.start(), match.end())
        elif any(map(str.isdecimal, match["id"])):
            yield Entity("tracking_number", match["id"].upper(), *match.span("id"))


def _order_numbers(text: str) -> Iterator[Entity]:
    for match in ORDER.finditer(text):
        group = next(name for name in ("id", "hash", "plain") if match[name])
        if group != "id" or sum(map(str.isdecimal, match["id"])) >= 4:
            yield Entity("order_number", match[group].upper().replace(" ", ""), *match.span(group))


def _phones(text: str) -> Iterator[Entity]:
    for match in PHONE.finditer(text):
        digits = NOT_A_DIGIT.sub("", match.group())
        if digits.startswith("00"):
            digits = "+" + digits[2:]
        if match["cn"] and not digits.startswith("+"):
            digits = "+86" + digits
        yield Entity("phone", digits, match.start(), match.end())


def _money(text: str) -> Iterator[Entity]:
    for match in MONEY.finditer(text):
        currency = _CURRENCIES[(match["before"] or match["after"]).lower()]
        yield Entity("money", f"{currency} {_plain_amount(match['first'] or match['second'])}", *match.span())


def _plain_amount(amount: str) -> str:
    """``1.299,50`` and ``1,299.50`` as ``1299.50``."""
    whole, mark, cents = amount, "", ""
    if found := re.search(r"[.,](\d{1,2})$", amount):
        whole, mark, cents = amount[: found.start()], ".", found.group(1)
    return re.sub(r"[.,]", "", whole) + mark + cents


def _postcodes(text: str) -> Iterator[Entity]:
    for match in POSTCODE.finditer(text):
        group = next(name for name in ("id", "uk", "de") if match[name])
        if any(map(str.isdecimal, match[group])):
            yield Entity("postcode", match[group].upper(), *match.span(group))


FINDERS: tuple[Callable[[str], Iterator[Entity]], ...] = (
    _emails, _tracking_numbers, _money, dates, _postcodes, _phones, _order_numbers
)  # fmt: skip
