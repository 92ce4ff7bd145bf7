"""Dates in a message, in English and Chinese, in one normal form.

ISO 8601 where the year is said (``2026-03-05``), ``--03-05`` where it is not, and an English word for what depends
on the day it was said (``tomorrow``, ``next monday``). ``03/04/2026`` stays as written: its order depends on
the country.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from assistant.values import Entity

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_YEAR = r"(?:19|20)\d\d"

ISO = re.compile(rf"\b(?P<y>{_YEAR})[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})\b")
DAY_FIRST = re.compile(rf"\b(?P<d>\d{{1,2}})\.\s?(?P<m>\d{{1,2}})\.(?:\s?(?P<y>{_YEAR}))?(?!\d)")
SLASHES = re.compile(rf"\b(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})/(?P<y>{_YEAR})\b")
MONTH_FIRST = re.compile(
    rf"\b(?P<m>{_MONTH})\.?\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s(?P<y>{_YEAR}))?(?!\d)", re.I
)
MONTH_SECOND = re.compile(
    rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<m>{_MONTH})\b\.?(?:,?\s(?P<y>{_YEAR}))?(?!\d)", re.I
)
CHINESE = re.compile(r"(?:(?P<y>(?:19|20)?\d\d)年)?(?P<m>\d{1,2})月(?P<d>\d{1,2})[日号]?")
RELATIVE = re.compile(
    r"\b(?:the day (?:after tomorrow|before yesterday)|today|tonight|tomorrow|yesterday"
    rf"|(?:(?:next|last|this|on) )?{_WEEKDAY}|(?:next|last|this) (?:week|month|weekend))\b",
    re.I,
)
RELATIVE_CHINESE = re.compile(
    r"大?后天|大?前天|今天|今日|今晚|明天|明日|明早|明晚|昨天|昨日|昨晚"
    r"|[上下这本]个?(?:周|星期|礼拜)[一二三四五六日天]?|(?:周|星期|礼拜)[一二三四五六日天]|[上下这本]个?月(?!\d)"
)
_CHINESE_WORDS = {
    "今": "today",
    "明": "tomorrow",
    "昨": "yesterday",
    "后天": "the day after tomorrow",
    "前天": "the day before yesterday",
    "大后天": "in three days",
    "大前天": "three days ago",
}
_CHINESE_DAYS = dict(
    zip(
        "一二三四五六日天",
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "sunday"),
        strict=True,
    )
)
_WHICH = {"上": "last ", "下": "next ", "这": "this ", "本": "this "}


def dates(text: str) -> Iterator[Entity]:
    """Every date in the text; one that no calendar has (31 February) is none."""
    for pattern in (ISO, DAY_FIRST, MONTH_FIRST, MONTH_SECOND, CHINESE):
        for match in pattern.finditer(text):
            if value := _calendar_day(match["y"], match["m"], match["d"]):
                yield _entity(match, value)
    for match in SLASHES.finditer(text):
        yield _entity(match, _with_slashes(match))
    for match in RELATIVE.finditer(text):
        yield _entity(match, re.sub(r"^on ", "", match.group().lower()))
    for match in RELATIVE_CHINESE.finditer(text):
        yield _entity(match, _relative_chinese(match.group()))


def _entity(match: re.Match[str], value: str) -> Entity:
    return Entity("date", value, match.start(), match.end())


def _calendar_day(year: str | None, month: str, day: str) -> str | None:
    number = int(month) if month.isdecimal() else _month_number(month)
    full = None if not year else int(year) if len(year) == 4 else 2000 + int(year)
    try:
        found = date(full or 2000, number, int(day))  # 2000 is a leap year: 29 February may be meant
    except ValueError:
        return None
    return found.isoformat() if full else f"--{found:%m-%d}"


def _month_number(name: str) -> int:
    return next(number for number, month in enumerate(_MONTHS, start=1) if month.startswith(name[:3].lower()))


def _with_slashes(match: re.Match[str]) -> str:
    """Day and month where only one order is possible."""
    first, second = int(match["a"]), int(match["b"])
    if first > 12 >= second:
        return _calendar_day(match["y"], match["b"], match["a"]) or match.group()
    if second > 12 >= first:
        return _calendar_day(match["y"], match["a"], match["b"]) or match.group()
    return match.group()


def _relative_chinese(word: str) -> str:
    if found := _CHINESE_WORDS.get(word) or _CHINESE_WORDS.get(word[0]):
        return found
    which = _WHICH.get(word[0], "")
    if word.endswith("月"):
        return f"{which}month"
    return which + (_CHINESE_DAYS.get(word[-1]) or "week")
