"""Dates in digits, which are no telephone numbers whatever their groups look like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assistant.privacy.spans import Candidate

YEAR = r"(?:1[89]|20)\d{2}"
DATE = re.compile(
    rf"(?<![\d.-]){YEAR}([-/.])\d{{1,2}}\1\d{{1,2}}(?!\d)(?![-/.]\d)"
    rf"|(?<![\d.-])\d{{1,2}}([-/.])\d{{1,2}}\2{YEAR}(?!\d)(?![-/.]\d)"
    rf"|{YEAR} ?年 ?\d{{1,2}} ?月(?: ?\d{{1,2}} ?日)?|(?<!\d){YEAR}-\d{{2}}-\d{{2}}[T ]\d{{2}}(?=:\d{{2}})"
)


def dates(text: str) -> Iterator[Candidate]:
    """The dates of a folded text, as candidates without a kind."""
    for match in DATE.finditer(text):
        yield Candidate(None, match.start(), match.end())
