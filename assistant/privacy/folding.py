"""One way to write for many: full-width letters, other scripts' digits, the kinds of dashes and spaces.

Every character becomes exactly one, so that what is found in the folded text stands at the same place in the text.
"""

from __future__ import annotations

import re
import unicodedata

SPACES = ("Zs", "Cf")  # no-break and thin spaces; zero-width characters
DASH = "Pd"
OTHER_DASHES = "−˗ー─"
CHINESE_DIGITS = str.maketrans("〇零一幺二三四五六七八九", "001123456789")
SPOKEN = re.compile("[〇零一幺二三四五六七八九]{7,}")  # shorter ones are ordinary words


def fold(text: str) -> str:
    """The text in ASCII digits, letters, dashes and spaces where it has such; of the same length."""
    if text.isascii():
        return text.translate(_LINES)
    return SPOKEN.sub(lambda spoken: spoken.group().translate(CHINESE_DIGITS), text.translate(_FOLDED))


class _Folded(dict[int, int]):
    """Code points and what they become, filled as they are met."""

    def __missing__(self, code: int) -> int:
        self[code] = folded = ord(_fold_one(chr(code))) if code > 127 else code
        return folded


def _fold_one(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in SPACES:
        return " "
    if category == DASH or character in OTHER_DASHES:
        return "-"
    plain = unicodedata.normalize("NFKC", character) if 0xFF01 <= ord(character) <= 0xFF5E else character
    return plain if len(plain) == 1 else character


_LINES = {ord("\t"): ord(" ")}
_FOLDED = _Folded(_LINES)
