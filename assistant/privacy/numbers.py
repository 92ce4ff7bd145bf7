"""Digits as people write them: groups with single signs between, and what stands around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from assistant.privacy.labels import is_label

DIGITS = re.compile(r"\d+")
SIGNS = re.compile(r"\D+")
CODE_BEFORE = re.compile(r"[A-Za-z0-9_#/-]*\Z")
CODE_AFTER = re.compile(r"[_-]?[A-Za-z]")
EXTENSION = re.compile(r"-?\s?(?:ext|x\d)", re.I)
MONEY_BEFORE = re.compile(r"(?:[$€£¥￥]|USD|EUR|GBP|CNY|RMB|人民币|金额)\s?[:：]?\s?\Z", re.I)
MONEY_AFTER = re.compile(
    r"\s?(?:元|块|美元|欧元|万|亿|€|\$|£|%|USD|EUR|GBP|CNY|RMB|dollars|euros|pounds|yuan|bytes|KB|MB|ms)", re.I
)
REACH = 32


class Group(NamedTuple):
    """Digits without a sign between, at ``text[start:end]``."""

    start: int
    end: int


class Window(NamedTuple):
    """Groups with single signs between that may be one number; ``shape`` has the digits of each."""

    start: int
    end: int
    last: int
    shape: tuple[int, ...]


def groups(text: str) -> list[Group]:
    """All groups of digits of a folded text, in order."""
    return [Group(*match.span()) for match in DIGITS.finditer(text)]


def only_digits(written: str) -> str:
    """The digits of a number as it was written."""
    return SIGNS.sub("", written)


def is_amount(text: str, start: int, end: int) -> bool:
    """Whether a currency or unit beside the number makes it an amount."""
    return bool(MONEY_BEFORE.search(text[max(0, start - 6) : start]) or MONEY_AFTER.match(text, end, end + 8))


def is_decimal_part(text: str, start: int, end: int) -> bool:
    """Whether the number is one side of a decimal point, or of a thousands' comma."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    is_right = len(before) == 2 and before[0].isdigit() and before[1] in ".,"
    return is_right or (len(after) == 2 and after[0] in "." and after[1].isdigit())


def is_in_code(text: str, start: int, end: int) -> bool:
    """Whether letters hang on the number, as on order numbers, hashes and addresses of pages."""
    before = CODE_BEFORE.search(text[max(0, start - REACH) : start])
    hanging = before.group() if before else ""
    is_part = any(character.isalnum() or character in "#_" for character in hanging)
    follows = CODE_AFTER.match(text, end)
    return (is_part and not is_label(hanging.strip("-/#"))) or bool(follows and not EXTENSION.match(text, end))


def windows(
    found: Sequence[Group], first: int, text: str, *, gap: re.Pattern[str], max_groups: int, max_digits: int
) -> list[Window]:
    """The numbers that group ``first`` may begin, the longest first."""
    start, end = found[first]
    shape: tuple[int, ...] = (end - start,)
    num_digits, last = end - start, first
    possible = list[Window]()
    while num_digits <= max_digits:
        possible.append(Window(start, end, last, shape))
        last += 1
        if last == len(found) or len(shape) == max_groups or not gap.fullmatch(text, end, found[last].start):
            break
        end = found[last].end
        shape = (*shape, end - found[last].start)
        num_digits += shape[-1]
    return possible[::-1]
