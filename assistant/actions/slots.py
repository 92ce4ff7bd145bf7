"""Values for a business action, found in what a customer wrote.

Bounds: the first `MAX_MESSAGE_CHARS` of a message are looked at; a regular expression of the settings is tried on
at most `MAX_VALUE_CHARS` at a time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from assistant.actions.folding import clean, fold
from assistant.config import OptionSettings, SlotSettings
from assistant.insight.dates import find_date
from assistant.values import Entity

MAX_MESSAGE_CHARS = 2_000
MAX_VALUE_CHARS = 64
MAX_JOINED_TOKENS = 4  # LO 1234 5678

EMAIL = re.compile(r"[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}", re.ASCII)
PHONE = re.compile(r"(?<![A-Za-z0-9.@-])\+?\(?\d[\d ()./-]{5,24}\d(?![A-Za-z0-9@])")
PHONE_DIGITS = range(7, 16)  # E.164 has 15 at most
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")
ANY_ORDER_NUMBER = re.compile(r"(?=(?:[^0-9]*[0-9]){4})[A-Z0-9-]{5,32}")


@dataclass(frozen=True, slots=True)
class Found:
    """A slot's value and where it stands."""

    value: str
    start: int
    end: int


def read(
    slots: Sequence[SlotSettings], text: str, *, today: date, asked: str = "", entities: Sequence[Entity] = ()
) -> dict[str, str]:
    """The slots' values that the message has, by name; no part of it is taken twice.

    The ``asked`` slot comes first, and free text is taken for that one only. ``entities`` help where nothing
    is found here.
    """
    text = unicodedata.normalize("NFKC", text[:MAX_MESSAGE_CHARS])
    found: dict[str, Found] = {}
    for slot in sorted(slots, key=lambda each: each.name != asked):
        taken = list(found.values())
        candidates = _candidates(slot, text, today=today, whole=slot.name == asked)
        if free := next((each for each in candidates if not _overlaps(each, taken)), None):
            found[slot.name] = free
        elif value := _from_entities(slot, entities, {each.value for each in taken}):
            found[slot.name] = Found(value, 0, 0)
    return {name: each.value for name, each in found.items()}


def is_too_long(slot: SlotSettings, text: str) -> bool:
    """Whether a free text cannot be taken because of its length alone."""
    return slot.kind == "text" and not slot.pattern and len(clean(text)) > slot.max_chars


def _candidates(slot: SlotSettings, text: str, *, today: date, whole: bool) -> Iterator[Found]:
    match slot.kind:
        case "order_number":
            yield from _order_numbers(slot, _without_emails(text))
        case "email":
            yield from _emails(slot, text)
        case "phone":
            yield from _phones(slot, _without_emails(text))
        case "date":
            if day := find_date(fold(text), today=today):
                yield Found(day.day.isoformat(), day.start, day.end)
        case "choice":
            if option := _choice(slot.options, text):
                yield Found(option.value, 0, 0)
        case "text":
            yield from _texts(slot, text, whole=whole)


def _order_numbers(slot: SlotSettings, text: str) -> Iterator[Found]:
    tokens = list(TOKEN.finditer(text))
    for first in range(len(tokens)):
        for last in range(first, min(first + (MAX_JOINED_TOKENS if slot.pattern else 1), len(tokens))):
            if last > first and text[tokens[last - 1].end() : tokens[last].start()] not in (" ", "-", "#", ": ", ":"):
                break
            start, end = tokens[first].start(), tokens[last].end()
            if value := _order_number(slot, text[start:end]):
                yield Found(value, start, end)
                break


def _order_number(slot: SlotSettings, written: str) -> str | None:
    together = re.sub(r"[\s#:]", "", written).upper()
    if not slot.pattern:
        return together if ANY_ORDER_NUMBER.fullmatch(together) else None
    spellings = (together, together.replace("-", ""))
    prefix = slot.prefix.upper()
    return next((each for each in (*spellings, *(prefix + each for each in spellings)) if fits(slot, each)), None)


def _emails(slot: SlotSettings, text: str) -> Iterator[Found]:
    for match in EMAIL.finditer(text):
        value = match.group().rstrip(".-").lower()
        if fits(slot, value):
            yield Found(value, match.start(), match.end())


def _phones(slot: SlotSettings, text: str) -> Iterator[Found]:
    for match in PHONE.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        value = f"+{digits}" if match.group().startswith("+") else digits
        is_date = re.fullmatch(r"20\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?[/.]\d\d?[/.]20\d\d", match.group().strip())
        if len(digits) in PHONE_DIGITS and not is_date and fits(slot, value):
            yield Found(value, match.start(), match.end())


def _texts(slot: SlotSettings, text: str, *, whole: bool) -> Iterator[Found]:
    if slot.pattern:
        for match in re.finditer(r"[A-Za-z0-9][A-Za-z0-9./-]*", text):
            if fits(slot, match.group()):
                yield Found(match.group(), match.start(), match.end())
    value = clean(text)
    if whole and 0 < len(value) <= slot.max_chars and fits(slot, value):
        yield Found(value, 0, len(text))


def _choice(options: Sequence[OptionSettings], text: str) -> OptionSettings | None:
    """The one option that the text names; none where it names two."""
    text = fold(text)
    named = [(span, option) for option in options for span in _mentions(option, text)]
    widest = [
        option
        for (start, end), option in named
        if not any(s <= start and end <= e and (s, e) != (start, end) for (s, e), _ in named)
    ]
    return widest[0] if len({option.value for option in widest}) == 1 else None


def _mentions(option: OptionSettings, text: str) -> Iterator[tuple[int, int]]:
    for word in (option.value, *option.label.values(), *option.also):
        for match in re.finditer(rf"(?<![a-z0-9]){re.escape(fold(word))}(?![a-z0-9])", text):
            yield match.span()


def _from_entities(slot: SlotSettings, entities: Sequence[Entity], taken: set[str]) -> str | None:
    if slot.kind not in ("order_number", "email", "phone", "date"):
        return None
    values = (entity.value for entity in entities if entity.kind == slot.kind and entity.value not in taken)
    known = ANY_VALUE[slot.kind]
    return next((value for value in values if known.fullmatch(value) and fits(slot, value)), None)


ANY_VALUE = {
    "order_number": ANY_ORDER_NUMBER,
    "email": EMAIL,
    "phone": re.compile(r"\+?\d{7,15}"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
}


def fits(slot: SlotSettings, value: str) -> bool:
    """Whether the whole value matches the slot's pattern."""
    if not slot.pattern:
        return True
    return len(value) <= MAX_VALUE_CHARS and bool(re.fullmatch(slot.pattern, value, re.IGNORECASE))


def _without_emails(text: str) -> str:
    return EMAIL.sub(lambda match: " " * len(match.group()), text)


def _overlaps(found: Found, taken: Sequence[Found]) -> bool:
    return any(found.start < other.end and other.start < found.end for other in taken)
