"""One spelling for texts that are compared: width, case, and traditional characters folded away."""

from __future__ import annotations

import re
import unicodedata

from assistant.language import simplify

BREAKS = re.compile(r"[^\w\s'@.+-]+|\s+|(?<!\w)[.+-]+|[.+-]+(?!\w)")


def fold(text: str) -> str:
    """The text in normal width (NFKC), lower case and simplified characters; its length may change."""
    return simplify(unicodedata.normalize("NFKC", text).casefold().replace("’", "'"))


def bare(text: str) -> str:
    """The folded text without punctuation, its words apart by single spaces."""
    return " ".join(BREAKS.sub(" ", fold(text)).split())


def clean(text: str) -> str:
    """The text without control characters and with single spaces: fit for one line of a form."""
    kept = (" " if character.isspace() else character for character in text if _is_shown(character))
    return " ".join("".join(kept).split())


def _is_shown(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] != "C"
