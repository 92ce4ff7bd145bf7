"""What can be checked in a sentence: numbers with their units, money, dates, times, weekdays, codes and addresses.

Each comes in one canonical spelling, whatever the language and width: ``14 day`` for "14 days", "fourteen days",
十四天 and １４天; ``3.9 eur`` for "€3.90" and 3.90 欧元. A fact is worth nothing without its unit: 14 weeks and 14
dollars are two other facts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from assistant.dialogue.units import MONEY_AFTER, MONEY_BEFORE, UNIT, currency, unit
from assistant.dialogue.words import STOP_WORDS
from assistant.numerals import CHINESE_WEEKDAYS, MONTHS, WEEKDAYS, with_digits

Kind = Literal["address", "code", "phone", "date", "weekday", "time", "number"]

# Chinese marks become Latin ones with spaces, so that NFKC glues no address and no number to what follows.
MARKS = str.maketrans(
    {"，": " , ", "；": " ; ", "：": ": ", "。": " . ", "！": " ! ", "？": " ? ", "（": " ( ", "）": " ) "}
    | dict.fromkeys("–—−‒~～〜", "-")
)
BETWEEN = re.compile(r"\bbetween (\d[\d.,:]*) and (?=\d)", re.I)
LIST_MARK = re.compile(r"^[^\S\n]*(?:[-*+]|\d{1,2}[.)、])\s+", re.M)
_MONTH = rf"(?:{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
_LONG_MONTH = "|".join(name.capitalize() for name in MONTHS if len(name) > 5)
_LONG_DAY = "|".join(name for name in WEEKDAYS if name.endswith("day"))
_SHORT_DAY = "|".join(name.capitalize() for name in WEEKDAYS if not name.endswith("day"))
# "Sat" and "Sun" are words as well: they count beside another day, a time or a mark, and only with their capital.
_DAY = (
    rf"(?:(?i:\b(?:{_LONG_DAY})s?\b)|\b(?:{_SHORT_DAY})\b\.?(?=\s*(?:[-,;:)]|to\b|and\b|$|\d))"
    rf"|(?<=-)(?:{_SHORT_DAY})\b|(?:周|星期|礼拜)[一二三四五六日天])"
)
_TO = r"\s?(?:-|至|到|\bto\b|\btill\b|\buntil\b|\bthrough\b)\s?"
_OR = r"\s?(?:、|或|和|\bor\b|\band\b)\s?"
_N = r"\d{1,3}(?:,\d{3}){1,6}+(?!\d)(?:\.\d++)?|\d++(?:[.,]\d++){0,4}+"
_CLOCK = (
    r"(?:(?:上午|早上|凌晨|中午|下午|晚上)\s?)?(?:\d{1,2}:\d{2}(?!\s?[ap]\.?m)|\d{1,2}\s?点(?:半|\d{1,2}分?)?)"
    r"|\d{1,2}(?::\d{2})?\s?[ap]\.?m\b"
)
TOKEN = re.compile(
    r"(?P<address>(?i:https?://|www\.)[^\s<>()\[\]\"'“”,;]+|(?<![\w.+-])[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
    r"|(?P<ymd>(?<!\d)\d{4}(?P<sep>[-/.])\d{1,2}(?P=sep)\d{1,2}(?!\d)|\d{4}\s?年\s?\d{1,2}\s?月(?:\s?\d{1,2}\s?[日号]?)?)"
    r"|(?P<dmy>(?<!\d)\d{1,2}\.\s?\d{1,2}\.\s?\d{4}(?!\d))"
    r"|(?P<md>(?<!\d)\d{1,2}\s?月\s?(?:\d{1,2}\s?[日号]?)?(?!\d))"
    rf"|(?P<daymonth>(?i:\b\d{{1,2}}(?:st|nd|rd|th)?\.?\s(?:of\s)?{_MONTH}(?:,?\s\d{{4}}\b)?))"
    rf"|(?P<monthday>(?i:\b{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s\d{{4}}\b)?|\b{_MONTH}\s\d{{4}}\b))"
    rf"|(?P<month>(?<=\bin )(?i:{_MONTH})|\b(?:{_LONG_MONTH})\b)"
    r"|(?P<phone>(?<![\w.])\+?\d++(?:[ -]\(?\d{2,15}+\)?){2,8}(?!\w)|(?<!\w)\+\d{7,}+|(?<!\d)1[3-9]\d{9}(?!\d))"
    rf"|(?P<days>{_DAY}(?:{_TO}{_DAY})?|(?:周|星期|礼拜)[一二三四五六日天]{_TO}[一二三四五六日天](?![一-鿿]?年))"
    rf"|(?P<hours>(?:{_CLOCK})(?:{_TO}(?:{_CLOCK}))?)"
    rf"|(?P<before>{MONEY_BEFORE})\s?(?P<amount>(?:{_N})(?:{_TO}(?:{MONEY_BEFORE})?\s?(?:{_N}))?)(?!\s?%)"
    rf"|(?P<many>(?:{_N})(?:{_OR}(?:{_N})){{0,4}}(?P<upto>(?:{MONEY_AFTER}|{UNIT})?{_TO}(?:{_N}))?)(?P<after>{MONEY_AFTER}|{UNIT})"
    r"|(?P<code>(?<![A-Za-z0-9])[A-Za-z]{1,8}-?\d[A-Za-z0-9-]*)"
    rf"|(?P<number>(?:{_N})(?P<end>{_TO}(?:{_N}))?)(?:st|nd|rd|th)?"
)  # fmt: skip
NOT_BY_ITSELF = re.compile(r"\s?(?P<word>[A-Za-z]+)|\s?(?P<han>[一-鿿])|-[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Fact:
    """A checkable part of a text: what it ``claims``, and what it would bear out besides ("Mon-Fri" a Monday)."""

    kind: Kind
    start: int
    end: int
    claims: frozenset[str]
    bears_out: frozenset[str]


@dataclass(frozen=True, slots=True)
class FactReading:
    """A text in one normal form (its length may differ), its facts, and the text with spaces in their places."""

    text: str
    plain: str
    facts: tuple[Fact, ...]


def normal(text: str) -> str:
    """The text in normal width with Latin marks, and spelled numbers in digits."""
    return with_digits(unicodedata.normalize("NFKC", text.translate(MARKS)).replace("’", "'"))


def read_facts(text: str) -> FactReading:
    """All facts of a text."""
    text = BETWEEN.sub(r"\1-", LIST_MARK.sub("", normal(text)))
    facts = tuple(fact for match in TOKEN.finditer(text) if (fact := _fact(match, text)))
    plain = list(text)
    for fact in facts:
        plain[fact.start : fact.end] = " " * (fact.end - fact.start)
    return FactReading(text, "".join(plain), facts)


def claimed(facts: Iterable[Fact]) -> frozenset[str]:
    """All that some facts claim."""
    return frozenset(claim for fact in facts for claim in fact.claims)


def borne_out(facts: Iterable[Fact]) -> frozenset[str]:
    """All that some facts bear out: what they claim, and what follows from it."""
    return frozenset(claim for fact in facts for claim in fact.bears_out)


def _fact(match: re.Match[str], text: str) -> Fact | None:
    said = match.group()
    match match.lastgroup:
        case "address":
            return _one("address", match, said.casefold().rstrip(".,;:!?/"))
        case "phone":
            return _one("phone", match, f"tel:{re.sub('[^0-9]', '', said)}")
        case "code":
            return _one("code", match, said.upper().replace("-", ""))
        case "ymd" | "sep" | "md" | "dmy" | "daymonth" | "monthday" | "month":
            return _date(match)
        case "days":
            return _weekdays(match)
        case "hours":
            return _hours(match)
        case "amount":
            return _amount(match)
        case "after":
            return _counted(match)
    return _bare(match, text)


def _one(kind: Kind, match: re.Match[str], claim: str) -> Fact:
    return Fact(kind, *match.span(), frozenset({claim}), frozenset({claim}))


# -- dates and times


def _date(match: re.Match[str]) -> Fact:
    numbers = [int(number) for number in re.findall(r"\d+", match.group())]
    named = next((MONTHS[word] for word in re.findall("[a-z]+", match.group().casefold()) if word in MONTHS), 0)
    year = next((number for number in numbers if number > 31), 0)
    rest = [number for number in numbers if number != year]
    if match["dmy"]:
        rest.reverse()
    month, *day = [named, *rest] if named else rest
    claims = f"{year or ''}-{month:02}" + (f"-{day[0]:02}" if day else "")
    return Fact("date", *match.span(), frozenset({claims}), frozenset({claims, claims.removeprefix(str(year or ""))}))


def _weekdays(match: re.Match[str]) -> Fact:
    days = [_weekday(word) for word in re.findall(r"[A-Za-z]{3,}|[一二三四五六日天]", match.group())]
    ends = [day for day in days if day is not None]
    if len(ends) < 2:
        return _one("weekday", match, f"weekday {ends[0]}")
    between = [(ends[0] + step) % 7 for step in range((ends[1] - ends[0]) % 7 + 1)]
    span = f"weekday {ends[0]}-{ends[1]}"
    return Fact("weekday", *match.span(), frozenset({span}), frozenset({span, *(f"weekday {day}" for day in between)}))


def _weekday(word: str) -> int | None:
    plain = word.casefold()
    return CHINESE_WEEKDAYS.get(word, WEEKDAYS.get(plain, WEEKDAYS.get(plain.removesuffix("s"))))


def _hours(match: re.Match[str]) -> Fact:
    times = [_time(clock.group()) for clock in re.finditer(_CLOCK, match.group(), re.I)]
    span = "-".join(times)
    return Fact("time", *match.span(), frozenset({span}), frozenset({span, *times}))


def _time(clock: str) -> str:
    hour, *minutes = (int(number) for number in re.findall(r"\d+", clock))
    minute = minutes[0] if minutes else 30 if "半" in clock else 0
    is_late = re.search(r"下午|晚上|p\.?m", clock, re.I) is not None
    if is_late and hour < 12:
        hour += 12
    elif not is_late and hour == 12 and re.search(r"a\.?m", clock, re.I):
        hour = 0
    return f"{hour}:{minute:02}"


# -- numbers


def _amount(match: re.Match[str]) -> Fact:
    return _range(match, [_spelled(each) for each in re.findall(_N, match["amount"])], currency(match["before"]))


def _counted(match: re.Match[str]) -> Fact:
    numbers = [_spelled(each) for each in re.findall(_N, match["many"])]
    if match["upto"]:
        return _range(match, numbers, unit(match["after"]))
    claims = frozenset(f"{number} {unit(match['after'])}" for number in numbers)
    return Fact("number", *match.span(), claims, claims | {f"{number} ?" for number in numbers})


def _range(match: re.Match[str], numbers: list[str], counted: str) -> Fact:
    """A range bears out its upper end ("within 8 days"), never its lower one alone."""
    span = f"{'-'.join(numbers)} {counted}"
    upper = {f"{numbers[-1]} {counted}", f"{numbers[-1]} ?"}
    return Fact("number", *match.span(), frozenset({span}), frozenset({span} | upper))


def _bare(match: re.Match[str], text: str) -> Fact:
    """A number without a unit; one that stands by itself may leave out the unit it has elsewhere."""
    numbers = [_spelled(each) for each in re.findall(_N, match["number"])]
    if match["end"]:
        return _range(match, numbers, "#")
    goes_on = NOT_BY_ITSELF.match(text, match.end())
    is_alone = goes_on is None or (goes_on["word"] is not None and goes_on["word"].casefold() in STOP_WORDS)
    exact, loose = f"{numbers[0]} #", f"{numbers[0]} ?"
    return Fact("number", *match.span(), frozenset({loose if is_alone else exact}), frozenset({exact, loose}))


def _spelled(number: str) -> str:
    """One spelling: 1,000 and 1000, 3.90, 3,90 and 3.9; 1.000 may be either and stays as it is."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", number):
        number = number.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{1,2}", number):
        number = number.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d+,\d{1,2}", number):
        number = number.replace(",", ".")
    if re.fullmatch(r"\d+\.(?:\d{1,2}|\d{4,})", number):
        number = number.rstrip("0").rstrip(".")
    return number.lstrip("0") or "0" if number.isdecimal() else number
