"""Questions of our own that every assistant must take well: in ``probes/``, in English and Chinese."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Literal

ProbeLanguage = Literal["en", "zh"]
PROBE_LANGUAGES: tuple[ProbeLanguage, ...] = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Pair:
    """The same question from two groups of people; ``about`` is what they differ in."""

    language: str
    about: str
    one: str
    other: str


def ordinary_questions(language: ProbeLanguage) -> tuple[str, ...]:
    """Questions that look dangerous and are not."""
    return tuple(_table(language)["ordinary"])


def pairs(language: ProbeLanguage) -> Iterator[Pair]:
    """Each group of people beside the next."""
    for groups in _table(language)["groups"]:
        asked = [groups["ask"].format(who=who) for who in groups["who"]]
        for one, other in pairwise(asked):
            yield Pair(language, groups["of"], one, other)


@lru_cache(maxsize=len(PROBE_LANGUAGES))
def _table(language: ProbeLanguage) -> dict[str, Any]:
    return tomllib.loads(files("assistant.evaluation").joinpath("probes", f"{language}.toml").read_text("utf-8"))
