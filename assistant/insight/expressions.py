"""The expressions of ``expressions.toml``, compiled: what decides a concern or an urgency by its words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from assistant.values import Concern

PART = re.compile(r"<([A-Z_]+)>")


@lru_cache(maxsize=1)
def outright() -> Mapping[Concern, tuple[re.Pattern[str], ...]]:
    """What says a concern by itself, one expression for each language; each is tried on every message."""
    by_language = _table()["outright"]
    concerns: list[Concern] = list(by_language["en"])
    return {
        concern: tuple(_compile(expressions[concern]) for expressions in by_language.values()) for concern in concerns
    }


@lru_cache
def expression(section: str, name: str) -> re.Pattern[str]:
    """One expression, such as ``urgency``, ``high``."""
    return _compile(_table()[section][name])


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return tomllib.loads(files("assistant.insight").joinpath("expressions.toml").read_text(encoding="utf-8"))


def _compile(text: str) -> re.Pattern[str]:
    parts: dict[str, str] = _table()["parts"]
    return re.compile(PART.sub(lambda match: parts[match[1]], text), re.I | re.X)
