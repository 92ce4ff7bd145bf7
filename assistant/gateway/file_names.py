"""Names of files as customers chose them: made harmless, and written into a header."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import quote

MAX_STEM_CHARS = 100
UNSAFE = re.compile(r'[<>:"|?*;%\\/]')


def clean_name(name: str, suffixes: Sequence[str]) -> str:
    """The last part of a path, without what is invisible, turns the reading direction round, or hides the true type.

    It always ends in one of the type's ``suffixes``: ``photo.exe`` that is a PNG becomes ``photo.exe.png``.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    shown = "".join(character for character in last if unicodedata.category(character)[0] != "C")
    plain = UNSAFE.sub("_", re.sub(r"\s+", " ", shown)).rstrip(" .")
    suffix = next((known for known in suffixes if plain.lower().endswith(known)), "")
    stem = plain[: len(plain) - len(suffix)][:MAX_STEM_CHARS].strip(" .")
    return (stem or "file") + (suffix or suffixes[0])


def content_disposition(name: str) -> str:
    """The header that has a browser save and not show (RFC 6266), the name in UTF-8 (RFC 8187) and in ASCII."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
