"""Dates as customers write them, English and Chinese, for what a message names and for business actions alike.

A mention has a normal form that needs no calendar (`DateMention.name`) and, once today is known, a day
(`DateMention.on`). The form is ISO 8601 where the year is said (``2026-03-05``), ``--03-05`` where it is not, and
English words for what depends on the day it was said (``tomorrow``, ``in 3 days``, ``next monday``). 03/04/2026 is
nobody's day: Europeans and Americans read it differently; it keeps its spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from assistant.numerals import CHINESE_WEEKDAYS, HAN_NUMERAL, MONTHS, WEEKDAYS, chinese_number, english_number
from assistant.values import Entity

MAX_DAYS_AWAY = 400
LEAP_YEAR = 2000  # 29 February may be meant
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_YEAR = r"(?:19|20)\d\d"
_MONTH = rf"(?:{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
_COUNT = r"\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fourteen"
_HAN_COUNT = rf"\d{{1,3}}|{HAN_NUMERAL}{{1,4}}"
_LONG = "|".join(DAYS)
# "I sat", "sun lamp": the short ones count after a word that leads to a day, or alone, and before no noun.
_SHORT = "|".join(name for name in WEEKDAYS if name not in DAYS)
_AFTER_SHORT = r"(?=\s*(?:[.,;!?)/]|$|\d|at\b|or\b|and\b|please|morning|afternoon|evening|noon|if\b))"
NAMES = {
    "today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1,
    "the day after tomorrow": 2, "the day before yesterday": -2,
}  # fmt: skip
CHINESE_NAMES = {"今": 0, "明": 1, "昨": -1, "后": 2, "前": -2, "大后": 3, "大前": -3}


@dataclass(frozen=True, slots=True)
class Calendar:
    """A day of a month, with its year where that was said."""

    year: int | None
    month: int
    day: int

    @property
    def name(self) -> str:
        """The normal form."""
        return f"{self.year:04}-{self.month:02}-{self.day:02}" if self.year else f"--{self.month:02}-{self.day:02}"

    def on(self, today: date) -> date | None:
        """The day; without a year the nearest one, and none where that year has none (29 February)."""
        if self.year:
            return date(self.year, self.month, self.day)
        near = [day for step in (-1, 0, 1) if (day := _day(today.year + step, self.month, self.day))]
        return min(near, key=lambda each: abs(each - today), default=None)


@dataclass(frozen=True, slots=True)
class Away:
    """So many days from today."""

    days: int

    @property
    def name(self) -> str:
        """The normal form."""
        named = next((name for name, days in NAMES.items() if days == self.days), "")
        return named or (f"in {self.days} days" if self.days > 0 else f"{-self.days} days ago")

    def on(self, today: date) -> date | None:
        """The day."""
        return today + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Weekday:
    """A weekday, 0 being Monday: the next one to come, the last one, or that of a calendar week (0: this one)."""

    number: int
    which: str = ""
    week: int | None = None

    @property
    def name(self) -> str:
        """The normal form."""
        return f"{self.which} {DAYS[self.number]}".strip()

    def on(self, today: date) -> date | None:
        """The day; a weekday without more is one to come, "last Wednesday" on a Wednesday a week ago."""
        if self.week is not None:
            return today + timedelta(days=self.number - today.weekday() + 7 * self.week)
        if self.which == "last":
            return today - timedelta(days=(today.weekday() - self.number - 1) % 7 + 1)
        ahead = (self.number - today.weekday()) % 7
        return today + timedelta(days=ahead if self.which == "this" else ahead or 7)


@dataclass(frozen=True, slots=True)
class Unclear:
    """What names no one day: a week, a month, a date that can be read in two ways."""

    name: str

    def on(self, today: date) -> date | None:
        """No day."""
        return None


When = Calendar | Away | Weekday | Unclear


@dataclass(frozen=True, slots=True)
class DateMention:
    """A date in a text: ``text[start:end]``."""

    when: When
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A day, and where it stands in the text: ``text[start:end]``."""

    day: date
    start: int
    end: int


def find_date(text: str, *, today: date) -> FoundDate | None:
    """The first date in the text that is one day."""
    for mention in mentions(text):
        if day := _on(mention.when, today):
            return FoundDate(day, mention.start, mention.end)
    return None


def dates(text: str) -> Iterator[Entity]:
    """Every date in the text, in its normal form."""
    return (Entity("date", mention.when.name, mention.start, mention.end) for mention in mentions(text))


def mentions(text: str) -> Iterator[DateMention]:
    """Every date in a text of normal width and simplified characters, in order; 31 February is none."""
    found = [
        DateMention(when, match.start(), match.end())
        for pattern, read in READINGS
        for match in pattern.finditer(text)
        if (when := read(match))
    ]
    end = 0
    for mention in sorted(found, key=lambda each: (each.start, -each.end)):
        if mention.start >= end:
            yield mention
            end = mention.end


def _on(when: When, today: date) -> date | None:
    try:
        return when.on(today)
    except OverflowError:
        return None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _calendar(match: re.Match[str]) -> When | None:
    said = match["m"].rstrip(".").lower()
    month = MONTHS.get(said) or _number(said)
    year = None if not match["y"] else int(match["y"]) + (2000 if len(match["y"]) == 2 else 0)
    day = _number(match["d"])
    return Calendar(year, month, day) if _day(year or LEAP_YEAR, month, day) else None


def _slashes(match: re.Match[str]) -> When:
    first, second, year = int(match["a"]), int(match["b"]), int(match["y"])
    day, month = (first, second) if first > 12 or first == second else (second, first)
    is_clear = (first > 12 or second > 12 or first == second) and _day(year, month, day)
    return Calendar(year, month, day) if is_clear else Unclear(match.group())


def _named(match: re.Match[str]) -> When:
    return Away(NAMES[re.sub(r"^(?!the )(?=day)", "the ", match["name"].lower())])


def _chinese_named(match: re.Match[str]) -> When:
    return Away(CHINESE_NAMES[match.group()[:-1]])


def _away(match: re.Match[str]) -> When | None:
    days = _number(match["n"] or match["ago"]) * (7 if "week" in match.group().lower() else 1)
    return _so_far(-days if match["ago"] else days)


def _chinese_away(match: re.Match[str]) -> When | None:
    days = _number(match["n"]) * (1 if "天" in match.group() else 7)
    return _so_far(-days if match["ago"] else days)


def _so_far(days: int) -> When | None:
    return Away(days) if 0 < abs(days) <= MAX_DAYS_AWAY else None


def _weekday(match: re.Match[str]) -> When:
    which = (match["which"] or "").lower().strip()
    return Weekday(WEEKDAYS[match["day"].lower()], which if which in ("last", "next", "this") else "")


def _chinese_weekday(match: re.Match[str]) -> When | None:
    which, day = match["which"], match["day"]
    week = None if not which else which.count("下") - which.count("上")
    word = "" if week is None else "this" if not week else "next" if week > 0 else "last"
    if day is None:
        return Unclear(f"{word} week") if word else None
    return Weekday(CHINESE_WEEKDAYS[day], word, week)


def _period(match: re.Match[str]) -> When:
    if match.group().isascii():
        return Unclear(match.group().lower())
    return Unclear({"上": "last", "下": "next"}.get(match.group()[0], "this") + " month")


def _number(written: str) -> int:
    if written.isdecimal():
        return int(written)
    if written[0].isascii():
        return 1 if written.lower() in ("a", "an") else int(english_number(written))
    return chinese_number(written)


READINGS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], When | None]], ...] = (
    (re.compile(rf"(?<!\d)(?P<y>{_YEAR})[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})(?!\d)"), _calendar),
    (re.compile(rf"(?<![\d.])(?P<d>\d{{1,2}})\.\s?(?P<m>\d{{1,2}})\.(?:\s?(?P<y>{_YEAR}))?(?!\d)"), _calendar),
    (re.compile(rf"(?<!\d)(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})/(?P<y>{_YEAR})(?!\d)"), _slashes),
    (
        re.compile(rf"\b(?P<m>{_MONTH})\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s(?P<y>{_YEAR}))?(?!\d)", re.I),
        _calendar,
    ),
    (
        re.compile(
            rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?\s(?:of\s)?(?P<m>{_MONTH})(?:,?\s(?P<y>{_YEAR}))?(?!\d)", re.I
        ),
        _calendar,
    ),
    (
        re.compile(
            r"(?:(?P<y>(?:19|20)?\d\d)\s?年\s?)?(?<![\d第])(?P<m>\d{1,2}|十[一二]?|[一二三四五六七八九])\s?月\s?"
            r"(?P<d>\d{1,2}|[一二]?十[一二三四五六七八九]?|三十一?|[一二三四五六七八九])\s?[日号]?(?![\d个])"
        ),
        _calendar,
    ),
    (
        re.compile(
            r"\b(?P<name>(?:the )?day (?:after tomorrow|before yesterday)|today|tonight|tomorrow|yesterday)\b", re.I
        ),
        _named,
    ),
    (re.compile(r"(?:大?(?<![今以最然之])后|大?前|今|明|昨)天|[今明昨][日晚]|[今明]早"), _chinese_named),
    (re.compile(rf"\bin (?P<n>{_COUNT}) (?:days?|weeks?)\b|\b(?P<ago>{_COUNT}) (?:days?|weeks?) ago\b", re.I), _away),
    (re.compile(rf"(?P<n>{_HAN_COUNT})(?:天|个?星期|个?礼拜|周)(?:之|以)?(?:后|(?P<ago>前))(?![的天])"), _chinese_away),
    (re.compile(rf"\b(?:(?P<which>next|last|this|on)\s)?(?P<day>{_LONG})\b", re.I), _weekday),
    (
        re.compile(
            rf"(?:\b(?P<which>next|last|this|on|by|until|from)\s|^\s*)(?P<day>{_SHORT})\b{_AFTER_SHORT}", re.I
        ),
        _weekday,
    ),
    (
        re.compile(r"(?P<which>[上下]{1,2}|这|本)?个?(?<!每)(?:周|星期|礼拜)(?P<day>[一二三四五六日天])?(?![一-鿿]?年)"),
        _chinese_weekday,
    ),
    (re.compile(r"\b(?:next|last|this) (?:week|month|weekend)\b|(?:[上下这本]个|[上下本])月(?!\d)", re.I), _period),
)  # fmt: skip
