"""Chinese resident identity numbers (GB 11643): region, date of birth, sequence, and the check character mod 11."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from stdnum.cn import ric

from assistant.privacy.spans import Candidate

WRITTEN = re.compile(r"(?<![A-Za-z0-9])(?=(\d(?:[ -]?\d){16}[ -]?[\dXx])(?![A-Za-z0-9]))")
PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83".split()
)
FIRST_YEAR = 1880
USUAL_GROUPS = ((18,), (6, 8, 4), (6, 4, 4, 4), (3, 3, 4, 4, 4))


def resident_ids(text: str) -> Iterator[Candidate]:
    """The numbers of a folded text; one with a wrong check character comes without a kind."""
    for match in WRITTEN.finditer(text):
        written = match.group(1)
        number = re.sub("[ -]", "", written).upper()
        if number[:2] not in PROVINCES or not _has_birth_date(number):
            continue
        if ric.calc_check_digit(number) == number[-1]:
            yield Candidate("resident_id", match.start(1), match.end(1))
        elif tuple(map(len, re.split("[ -]", written))) in USUAL_GROUPS:
            yield Candidate(None, match.start(1), match.end(1))


def _has_birth_date(number: str) -> bool:
    try:
        born = datetime.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return born.year >= FIRST_YEAR and born <= datetime.datetime.now(datetime.UTC).date()
