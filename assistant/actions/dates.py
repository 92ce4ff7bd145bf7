"""Dates as customers write them, in English and Chinese.

A date without a year is the nearest one to today. 3/4/2026 is nobody's: Europeans and Americans read it differently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

MONTHS = {
    name: number
    for number, names in enumerate(
        "jan january|feb february|mar march|apr april|may|jun june|jul july|aug august|sep sept september"
        "|oct october|nov november|dec december".split("|"),
        start=1,
    )
    for name in names.split()
}
WEEKDAYS = {
    name: number
    for number, names in enumerate(
        "monday mon|tuesday tue|wednesday wed|thursday thu|friday fri|saturday sat|sunday sun".split("|")
    )
    for name in names.split()
}
CHINESE_WEEKDAYS = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6}
RELATIVE = {
    "day before yesterday": -2, "yesterday": -1, "day after tomorrow": 2, "today": 0, "tomorrow": 1,
    "大前天": -3, "前天": -2, "昨天": -1, "今天": 0, "大后天": 3, "后天": 2, "明天": 1,
}  # fmt: skip
MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
WEEKDAY = "|".join(sorted(WEEKDAYS, key=len, reverse=True))


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A day, and where it stands in the text: ``text[start:end]``."""

    day: date
    start: int
    end: int


def find_date(text: str, *, today: date) -> FoundDate | None:
    """The first date in a folded text (see `folding.fold`)."""
    found = sorted(_all(text, today), key=lambda each: (each.start, each.start - each.end))
    return found[0] if found else None


def _all(text: str, today: date) -> Iterator[FoundDate]:
    for pattern, read in READINGS:
        for match in pattern.finditer(text):
            try:
                day = read(match, today)
            except (ValueError, OverflowError):
                continue  # 31 February
            if day:
                yield FoundDate(day, match.start(), match.end())


def _year_first(match: re.Match[str], today: date) -> date:
    return date(int(match[1]), int(match[2]), int(match[3]))


def _day_first(match: re.Match[str], today: date) -> date:
    return date(int(match[3]), int(match[2]), int(match[1]))


def _slashes(match: re.Match[str], today: date) -> date | None:
    first, second, year = int(match[1]), int(match[2]), int(match[3])
    if first == second or first > 12:
        return date(year, second, first)
    return date(year, first, second) if second > 12 else None


def _chinese(match: re.Match[str], today: date) -> date:
    return _in_year(match[1], int(match[2]), int(match[3]), today)


def _day_and_month(match: re.Match[str], today: date) -> date:
    return _in_year(match[3], MONTHS[match[2]], int(match[1]), today)


def _month_and_day(match: re.Match[str], today: date) -> date:
    return _in_year(match[3], MONTHS[match[1]], int(match[2]), today)


def _relative(match: re.Match[str], today: date) -> date:
    return today + timedelta(days=RELATIVE[match[0]])


def _weekday(match: re.Match[str], today: date) -> date:
    ahead = (WEEKDAYS[match[2]] - today.weekday() - 1) % 7 + 1
    return today + timedelta(days=ahead - 7 * (match[1] == "last "))


def _chinese_weekday(match: re.Match[str], today: date) -> date:
    number = CHINESE_WEEKDAYS[match[2]]
    if not match[1]:
        return today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)
    weeks = {"上": -1, "下": 1}.get(match[1][0], 0)
    return today + timedelta(days=number - today.weekday() + 7 * weeks)


def _in_year(year: str | None, month: int, day: int, today: date) -> date:
    if year:
        return date(int(year), month, day)
    near = [date(today.year + step, month, day) for step in (-1, 0, 1)]
    return min(near, key=lambda each: abs(each - today))


Reading = Callable[[re.Match[str], date], date | None]
READINGS: tuple[tuple[re.Pattern[str], Reading], ...] = (
    (re.compile(r"(?<!\d)(20\d\d)[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)"), _year_first),
    (re.compile(r"(?<!\d)(\d{1,2})\.(\d{1,2})\.(20\d\d)(?!\d)"), _day_first),
    (re.compile(r"(?<!\d)(\d{1,2})/(\d{1,2})/(20\d\d)(?!\d)"), _slashes),
    (re.compile(r"(?:(20\d\d) ?年 ?)?(?<!\d)(\d{1,2}) ?月 ?(\d{1,2}) ?[日号]?(?!\d)"), _chinese),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\.? (?:of )?({MONTH})\b\.?(?:,? (20\d\d))?"), _day_and_month),
    (re.compile(rf"\b({MONTH})\b\.? (\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (20\d\d))?"), _month_and_day),
    (re.compile(r"\b(?:day before yesterday|yesterday|day after tomorrow|today|tomorrow)\b"), _relative),
    (re.compile(r"大?前天|昨天|今天|大?后天|明天"), _relative),
    (re.compile(rf"\b(last |next |this )?({WEEKDAY})\b"), _weekday),
    (re.compile(r"([上下这本]个?)?(?:周|星期|礼拜)([一二三四五六日天])"), _chinese_weekday),
)  # fmt: skip
