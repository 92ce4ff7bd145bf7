"""The fixed texts the assistant says by itself: they stand in ``replies.toml``, in two languages and three tones."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from pydantic import TypeAdapter

from assistant.config import HandoffSettings, LocalText, Tone

Written = Literal["en", "zh"]

TALK_TO_A_PERSON: dict[Written, str] = {"en": "Talk to a person", "zh": "转人工客服"}

_OTHER_LANGUAGE = "I can answer in English and Chinese. 我可以用中文和英文回答。"
_CONTACT: dict[Written, dict[str, str]] = {
    "en": {"email": "E-mail: {value}", "phone": "Phone: {value}", "hours": "Hours: {value}"},
    "zh": {"email": "邮箱：{value}", "phone": "电话：{value}", "hours": "服务时间：{value}"},
}


def written(language: str, default: Written) -> Written:
    """The language of fixed texts for a customer's language."""
    if language == "zh":
        return "zh"
    return "en" if language == "en" else default


def local(text: LocalText, language: Written) -> str:
    """A setting's text in a language, or in the one it has."""
    return text.get(language) or next(iter(text.values()), "")


def say(key: str, language: Written, *, tone: Tone = "friendly", attempt: int = 0, **values: str) -> str:
    """A text of ``replies.toml``; ``attempt`` goes round its wordings."""
    by_tone = _texts()[key][language]
    wordings = by_tone.get(tone, by_tone["friendly"])
    return wordings[attempt % len(wordings)].format(**values)


def abstain(language: Written, handoff: HandoffSettings, *, tone: Tone = "friendly", attempt: int = 0) -> str:
    """No answer, and how to reach a person."""
    return paragraphs(say("abstain", language, tone=tone, attempt=attempt), contact(language, handoff))


def hand_over(
    language: Written, handoff: HandoffSettings, *, because: str = "hand_over", tone: Tone = "friendly"
) -> str:
    """A person takes over: why (a key of ``replies.toml``), the contact, and the offer to leave an address."""
    details = contact(language, handoff)
    leave = "leave_address" if details else "only_address"
    return paragraphs(say(because, language, tone=tone), details, say(leave, language))


def clarify(language: Written, titles: Sequence[str], *, tone: Tone = "friendly", attempt: int = 0) -> str:
    """Which of several questions is meant, or what it is about where there is no guess."""
    if len(titles) < 2:
        return say("clarify_open", language, tone=tone, attempt=attempt)
    return paragraphs(say("clarify", language, tone=tone, attempt=attempt), "\n".join(f"- {title}" for title in titles))


def other_language() -> str:
    """The line for a customer whose language nothing here is written in."""
    return _OTHER_LANGUAGE


def contact(language: Written, handoff: HandoffSettings) -> str:
    """How to reach a person, one line each, as Markdown; empty where nothing is set."""
    values = {"email": handoff.email, "phone": local(handoff.phone, language), "hours": local(handoff.hours, language)}
    return "\n".join(f"- {_CONTACT[language][name].format(value=value)}" for name, value in values.items() if value)


def paragraphs(*parts: str) -> str:
    """The parts that hold something, an empty line between them."""
    return "\n\n".join(part for part in parts if part)


@lru_cache(maxsize=1)
def _texts() -> dict[str, dict[Written, dict[Tone, list[str]]]]:
    source = files("assistant.dialogue") / "replies.toml"
    return TypeAdapter(dict[str, dict[Written, dict[Tone, list[str]]]]).validate_python(
        tomllib.loads(source.read_text(encoding="utf-8"))
    )
