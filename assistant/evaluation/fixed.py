"""What the assistant says by itself, collected so that an answer's own claims can be told from it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files

from assistant.actions import replies as action_replies
from assistant.config import HandoffSettings, Settings
from assistant.dialogue import replies

SPOKEN_SETTINGS = {"brand", "handoff", "tenants", "actions"}


def fixed_texts(settings: Settings, *, tenant: str = "") -> tuple[str, ...]:
    """The assistant's texts with their ``{placeholders}``, and the settings' words: names, contacts, actions."""
    handoff = settings.handoff_of(tenant)
    spoken = (file for file in files("assistant.dialogue").iterdir() if file.name.endswith(".toml"))
    written = [text for file in spoken for text in _texts(tomllib.loads(file.read_text(encoding="utf-8")))]
    contacts = [line for language in ("en", "zh") for line in _contact_lines(language, handoff)]
    own = [replies.other_language(), *replies.TALK_TO_A_PERSON.values(), *_texts(action_replies.LINES)]
    configured = _texts(settings.model_dump(mode="json", include=SPOKEN_SETTINGS))
    return tuple(dict.fromkeys((*written, *contacts, *own, *configured)))


def _contact_lines(language: replies.Written, handoff: HandoffSettings) -> list[str]:
    return replies.contact(language, handoff).splitlines()


def _texts(value: object) -> Iterator[str]:
    """Every text in nested tables and lists."""
    if isinstance(value, str):
        yield from [value] if value.strip() else []
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
