"""What a business system answered, and how it is told.

Only the fields that the settings name come through, each of its declared type. They are kept in one spelling for
every language (``shipped``, ``2026-03-12``) and put into words when they are told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime

from assistant.actions.folding import clean
from assistant.config import ActionSettings, FieldSettings, LocalText, SlotSettings
from assistant.dialogue.replies import Written, local

MAX_STRING_CHARS = 200
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
MARKUP = re.compile(r"([\\`*\[\]<>])")
MONTHS = "January February March April May June July August September October November December".split()
YES_NO: dict[str, LocalText] = {"true": {"en": "yes", "zh": "是"}, "false": {"en": "no", "zh": "否"}}


def pick(fields: Mapping[str, FieldSettings], body: Mapping[str, object]) -> dict[str, str]:
    """The declared fields of an answer; one that is missing or of another type is left out."""
    picked = {name: _canonical(field, at(body, field.path or name)) for name, field in fields.items()}
    return {name: value for name, value in picked.items() if value is not None}


def at(body: Mapping[str, object], path: str) -> object:
    """The value that a dotted path leads to; None where it leads nowhere."""
    value: object = body
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def tell(template: str, action: ActionSettings, values: Mapping[str, str], language: Written) -> str:
    """A text with its placeholders filled in; a line whose placeholder has no value is left out.

    ``values`` are the action's arguments and result by name. What they hold is shown as it is, never as markup.
    """

    def fill(match: re.Match[str]) -> str:
        return _shown(action, match[1], values[match[1]], language)

    told = (line for line in template.splitlines() if values.keys() >= set(PLACEHOLDER.findall(line)))
    return "\n".join(PLACEHOLDER.sub(fill, line) for line in told).strip()


def _canonical(field: FieldSettings, value: object) -> str | None:
    match field.type:
        case "string":
            return clean(value)[:MAX_STRING_CHARS] or None if isinstance(value, str) else None
        case "boolean":
            return str(value).lower() if isinstance(value, bool) else None
        case "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return f"{value:.10g}" if is_number else None
        case "date":
            return _day(value) if isinstance(value, str) else None


def _day(value: str) -> str | None:
    try:
        return datetime.fromisoformat(value).date().isoformat()
    except ValueError:
        return None


def _shown(action: ActionSettings, name: str, value: str, language: Written) -> str:
    field = action.result.get(name)
    slot = next((slot for slot in action.slots if slot.name == name), None)
    if field is not None:
        words = field.values.get(value) or (YES_NO[value] if field.type == "boolean" else None)
        shown = local(words, language) if words else value
        is_date = field.type == "date"
    else:
        shown = _label(slot, value, language)
        is_date = slot is not None and slot.kind == "date"
    return _spoken_date(value, language) if is_date else MARKUP.sub(r"\\\1", shown)


def _label(slot: SlotSettings | None, value: str, language: Written) -> str:
    options = slot.options if slot else ()
    return next((local(option.label, language) for option in options if option.value == value), value)


def _spoken_date(value: str, language: Written) -> str:
    day = date.fromisoformat(value)
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
