"""Texts as comparable tokens: what an answer is compared by when its support is looked for.

Latin words are cut to their first letters (which stems about as well as rules: McNamee and Mayfield 2004), Chinese is
taken by characters. Numbers come in one spelling (twelve, 十二, １２, 12.0), negations too (can't, cannot, 不, 没); an
address, a date or a telephone number is one token, and a currency stands before its amount.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from assistant.language import HAN_RANGES

Kind = Literal["word", "function", "han", "fact", "not"]
"""``function`` words say nothing by themselves; a ``fact`` can be checked: number, money, date, address."""

STEM_CHARS = 5
NOT = "¬"

TOKEN = re.compile(
    r"(?P<address>(?:https?://|www\.)[^\s<>()\[\]\"“”]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<date>\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d))"
    r"|(?P<phone>(?<![\w.])\+?\d+(?:[ -]\d{2,}){2,}(?!\w)|\+\d{7,}|(?<!\d)1[3-9]\d{9}(?!\d))"
    r"|(?P<number>\d+(?:[.,:]\d+)*)"
    r"|(?P<money>€|\$|£|¥|\b(?:eur|euros?|usd|dollars?|gbp|chf|rmb|cny)\b|美元|欧元|英镑|日元|元)"
    r"|(?P<no>\b(?:not|no|never|without|neither|nor|none)\b|[不没无未非勿])"
    rf"|(?P<han>[{HAN_RANGES}])"
    rf"|(?P<latin>[^\W\d_{HAN_RANGES}]+)"
    r"|(?P<end>[,;:.!?\n|()（）]|\s[-–—]\s)"
)
CURRENCIES = {
    "€": "eur", "euro": "eur", "euros": "eur", "欧元": "eur", "$": "usd", "dollar": "usd", "dollars": "usd",
    "美元": "usd", "£": "gbp", "英镑": "gbp", "¥": "cny", "rmb": "cny", "元": "cny", "日元": "jpy",
}  # fmt: skip
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
NUMBER_WORDS = {word: number for number, word in enumerate(ONES) if number != 1} | TENS
ENGLISH_NUMBER = re.compile(
    rf"\b(?:({'|'.join(TENS)})[ -]({'|'.join(ONES[1:10])})|({'|'.join(NUMBER_WORDS)})"
    r"|(one)(?=\s+(?:working\s+|business\s+)?(?:year|month|week|day|hour|minute|euro|percent)))\b"
)
# One of something is mostly no number (一般, 一起), unless it counts time or money.
HAN_NUMBER = re.compile(
    r"[〇二两三四五六七八九十百千万][〇一二两三四五六七八九十百千万]*(?=[个天日周年月小时分元块折次件份成倍期张米只双层秒公厘位家])"
    r"|一[十百千万][〇一二两三四五六七八九十百千万]*|一(?=[天日周年元块折]|个月|小时|分钟)"
)
HAN_DIGITS = {digit: value for value, digit in enumerate("〇一二三四五六七八九")} | {"两": 2}
HAN_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
CONTRACTED = (
    (re.compile(r"\bcan(?:not|'t)\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
)
# Where 不 or 没 says nothing about yes or no: 能不能, 不锈钢.
HARMLESS = re.compile(
    rf"(?P<verb>[{HAN_RANGES}])[不没](?P=verb)|不过|不但|不仅|不锈钢|不同|不错|不客气|不好意思|对不起|差不多|不论|不管|无论|无线|未来|非常|有没有"
)
FULL_WIDTH = str.maketrans({"，": " , ", "、": " , ", "；": " ; ", "。": " . ", "！": " ! ", "？": " ? ", "’": "'"})
LIST_MARK = re.compile(r"^\s*\d{1,2}[.)、]\s+", re.M)
FUNCTION_WORDS = frozenset(
    "a after an and are as at be been before but by can could did do does for from had has have here how i if in "
    "into is it its just may me more must my of on or our please should so such than that the their them then "
    "there these they this those to up us until was we were what when where which who will with within would yes "
    "you your also any all".split()
)
FUNCTION_HAN = frozenset("的了吗呢吧啊请您你我们也和与或就都是有在这那将把被给到为及等会")


@dataclass(frozen=True, slots=True)
class Token:
    """One comparable unit; ``clause`` counts the stretches between commas, full stops and line ends."""

    key: str
    kind: Kind
    clause: int

    @property
    def says_something(self) -> bool:
        """Whether it carries meaning by itself."""
        return self.kind not in ("function", "not")


@lru_cache(maxsize=4096)
def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a text in order."""
    found: list[Token] = []
    clause = 0
    for match in TOKEN.finditer(_normal(text)):
        kind, value = match.lastgroup or "", match.group()
        if kind == "end":
            clause += 1
        else:
            found.append(_token(kind, value, clause))
            if kind == "money" and len(found) > 1 and found[-2].key.startswith("#"):
                found[-2:] = found[-1], found[-2]  # 3.90 EUR is EUR 3.90
    return tuple(found)


def facts(found: Sequence[Token]) -> frozenset[str]:
    """The keys of the checkable facts among some tokens."""
    return frozenset(token.key for token in found if token.kind == "fact")


def folded(text: str) -> str:
    """A text without differences of width, case, Markdown marks and white space."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return re.sub(r"\s+", " ", re.sub(r"[*`]", "", plain)).strip()


def _normal(text: str) -> str:
    text = LIST_MARK.sub("", text).translate(FULL_WIDTH)
    text = unicodedata.normalize("NFKC", text).casefold()
    for contracted, long in CONTRACTED:
        text = contracted.sub(long, text)
    text = ENGLISH_NUMBER.sub(_english_number, text)
    text = HAN_NUMBER.sub(lambda match: str(_han_number(match.group())), text)
    return HARMLESS.sub(lambda match: re.sub("[不没无未非]", "□", match.group()), text)


def _token(kind: str, value: str, clause: int) -> Token:
    match kind:
        case "address":
            return Token(value.rstrip(".,;:!?'"), "fact", clause)
        case "phone":
            return Token(f"tel:{re.sub(r'[^0-9]', '', value)}", "fact", clause)
        case "date":
            return Token("-".join(part.zfill(2) for part in re.split(r"\D", value)), "fact", clause)
        case "number":
            return Token(f"#{_spelled(value)}", "fact", clause)
        case "money":
            return Token(CURRENCIES.get(value, value), "fact", clause)
        case "no":
            return Token(NOT, "not", clause)
        case "han":
            return Token(value, "function" if value in FUNCTION_HAN else "han", clause)
    return Token(_stem(value), "function" if value in FUNCTION_WORDS or len(value) < 2 else "word", clause)


def _stem(word: str) -> str:
    return word[:STEM_CHARS] if len(word) > STEM_CHARS else word.removesuffix("s") if len(word) > 3 else word


def _spelled(number: str) -> str:
    """One spelling: 1,000 and 1000, 3.90 and 3.9, 3,90 and 3.9; times as they are."""
    if ":" in number:
        return number.lstrip("0") or number
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", number):
        number = number.replace(",", "")
    number = number.replace(",", ".")
    return number.rstrip("0").rstrip(".") if number.count(".") == 1 else number


def _english_number(match: re.Match[str]) -> str:
    tens, one, single, lone = match.groups()
    if tens:
        return str(TENS[tens] + ONES.index(one))
    return "1" if lone else str(NUMBER_WORDS[single])


def _han_number(text: str) -> int:
    total, digit = 0, 0
    for character in text:
        if character in HAN_DIGITS:
            digit = HAN_DIGITS[character]
        elif character == "万":
            total, digit = (total + digit) * HAN_UNITS[character], 0
        else:
            total, digit = total + (digit or 1) * HAN_UNITS[character], 0
    return total + digit
