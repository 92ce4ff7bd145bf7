"""Telephone numbers, by phonenumbers' plans: with a country code anywhere, national ones of some regions.

A number counts as one where it is assigned, is written in groups as its country writes it, and nothing around says
that it is an order, a price or a piece of something longer.
Bounds: `MAX_CHECKS` questions to the library for one text; after them the shape of a number decides alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat

from assistant.errors import ConfigError
from assistant.privacy.labels import label_before
from assistant.privacy.numbers import (
    Group,
    Window,
    groups,
    is_amount,
    is_decimal_part,
    is_in_code,
    only_digits,
    windows,
)
from assistant.privacy.spans import Candidate

MAX_CHECKS = 2_000
MAX_GROUPS, MIN_DIGITS, MAX_DIGITS = 8, 7, 17
BARE_DIGITS = 10  # fewer in one group are any number, unless a word says telephone
GAP = re.compile(r" ?[-.(/] ?|  ?|\)[ -]?|[ -]\(|\)-\(|\(0\) ?| \(0\) ?")
YEARS = re.compile(r"(?:19|20)\d\d\D(?:19|20)\d\d|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])")
EXTENSION = re.compile(r",?\s?(?:ext(?:ension)?\.?\s?|x|#|转|分机)\s?(\d{1,6})(?![\w])", re.I | re.ASCII)
PLUS = 3  # how far before the first digit a plus may stand: "+(", "+ "


class PhoneFinder:
    """Finds the numbers of these regions (ISO 3166), and of all where a plus says so. Raises `ConfigError`."""

    def __init__(self, regions: Sequence[str]) -> None:
        unknown = set(regions) - phonenumbers.SUPPORTED_REGIONS
        if unknown:
            raise ConfigError(
                f"There are no telephone numbers of the region {min(unknown)!r}.",
                fix="Give codes of ISO 3166, such as DE, in [privacy] phone_regions.",
            )
        self._regions = tuple(regions)
        self._any_plan = re.compile("|".join(f"(?:{_plan(region).pattern})" for region in regions) or r"(?!)")

    def find(self, text: str) -> Iterator[Candidate]:
        """The numbers of a folded text."""
        found, checks, end = groups(text), _Checks(MAX_CHECKS), 0
        for first, group in enumerate(found):
            window = self._longest(text, found, first, checks, after=end) if group.start >= end else None
            if window is not None:
                start = _begin(text, window.start, window.end, after=end)
                end = _with_extension(text, window.end)
                yield Candidate("phone", start, end)

    def _longest(self, text: str, found: Sequence[Group], first: int, checks: _Checks, *, after: int) -> Window | None:
        """The longest number that group ``first`` begins, or None."""
        for window in _windows(found, first, text):
            if self._is_phone(text, window, checks) and self._stands_alone(text, found, first, window, checks, after):
                return window
        return None

    def _is_phone(self, text: str, window: Window, checks: _Checks) -> bool:
        """The shape first: it costs least and ends most."""
        start, end = window.start, window.end
        written, has_plus = text[start:end], _has_plus(text, start)
        digits = only_digits(written)
        is_international = has_plus or (len(digits) > BARE_DIGITS and digits.startswith("00") and digits[2] != "0")
        if (
            not (is_international or self._any_plan.fullmatch(digits))
            or is_decimal_part(text, start, end)
            or is_amount(text, start, end)
        ):
            return False
        label = label_before(text, start)
        if (label == "other" and not has_plus) or is_in_code(text, start - has_plus, end):
            return False
        if is_international:
            return checks.is_international("+" + digits.removeprefix("00"), is_told=label == "phone")
        regions = [region for region in self._regions if _plan(region).fullmatch(digits)]
        return _is_written_so(written, is_told=label == "phone") and any(
            checks.is_national(digits, region, _cuts(window.shape), is_told=label == "phone") for region in regions
        )

    def _stands_alone(
        self, text: str, found: Sequence[Group], first: int, window: Window, checks: _Checks, after: int
    ) -> bool:
        """Whether it is no piece of a longer number that is grouped by the same sign."""
        if len(window.shape) == 1 or _has_plus(text, window.start):
            return True
        inner = {sign for sign in text[window.start : window.end] if not sign.isdigit()}
        following = window.last + 1
        left = text[found[first - 1].end : window.start] if first and found[first - 1].end != after else "\n"
        right = text[window.end : found[following].start] if following < len(found) else "\n"
        if GAP.fullmatch(left) and set(left) <= inner and not left.endswith("("):
            return False
        is_followed = bool(GAP.fullmatch(right)) and set(right) <= inner
        return not is_followed or any(self._is_phone(text, one, checks) for one in _windows(found, following, text))


class _Checks:
    """Questions to the library about one text, counted."""

    def __init__(self, most: int) -> None:
        self._left = most

    def is_international(self, digits: str, *, is_told: bool) -> bool:
        """Whether it is assigned anywhere; ``is_told``: a word says telephone, so its length is enough."""
        if not 8 <= len(digits) <= 16:
            return False
        if not self._may_ask():
            return True
        number = _parse(digits, None)
        if number is None:
            return False
        return phonenumbers.is_valid_number(number) or (is_told and phonenumbers.is_possible_number(number))

    def is_national(self, digits: str, region: str, cuts: frozenset[int], *, is_told: bool) -> bool:
        """Whether it is assigned in the region and, unless ``is_told``, written as one writes it there."""
        if not self._may_ask():
            return True
        number = _parse(digits, region)
        if number is None or not phonenumbers.is_valid_number(number):
            return False
        return is_told or (_is_dialled(digits, number) and _is_grouped(cuts, number))

    def _may_ask(self) -> bool:
        self._left -= 1
        return self._left >= 0


def _windows(found: Sequence[Group], first: int, text: str) -> Iterator[Window]:
    for window in windows(found, first, text, gap=GAP, max_groups=MAX_GROUPS, max_digits=MAX_DIGITS):
        if sum(window.shape) >= MIN_DIGITS and 1 not in window.shape[2:]:
            yield window


def _is_written_so(written: str, *, is_told: bool) -> bool:
    """Whether a national number may be written like this: not as years, as a decimal, or too short to tell."""
    if written.isdigit() and len(written) < BARE_DIGITS and not is_told:
        return False
    return not YEARS.fullmatch(written) and written.count(".") != 1


def _begin(text: str, start: int, end: int, *, after: int = 0) -> int:
    """Where a number begins: at its plus, or at the parenthesis that closes inside it."""
    before = re.search(r"\+ ?\(?\Z|\(\Z", text[max(after, start - PLUS) : start])
    if before is None or (before.group() == "(" and ")" not in text[start:end]):
        return start
    return start - len(before.group())


def _has_plus(text: str, start: int) -> bool:
    before = text[max(0, start - PLUS) : start]
    return "+" in before and bool(re.search(r"\+ ?\(?\Z", before))


def _with_extension(text: str, end: int) -> int:
    extension = EXTENSION.match(text, end)
    return extension.end() if extension else end


def _cuts(shape: Sequence[int]) -> frozenset[int]:
    """How many digits stand to the right of each sign."""
    return frozenset(sum(shape[place:]) for place in range(1, len(shape)))


def _is_dialled(digits: str, number: PhoneNumber) -> bool:
    """Whether the number stands with its trunk prefix, where the region has one, or with its country code."""
    national = only_digits(phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL))
    return digits in (national, f"{number.country_code}{phonenumbers.national_significant_number(number)}")


def _is_grouped(cuts: frozenset[int], number: PhoneNumber) -> bool:
    """Whether it is cut where the region cuts it, or in some of these places, or in further ones beside them."""
    styles = (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL)
    written = [phonenumbers.format_number(number, style) for style in styles]
    usual = [_cuts([end - start for start, end in groups(text)]) for text in written]
    outermost = max((cut for places in usual for cut in places), default=0)
    inside = frozenset(cut for cut in cuts if cut <= outermost)  # further left stand country code and trunk prefix
    return any(inside <= places or inside >= places for places in usual)


@lru_cache(maxsize=64)
def _plan(region: str) -> re.Pattern[str]:
    """What a number of this region looks like: country code or trunk prefix, then the national number."""
    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None, "regions are checked"
    assert metadata.general_desc is not None, "every region has a plan"
    trunk = f"|{metadata.national_prefix_for_parsing}" if metadata.national_prefix_for_parsing else ""
    national = metadata.general_desc.national_number_pattern
    return re.compile(rf"(?:{metadata.country_code}{trunk}|)(?:{national})")


def _parse(digits: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(digits, region)
    except NumberParseException:
        return None
