"""Payment card numbers (ISO/IEC 7812): an issuer's range and length, usual grouping, and the Luhn check digit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from stdnum import luhn

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

GAP = re.compile(r"[ -]|[ ]-[ ]|\.|  ")
MIN_DIGITS, MAX_DIGITS, MAX_GROUPS = 12, 19, 6

# Issuers' ranges as they stand in front, and the lengths they use.
ISSUERS: tuple[tuple[re.Pattern[str], frozenset[int]], ...] = (
    (re.compile("4"), frozenset({13, 16, 19})),  # Visa
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), frozenset({16})),  # Mastercard
    (re.compile("3[47]"), frozenset({15})),  # American Express
    (re.compile("6011|65|64[4-9]"), frozenset({16, 19})),  # Discover
    (re.compile("35(?:2[89]|[3-8])"), frozenset({16, 19})),  # JCB
    (re.compile("30[0-5]|3095|36|3[89]"), frozenset({14, 16, 19})),  # Diners Club
    (re.compile("62|81"), frozenset({16, 17, 18, 19})),  # UnionPay
    (re.compile("9558|955880|9400|6\\d|5[06-9]"), frozenset({12, 13, 14, 15, 16, 17, 18, 19})),  # debit cards, Maestro
    (re.compile("220[0-4]|508|82"), frozenset({16, 19})),  # Mir, RuPay
)
WHOLE = frozenset({(16,), (4, 4, 4, 4), (4, 6, 5)})
USUAL = WHOLE | {(4, 6, 4), (6, 10), (6, 13), (8, 8), (4, 4, 4)}
USUAL |= {(*full, last) for full in ((4, 4, 4), (4, 4, 4, 4)) for last in (1, 2, 3, 4)}


def cards(text: str) -> Iterator[Candidate]:
    """The card numbers of a folded text; one with a wrong check digit comes without a kind."""
    found = groups(text)
    end = 0
    for first, group in enumerate(found):
        if group.start < end:
            continue
        shaped = [window for window in _windows(found, first, text) if _may_be_card(text, window)]
        if shaped:
            card = _best(text, shaped)
            end = card.end
            yield card


def _windows(found: Sequence[Group], first: int, text: str) -> Iterator[Window]:
    for window in windows(found, first, text, gap=GAP, max_groups=MAX_GROUPS, max_digits=MAX_DIGITS):
        if sum(window.shape) >= MIN_DIGITS and (len(window.shape) == 1 or window.shape in USUAL):
            yield window


def _may_be_card(text: str, window: Window) -> bool:
    """Whether it is written as a card number is, its check digit aside."""
    start, end = window.start, window.end
    if is_decimal_part(text, start, end) or is_amount(text, start, end) or is_in_code(text, start, end):
        return False
    if text.count(".", start, end) == 1:
        return False  # a decimal number
    digits = only_digits(text[start:end])
    is_issued = any(issuer.match(digits) and len(digits) in lengths for issuer, lengths in ISSUERS)
    return is_issued or window.shape == (4, 4, 4, 4) or label_before(text, start) == "card"


def _best(text: str, shaped: Sequence[Window]) -> Candidate:
    """The longest with a right check digit; of one with a wrong one only a whole card before its last group."""
    for place, window in enumerate(shaped):
        if (place == 0 or window.shape in WHOLE) and _is_card(text, window):
            return Candidate("card", window.start, window.end)
    return Candidate(None, shaped[0].start, shaped[0].end)


def _is_card(text: str, window: Window) -> bool:
    digits = only_digits(text[window.start : window.end])
    is_other = len(window.shape) == 1 and label_before(text, window.start) == "other"
    return bool(luhn.is_valid(digits)) and bool(digits.strip("0")) and not is_other
